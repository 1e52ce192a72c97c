"""A night as it will be: what the image has, a Prefect server, a worker, a cron schedule, and nobody who helps."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, FlowFilter, FlowFilterName

from deployments.demo.server import DemoProcess
from deployments.processes import free_port
from tasks.exports import COLLECTIONS
from tests.image import Installed, instructions
from tests.workers import ENDED, Workshop, alive, is_as_served, until, workshop

UNDER_WAY = ("RUNNING", "COMPLETED", "FAILED", "CRASHED")
PERSONAL = {"last_name", "company", "email", "email_address", "phone_number"}
COMMAND: list[str] = json.loads([step.value for step in instructions() if step.name == "CMD"][-1])


@dataclass
class Night:
    """One night's run that the schedule started."""

    shop: Workshop
    demo: DemoProcess
    lake: Path
    run: UUID


@pytest.fixture(scope="module")
def night(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    folder = tmp_path_factory.mktemp("night")
    python, port = str(installed.python), free_port()
    with DemoProcess("tiny") as demo, workshop(folder, {}, pool="kombo") as shop:
        env = {"PREFECT_API_URL": shop.api, "PREFECT_HOME": str(folder / "home")}
        given = demo.environment(folder / "lake")
        shop.command(installed.command(python, "-m", "deployments.bootstrap", **env, **given))
        worker = {**env, "PREFECT_WORKER_WEBSERVER_PORT": str(port), "PREFECT_WORKER_QUERY_SECONDS": "1"}
        with shop.worker(installed.command(*COMMAND, **worker)):
            written = (installed.checkout / "prefect.yaml").read_text()
            soon = folder / "prefect.yaml"  # the same, but a night comes every ten seconds
            soon.write_text(written.replace("cron: 15 1 * * * ", 'cron: "* * * * * */10" '))
            assert soon.read_text() != written
            deploy = ("-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(soon))
            shop.command(installed.command(python, *deploy, **env))
            run = until(lambda: begun(shop), "the schedule starts a run")
            shop.state(run, *ENDED)
            until(lambda: not alive(shop.pid(run)), "its process has ended, when its log has been sent")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as health:
                assert health.status == 200
        yield Night(shop, demo, folder / "lake", run)


def begun(shop: Workshop) -> UUID | None:
    """The first run of the nightly export that is under way or over; those that come meanwhile are cancelled."""
    flow, name = FlowFilter(name=FlowFilterName(any_=["kombo-export"])), DeploymentFilterName(any_=["nightly"])
    with shop.client() as client:
        found = client.read_flow_runs(flow_filter=flow, deployment_filter=DeploymentFilter(name=name))
    taken = [one for one in found if one.state_type and one.state_type.value in UNDER_WAY]
    return min(taken, key=lambda one: one.start_time or one.created).id if taken else None


def test_the_cron_schedule_started_it_and_it_completed(night: Night) -> None:
    run = night.shop.run(night.run)
    assert run.auto_scheduled
    assert run.state_name == "Completed", night.shop.log.read_text()[-3000:]


def test_the_lake_is_what_kombo_holds(night: Night) -> None:
    for integration in night.demo.integrations:
        assert all(is_as_served(night.demo, night.lake, integration, collection) for collection in COLLECTIONS)


def test_the_report_names_every_collection(night: Night) -> None:
    (report,) = [one for one in night.shop.artifacts(night.run) if one.key == "kombo-export"]
    everything = len(night.demo.integrations) * len(COLLECTIONS)
    assert str(report.description).startswith(f"{everything} of {everything} collections are in the lake")
    assert all(f"| {collection} | full |" in str(report.data) for collection in COLLECTIONS)
    (recorded,) = (night.lake / "runs").glob(f"{night.run}.json")
    assert len(json.loads(recorded.read_text())["collections"]) == everything


def test_its_log_is_on_the_server_with_nobody_s_data_and_no_key(night: Night) -> None:
    lines = night.shop.logs(night.run)
    for integration in night.demo.integrations:
        assert all(any(f"{one} of {integration}: full, " in line for line in lines) for one in COLLECTIONS)
    left = "\n".join([*lines, *(str(one.data) for one in night.shop.artifacts(night.run)), night.shop.log.read_text()])
    people = set(personal(night.demo))
    assert len(people) > 50
    assert [one for one in people if re.search(rf"(?<!\w){re.escape(one)}(?!\w)", left)] == []
    assert night.demo.api_key not in left


def personal(demo: DemoProcess) -> Iterator[str]:
    """Names, addresses and numbers of the demo's people; short ones could be parts of other words by chance."""
    for integration in demo.integrations:
        for collection in ("candidates", "users"):
            yield from under(PERSONAL, demo.records(integration, collection))


def under(names: Container[str], value: Any) -> Iterator[str]:
    """The longer texts under these names, however deep."""
    if isinstance(value, list):
        for one in value:
            yield from under(names, one)
    elif isinstance(value, dict):
        yield from (one for name, one in value.items() if name in names and isinstance(one, str) and len(one) > 4)
        yield from under(names, list(value.values()))
