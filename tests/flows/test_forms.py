"""The forms of all deployments: what their schemas promise, and what a person meets in a browser after `make ui`."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import validate
from prefect.utilities.schema_tools.validation import ValidationError as Refused

from deployments import manifest, ui
from deployments.demo.server import Surface
from deployments.processes import ROOT
from tasks.kombo.collections import COLLECTIONS
from tests.workers import Workshop, is_as_served, until

pytest.importorskip("playwright", reason="needs the package playwright")

from playwright.sync_api import Locator, Page, expect

from tests.browser import browser, choose, entry, fill, options, page, resume, shot

__all__ = ["browser", "page"]

INTEGRATION = "workday:HWUTwvyx2wLoSUHphiWVrp28"
KOMBO_ID = "jHqg2uEDeTFYUZH1APHRYpPX"
DEPLOYMENTS = {one.full_name: one for one in manifest.load().deployments}
FLOWS: dict[str, Flow[Any, Any]] = {
    one.flow_name: load_flow_from_entrypoint(str(ROOT / one.entrypoint), use_placeholder_flow=False)
    for one in DEPLOYMENTS.values()
}
SCHEMAS = {name: parameter_schema(flow).model_dump_for_openapi() for name, flow in FLOWS.items()}
SIGNATURES = {name: inspect.signature(flow.fn).parameters for name, flow in FLOWS.items()}
FIELDS = [(name, field) for name, schema in SCHEMAS.items() for field in schema["properties"]]
REQUIRED: dict[str, dict[str, Any]] = {
    "kombo-export": {"integrations": [INTEGRATION]},
    "kombo-reject-stale": {"integration": INTEGRATION, "rejection_reason": "Position filled"},
    "kombo-apply-batch": {"integration": INTEGRATION, "file": "s3://bucket/rows.csv"},
    "kombo-run-operation": {"integration": INTEGRATION, "operation": "get_tags"},
}


def keys(schema: Any) -> Iterator[str]:
    """Every key of a schema, at any depth."""
    for key, value in schema.items() if isinstance(schema, dict) else ():
        yield key
        yield from keys(value)
    for one in schema if isinstance(schema, list) else ():
        yield from keys(one)


def untouched(flow: str) -> dict[str, Any]:
    """What a form sends in which only the required fields are filled."""
    properties = SCHEMAS[flow]["properties"]
    return {name: field["default"] for name, field in properties.items() if "default" in field} | REQUIRED[flow]


@pytest.mark.parametrize(("flow", "name"), FIELDS)
def test_every_field_has_a_description_and_one_plain_type(flow: str, name: str) -> None:
    field = SCHEMAS[flow]["properties"][name]
    assert field["description"].endswith((".", "`"))
    assert field["type"] in ("string", "integer", "number", "boolean", "array", "object")
    assert not {"anyOf", "oneOf", "allOf", "$ref"} & set(keys(field))


@pytest.mark.parametrize(("flow", "name"), FIELDS)
def test_every_field_has_a_default_that_it_accepts_or_is_required(flow: str, name: str) -> None:
    schema = SCHEMAS[flow]
    if name in schema.get("required", ()):
        return
    default = schema["properties"][name]["default"]
    assert default is not None  # the form would send it, and the server refuse it
    validate({name: default}, schema, raise_on_error=True, ignore_required=True)


@pytest.mark.parametrize("flow", FLOWS)
def test_an_untouched_form_means_what_python_means_without_arguments(flow: str) -> None:
    given = untouched(flow)
    validate(given, SCHEMAS[flow], raise_on_error=True)
    meant = FLOWS[flow].validate_parameters(given)
    same_as_none = {"collections": list(COLLECTIONS), "release": [], "arguments": {}}
    for name, parameter in SIGNATURES[flow].items():
        if name in REQUIRED[flow]:
            assert meant[name] == REQUIRED[flow][name]
        else:
            assert meant[name] == same_as_none.get(name, parameter.default)


@pytest.mark.parametrize("flow", FLOWS)
def test_python_may_say_none_for_whatever_has_no_value(flow: str) -> None:
    none = {name: None for name, one in SIGNATURES[flow].items() if one.default is None}
    assert none
    FLOWS[flow].validate_parameters({**REQUIRED[flow], **none})


@pytest.mark.parametrize(
    ("flow", "name", "value"),
    [
        ("kombo-export", "integrations", []),
        ("kombo-export", "integrations", ["HWUTwvyx2wLoSUHphiWVrp28"]),
        ("kombo-export", "integrations", ["workday:a/../b"]),
        ("kombo-export", "integrations", [f"workday:{'a' * 300}"]),
        ("kombo-export", "collections", []),
        ("kombo-export", "collections", ["people"]),
        ("kombo-export", "lake", " s3://bucket"),
        ("kombo-export", "mode", "sometimes"),
        ("kombo-export", "full_every_days", -1),
        ("kombo-export", "full_every_days", 1.5),
        ("kombo-export", "keep_snapshots", -1),
        ("kombo-export", "max_shrink", 1.1),
        ("kombo-export", "credentials", "Sk_Live_1"),
        ("kombo-reject-stale", "integration", ""),
        ("kombo-reject-stale", "rejection_reason", "  "),
        ("kombo-reject-stale", "stale_after_days", 6),
        ("kombo-reject-stale", "stages", []),
        ("kombo-reject-stale", "stages", [""]),
        ("kombo-reject-stale", "jobs", ["*", "Engineer"]),
        ("kombo-reject-stale", "limit", 0),
        ("kombo-reject-stale", "approval", "yes"),
        ("kombo-reject-stale", "release", ["Ada Lovelace"]),
        ("kombo-apply-batch", "file", ""),
        ("kombo-apply-batch", "approval", "reject"),
        ("kombo-apply-batch", "release", ["1"]),
        ("kombo-run-operation", "operation", "delete_everything"),
        ("kombo-run-operation", "integration", "no colon"),
        ("kombo-run-operation", "arguments", ["limit", 1]),
        ("kombo-run-operation", "confirm", "yes, please"),
        ("kombo-run-operation", "row_limit", 501),
    ],
)
def test_the_schema_refuses_what_the_flow_refuses(flow: str, name: str, value: Any) -> None:
    with pytest.raises(Refused, match=name):
        validate({**untouched(flow), name: value}, SCHEMAS[flow], raise_on_error=True)
    with pytest.raises(Exception, match=name):
        FLOWS[flow].validate_parameters({**REQUIRED[flow], name: value})


@pytest.mark.parametrize(
    ("flow", "name", "value"),
    [
        ("kombo-export", "integrations", [INTEGRATION, INTEGRATION]),
        ("kombo-export", "collections", ["tags", "tags"]),
        ("kombo-reject-stale", "stages", ["Phone", "Phone"]),
        ("kombo-reject-stale", "release", [KOMBO_ID, KOMBO_ID]),
    ],
)
def test_a_form_refuses_an_item_that_is_there_twice(flow: str, name: str, value: Any) -> None:
    with pytest.raises(Refused, match="non-unique"):
        validate({**untouched(flow), name: value}, SCHEMAS[flow], raise_on_error=True)


class StandIn(Surface):
    """The stand-in for Kombo of a running `make ui`."""

    def __init__(self, origin: str) -> None:
        self.origin = origin

    def _call(self, name: str, **arguments: Any) -> Any:
        answer = httpx.post(f"{self.origin}/_demo/{name}", json=arguments).raise_for_status()
        return answer.content if name == "records" else answer.json()


class Desk(Workshop):
    """A `make ui` in a process of its own, started by somebody whose own Prefect must be left alone."""

    def __init__(self, folder: Path) -> None:
        self.worker_env: dict[str, str] = {}
        self.folder = folder
        self.said = folder / "said"
        self.home = folder / "home"
        self.profiles = self.home / ".prefect" / "profiles.toml"
        self.profiles.parent.mkdir(parents=True)
        self.profiles.write_text('active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n')
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self, said: Path) -> subprocess.Popen[bytes]:
        """Start one, and do not wait for it."""
        elsewhere = {
            "HOME": str(self.home),
            "PREFECT_PROFILE": "mine",
            "PREFECT_API_KEY": "pnu_not_for_this",
            "PREFECT_API_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:////nowhere/prefect.db",
            "KOMBO_API_KEY": "not for this",
            "KOMBO_LAKE": "/nowhere",
        }
        command = [sys.executable, "-m", "deployments.ui", "--no-open", "--folder", str(self.folder)]
        with said.open("wb") as output:
            return subprocess.Popen(  # noqa: S603 - our own command
                command, cwd=ROOT, env={**os.environ, **elsewhere}, stdout=output, stderr=subprocess.STDOUT
            )

    def up(self) -> None:
        if self.process and self.process.poll() is None:
            return
        self.process = self.begin(self.said)
        until(lambda: "Ctrl-C" in self.said.read_text() or self.ended, "make ui is up", 180)
        text = self.said.read_text()
        found = re.search(r"(http://[^/]+)/deployments(?s:.*)(http://[^/]+)/v1", text)
        assert found, text
        self.api, self.kombo = f"{found[1]}/api", StandIn(found[2])
        self.log = next(self.folder.glob(".ui/1-*/worker.log"))

    @property
    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def interrupt(self) -> int | None:
        """Press Ctrl-C and wait."""
        assert self.process
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def alive(self, place: str = "1") -> list[str]:
        """The processes of a place, by what they run; each has the place's folder in its environment."""
        mark = f"{self.folder}/.ui/{place}-".encode()
        return [
            one.parent.joinpath("cmdline").read_text()
            for one in Path("/proc").glob("[0-9]*/environ")
            if _has(one, mark)
        ]

    def page(self, name: str) -> str:
        """The address of a deployment's form."""
        return f"{self.ui}/deployments/deployment/{self.deployment(name)}/run"

    def deployment(self, name: str) -> UUID:
        with self.client() as client:
            return client.read_deployment_by_name(name).id

    def runs(self) -> set[UUID]:
        with self.client() as client:
            return {run.id for run in client.read_flow_runs()}


