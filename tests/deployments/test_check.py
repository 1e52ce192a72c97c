import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from deployments import manifest
from deployments.check import VARIABLES, problems

Edit = Callable[[str, str], list[str]]


@pytest.fixture
def edit(tmp_path: Path) -> Edit:
    """Check a copy of the deployments in which one text is replaced by another."""
    shutil.copytree(manifest.ROOT / "flows", tmp_path / "flows", ignore=shutil.ignore_patterns("__pycache__"))

    def edited(old: str, new: str) -> list[str]:
        text = manifest.FILE.read_text()
        assert old in text
        (tmp_path / "prefect.yaml").write_text(text.replace(old, new, 1))
        return problems(tmp_path / "prefect.yaml")

    return edited


def test_the_shipped_deployments_are_right() -> None:
    assert problems() == []


def test_the_shipped_deployments_are_those_that_the_runbook_names() -> None:
    assert sorted(one.full_name for one in manifest.load().deployments) == [
        "kombo-apply-batch/on-demand",
        "kombo-export/nightly",
        "kombo-reject-stale/on-demand",
        "kombo-reject-stale/weekly-dry-run",
        "kombo-run-operation/on-demand",
    ]


def test_a_run_of_an_export_gives_way_and_one_that_writes_waits() -> None:
    strategies = {one.full_name: one.concurrency_limit for one in manifest.load().deployments}
    assert {name: limit and (limit.limit, limit.collision_strategy) for name, limit in strategies.items()} == {
        "kombo-export/nightly": (1, "CANCEL_NEW"),
        "kombo-reject-stale/weekly-dry-run": (1, "ENQUEUE"),
        "kombo-reject-stale/on-demand": (1, "ENQUEUE"),
        "kombo-apply-batch/on-demand": (1, "ENQUEUE"),
        "kombo-run-operation/on-demand": (1, "ENQUEUE"),
    }


def test_every_deployment_is_on_the_one_pool_and_has_the_tag_that_the_automations_go_by() -> None:
    assert {(one.work_pool.name, manifest.TAG in one.tags) for one in manifest.load().deployments} == {("kombo", True)}


def test_what_runs_by_itself_rejects_nobody() -> None:
    (schedule,) = next(one for one in manifest.load().deployments if one.name == "weekly-dry-run").schedules
    assert schedule.parameters == {"approval": "dry-run"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    parameters:\n      integrations", "    paramters:\n      integrations", "paramters: Extra inputs"),
        ("concurrency_limit: {limit: 1, c", "concurrency_limit: {limits: 1, c", "concurrency_limit.limits: Extra"),
        ("CANCEL_NEW}", "CANCEL}", "collision_strategy: Input should be"),
        ("cron: 15 1 * * *", "interval: 3600\n        cron: 15 1 * * *", "exactly one of cron"),
        ("slug: nightly\n        ", "", "slug: Field required"),
        ("timezone: Europe/Berlin", "timezone: Europe/Berlim", "no time zone"),
        ("cron: 15 1 * * *", "cron: 75 1 * * *", "schedule nightly"),
        ("export.py:export", "export.py:exprot", "does not load"),
        ("flows/export.py", "flows/exports.py", "does not load"),
        ("flow_name: kombo-export", "flow_name: kombo-exports", "is called kombo-export"),
        ("      integrations: ", "      integration: ", "has no parameter integration"),
        ("{{ prefect.variables.kombo_integrations }}", "", "parameters:"),
        ('"{{ prefect.variables.kombo_integrations }}"', "[]", "parameters:"),
        ('"{{ prefect.variables.kombo_integrations }}"', "[no-colon]", "parameters:"),
        ("variables.kombo_integrations", "variables.kombo_integrationen", "kombo_integrationen is not set"),
        ("prefect.variables.kombo_integrations", "$KOMBO_INTEGRATIONEN", "KOMBO_INTEGRATIONEN is not set"),
        ("prefect.variables.kombo_integrations", "integrations", "nothing that a deploy knows"),
        ("parameters: {approval: dry-run} # ", "parameters: {approval: perhaps} # ", "schedule weekly"),
        ("parameters: {approval: dry-run} # ", "parameters: {aproval: dry-run} # ", "has no parameter aproval"),
        ("      integration: ", "      note: ", "schedule weekly"),
        ("    parameters: {approval: dry-run}\n", "    parameters: {approval: false}\n", "parameters:"),
        ("name: weekly-dry-run", "name: on-demand", "two of this name"),
        ("$KOMBO_FLOWS_HOME", "$KOMBO_FLOW_HOME", "KOMBO_FLOW_HOME }} is not set"),
        ("name: kombo\n", "name: kombo\n      job_variables: {env: {KOMBO_API_KEY: x}}\n", "looks like a secret"),
        (
            "name: kombo\n",
            'name: kombo\n      job_variables: {env: {REGION: "{{ prefect.blocks.secret.region }}"}}\n',
            "would store it in clear",
        ),
        ("name: kombo-flows", "name: kombo-flows\nname: kombo-flows", "not YAML"),
    ],
)
def test_what_prefect_accepts_silently_is_refused(edit: Edit, old: str, new: str, said: str) -> None:
    assert said in "\n".join(edit(old, new))


def test_a_flow_that_would_hide_a_module_is_refused(edit: Edit, tmp_path: Path) -> None:
    (tmp_path / "flows" / "s3fs.py").touch()
    (tmp_path / "flows" / "tasks.py").touch()
    assert edit("kombo", "kombo") == ["flows/s3fs.py hides the module s3fs", "flows/tasks.py hides the module tasks"]


def test_an_empty_list_of_integrations_is_refused() -> None:
    assert problems(variables={**VARIABLES, "kombo_integrations": []}) != []


def test_the_lines_for_pools_without_our_image_are_right_as_they_are(edit: Edit) -> None:
    text = manifest.FILE.read_text()
    image = text[text.index("\npull:") : text.index("# Pools that run")]
    managed = text[text.index("# pull:") : text.index("\n\ndeployments:")]
    assert edit(image, "\n" + managed.replace("# ", "") + "\n") == []


def test_the_name_of_a_deployment_is_said(edit: Edit) -> None:
    assert edit('    tags: [kombo, "kombo:export"]\n', "") == ["kombo-export/nightly.tags: Field required"]
