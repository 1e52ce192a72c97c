"""Workers, servers and machines that go away in the middle of an export: what becomes of the run, its slot, the lake.

The deployments are those of `prefect.yaml`, made by bootstrap and a deploy. `deployments/README.md` says the same.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from prefect.states import Cancelling, Crashed

from deployments import automations
from deployments.bootstrap import bootstrap
from deployments.demo.server import DemoProcess
from deployments.processes import ROOT
from tasks.lake import paths
from tests.deployments.test_runbook import BLOCKS
from tests.tasks.killed import bring
from tests.workers import ENDED, Workshop, alive, is_as_served, kill, lose, until, workshop

COLLECTIONS = ["tags", "applications"]
TAKEN = "Deployment concurrency limit reached."


@dataclass
class Nights:
    """Everything that the nightly export needs, and a lake that has an export of the day before."""

    shop: Workshop
    demo: DemoProcess
    lake: Path
    nightly: UUID

    @property
    def integration(self) -> str:
        return self.demo.integrations[0]

    def start(self) -> UUID:
        wanted = {"integrations": [self.integration], "collections": COLLECTIONS, "mode": "full"}
        return self.shop.start(self.nightly, **wanted)

    @contextmanager
    def held(self) -> Iterator[UUID]:
        """A run that gets no answer to its request for the second page of applications, until the end."""
        before = len(self.demo.faults["applied"])
        self.demo.fault("hang", collection="applications", page=2, times=None)
        try:
            run = self.start()
            until(lambda: len(self.demo.faults["applied"]) > before, "the export is under way")
            yield run
        finally:
            self.demo.clear_faults()

    def content(self) -> dict[str, bytes]:
        """The collections' `current`, as bytes."""
        return {name: (self.lake / paths.current(name, self.integration)).read_bytes() for name in COLLECTIONS}

    def is_half(self, before: dict[str, bytes]) -> bool:
        """Whether a collection is neither as it was nor as Kombo has it; raises how."""
        now = self.content()
        changed = [name for name in COLLECTIONS if now[name] != before[name]]
        return not all(is_as_served(self.demo, self.lake, self.integration, name) for name in changed)

    def is_right(self) -> bool:
        return all(is_as_served(self.demo, self.lake, self.integration, name) for name in COLLECTIONS)


@pytest.fixture(scope="module")
def shop_and_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workshop, DemoProcess, Path]]:
    folder = tmp_path_factory.mktemp("nights")
    worker = {"KOMBO_FLOWS_HOME": str(ROOT), "PREFECT_LOGGING_TO_API_ENABLED": "true"}
    with DemoProcess("small", odd=False) as demo, workshop(folder, worker, pool="kombo") as shop:
        given = demo.environment(folder / "lake")
        with shop.client() as client:
            bootstrap(client, given)
        shop.prefect("deploy", "--all")
        yield shop, demo, folder / "lake"


@pytest.fixture
def nights(shop_and_demo: tuple[Workshop, DemoProcess, Path]) -> Iterator[Nights]:
    shop, demo, lake = shop_and_demo
    made = Nights(shop, demo, lake, shop.named("kombo-export/nightly"))
    for name in COLLECTIONS:
        bring(demo.base_url, made.integration, name, str(lake), "the-day-before")
    demo.evolve(made.integration, share=0.02)
    yield made
    with shop.client() as client:  # what a failed test has left would have the slot in the next one
        for run in client.read_flow_runs(limit=200):
            if run.state_type and run.state_type.value not in ENDED and run.start_time:
                client.set_flow_run_state(run.id, Crashed(), force=True)


def runbook(part: str) -> str:
    """The commands of the runbook that have this in them."""
    (found,) = [block for block in BLOCKS if part in block]
    return found


def test_the_run_of_a_worker_that_is_killed_ends_as_crashed_when_its_requests_are_answered(nights: Nights) -> None:
    shop, before = nights.shop, nights.content()
    with shop.worker() as worker:
        with nights.held() as run:
            pid = shop.pid(run)
            kill(worker)
            assert alive(pid)
        shop.state(run, "CRASHED")
        until(lambda: not alive(pid), "its process has ended")
    assert not nights.is_half(before)


def test_a_worker_that_is_told_to_end_takes_its_run_along_and_nobody_says_so(nights: Nights) -> None:
    shop, before = nights.shop, nights.content()
    with shop.worker() as worker, nights.held() as run:
        pid = shop.pid(run)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait() == 0
        until(lambda: not alive(pid), "its process has ended")
    assert not nights.is_half(before)
    with shop.worker():
        state = shop.state(nights.start(), "CANCELLED")
        assert state.message == TAKEN  # by the run that is still
        assert shop.run(run).state_name == "Running"
        shop.shell(runbook("set_state"), RUN=str(run))
        shop.state(nights.start(), "COMPLETED")
    assert nights.is_right()


def test_nothing_is_lost_when_a_worker_is_drained_before_it_ends(nights: Nights) -> None:
    shop = nights.shop
    pause, busy = runbook("work-pool pause").strip().splitlines()
    try:
        with shop.worker() as worker:
            with nights.held() as run:
                shop.shell(pause)
                waiting = nights.start()
                assert str(run) in wide(shop, busy)
            shop.state(run, "COMPLETED")
            assert str(waiting) not in wide(shop, busy)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait() == 0
            assert str(shop.run(waiting).state_type) == "StateType.SCHEDULED"
    finally:
        shop.shell("prefect work-pool resume kombo")
    with shop.worker():
        shop.state(waiting, "COMPLETED")
    assert nights.is_right()