def _has(environ: Path, mark: bytes) -> bool:
    try:
        return mark in environ.read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # it has just ended, or is not ours
        return False


@pytest.fixture(scope="module")
def only_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("desk"))
    yield made
    if made.process and not made.ended:
        made.interrupt()


@pytest.fixture
def desk(only_desk: Desk) -> Desk:
    """A `make ui` that is up."""
    only_desk.up()
    return only_desk


def submit(page: Page) -> None:
    page.get_by_role("button", name="Submit").click()


def started(page: Page, button: Locator | None = None) -> UUID:
    """Press the button of a form that is right, again if a busy server refuses, and go to the run that it makes."""
    for _ in range(10):
        with page.expect_response("**/create_flow_run") as answer:
            (button or page.get_by_role("button", name="Submit")).click()
        if answer.value.status != 503:
            break
    run = UUID(answer.value.json()["id"])
    expect(page.get_by_role("button", name="View run").first).to_be_visible()
    page.goto(f"{page.url.split('/deployments')[0]}/runs/flow-run/{run}")
    return run


def artifact(page: Page, key: str, said: str) -> None:
    """Open an artifact from its run's page."""
    page.get_by_text("Artifacts", exact=True).first.click()
    page.locator(".artifact-card__title").get_by_text(key, exact=True).click()
    page.wait_for_url("**/artifacts/artifact/*")
    expect(page.get_by_text(said).first).to_be_visible()
    shot(page, f"artifact-{key}")


