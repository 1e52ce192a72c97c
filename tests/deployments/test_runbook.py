"""The runbook names nothing that does not exist; what it does is tried in `test_lifecycle`."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import prefect.server.api
import prefect.settings
import pytest
from prefect.cli._app import _app

from deployments import automations, manifest
from deployments.processes import ROOT
from tasks import reports
from tasks.kombo import errors as kombo
from tasks.lake import errors as lake

RUNBOOK = ROOT / "deployments/README.md"
TEXT = RUNBOOK.read_text()
BLOCKS = re.findall(r"^ *```sh\n(.*?)^ *```", TEXT, re.MULTILINE | re.DOTALL)
SPANS = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL))
TEMPLATES = "collections_data/views/aggregate-worker-metadata.json"
ANY_ID = "00000000-0000-0000-0000-000000000000"


def commands() -> Iterator[list[str]]:
    """Every command, without comments and variables."""
    for line in [line for block in BLOCKS for line in block.splitlines()]:
        words = shlex.split(line.replace("$RUN", ANY_ID), comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):
            del words[0]
        if words:
            yield words
    for span in SPANS:
        if re.match(r"(prefect|python|make|pip) ", span):
            yield shlex.split(span)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_exists_with_its_options(words: list[str]) -> None:
    match words:
        case ["prefect", *rest]:
            _app.parse_args(rest, exit_on_error=False, print_error=False)
        case ["python", "-m", module, *options]:
            source = importlib.util.find_spec(module)
            assert source is not None
            assert source.origin is not None
            assert all(f'"{option}"' in Path(source.origin).read_text() for option in options)
        case ["make", target]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        case ["pip", "install", "-c", constraints, "."]:
            assert (ROOT / constraints).is_file()
        case ["cp", _, _] | ["export", *_]:
            pass
        case _:
            pytest.fail("who knows this command?")


def test_every_setting_of_prefect_exists() -> None:
    named = set(re.findall(r"\bPREFECT_[A-Z_]+\b", TEXT))
    assert len(named) > 8
    assert [name for name in named if not hasattr(prefect.settings, name)] == []


def test_every_variable_of_ours_is_read_somewhere() -> None:
    code = "\n".join(path.read_text() for folder in ("tasks", "deployments") for path in (ROOT / folder).rglob("*.py"))
    assert [name for name in set(re.findall(r"\bKOMBO_[A-Z_]+\b", TEXT)) if f"{name}" not in code] == []


def test_every_deployment_and_parameter_exists() -> None:
    deployments = {one.full_name: one for one in manifest.load().deployments}
    named = re.findall(r"kombo-[a-z-]+/[a-z-]+", TEXT)
    assert set(named) <= set(deployments)
    export = (ROOT / deployments["kombo-export/nightly"].entrypoint.split(":")[0]).read_text()
    for name in [*re.findall(r"--param '([a-z_]+)=", TEXT), "max_shrink", "keep_snapshots"]:
        assert f"\n    {name}: " in export


def test_every_reason_for_a_failure_is_an_error_and_none_is_forgotten() -> None:
    table = TEXT.split("| reason in the report |")[1].split("\n\n")[0]
    named = set(re.findall(r"`([A-Z][A-Za-z]+)`", table))
    ours = {one for module in (kombo, lake) for one in vars(module).values() if isinstance(one, type)}
    errors = {one for one in ours if issubclass(one, kombo.KomboError | lake.LakeError)} | {reports.WrongClock}
    exported = {one.__name__ for one in errors if not one.__subclasses__()}
    writes = {"OutcomeUnknown", "RequestRefused", "InvalidRequest"}  # are no reasons for an export to fail
    assert named == exported - writes - {"StateMissing"}


def test_the_automations_wait_as_long_as_it_says() -> None:
    minutes = {name: one["trigger"]["within"] / 60 for name, one in automations.read().items()}
    assert "Crashed by itself after nine minutes" in TEXT
    assert minutes["kombo-zombies"] == 9
    assert "Cancelled by itself after nine minutes" in TEXT
    assert minutes["kombo-stuck-cancelling"] == 9
    assert "Crashed by itself after an hour" in TEXT
    assert minutes["kombo-never-started"] == 60


def test_every_link_leads_somewhere() -> None:
    titles = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        if target.startswith("#"):
            assert target[1:] in anchors
        else:
            assert (RUNBOOK.parent / target).exists()


def test_every_place_and_file_exists() -> None:
    for span in SPANS:
        if re.fullmatch(r"(tests|deployments|flows|tasks)/[a-z_/.]+", span):
            assert (ROOT / span).exists(), span


def test_every_job_variable_is_one_of_prefect_s_own_pools() -> None:
    pools = json.loads((Path(prefect.server.api.__file__).parent / TEMPLATES).read_text())
    templates = [kind["default_base_job_configuration"] for kinds in pools.values() for kind in kinds.values()]
    known = {name for template in templates for name in template["variables"]["properties"]}
    section = TEXT.split("## Pools")[1].split("## ")[0]
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", section)) - {"job_variables"}
    assert len(named) > 2
    assert named <= known
