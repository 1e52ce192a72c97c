"""`python -m deployments.bootstrap` and `prefect deploy` against a real server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.blocks.system import Secret
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    DeploymentUpdate,
    VariableCreate,
    VariableUpdate,
    WorkPoolCreate,
    WorkPoolUpdate,
)
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.automations import AutomationCore
from ruamel.yaml import YAML

from deployments import automations, manifest
from deployments.check import server_problems
from deployments.processes import free_port
from tests.deployments.prefects import command, connected, server

KEY, S3_SECRET, HOOK = "key-of-the-tests", "secret-of-the-store", "path-of-the-channel"
ENV = {
    "KOMBO_API_KEY": KEY,
    "KOMBO_LAKE": "s3://bucket/kombo",
    "AWS_ACCESS_KEY_ID": "AKIATESTS",
    "AWS_SECRET_ACCESS_KEY": S3_SECRET,
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "KOMBO_INTEGRATIONS": "workday:AAAA, personio:BBBB",
    "KOMBO_STALE_INTEGRATION": "workday:AAAA",
    "KOMBO_STALE_REASON": "Position filled",
    "KOMBO_ALERT_URL": f"http://127.0.0.1:9/{HOOK}",
}
OLD = CronSchedule(cron="0 3 * * *", timezone="Europe/Berlin")


@dataclass
class Site:
    """A server that was made, deployed to, and made again.

    Attributes:
        api: Its address.
        log: Exit code and output of each command, in order.
        old_runs: How many runs a retired schedule had planned.
    """

    api: str
    log: dict[str, tuple[int, str]]
    old_runs: int = 0

    def run(self, *arguments: str, **env: str) -> tuple[int, str]:
        return command(self.api, *arguments, env=env)

    def drift(self, **env: str) -> list[str]:
        """What a check says is not as it should be."""
        code, said = self.run("--check", **env)
        found = [line for line in said.splitlines() if line.startswith(("to create", "to change", "missing"))]
        assert code == (1 if found else 0), said
        return found


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with server() as api, connected(api) as client:
        log = {}
        log["check of nothing"] = command(api, "--check", env=ENV)
        log["pools after it"] = (len(client.read_work_pools()), "")
        log["first"] = command(api, env=ENV)
        log["second"] = command(api, env=ENV)
        flow = client.create_flow_from_name("kombo-export")
        nightly = client.create_deployment(
            flow,
            "nightly",
            schedules=[
                DeploymentScheduleCreate(schedule=OLD, active=False, slug="nightly"),
                DeploymentScheduleCreate(schedule=OLD, active=True, slug="early", parameters={"mode": "full"}),
            ],
            work_pool_name=manifest.POOL,
        )
        deploy = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
            cwd=manifest.ROOT,
            env={**os.environ, "PREFECT_API_URL": api},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        log["deploy"] = (deploy.returncode, deploy.stdout + deploy.stderr)
        plan(client, nightly)
        old_runs = len(planned(client, nightly))
        log["check of a retired schedule"] = command(api, "--check", env={})
        log["third"] = command(api, env={})
        yield Site(api, log, old_runs)


@pytest.fixture
def client(site: Site) -> Iterator[SyncPrefectClient]:
    with connected(site.api) as connection:
        yield connection


def plan(client: SyncPrefectClient, deployment: UUID) -> None:
    """Have the server plan the runs of the schedules that are on."""
    client.request("POST", "/deployments/{id}/schedule", path_params={"id": deployment}, json={})


def planned(client: SyncPrefectClient, deployment: UUID) -> list[Any]:
    wanted = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment]))
    return client.read_flow_runs(flow_run_filter=wanted)


def deployment(client: SyncPrefectClient, name: str) -> DeploymentResponse:
    return client.read_deployment_by_name(name)


def switched_on(client: SyncPrefectClient, name: str) -> dict[str | None, bool]:
    return {one.slug: one.active for one in deployment(client, name).schedules}


def lines(said: str, word: str) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in said.splitlines() if line.startswith(word)]


def of_nothing() -> list[str]:
    """The automations that need no deployment."""
    return [name for name, one in automations.read().items() if "deployment_id" not in str(one["actions"])]


def test_a_check_of_nothing_lists_everything_and_makes_nothing(site: Site) -> None:
    code, said = site.log["check of nothing"]
    assert code == 1
    assert len([line for line in said.splitlines() if line.startswith("to create")]) == 7 + len(of_nothing())
    waiting = len(automations.read()) - len(of_nothing())
    assert len(lines(said, "missing")) == len(manifest.load().deployments) + waiting
    assert site.log["pools after it"] == (0, "")


def test_it_makes_everything_from_nothing_and_says_a_line_for_each(site: Site) -> None:
    code, said = site.log["first"]
    assert (code, lines(said, "created")) == (
        0,
        [
            "work pool kombo, of type process",
            "block kombo-credentials/kombo: api_key",
            "block kombo-lake/kombo-lake: url, endpoint_url, access_key_id, secret_access_key",
            "block custom-webhook/kombo-alerts: name, url, json_data, secrets",
            *(f"variable {name}" for name in ("kombo_integrations", "kombo_stale_integration", "kombo_stale_reason")),
            *(f"automation {name}" for name in of_nothing()),
        ],
    )


def test_a_second_run_changes_nothing(site: Site) -> None:
    code, said = site.log["second"]
    assert code == 0
    assert {line.split()[0] for line in said.splitlines()} == {"unchanged", "note"}


def test_a_check_of_what_was_made_and_deployed_is_clean(site: Site) -> None:
    assert site.drift(**ENV) == []


def test_without_values_in_the_environment_what_is_there_stays_and_is_said(site: Site) -> None:
    code, said = site.log["third"]
    assert code == 0
    assert "block kombo-credentials/kombo; KOMBO_API_KEY is not set" in lines(said, "unchanged")
    assert "variable kombo_integrations: KOMBO_INTEGRATIONS is not set" in lines(said, "unchanged")
    assert site.drift(**ENV) == []


def test_one_deploy_brings_all_deployments(site: Site, client: SyncPrefectClient) -> None:
    code, said = site.log["deploy"]
    assert code == 0, said
    for one in manifest.load().deployments:
        found = deployment(client, one.full_name)
        assert (found.tags, found.work_pool_name, found.entrypoint) == (one.tags, manifest.POOL, one.entrypoint)
        assert found.enforce_parameter_schema
        assert found.description
        assert found.concurrency_options
        assert one.concurrency_limit
        assert found.concurrency_options.collision_strategy.value == one.concurrency_limit.collision_strategy


def test_the_check_before_a_deploy_asks_the_server(
    site: Site, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert server_problems(client) == []
    client.delete_variable_by_name("kombo_stale_reason")
    assert any("the Prefect variable kombo_stale_reason is not set" in line for line in server_problems(client))
    site.run(**ENV)
    shutil.copytree(manifest.ROOT / "flows", tmp_path / "flows", ignore=shutil.ignore_patterns("__pycache__"))
    text, file = manifest.FILE.read_text(), tmp_path / "prefect.yaml"
    file.write_text(text.replace("name: kombo\n", "name: kombo\n      job_variables: {image: x}\n", 1))
    assert server_problems(client, file) == [
        f"{one.full_name}: the pool kombo has no job variable image" for one in manifest.load().deployments
    ]
    file.write_text(text.replace("name: kombo\n", "name: kombos\n", 1))
    assert server_problems(client, file) == ["there is no work pool kombos: run python -m deployments.bootstrap"]


def test_a_deploy_fills_parameters_from_the_variables(site: Site, client: SyncPrefectClient) -> None:
    assert deployment(client, "kombo-export/nightly").parameters == {"integrations": ["workday:AAAA", "personio:BBBB"]}
    weekly = deployment(client, "kombo-reject-stale/weekly-dry-run")
    assert weekly.parameters == {
        "integration": "workday:AAAA",
        "rejection_reason": "Position filled",
        "approval": "dry-run",
    }
    (schedule,) = weekly.schedules
    assert (schedule.slug, schedule.parameters) == ("weekly", {"approval": "dry-run"})
    assert schedule.schedule.model_dump()["timezone"] == "Europe/Berlin"


def test_a_deploy_stores_no_path_of_whoever_deploys(site: Site, client: SyncPrefectClient) -> None:
    for one in manifest.load().deployments:
        assert str(manifest.ROOT) not in deployment(client, one.full_name).model_dump_json()


def test_a_schedule_that_left_the_file_is_found_and_switched_off(site: Site, client: SyncPrefectClient) -> None:
    what = "schedule early of kombo-export/nightly, which prefect.yaml does not have: off"
    assert lines(site.log["check of a retired schedule"][1], "to change") == [f"change   {what}"]
    assert lines(site.log["third"][1], "changed") == [what]


def test_an_automation_that_starts_a_deployment_is_made_once_that_is_there(site: Site) -> None:
    waiting = sorted(set(automations.read()) - set(of_nothing()))
    assert [f"automation {name} waits for" in site.log["first"][1] for name in waiting] == [True] * len(waiting)
    assert lines(site.log["third"][1], "created") == [f"automation {name}" for name in waiting]


def test_a_schedule_is_switched_off_with_all_that_it_says(site: Site, client: SyncPrefectClient) -> None:
    early = next(one for one in deployment(client, "kombo-export/nightly").schedules if one.slug == "early")
    assert (early.active, early.parameters) == (False, {"mode": "full"})


def test_the_runs_that_a_retired_schedule_had_planned_are_gone(site: Site, client: SyncPrefectClient) -> None:
    assert site.old_runs > 0
    assert planned(client, deployment(client, "kombo-export/nightly").id) == []


def test_what_an_operator_switched_off_stays_off_through_a_deploy(site: Site, client: SyncPrefectClient) -> None:
    assert switched_on(client, "kombo-export/nightly")["nightly"] is False
    assert switched_on(client, "kombo-reject-stale/weekly-dry-run") == {"weekly": True}
    assert "schedule nightly of kombo-export/nightly is switched off; it stays so" in lines(
        site.log["third"][1], "note"
    )


def test_a_deployment_that_left_the_file_starts_nothing_more(site: Site, client: SyncPrefectClient) -> None:
    flow = client.create_flow_from_name("kombo-export")
    on = [DeploymentScheduleCreate(schedule=OLD, active=True)]
    made = client.create_deployment(flow, "hourly", schedules=on, work_pool_name=manifest.POOL, tags=[manifest.TAG])
    assert len(site.drift()) == 1
    code, said = site.run()
    assert (code, len(lines(said, "changed"))) == (0, 1)
    assert [one.active for one in client.read_deployment(made).schedules] == [False]
    assert site.drift() == []


@pytest.mark.parametrize(
    ("flow", "pool", "tags"),
    [
        ("other-export", "kombo", ["kombo"]),
        ("kombo-export", "elsewhere", ["kombo"]),
        ("kombo-export", "kombo", []),
        ("our-kombo-export", "kombo", ["kombo"]),
    ],
)
def test_the_schedules_of_others_stay(
    site: Site, client: SyncPrefectClient, flow: str, pool: str, tags: list[str]
) -> None:
    if pool not in [one.name for one in client.read_work_pools()]:
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
    on = [DeploymentScheduleCreate(schedule=OLD, active=True, slug="theirs")]
    made = client.create_deployment(
        client.create_flow_from_name(flow), "theirs", schedules=on, work_pool_name=pool, tags=tags
    )
    site.run()
    assert [one.active for one in client.read_deployment(made).schedules] == [True]
    client.delete_deployment(made)


def test_a_schedule_that_was_made_by_hand_stays_and_is_said(site: Site, client: SyncPrefectClient) -> None:
    name = "kombo-apply-batch/on-demand"
    (made,) = client.create_deployment_schedules(deployment(client, name).id, [(OLD, True)])
    code, said = site.run()
    assert code == 0
    assert any("made by hand" in line for line in lines(said, "note"))
    assert switched_on(client, name) == {None: True}
    client.delete_deployment_schedule(deployment(client, name).id, made.id)


def test_what_others_made_is_left_alone(site: Site, client: SyncPrefectClient) -> None:
    theirs = AutomationCore.model_validate(
        {"name": "theirs", "trigger": {"type": "event", "expect": ["x"]}, "actions": [{"type": "do-nothing"}]}
    )
    automation = client.create_automation(theirs)
    Secret(value="theirs").save("theirs", overwrite=True, _sync=True)  # type: ignore[call-arg]
    client.create_variable(VariableCreate(name="theirs", value=1))
    site.run(**ENV)
    assert client.read_automation(automation) == client.find_automation("theirs")
    assert automations.same(client.find_automation("theirs") or theirs, theirs)
    assert Secret.load("theirs", _sync=True).get() == "theirs"  # type: ignore[call-arg, union-attr]
    assert (client.read_variable_by_name("theirs") or VariableCreate(name="x", value=0)).value == 1


def stored(client: SyncPrefectClient, block: str, kind: str) -> dict[str, Any]:
    return dict(client.read_block_document_by_name(block, kind, include_secrets=True).data)


def test_a_new_key_replaces_the_old_one_and_nothing_else(site: Site, client: SyncPrefectClient) -> None:
    us = {"KOMBO_API_KEY": "key-two", "KOMBO_BASE_URL": "https://api.us.kombo.dev/v1"}
    site.run(**us)
    assert site.drift(KOMBO_API_KEY=KEY) == ["to change   block kombo-credentials/kombo: api_key"]
    assert stored(client, "kombo", "kombo-credentials")["api_key"] == "key-two"
    code, said = site.run(KOMBO_API_KEY=KEY)
    assert (code, lines(said, "changed")) == (0, ["block kombo-credentials/kombo: api_key"])
    assert stored(client, "kombo", "kombo-credentials") == {"api_key": KEY, "base_url": us["KOMBO_BASE_URL"]}
    site.run(KOMBO_BASE_URL="https://api.kombo.dev/v1")


def test_new_keys_of_the_store_take_the_old_token_with_them(site: Site, client: SyncPrefectClient) -> None:
    site.run(**ENV, AWS_SESSION_TOKEN="for-an-hour")
    assert stored(client, "kombo-lake", "kombo-lake")["session_token"] == "for-an-hour"
    code, said = site.run(**ENV)
    assert (code, lines(said, "changed")) == (0, ["block kombo-lake/kombo-lake: session_token"])
    assert stored(client, "kombo-lake", "kombo-lake")["session_token"] is None


def test_half_a_pair_of_keys_is_refused(site: Site) -> None:
    half = {"KOMBO_LAKE": ENV["KOMBO_LAKE"], "AWS_ACCESS_KEY_ID": "AKIAOTHER"}
    assert site.drift(**half) == ["missing     AWS_SECRET_ACCESS_KEY, which belongs to AWS_ACCESS_KEY_ID"]


def test_the_keys_of_the_machine_go_nowhere_without_a_lake_on_s3(site: Site) -> None:
    assert site.drift(AWS_ACCESS_KEY_ID="mine", AWS_SECRET_ACCESS_KEY="mine") == []


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"KOMBO_API_KEY": "two keys-in-one"}, "block kombo-credentials/kombo cannot be made"),
        ({"KOMBO_BASE_URL": "http://example.com/keys-in-one"}, "base_url"),
        ({"KOMBO_INTEGRATIONS": "keys-in-one"}, "variable kombo_integrations: KOMBO_INTEGRATIONS is not right"),
        ({"KOMBO_STALE_INTEGRATION": "keys-in-one"}, "variable kombo_stale_integration"),
        ({"KOMBO_ALERT_URL": "keys-in-one"}, "KOMBO_ALERT_URL is not an http or https address"),
        ({"KOMBO_POOL_TYPE": "docker"}, "work pool kombo is of type process, not docker; delete it first"),
    ],
)
def test_a_value_that_cannot_be_right_changes_nothing_and_is_not_repeated(
    site: Site, env: dict[str, str], said: str
) -> None:
    code, told = site.run(**env)
    assert (code, lines(told, "changed")) == (1, [])
    assert said in "\n".join(lines(told, "missing"))
    assert "keys-in-one" not in told


def test_no_secret_is_printed_or_given_away_by_the_server(site: Site, client: SyncPrefectClient) -> None:
    site.run(KOMBO_API_KEY="another-key")
    site.run(**ENV)
    told = "\n".join(said for _, said in site.log.values()) + site.run("--check", **ENV)[1]
    paths = ["block_documents", "automations", "deployments", "variables", "work_pools", "flow_runs", "logs", "events"]
    told += "".join(client.request("POST", f"/{path}/filter", json={}).text for path in paths)
    assert "kombo-alerts" in told
    assert [one for one in (KEY, "another-key", S3_SECRET, HOOK) if one in told] == []


def _variable(client: SyncPrefectClient) -> None:
    client.update_variable(VariableUpdate(name="kombo_integrations", value=["workday:CCCC"]))


def _automation(client: SyncPrefectClient) -> None:
    found = client.read_automations_by_name("kombo-zombies")[0]
    client.update_automation(found.id, automations.build(client, automations.read()["kombo-zombies"], within=60))


def _no_automation(client: SyncPrefectClient) -> None:
    client.delete_automation(client.read_automations_by_name("kombo-alert-late")[0].id)


def _block(client: SyncPrefectClient) -> None:
    client.delete_block_document(client.read_block_document_by_name("kombo", "kombo-credentials").id)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_variable, ["change variable kombo_integrations", "kombo-export/nightly: not as in prefect.yaml: parameters"]),
        (_automation, ["change automation kombo-zombies"]),
        (_no_automation, ["create automation kombo-alert-late"]),
        (_block, ["create block kombo-credentials/kombo: api_key"]),
    ],
)
def test_a_check_finds_what_somebody_changed_and_a_run_mends_it(
    site: Site, client: SyncPrefectClient, harm: Callable[[SyncPrefectClient], None], said: list[str]
) -> None:
    harm(client)
    found = site.drift(**ENV)
    assert len(found) == len(said)
    for line, expected in zip(found, said, strict=True):
        assert expected in " ".join(line.split())
    assert site.run(**ENV)[0] == 0
    assert site.drift(**ENV) == []


def test_a_changed_schedule_is_named_and_left_to_a_deploy(site: Site, client: SyncPrefectClient) -> None:
    name = "kombo-reject-stale/weekly-dry-run"
    found = deployment(client, name)
    (schedule,) = found.schedules
    client.update_deployment_schedule(found.id, schedule.id, schedule=OLD)
    (line,) = site.drift()
    assert f"{name}: not as in prefect.yaml: schedule weekly; prefect --no-prompt deploy --all" in line
    code, said = site.run()
    assert (code, lines(said, "changed")) == (0, [])
    client.update_deployment_schedule(found.id, schedule.id, schedule=schedule.schedule, parameters=schedule.parameters)
    assert site.drift() == []


def test_what_was_edited_in_the_ui_is_named(site: Site, client: SyncPrefectClient) -> None:
    found = deployment(client, "kombo-apply-batch/on-demand")
    edited = DeploymentUpdate(description="mine", tags=["kombo"], job_variables={"env": {"A": "b"}}, parameters={})
    client.update_deployment(found.id, edited)
    (line,) = site.drift()
    assert "in prefect.yaml: description, tags, parameters, job variables; prefect" in line
    before = found.model_dump(include={"description", "tags", "job_variables", "parameters"})
    client.update_deployment(found.id, DeploymentUpdate(**before))
    assert site.drift() == []


def test_parameters_that_the_switch_in_the_ui_drops_are_missed(site: Site, client: SyncPrefectClient) -> None:
    found = deployment(client, "kombo-reject-stale/weekly-dry-run")
    (schedule,) = found.schedules
    client.update_deployment_schedule(found.id, schedule.id, active=True)
    (line,) = site.drift()
    assert "not as in prefect.yaml: schedule weekly" in line
    client.update_deployment_schedule(found.id, schedule.id, parameters=schedule.parameters)


def test_an_automation_that_was_switched_off_is_updated_and_stays_off(site: Site, client: SyncPrefectClient) -> None:
    (found,) = client.read_automations_by_name("kombo-zombies")
    client.pause_automation(found.id)
    _automation_off = automations.build(client, automations.read()["kombo-zombies"], within=60)
    _automation_off.enabled = False
    client.update_automation(found.id, _automation_off)
    code, said = site.run()
    assert (code, lines(said, "changed")) == (0, ["automation kombo-zombies"])
    assert "automation kombo-zombies is switched off; it stays so" in lines(said, "note")
    (after,) = client.read_automations_by_name("kombo-zombies")
    assert (after.id, after.enabled) == (found.id, False)
    client.resume_automation(found.id)


def test_a_paused_pool_is_said(site: Site, client: SyncPrefectClient) -> None:
    client.update_work_pool(manifest.POOL, WorkPoolUpdate(is_paused=True))
    code, said = site.run()
    client.update_work_pool(manifest.POOL, WorkPoolUpdate(is_paused=False))
    assert (code, [line for line in lines(said, "note") if "paused" in line]) == (
        0,
        ["work pool kombo is paused: nothing runs"],
    )


def test_it_says_that_nobody_is_told_of_failures(site: Site, client: SyncPrefectClient) -> None:
    block = client.read_block_document_by_name("kombo-alerts", "custom-webhook")
    client.delete_block_document(block.id)
    alerts = [name for name in automations.read() if name.startswith("kombo-alert-")]
    for name in alerts:
        client.delete_automation(client.read_automations_by_name(name)[0].id)
    code, said = site.run()
    assert code == 0
    assert any("KOMBO_ALERT_URL is not set; nobody is told of runs that fail" in line for line in lines(said, "note"))
    assert site.drift() == []
    assert len(site.drift(**ENV)) == 1 + len(alerts)
    assert site.run(**ENV)[0] == 0


def test_a_type_of_pool_that_the_server_does_not_know_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "POOL", "kombo-elsewhere")
    code, said = site.run("--pool-type", "prefect:managed")
    assert code == 1
    assert "work pool kombo-elsewhere: this server knows no type prefect:managed; it is Prefect Cloud's" in said


def test_a_managed_pool_says_what_it_needs(
    site: Site, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "POOL", "kombo-managed")
    client.create_work_pool(WorkPoolCreate(name="kombo-managed", type="prefect:managed"))
    code, said = site.run()
    assert code == 1
    assert any("key and lake have to be blocks" in line for line in lines(said, "note"))
    assert "prefect.yaml: a managed pool has no checkout; take the other `pull`, which clones one" in said


@pytest.mark.parametrize("kind", ["process", "docker", "kubernetes", "ecs"])
def test_other_types_of_pool_are_made_with_their_job_variables(
    site: Site, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(manifest, "POOL", f"kombo-{kind}")
    site.run("--pool-type", kind)
    pool = client.read_work_pool(f"kombo-{kind}")
    assert pool.type == kind
    known = set(pool.base_job_template["variables"]["properties"])
    assert set(shown()[kind]) <= known


def shown() -> dict[str, dict[str, Any]]:
    """The job variables in the README, by type of pool."""
    text = (manifest.ROOT / "README.md").read_text()
    block = next(one for one in text.split("```yaml\n")[1:] if "job_variables" in one).split("```")[0]
    found: dict[str, dict[str, Any]] = YAML(typ="safe").load(block)
    return {kind: manifest.Pool.model_validate(pool).job_variables for kind, pool in found.items()}


def test_the_readme_shows_a_few_lines_for_every_type_of_pool(site: Site) -> None:
    assert set(shown()) == {"process", "docker", "kubernetes", "ecs", "prefect:managed"}


@pytest.fixture
def refusing() -> Iterator[Callable[[int], str]]:
    """Something that answers every request with one status, and quotes what it was sent."""
    servers = []

    def start(status: int) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"detail": KEY}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(made)
        threading.Thread(target=made.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{made.server_port}/api"

    yield start
    for made in servers:
        made.shutdown()
        made.server_close()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "refuses the login: set PREFECT_API_KEY"),
        (403, "does not allow this"),
        (405, "is no Prefect API: PREFECT_API_URL ends in /api"),
        (422, "answered 422 to GET /api/work_pools/kombo"),
        (200, "is no Prefect API"),
    ],
)
def test_a_refusal_says_what_to_do_and_quotes_nothing(refusing: Callable[[int], str], status: int, said: str) -> None:
    code, told = command(refusing(status), env=ENV)
    assert (code, len(told.splitlines())) == (2, 1)
    assert said in told
    assert KEY not in told


def test_an_address_without_the_api_is_told(site: Site) -> None:
    code, told = command(site.api.removesuffix("/api"), env=ENV)
    assert code == 2
    assert "is no Prefect API: PREFECT_API_URL ends in /api" in told


def test_no_address_is_refused_rather_than_a_server_started() -> None:
    code, told = command(None, env=ENV)
    assert (code, told) == (2, "PREFECT_API_URL is not set: it names the server, such as http://127.0.0.1:4200/api\n")


def test_a_server_that_is_not_there_is_told() -> None:
    code, told = command(f"http://127.0.0.1:{free_port()}/api", env=ENV)
    assert code == 2
    assert "is the server up, and does PREFECT_API_URL name it?" in told


def test_an_automation_in_another_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("name: more\ntrigger: {}\nactions: []\n")
    (tmp_path / "some.yaml").write_text("- {name: some, trigger: {}, actions: []}\n")
    assert list(automations.read(tmp_path)) == ["more", "some"]
    (tmp_path / "wrong.yaml").write_text("- {name: wrong}\n")
    with pytest.raises(
        automations.InvalidAutomation, match=r"wrong\.yaml has something without name, trigger and actions"
    ):
        automations.read(tmp_path)