def wide(shop: Workshop, command: str) -> str:
    """What a command says to a terminal that cuts nothing off."""
    return shop.shell(command, COLUMNS="200")


def test_what_failed_is_run_again_and_what_was_wrong_is_undone_and_filled_as_the_runbook_says(nights: Nights) -> None:
    shop, demo = nights.shop, nights.demo
    again, retry = runbook("flow-run retry").strip().splitlines()
    everything = runbook("--param").replace("workday:HWUTwvyx2wLoSUHphiWVrp28", nights.integration)
    demo.clear_log()
    with shop.worker():
        demo.fault("error", collection="tags", times=None, status=403, code="INTEGRATION.PERMISSION_MISSING")
        run = started(shop, everything)
        shop.state(run, "FAILED")
        assert {request["integration"] for request in demo.requests} == {nights.integration}
        assert all("updated_after" not in request["query"] for request in demo.requests)
        assert "PermissionMissing" in str([one.data for one in shop.artifacts(run) if one.key == "kombo-export"])
        said = shop.shell(runbook("flow-run logs"), RUN=str(run))
        assert f"infrastructure_pid='{shop.pid(run)}'" in said
        assert "PermissionMissing" in said
        demo.clear_faults()
        demo.clear_log()
        shop.shell(retry, RUN=str(run))
        until(lambda: shop.run(run).run_count == 2, "it has begun again")
        shop.state(run, "COMPLETED")
        assert {request["operation"] for request in demo.requests} == {"get_tags"}  # the rest was committed
        assert nights.is_right()

        snapshot = next(nights.lake.glob(f"snapshots/tags/date=*/integration={paths.slug(nights.integration)}/*"))
        day = snapshot.parts[-3].removeprefix("date=")
        assert nights.content()["tags"] != snapshot.read_bytes()
        places = {"KOMBO_LAKE": str(nights.lake), "DAY": day, "SLUG": paths.slug(nights.integration)}
        shop.shell(runbook("snapshots/tags"), **places)
        assert nights.content()["tags"] == snapshot.read_bytes()
        shop.state(started(shop, again), "COMPLETED")
        assert nights.is_right()


def started(shop: Workshop, command: str) -> UUID:
    """The run that a command starts."""
    return UUID(re.search(r"UUID: ([0-9a-f-]{36})", wide(shop, command))[1])


def test_a_run_goes_on_while_the_server_is_down_and_its_end_arrives_afterwards(nights: Nights) -> None:
    shop = nights.shop
    with shop.worker() as worker:
        with nights.held() as run:
            with shop.outage():
                assert alive(worker.pid)
            lease = shop.run(run).state.state_details.deployment_concurrency_lease_id
            with shop.client() as client:
                client.renew_concurrency_lease(lease, 300)  # a run that could not is ended by Prefect
        shop.state(run, "COMPLETED")
        assert nights.is_right()
        assert "kombo-export" in {one.key for one in shop.artifacts(run)}
        shop.state(nights.start(), "COMPLETED")  # the worker works on


def test_an_export_that_is_cancelled_ends_with_each_collection_as_before_or_new(nights: Nights) -> None:
    shop, before = nights.shop, nights.content()
    with shop.worker():
        with nights.held() as run:
            with shop.client() as client:
                client.set_flow_run_state(run, Cancelling())  # what the button and `prefect flow-run cancel` do
            shop.state(run, "CANCELLING", "CANCELLED")
        shop.state(run, "CANCELLED")
    assert not nights.is_half(before)


def test_a_run_whose_machine_is_lost_is_found_out_and_a_second_worker_takes_over(nights: Nights) -> None:
    shop, before = nights.shop, nights.content()
    with shop.worker() as first, impatient(shop), nights.held() as run:
        pid = shop.pid(run)
        until(lambda: beaten(shop, run), "a heartbeat has arrived")
        lose(first, pid)
        assert not nights.is_half(before)
        assert str(shop.state(run, "CRASHED").message).startswith("No sign of life")
    with shop.worker():
        shop.state(nights.start(), "COMPLETED")
    assert nights.is_right()


@contextmanager
def impatient(shop: Workshop) -> Iterator[None]:
    """Within, a run is lost after ten seconds without a heartbeat, the fewest that Prefect takes."""
    written = automations.read()["kombo-zombies"]
    with shop.client() as client:
        (found,) = client.read_automations_by_name(written["name"])
        client.update_automation(found.id, automations.build(client, written, within=10))
    try:
        yield
    finally:
        with shop.client() as client:
            client.update_automation(found.id, automations.build(client, written))


def beaten(shop: Workshop, run: UUID) -> int:
    wanted = EventFilter(
        event=EventNameFilter(name=["prefect.flow-run.heartbeat"]),
        resource=EventResourceFilter(id=[f"prefect.flow-run.{run}"]),
    )
    with shop.client() as client:
        return client.read_events(wanted, limit=1).total
