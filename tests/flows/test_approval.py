"""The whole way of an operator in a browser: the form, the plan, the number to type, the report, Retry and Cancel."""

from __future__ import annotations

import json
import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.objects import State
from prefect.states import Crashed

from deployments.demo.server import DemoProcess
from flows.apply_batch import apply_batch
from flows.reject_stale import reject_stale
from tasks.applying import AHEAD, BEHIND, CONCURRENCY
from tests.tasks import batch_runs
from tests.workers import Workshop, lose, until, workshop

pytest.importorskip("playwright", reason="needs the package playwright")

from playwright.sync_api import Locator, Page, expect

from tests.browser import browser, page

__all__ = ["browser", "page"]

SHOTS = os.environ.get("KOMBO_FLOWS_SCREENSHOTS")  # read before the environment is cleaned
ROWS = 40


def _integration(letter: str) -> str:
    return f"greenhouse:{letter * 24}"


# An integration a story, so that none meets another's writes.
RIGHT, WRONG, FILE, UNANSWERED, LOST, KILLED, CANCELLED = (_integration(letter) for letter in "ABCDEFG")


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoProcess]:
    every = [RIGHT, WRONG, FILE, UNANSWERED, LOST, KILLED, CANCELLED]
    with DemoProcess("small", odd=False, integrations=every, action_latency_ms=300) as running:
        yield running


