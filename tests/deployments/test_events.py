"""From a signed message to a run with typed parameters: the receiver as a process, against a real Prefect server."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions, FlowRun, State
from prefect.events.clients import get_events_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Pending, Running, Scheduled
from prefect.utilities.callables import parameter_schema

from deployments import automations
from deployments.processes import free_port, running, stop
from deployments.webhook import Nightly
from flows.export import export
from tests.deployments.prefects import connected, server
from tests.deployments.test_changed import ONE, OTHER, message, rendered
from tests.deployments.test_webhook import SECRET, sign
from tests.workers import until

COMMAND = [sys.executable, "-m", "deployments.webhook"]


@dataclass
class Site:
    """A server with the deployment and the automation.

    Attributes:
        api: Its address.
        client: Of it.
        deployment: `kombo-export/nightly`, which nobody runs: a test does what a worker would.
        folder: For the receiver's log.
    """

    api: str
    client: SyncPrefectClient
    deployment: UUID
    folder: Path
    known: set[UUID] = field(default_factory=set)

    @contextmanager
    def receiver(self, quiet: float = 0) -> Iterator[Receiver]:
        port, log = free_port(), self.folder / f"{uuid4().hex}.log"
        env = {"PREFECT_API_URL": self.api, "KOMBO_WEBHOOK_SECRET": SECRET, "KOMBO_WEBHOOK_QUIET": str(quiet)}
        url = f"http://127.0.0.1:{port}/"
        with running([*COMMAND, "--port", str(port)], log, env=env, ready=url + "health") as process:
            yield Receiver(url, log, process)

    def make_run(self, starts_in: dt.timedelta = dt.timedelta(0)) -> FlowRun:
        """Make a run as a schedule or a person does."""
        state = Scheduled(scheduled_time=dt.datetime.now(dt.UTC) + starts_in)
        run = self.client.create_flow_run_from_deployment(self.deployment, state=state)
        self.known.add(run.id)
        return run

    def busy(self) -> bool:
        async def ask() -> bool:
            with temporary_settings({PREFECT_API_URL: self.api}):
                return await Nightly().busy()

        return asyncio.run(ask())

    def next_run(self) -> FlowRun:
        """Wait for a run that was not there before."""

        def found() -> FlowRun | None:
            new = [run for run in self.client.read_flow_runs() if run.id not in self.known]
            return new[0] if new else None

        run = until(found, "no run came", 60)
        self.known.add(run.id)
        return run

    def start(self, run: FlowRun) -> str:
        """Take a run as a worker does, and return what became of it."""
        self.client.set_flow_run_state(run.id, Pending())
        if self._state(run).is_pending():
            self.client.set_flow_run_state(run.id, Running())
        return self._state(run).name or ""

    def _state(self, run: FlowRun) -> State[Any]:
        state = self.client.read_flow_run(run.id).state
        assert state
        return state

    def finish(self, run: FlowRun) -> None:
        self.client.set_flow_run_state(run.id, Completed())


@dataclass
class Receiver:
    """The running process."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]

    def send(self, *models: str, integration: str = ONE) -> None:
        body = json.dumps(message([*models], integration=integration) | {"id": uuid4().hex}).encode()
        answer = httpx.post(self.url, content=body, headers={"X-Kombo-Signature": sign(body)}, timeout=20)
        assert answer.status_code == 202


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with server() as api, connected(api) as client:
        deployment = client.create_deployment(
            client.create_flow_from_name("kombo-export"),
            "nightly",
            parameters={"integrations": ["nightly:one", "nightly:two"]},
            parameter_openapi_schema=parameter_schema(export).model_dump(),
            enforce_parameter_schema=True,
            concurrency_limit=1,
            concurrency_options=ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        )
        client.create_automation(automations.build(client, automations.read()["kombo-data-changed"]))
        yield Site(api, client, deployment, tmp_path_factory.mktemp("receiver"))


@pytest.fixture(scope="module")
def receiver(site: Site) -> Iterator[Receiver]:
    with site.receiver() as process:
        yield process


def test_a_signed_message_starts_an_incremental_export_of_what_changed(site: Site, receiver: Receiver) -> None:
    receiver.send("ats_roles", "ats_join_users_roles")
    run = site.next_run()
    assert run.deployment_id == site.deployment
    assert run.parameters == {"integrations": [ONE], "collections": ["users", "roles"], "mode": "incremental"}
    assert site.start(run) == "Running"
    site.finish(run)


def test_an_event_of_prefect_cloud_s_webhook_starts_the_same(site: Site) -> None:
    async def emit() -> None:
        with temporary_settings({PREFECT_API_URL: site.api}):
            async with get_events_client(checkpoint_every=1) as events:
                await events.emit(rendered(message(["ats_roles", "ats_join_users_roles"])))

    asyncio.run(emit())
    run = site.next_run()
    assert run.parameters == {"integrations": [ONE], "collections": ["users", "roles"], "mode": "incremental"}
    site.finish(run)


def test_while_an_export_runs_the_next_one_waits(site: Site, receiver: Receiver) -> None:
    receiver.send("ats_roles")
    first = site.next_run()
    assert site.start(first) == "Running"
    receiver.send("ats_tags", integration=OTHER)
    assert site.busy()
    site.finish(first)
    second = site.next_run()
    assert second.parameters["integrations"] == [OTHER]
    assert second.created
    assert second.created >= (site.client.read_flow_run(first.id).end_time or second.created)
    assert site.start(second) == "Running"
    site.finish(second)


def test_an_export_that_was_cancelled_for_another_is_started_again(site: Site, receiver: Receiver) -> None:
    receiver.send("ats_roles")
    ours, by_hand = site.next_run(), site.make_run()
    assert site.start(by_hand) == "Running"
    assert site.start(ours) == "Cancelled"
    site.finish(by_hand)
    again = site.next_run()
    assert again.parameters == ours.parameters
    assert site.start(again) == "Running"
    site.finish(again)


def test_shortly_before_the_nightly_run_nothing_is_started(site: Site) -> None:
    assert not site.busy()
    far = site.make_run(dt.timedelta(hours=2))
    assert not site.busy()
    near = site.make_run(dt.timedelta(minutes=20))
    assert site.busy()
    for run in (far, near):
        site.client.delete_flow_run(run.id)


def test_a_receiver_that_is_told_to_end_emits_what_waits(site: Site) -> None:
    with site.receiver(quiet=1000) as process:
        process.send("ats_roles", integration=ONE)
        process.send("ats_tags", integration=OTHER)
        stop(process.process)
    run = site.next_run()
    assert run.parameters["integrations"] == [ONE, OTHER]
    assert run.parameters["collections"] == ["applications", "candidates", "tags", "roles"]
    site.finish(run)


def test_a_receiver_without_prefect_takes_messages_and_says_at_its_end_what_is_left(site: Site) -> None:
    without = Site(f"http://127.0.0.1:{free_port()}/api", site.client, site.deployment, site.folder)
    with without.receiver() as process:
        process.send("ats_roles")
        stop(process.process)
    said = process.log.read_text()
    assert f"left to the nightly export (ConnectError): {ONE}" in said
    assert SECRET not in said
