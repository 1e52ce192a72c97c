"""The whole way of an operator in a browser: the form, the plan, the number to type, the report, Retry and Cancel."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
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

from playwright.sync_api import Browser, Page, expect

from tests.browser import browser, opened, press, resume, shot

__all__ = ["browser"]

ROWS = 40


def _integration(letter: str) -> str:
    return f"greenhouse:{letter * 24}"


# An integration a story, so that none meets another's writes.
STALE, FILE, UNANSWERED, LOST, KILLED, CANCELLED = (_integration(letter) for letter in "ABCDEF")


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoProcess]:
    every = [STALE, FILE, UNANSWERED, LOST, KILLED, CANCELLED]
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
        made[STALE] = shop.start(deployment, **parameters(demo, STALE))
        made[FILE] = shop.start(batch, integration=FILE, file=str(file), approval="ask")
        made[KILLED] = shop.start(deployment, **parameters(demo, KILLED, limit=ROWS, approval="auto"))
        until(lambda: len(sent(demo, KILLED)) > 8, "some are sent")
        os.kill(shop.pid(made[KILLED]), signal.SIGKILL)
        made[LOST] = shop.start(deployment, **parameters(demo, LOST, limit=ROWS, approval="auto"))
        for who in (UNANSWERED, STALE, FILE):
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


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """One window for all stories."""
    with opened(browser) as made:
        yield made


@pytest.fixture(scope="module")
def answered(shop: Workshop, demo: DemoProcess, runs: dict[str, UUID], worker: None, page: Page) -> Any:
    """What an operator first answers to each run, while the worker takes them up; returns what had been sent before.

    The last answer is one that comes too late; what Prefect said to it is returned as well.
    """
    before = [one for who in (STALE, FILE, UNANSWERED) for one in sent(demo, who)]
    assert shop.run(runs[LOST]).state_name == "Running"  # nobody is left to say otherwise
    with shop.client() as client:
        client.set_flow_run_state(runs[LOST], Crashed(), force=True)  # as the automation does when no heartbeat comes
    resume(page, page_of(shop, runs[STALE]), "applications", 4, "reject")
    ask_for(shop, page, runs[KILLED], "Retry", "killed")
    ask_for(shop, page, runs[LOST], "Retry", "lost")
    resume(page, page_of(shop, runs[FILE]), "rows", 2, "send")
    timed_out = shop.state(runs[UNANSWERED], "FAILED")
    with shop.client() as client:
        late = client.resume_flow_run(runs[UNANSWERED], run_input={"applications": 3, "decision": "reject"})
    page.goto(page_of(shop, runs[UNANSWERED]))
    expect(page.get_by_role("button", name="Retry").first).to_be_visible()
    expect(page.get_by_role("button", name="Resume")).to_have_count(0)
    ask_for(shop, page, runs[UNANSWERED], "Retry", "unanswered")
    return before, timed_out, late


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


def page_of(shop: Workshop, run: UUID) -> str:
    return f"{shop.ui}/runs/flow-run/{run}"


def ask_for(shop: Workshop, page: Page, run: UUID, button: str, name: str) -> None:
    """Press a button of a run's page, and agree in the question that follows."""
    before = shop.run(run).state_id
    page.goto(page_of(shop, run))
    page.get_by_role("button", name=button).first.click()
    shot(page, f"{name}-{button}")
    press(page.get_by_role("dialog"), f"{button}|Confirm")
    until(lambda: shop.run(run).state_id != before, "it is taken")


def look(shop: Workshop, page: Page, run: UUID, name: str) -> None:
    """Look at a run's page and its report as an operator does."""
    page.goto(page_of(shop, run))
    shot(page, f"{name}-run")
    page.goto(f"{shop.ui}/artifacts/artifact/{report(shop, run).id}")
    expect(page.get_by_text("rows:").first).to_be_visible()
    shot(page, f"{name}-report")


def test_another_number_rejects_nothing_and_the_right_one_what_the_plan_shows(
    shop: Workshop, demo: DemoProcess, runs: dict[str, UUID], answered: Any, page: Page
) -> None:
    run = runs[STALE]
    assert answered[0] == []
    assert "4 was typed and the plan has 3: nothing was sent" in str(shop.state(run, "FAILED", "COMPLETED").message)
    assert sent(demo, STALE) == []
    page.goto(page_of(shop, run))
    shot(page, "wrong-run")
    ask_for(shop, page, run, "Retry", "wrong")
    shop.state(run, "PAUSED")
    (plan,) = [one for one in shop.artifacts(run) if one.key == "kombo-reject-stale-plan"]
    page.goto(f"{shop.ui}/artifacts/artifact/{plan.id}")
    expect(page.get_by_text("days idle").first).to_be_visible()
    shot(page, "plan")
    resume(page, page_of(shop, run), "applications", 3, "reject")
    shop.state(run, "COMPLETED")
    assert len(set(sent(demo, STALE))) == len(sent(demo, STALE)) == 3
    assert all(one in str(plan.data) for one in sent(demo, STALE))
    look(shop, page, run, "right")
    expect(page.get_by_text("3 rows: 3 done").first).to_be_visible()


def test_a_file_is_sent_once_its_number_was_typed(
    shop: Workshop, demo: DemoProcess, runs: dict[str, UUID], answered: Any
) -> None:
    assert answered[0] == []
    shop.state(runs[FILE], "COMPLETED")
    assert len(set(sent(demo, FILE))) == len(sent(demo, FILE)) == 2


def test_an_unanswered_plan_is_rejected_by_nobody_however_late_the_answer(
    shop: Workshop, demo: DemoProcess, runs: dict[str, UUID], answered: Any, page: Page
) -> None:
    _, timed_out, late = answered
    assert "never resumed" in str(timed_out.message)
    assert late.status.value == "ABORT"
    state = until(lambda: _failed_again(shop, runs[UNANSWERED], "expired"), "it has expired")
    assert "nothing was sent" in str(state.message)
    assert sent(demo, UNANSWERED) == []
    page.goto(page_of(shop, runs[UNANSWERED]))
    shot(page, "unanswered-run")


def _failed_again(shop: Workshop, run: UUID, says: str) -> State[Any] | None:
    state = shop.run(run).state
    return state if state and state.type.value == "FAILED" and says in str(state.message) else None


@pytest.mark.parametrize(("who", "name"), [(KILLED, "killed"), (LOST, "lost")], ids=["the run", "worker and run"])
def test_retry_after_a_kill_half_way_finishes_the_rest_and_repeats_nothing(
    shop: Workshop, demo: DemoProcess, runs: dict[str, UUID], answered: list[str], page: Page, who: str, name: str
) -> None:
    run = runs[who]
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


def test_cancelling_stops_after_those_in_flight_and_records_them(
    shop: Workshop, demo: DemoProcess, deployment: UUID, worker: None, page: Page
) -> None:
    run = shop.start(deployment, **parameters(demo, CANCELLED, limit=200, approval="auto"))
    until(lambda: len(sent(demo, CANCELLED)) > 8, "some are sent")
    ask_for(shop, page, run, "Cancel", "cancelled")
    shop.state(run, "CANCELLED")
    rejected = len(sent(demo, CANCELLED))
    assert rejected < 200
    text = str(report(shop, run).description)
    assert f"200 rows: {rejected} done, {200 - rejected} not reached; stopped: the run was cancelled" in text
    look(shop, page, run, "cancelled")