def plain(markdown: str) -> str:
    """The text of a description as the form shows it."""
    return " ".join(re.sub(r"\*(\w+)\*|`", r"\1", markdown).split())


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_form_shows_every_label_description_choice_and_default(desk: Desk, page: Page, name: str) -> None:
    with desk.client() as client:
        deployment = client.read_deployment_by_name(name)
    schema: dict[str, Any] = deployment.parameter_openapi_schema or {}
    assert set(schema["properties"]) == set(SIGNATURES[DEPLOYMENTS[name].flow_name])
    page.goto(desk.page(name))
    for field, one in schema["properties"].items():
        part = entry(page, field)
        expect(part).to_contain_text(plain(one["description"]))
        default = deployment.parameters.get(field, one.get("default"))
        several = default if isinstance(default, list) else [default]
        if "enum" in one or "enum" in one.get("items", {}):
            expect(part.locator(".p-select-button__control")).to_contain_text(str((several or [""])[0] or ""))
        elif one["type"] == "boolean":
            expect(part.get_by_role("switch")).to_be_visible()
        else:
            inputs = part.locator("textarea, input[type=number]")
            expect(inputs).to_have_count(len(several))
            shown = [json.dumps(one) if isinstance(one, dict) else str("" if one is None else one) for one in several]
            assert [inputs.nth(number).input_value() for number in range(len(several))] == shown
    shot(page, f"form-{name.replace('/', '-')}")


