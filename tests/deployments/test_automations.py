"""What a real server does by itself, with the same automations and less patience."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State, StateType
from prefect.events.schemas.events import Event, RelatedResource, Resource
from prefect.settings.models.flows import FlowsSettings
from prefect.states import Cancelled, Cancelling, Completed, Failed, Pending, Running, Scheduled

from deployments import automations, manifest
from tests.deployments.prefects import command, connected, server
from tests.workers import until

WITHIN = 10  # seconds, the least that a server takes


@flow(name="kombo-tests")
def work() -> None:
    """Nothing; the tests play its part."""


@dataclass
class Watch:
    """Runs whose part the tests have played, on a server that has looked long enough.

    Attributes:
        client: Of the server.
        runs: By what became of them.
        told: What the alerts said.
    """

    client: SyncPrefectClient
    told: list[dict[str, Any]]
    runs: dict[str, UUID] = field(default_factory=dict)

    def start(self, name: str, *states: State[Any], tags: tuple[str, ...] = (manifest.TAG,)) -> UUID:
        made = self.client.create_flow_run(work, name=name, tags=tags, state=Scheduled())
        self.runs[name] = made.id
        self.set(name, *states)
        return made.id

    def set(self, name: str, *states: State[Any]) -> None:
        for state in states:
            self.client.set_flow_run_state(self.runs[name], state, force=True)

    def beat(self, name: str, tag: str = manifest.TAG) -> None:
        """Give a sign of life, as Prefect does while a flow runs."""
        event = Event(
            event="prefect.flow-run.heartbeat",
            occurred=datetime.now(UTC),
            resource=Resource({"prefect.resource.id": f"prefect.flow-run.{self.runs[name]}"}),
            related=[RelatedResource({"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"})],
        )
        self.client.request("POST", "/events", json=[event.model_dump(mode="json")])

    def became(self, name: str) -> str:
        state = self.client.read_flow_run(self.runs[name]).state
        return str(state and state.name)


@pytest.fixture(scope="module")
def told() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address that alerts go to, and what arrived there."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}/channel", got
    made.shutdown()
    made.server_close()


@pytest.fixture(scope="module")
def watch(told: tuple[str, list[dict[str, Any]]]) -> Iterator[Watch]:
    url, got = told
    with server() as api, connected(api) as client:
        command(api, env={"KOMBO_ALERT_URL": url})
        for name, written in automations.read().items():
            if written["trigger"]["posture"] == "Proactive":
                found = client.read_automations_by_name(name)[0]
                client.update_automation(found.id, automations.build(client, written, within=WITHIN))
        one = Watch(client, got)
        for name in ("silent", "finished", "suspended", "paused", "waiting again"):
            one.start(name, Running())
            one.beat(name)
        one.start("somebody else's", Running(), tags=("other",))
        one.beat("somebody else's", tag="other")
        one.set("suspended", State(type=StateType.PAUSED, name="Suspended"))
        one.set("waiting again", State(type=StateType.SCHEDULED, name="AwaitingRetry"))
        one.set("finished", Completed())
        one.set("paused", State(type=StateType.PAUSED, name="Paused"))
        one.beat("paused")
        one.start("without heartbeats", Running())
        one.start("taken and lost", Pending())
        one.start("taken and started", Pending(), Running())
        one.start("cancelled and lost", Running(), Cancelling())
        one.start("late", State(type=StateType.SCHEDULED, name="Late"))
        one.start("late and taken", State(type=StateType.SCHEDULED, name="Late"), Pending(), Running())
        one.start("failed", Running(), Failed(message="what somebody typed"))
        one.start("failed elsewhere", Running(), Failed(), tags=("other",))
        one.start("skipped", Cancelled(), tags=(manifest.TAG, "auto-scheduled"))
        one.start("cancelled by hand", Cancelled())
        one.start("skipped elsewhere", Cancelled(), tags=("other", "auto-scheduled"))
        one.start("last", Running())  # the server looks at events in their order: once this is over, so are the others
        one.beat("last")
        until(lambda: one.became("last") == "Crashed" or None, "the last")
        until(lambda: len(got) >= 7 or None, "all alerts")
        yield one


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("silent", "Crashed"),
        ("paused", "Crashed"),
        ("taken and lost", "Crashed"),
        ("cancelled and lost", "Cancelled"),
        ("finished", "Completed"),
        ("suspended", "Suspended"),
        ("waiting again", "AwaitingRetry"),
        ("without heartbeats", "Running"),
        ("taken and started", "Running"),
        ("late", "Late"),
        ("somebody else's", "Running"),
    ],
)
def test_runs_that_nobody_can_end_are_ended_and_no_others(watch: Watch, name: str, state: str) -> None:
    assert watch.became(name) == state


def test_somebody_is_told_of_what_failed_crashed_is_late_or_was_skipped(watch: Watch) -> None:
    texts = [str(one["text"]) for one in watch.told]
    told = {
        name: [text.splitlines()[0] for text in texts if str(run) in text]
        for name, run in watch.runs.items()
        if any(str(run) in text for text in texts)
    }
    crashed = ["kombo-tests/: Crashed"]
    assert told == {
        "silent": crashed,
        "paused": crashed,
        "taken and lost": crashed,
        "last": crashed,
        "failed": ["kombo-tests/: Failed"],
        "skipped": ["kombo-tests/: this night's or week's run was cancelled"],
        "late": ["kombo-tests/: no worker has taken it"],
    }


def test_an_alert_leads_to_the_run_and_quotes_nothing(watch: Watch) -> None:
    (text,) = [str(one["text"]) for one in watch.told if str(watch.runs["failed"]) in str(one["text"])]
    assert f"http://ui.example/runs/flow-run/{watch.runs['failed']}" in text
    assert "typed" not in text


def test_three_heartbeats_have_to_be_missed() -> None:
    frequency = FlowsSettings.model_fields["heartbeat_frequency"].default
    assert frequency == 180
    for name in ("kombo-zombies", "kombo-stuck-cancelling"):
        assert automations.read()[name]["trigger"]["within"] >= 3 * frequency


def test_every_automation_of_runs_looks_at_ours_alone_and_at_each_by_itself() -> None:
    ours = {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{manifest.TAG}"}
    triggers = [one["trigger"] for one in automations.read().values()]
    of_runs = [one for one in triggers if "prefect.flow-run" in str(one["match"])]
    assert len(of_runs) == 6
    for one in of_runs:
        related = one["match_related"]
        assert related == ours or ours in related
        assert one["for_each"] == ["prefect.resource.id"]
