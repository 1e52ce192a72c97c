"""The whole way of an operator: the form, the plan, the number to type, and the report, in a browser."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from deployments.demo.server import DemoProcess
from flows.reject_stale import reject_stale
from tests.workers import Workshop, until, workshop

pytest.importorskip("playwright", reason="needs the package playwright")

from playwright.sync_api import Page, expect

from tests.browser import browser, page

__all__ = ["browser", "page"]

SHOTS = os.environ.get("KOMBO_FLOWS_SCREENSHOTS")  # read before the environment is cleaned


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoProcess]:
    with DemoProcess("small", odd=False) as running:
        yield running


@pytest.fixture(scope="module")
def shop(demo: DemoProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("shop")
    env = {"KOMBO_API_KEY": demo.api_key, "KOMBO_BASE_URL": demo.base_url, "KOMBO_LAKE": str(folder / "lake")}
    with workshop(folder, env) as made:
        yield made


@pytest.fixture(scope="module")
def deployment(shop: Workshop) -> UUID:
    return shop.deploy(reject_stale)


@pytest.fixture
def asked(demo: DemoProcess) -> dict[str, Any]:
    demo.reset()
    integration = demo.integrations[0]
    reasons = demo.records(integration, "rejection_reasons", include_deleted=False)
    return {
        "integration": integration,
        "rejection_reason": reasons[0]["name"],
        "stale_after_days": 30,
        "limit": 3,
        "approval": "ask",
    }


def shot(page: Page, name: str) -> None:
    """Keep a picture for whoever wants to look."""
    if SHOTS:
        page.wait_for_timeout(700)
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def paused(shop: Workshop, deployment: UUID, asked: dict[str, Any]) -> UUID:
    run = shop.start(deployment, **asked)
    shop.state(run, "PAUSED")
    return run


def resume(shop: Workshop, page: Page, run: UUID, number: str, decision: str, name: str) -> None:
    """Type into the form of a waiting run and submit it."""
    page.goto(f"{shop.ui}/runs/flow-run/{run}")
    page.get_by_role("button", name="Resume").first.click()
    form = page.get_by_role("dialog")
    expect(form.get_by_text("applications would be rejected")).to_be_visible()
    form.get_by_role("spinbutton").or_(form.locator("input[type=number]")).first.fill(number)
    if decision != "abort":
        form.locator(".p-select-button__control").press("ArrowDown")
        page.locator(".p-select-option").get_by_text(decision, exact=True).click()
    shot(page, f"{name}-form")
    form.get_by_role("button", name=re.compile("Resume|Submit")).last.click()
    until(lambda: shop.run(run).state_name != "Suspended", "the form is taken")


def test_the_plan_is_shown_and_the_right_number_rejects_it(
    shop: Workshop, demo: DemoProcess, deployment: UUID, asked: dict[str, Any], page: Page
) -> None:
    with shop.worker():
        run = paused(shop, deployment, asked)
    assert demo.writes == []
    (plan,) = shop.artifacts(run)
    page.goto(f"{shop.ui}/artifacts/artifact/{plan.id}")
    expect(page.get_by_text("days idle").first).to_be_visible()
    shot(page, "plan")
    resume(shop, page, run, "3", "reject", "right")
    with shop.worker():  # another one: the first has ended, as in a restart
        shop.state(run, "COMPLETED")
    assert len({write["ids"][0] for write in demo.writes}) == len(demo.writes) == 3
    assert all(write["ids"][0] in str(plan.data) for write in demo.writes)
    (report,) = [one for one in shop.artifacts(run) if one.key == "kombo-reject-stale-report"]
    page.goto(f"{shop.ui}/artifacts/artifact/{report.id}")
    expect(page.get_by_text("3 rows: 3 done").first).to_be_visible()
    shot(page, "report")
    page.goto(f"{shop.ui}/runs/flow-run/{run}")
    expect(page.get_by_text("Completed").first).to_be_visible()
    shot(page, "run")


@pytest.mark.parametrize(("number", "decision"), [("4", "reject"), ("3", "abort")])
def test_another_number_or_abort_rejects_nothing(
    shop: Workshop, demo: DemoProcess, deployment: UUID, asked: dict[str, Any], page: Page, number: str, decision: str
) -> None:
    with shop.worker():
        run = paused(shop, deployment, asked)
        resume(shop, page, run, number, decision, f"{number}-{decision}")
        state = shop.state(run, "FAILED", "COMPLETED")
    assert state.name == "Failed"
    assert "nothing was sent" in str(state.message)
    assert demo.writes == []
    shot(page, f"{number}-{decision}-run")


def test_the_start_form_explains_every_parameter(shop: Workshop, deployment: UUID, page: Page) -> None:
    page.goto(f"{shop.ui}/deployments/deployment/{deployment}/run")
    for name in ("rejection_reason", "stale_after_days", "approval"):
        expect(page.get_by_text(re.compile(name.replace("_", "[ _]"), re.IGNORECASE)).first).to_be_visible()
    shot(page, "start")


def test_cancelling_stops_after_those_in_flight_and_records_them(
    shop: Workshop, demo: DemoProcess, deployment: UUID, asked: dict[str, Any]
) -> None:
    demo.configure(action_latency_ms=300)
    with shop.worker():
        run = shop.start(deployment, **{**asked, "limit": 200, "approval": "auto"})
        until(lambda: len(demo.writes) > 10, "some are sent")
        with shop.client() as client:
            client.set_flow_run_state(run, _cancelling())
        shop.state(run, "CANCELLED")
    demo.configure(action_latency_ms=None)
    rejected = len(demo.writes)
    assert rejected < 200
    (report,) = [one for one in shop.artifacts(run) if one.key == "kombo-reject-stale-report"]
    assert f"200 rows: {rejected} done, {200 - rejected} not reached" in str(report.description)


def _cancelling() -> Any:
    from prefect.states import Cancelling

    return Cancelling()