@pytest.mark.parametrize(
    ("name", "texts", "said"),
    [
        ("integrations", ("no colon", "greenhouse:Demo1111111111111111Aaaa"), "does not match"),
        ("credentials", ("Sk_Live_1",), "does not match"),
        ("full_every_days", ("1.5",), "is not of type 'integer'"),
        ("full_every_days", ("-1",), "less than the minimum of 0"),
    ],
)
def test_a_bad_value_is_refused_in_the_form_and_makes_no_run(
    desk: Desk, page: Page, name: str, texts: tuple[str, ...], said: str
) -> None:
    before = desk.runs()
    page.goto(desk.page("kombo-export/nightly"))
    fill(page, name, *texts)
    submit(page)
    expect(page.get_by_text(said).first).to_be_visible()
    shot(page, f"refused-{name}-{texts[0]}")
    assert page.url.endswith("/run")
    assert desk.runs() == before


def test_only_the_ten_collections_are_offered_and_none_of_them_is_refused(desk: Desk, page: Page) -> None:
    before = desk.runs()
    page.goto(desk.page("kombo-export/nightly"))
    offered = options(page, "collections")
    expect(offered).to_have_text(list(COLLECTIONS))
    for number in range(len(COLLECTIONS)):
        offered.nth(number).click()
    page.keyboard.press("Escape")
    expect(entry(page, "collections")).to_contain_text("No items selected")
    submit(page)
    expect(page.get_by_text("[] should be non-empty")).to_be_visible()
    shot(page, "refused-collections")
    assert desk.runs() == before


def test_quick_run_refuses_a_bad_value_and_exports_with_a_good_one(desk: Desk, page: Page) -> None:
    page.goto(f"{desk.ui}/deployments")
    shot(page, "deployments")
    page.get_by_role("row").filter(has_text="nightly").get_by_role("button").last.click()
    page.get_by_text("Quick run").click()
    form = page.get_by_role("dialog")
    fill(form, "max_shrink", "2")
    form.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("greater than the maximum of 1").first).to_be_visible()
    fill(form, "max_shrink", "0.5")
    shot(page, "quick-run")
    run = started(page, form.get_by_role("button", name="Run", exact=True))
    desk.state(run, "COMPLETED")
    page.reload()
    expect(page.get_by_text("Completed").first).to_be_visible()
    artifact(page, "kombo-export", "20 of 20 collections are in the lake")
    for integration in desk.kombo.integrations:
        assert is_as_served(desk.kombo, desk.folder / "lake" / "ui", integration, "applications")


def test_nothing_runs_but_what_was_clicked(desk: Desk) -> None:
    with desk.client() as client:
        schedules = [schedule for one in client.read_deployments() for schedule in one.schedules]
    assert schedules
    assert not [schedule.slug for schedule in schedules if schedule.active]


def test_a_dry_run_from_the_form_shows_its_plan_and_sends_nothing(desk: Desk, page: Page) -> None:
    integration = desk.kombo.integrations[0]
    reason = desk.kombo.records(integration, "rejection_reasons", include_deleted=False)[0]["name"]
    page.goto(desk.page("kombo-reject-stale/on-demand"))
    fill(page, "integration", integration)
    fill(page, "rejection_reason", reason)
    fill(page, "stale_after_days", "30")
    fill(page, "limit", "5")
    run = started(page)
    desk.state(run, "COMPLETED")
    page.reload()
    artifact(page, "kombo-reject-stale-plan", "5 applications would be rejected")
    assert [write for write in desk.kombo.writes if write["operation"] == "reject_application"] == []


def test_what_only_the_flow_can_refuse_fails_and_says_why(desk: Desk, page: Page) -> None:
    page.goto(desk.page("kombo-reject-stale/on-demand"))
    fill(page, "integration", desk.kombo.integrations[0])
    fill(page, "rejection_reason", "Wrong shoes")
    run = started(page)
    desk.state(run, "FAILED")
    page.reload()
    expect(page.get_by_text("Failed").first).to_be_visible()
    expect(page.get_by_text("there is no such rejection reason").first).to_be_visible()
    shot(page, "failed")