@pytest.fixture(scope="module")
def shop(demo: DemoProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("shop")
    env = {"KOMBO_API_KEY": demo.api_key, "KOMBO_BASE_URL": demo.base_url, "KOMBO_LAKE": str(folder / "lake")}
    env |= {"PREFECT_LOGGING_TO_API_ENABLED": "true", "PREFECT_LOGGING_EXTRA_LOGGERS": "tasks"}
    with workshop(folder, env) as made:
        yield made


@pytest.fixture(scope="module")
def deployment(shop: Workshop) -> UUID:
    return shop.deploy(reject_stale)


@pytest.fixture(scope="module")
def runs(
    shop: Workshop, demo: DemoProcess, deployment: UUID, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, UUID]:
    """Runs that wait for an answer, one that was killed half way, and one that was lost half way with its worker."""
    file = tmp_path_factory.mktemp("batch") / "rows.csv"
    lines = [f"add_application_note;{one['id']};still interested?" for one in batch_runs.pending(demo, FILE)[:2]]
    file.write_text("\n".join(["operation;application_id;content", *lines]))
    batch = shop.deploy(apply_batch)
    with shop.worker() as worker:
        made = {UNANSWERED: shop.start(deployment, **parameters(demo, UNANSWERED))}
        # Its plan is a day old but for a moment, so the time to answer is soon over.
        batch_runs.keep(old_plan(demo), shop.worker_env["KOMBO_LAKE"], None, str(made[UNANSWERED]))
        made |= {who: shop.start(deployment, **parameters(demo, who)) for who in (RIGHT, WRONG)}
        made[FILE] = shop.start(batch, integration=FILE, file=str(file), approval="ask")
        made[KILLED] = shop.start(deployment, **parameters(demo, KILLED, limit=ROWS, approval="auto"))
        until(lambda: len(sent(demo, KILLED)) > 8, "some are sent")
        os.kill(shop.pid(made[KILLED]), signal.SIGKILL)
        made[LOST] = shop.start(deployment, **parameters(demo, LOST, limit=ROWS, approval="auto"))
        for who in (UNANSWERED, RIGHT, WRONG, FILE):
            shop.state(made[who], "PAUSED")
        shop.state(made[KILLED], "CRASHED")
        until(lambda: len(sent(demo, LOST)) > 8, "some are sent")
        lose(worker, shop.pid(made[LOST]))
    return made


@pytest.fixture(scope="module")
def worker(shop: Workshop, runs: dict[str, UUID]) -> Iterator[None]:
    """Another worker, after the first was lost."""
    with shop.worker():
        yield


def parameters(demo: DemoProcess, integration: str, **more: Any) -> dict[str, Any]:
    reasons = demo.records(integration, "rejection_reasons", include_deleted=False)
    given = {"integration": integration, "rejection_reason": reasons[0]["name"], "stale_after_days": 30}
    return {**given, "limit": 3, "approval": "ask", **more}


def old_plan(demo: DemoProcess) -> Any:
    fresh = batch_runs.rejections(demo, 3, integration=UNANSWERED)
    return batch_runs.plan(UNANSWERED, fresh.rows, timedelta(hours=24) - timedelta(seconds=45))


def sent(demo: DemoProcess, integration: str) -> list[str]:
    """The application of every write to an integration."""
    return [write["ids"][0] for write in demo.writes if write["integration"] == integration]


def report(shop: Workshop, run: UUID) -> Any:
    """The newest report of a run."""
    found = [one for one in shop.artifacts(run) if one.key == "kombo-reject-stale-report"]
    return max(found, key=lambda one: str(one.created))


def table(shop: Workshop, run: UUID) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(report(shop, run).data)
    return rows


def shot(page: Page, name: str) -> None:
    """Keep a picture for whoever wants to look."""
    if SHOTS:
        page.wait_for_timeout(700)
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def resume(shop: Workshop, page: Page, run: UUID, number: str, decision: str, name: str) -> None:
    """Type into the form of a waiting run and submit it."""
    page.goto(f"{shop.ui}/runs/flow-run/{run}")
    page.get_by_role("button", name="Resume").first.click()
    form = page.get_by_role("dialog")
    expect(form.get_by_text(re.compile("would be (rejected|sent)"))).to_be_visible()
    form.get_by_role("spinbutton").or_(form.locator("input[type=number]")).first.fill(number)
    if decision != "abort":
        form.locator(".p-select-button__control").press("ArrowDown")
        page.locator(".p-select-option").get_by_text(decision, exact=True).click()
    shot(page, f"{name}-form")
    submit(shop, run, form.get_by_role("button", name=re.compile("Resume|Submit")).last)


def submit(shop: Workshop, run: UUID, button: Locator) -> None:
    """Press a button until a run's state is another one: a busy server may refuse, and the page then says so."""
    before = shop.run(run).state

    def taken() -> bool:
        if button.is_visible():
            button.click()
            button.page.wait_for_timeout(1000)
        now = shop.run(run).state
        return bool(now and before and now.id != before.id)

    until(taken, "it is taken")


def press(shop: Workshop, page: Page, run: UUID, button: str, name: str) -> None:
    """Press a button of a run's page, and the same in the question that follows."""
    page.goto(f"{shop.ui}/runs/flow-run/{run}")
    page.get_by_role("button", name=button).first.click()
    question = page.get_by_role("dialog")
    expect(question).to_be_visible()
    shot(page, f"{name}-{button}")
    submit(shop, run, question.get_by_role("button", name=re.compile(f"{button}|Confirm")).last)


def look(shop: Workshop, page: Page, run: UUID, name: str) -> None:
    """Look at a run's page and its report as an operator does."""
    page.goto(f"{shop.ui}/runs/flow-run/{run}")
    shot(page, f"{name}-run")
    page.goto(f"{shop.ui}/artifacts/artifact/{report(shop, run).id}")
    expect(page.get_by_text("rows:").first).to_be_visible()
    shot(page, f"{name}-report")


def test_the_plan_is_shown_and_the_right_number_rejects_it(
    shop: Workshop, demo: DemoProcess, runs: dict[str, UUID], worker: None, page: Page
) -> None:
    assert sent(demo, RIGHT) == []
    (plan,) = shop.artifacts(runs[RIGHT])
    page.goto(f"{shop.ui}/artifacts/artifact/{plan.id}")
    expect(page.get_by_text("days idle").first).to_be_visible()
    shot(page, "plan")
    resume(shop, page, runs[RIGHT], "3", "reject", "right")
    shop.state(runs[RIGHT], "COMPLETED")
    assert len(set(sent(demo, RIGHT))) == len(sent(demo, RIGHT)) == 3
    assert all(one in str(plan.data) for one in sent(demo, RIGHT))
    assert "3 rows: 3 done" in str(report(shop, runs[RIGHT]).description)
    look(shop, page, runs[RIGHT], "right")
    expect(page.get_by_text("3 rows: 3 done").first).to_be_visible()


def test_another_number_rejects_nothing(
    shop: Workshop, demo: DemoProcess, runs: dict[str, UUID], worker: None, page: Page
) -> None:
    resume(shop, page, runs[WRONG], "4", "reject", "wrong")
    state = shop.state(runs[WRONG], "FAILED", "COMPLETED")
    assert state.name == "Failed"
    assert "4 was typed and the plan has 3: nothing was sent" in str(state.message)
    assert sent(demo, WRONG) == []
    page.goto(f"{shop.ui}/runs/flow-run/{runs[WRONG]}")
    shot(page, "wrong-run")


def test_a_file_that_was_not_approved_is_sent_when_retry_has_asked_again(
    shop: Workshop, demo: DemoProcess, runs: dict[str, UUID], worker: None, page: Page
) -> None:
    run = runs[FILE]
    resume(shop, page, run, "2", "abort", "file-abort")
    assert "abort: nothing was sent" in str(shop.state(run, "FAILED", "COMPLETED").message)
    assert sent(demo, FILE) == []
    press(shop, page, run, "Retry", "file")
    shop.state(run, "PAUSED")
    resume(shop, page, run, "2", "send", "file")
    shop.state(run, "COMPLETED")
    assert len(set(sent(demo, FILE))) == len(sent(demo, FILE)) == 2


def test_an_unanswered_plan_is_rejected_by_nobody_however_late_the_answer(
    shop: Workshop, demo: DemoProcess, runs: dict[str, UUID], worker: None, page: Page
) -> None:
    state = shop.state(runs[UNANSWERED], "FAILED")
    assert "never resumed" in str(state.message)
    with shop.client() as client:
        late = client.resume_flow_run(runs[UNANSWERED], run_input={"applications": 3, "decision": "reject"})
    assert late.status.value == "ABORT"
    page.goto(f"{shop.ui}/runs/flow-run/{runs[UNANSWERED]}")
    expect(page.get_by_role("button", name="Retry").first).to_be_visible()
    expect(page.get_by_role("button", name="Resume")).to_have_count(0)
    press(shop, page, runs[UNANSWERED], "Retry", "unanswered")
    state = until(lambda: _failed_again(shop, runs[UNANSWERED], "expired"), "it has expired")
    assert "nothing was sent" in str(state.message)
    assert sent(demo, UNANSWERED) == []
    page.goto(f"{shop.ui}/runs/flow-run/{runs[UNANSWERED]}")
    shot(page, "unanswered-run")


def _failed_again(shop: Workshop, run: UUID, says: str) -> State[Any] | None:
    state = shop.run(run).state
    return state if state and state.type.value == "FAILED" and says in str(state.message) else None


def finished_by_retry(shop: Workshop, demo: DemoProcess, page: Page, run: UUID, who: str, name: str) -> None:
    """Press "Retry" on a batch that was killed half way, and hold what comes of it against what the server saw."""
    press(shop, page, run, "Retry", name)
    state = shop.state(run, "FAILED", "COMPLETED")
    rows = table(shop, run)
    (plan,) = [one for one in shop.artifacts(run) if one.key == "kombo-reject-stale-plan"]
    assert len(rows) == len({row["application"] for row in rows}) == ROWS
    assert all(row["application"] in str(plan.data) for row in rows)
    times = Counter(sent(demo, who))
    assert max(times.values()) == 1
    kinds = [row["outcome"] for row in rows]
    unknown = kinds.count("unknown")
    assert kinds == ["unknown"] * unknown + ["done"] * (ROWS - unknown)
    assert unknown <= CONCURRENCY + AHEAD + BEHIND
    assert all(times[row["application"]] == 1 for row in rows if row["outcome"] == "done")
    assert times.keys() <= {row["application"] for row in rows}
    assert (state.name == "Failed") is (unknown > 0)
    assert all(row["release"] == row["application"] for row in rows[:unknown])
    look(shop, page, run, name)


def test_retry_after_the_run_was_killed_half_way_finishes_the_rest_and_repeats_nothing(
    shop: Workshop, demo: DemoProcess, runs: dict[str, UUID], worker: None, page: Page
) -> None:
    finished_by_retry(shop, demo, page, runs[KILLED], KILLED, "killed")


def test_retry_after_the_worker_was_lost_too_finishes_the_rest_and_repeats_nothing(
    shop: Workshop, demo: DemoProcess, runs: dict[str, UUID], worker: None, page: Page
) -> None:
    assert shop.run(runs[LOST]).state_name == "Running"  # nobody is left to say otherwise
    with shop.client() as client:
        client.set_flow_run_state(runs[LOST], Crashed(), force=True)  # as the automation does when no heartbeat comes
    finished_by_retry(shop, demo, page, runs[LOST], LOST, "lost")


def test_cancelling_stops_after_those_in_flight_and_records_them(
    shop: Workshop, demo: DemoProcess, deployment: UUID, worker: None, page: Page
) -> None:
    run = shop.start(deployment, **parameters(demo, CANCELLED, limit=200, approval="auto"))
    until(lambda: len(sent(demo, CANCELLED)) > 8, "some are sent")
    press(shop, page, run, "Cancel", "cancelled")
    shop.state(run, "CANCELLED")
    rejected = len(sent(demo, CANCELLED))
    assert rejected < 200
    text = str(report(shop, run).description)
    assert f"200 rows: {rejected} done, {200 - rejected} not reached; stopped: the run was cancelled" in text
    look(shop, page, run, "cancelled")


def test_the_start_form_explains_every_parameter(shop: Workshop, deployment: UUID, page: Page) -> None:
    page.goto(f"{shop.ui}/deployments/deployment/{deployment}/run")
    for name in ("rejection_reason", "stale_after_days", "approval"):
        expect(page.get_by_text(re.compile(name.replace("_", "[ _]"), re.IGNORECASE)).first).to_be_visible()
    shot(page, "start")