def test_a_batch_asks_and_sends_when_its_number_is_typed(desk: Desk, page: Page) -> None:
    integration = desk.kombo.integrations[1]
    chosen = [one["id"] for one in desk.kombo.records(integration, "applications", include_deleted=False)[:2]]
    rows = desk.folder / "rows.csv"
    lines = [f"add_application_note,{one},Seen" for one in chosen]
    rows.write_text("\n".join(["operation,application_id,content", *lines]))
    page.goto(desk.page("kombo-apply-batch/on-demand"))
    fill(page, "integration", integration)
    fill(page, "file", str(rows))
    choose(page, "approval", "ask")
    run = started(page)
    desk.state(run, "PAUSED")
    assert [write["ids"][0] for write in desk.kombo.writes if write["ids"][0] in chosen] == []
    resume(page, f"{desk.ui}/runs/flow-run/{run}", "rows", 2, "send")
    desk.state(run, "COMPLETED")
    assert sorted(write["ids"][0] for write in desk.kombo.writes if write["ids"][0] in chosen) == sorted(chosen)
    page.reload()
    artifact(page, "kombo-apply-batch-report", "2 rows: 2 done")


def test_an_operation_takes_its_arguments_as_json(desk: Desk, page: Page) -> None:
    page.goto(desk.page("kombo-run-operation/on-demand"))
    choose(page, "operation", "get_tags")
    fill(page, "integration", desk.kombo.integrations[0])
    fill(page, "arguments", '{"include_deleted": ')
    submit(page)
    expect(page.get_by_text("Invalid JSON")).to_be_visible()
    shot(page, "refused-arguments")
    fill(page, "arguments", '{"include_deleted": true}')
    assert desk.run(started(page)).parameters["arguments"] == {"include_deleted": True}


def test_a_second_one_at_the_same_time_has_its_own_place_and_leaves_nothing_when_it_is_killed(desk: Desk) -> None:
    second = desk.begin(desk.folder / "second")
    try:
        until(lambda: list(desk.folder.glob(".ui/2-*/server.log")), "its server starts")
    finally:
        second.kill()
        second.wait()
    until(lambda: not desk.alive("2"), "nothing of it is left")
    with desk.client() as client:
        assert client.hello().status_code == 200


def test_what_a_killed_one_has_left_is_cleared(tmp_path: Path) -> None:
    left = [tmp_path / ".ui" / "1-dead" / "prefect.db", tmp_path / "lake" / "ui" / "current" / "part"]
    for path in left:
        path.parent.mkdir(parents=True)
        path.touch()
    with ui.place(tmp_path) as here:
        assert not any(path.exists() for path in left)
        here.lake.mkdir()
    assert not here.home.exists()
    assert here.lake.exists()


def test_two_places_share_nothing(tmp_path: Path) -> None:
    with ui.place(tmp_path) as one, ui.place(tmp_path) as other:
        assert one.home != other.home
        assert one.lake != other.lake
        assert one.port != other.port


def test_a_taken_port_is_left_to_whoever_has_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        with suppress(OSError):  # somebody has it already
            taken.bind(("127.0.0.1", ui.PORT))
            taken.listen()
        with ui.place(tmp_path) as here:
            assert here.port != ui.PORT


def test_ctrl_c_takes_everything_down_whatever_runs(desk: Desk) -> None:
    desk.kombo.configure(latency_ms=500)
    with desk.client() as client:
        run = client.create_flow_run_from_deployment(desk.deployment("kombo-export/nightly")).id
    desk.state(run, "RUNNING")
    assert len(desk.alive()) > 3  # the server, the worker, the run, and whatever those need
    assert desk.interrupt() == 0
    assert desk.said.read_text().endswith("\nEverything is down; nothing is left running.\n")
    until(lambda: not desk.alive(), "nothing is left running", 10)
    for address in (desk.api, desk.kombo.origin):
        with pytest.raises(httpx.ConnectError):
            httpx.get(address)
    assert [one.name for one in (desk.folder / ".ui").iterdir() if one.name.startswith("1-")] == []
    assert (desk.folder / "lake" / "ui").is_dir()
    assert [one for one in desk.home.rglob("*") if one.is_file()] == [desk.profiles]
