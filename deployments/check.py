"""The strict check of `prefect.yaml`: everything that `prefect deploy` accepts silently and that fails at night.

`python -m deployments.check` needs no server; `--server` also holds the file against the Prefect API that
PREFECT_API_URL points to: the variables' real values, the work pool and its job variables.
"""

import argparse
import importlib.metadata
import os
import re
import sys
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from prefect.exceptions import ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import validate
from prefect.utilities.schema_tools.validation import ValidationError as SchemaError
from pydantic import ValidationError

from deployments import manifest
from deployments.manifest import Deployment, InvalidManifest, Manifest, Schedule

VARIABLES: Mapping[str, Any] = {
    "kombo_integrations": ["workday:HWUTwvyx2wLoSUHphiWVrp28"],
    "kombo_stale_integration": "workday:HWUTwvyx2wLoSUHphiWVrp28",
    "kombo_stale_reason": "Not enough experience",
    "kombo_flows_repository": "https://git.example.com/kombo-flows.git",
}
"""The variables that `prefect.yaml` takes, each with a value to check parameters with where there is no server."""

ON_THE_WORKER = frozenset({"KOMBO_FLOWS_HOME"})
"""Environment variables that a run's own environment has to have, and not whoever deploys."""

_SECRET = re.compile(r"key|secret|token|passw|credential", re.IGNORECASE)


def problems(path: Path = manifest.FILE, variables: Mapping[str, Any] = VARIABLES) -> list[str]:
    """Find what is wrong with a list of deployments.

    Args:
        path: The file; entrypoints are looked for beside it.
        variables: The Prefect variables that there are, by name.

    Returns:
        A line for each problem; none if it is right.
    """
    try:
        found = manifest.load(path)
    except InvalidManifest as error:
        return str(error).splitlines()
    names = [deployment.full_name for deployment in found.deployments]
    lines = [f"{name}: there are two of this name" for name in sorted({n for n in names if names.count(n) > 1})]
    for deployment in found.deployments:
        told = [
            *_placeholders(deployment, variables),
            *_secrets(deployment),
            *_schedules(deployment),
            *_parameters(deployment, path.parent, variables),
        ]
        lines += [f"{deployment.full_name}: {line}" for line in told]
    return lines + _steps(found, variables) + _stems({path.parent / _file(one) for one in found.deployments})


def _file(deployment: Deployment) -> Path:
    return Path(deployment.entrypoint.split(":", maxsplit=1)[0])


def _placeholders(deployment: Deployment, variables: Mapping[str, Any]) -> list[str]:
    """A deploy turns what is unset into an empty text, and drops what it does not know."""
    lines = []
    for text in manifest.texts(deployment.model_dump(exclude={"build", "push", "pull", "triggers"})):
        for name in manifest.PLACEHOLDER.findall(text):
            if found := manifest.VARIABLE.fullmatch(name):
                if variables.get(found[1]) in (None, "", [], {}):
                    lines.append(f"the Prefect variable {found[1]} is not set or empty")
            elif name.startswith("$"):
                if not os.environ.get(name[1:].strip()):
                    lines.append(f"the environment variable {name[1:].strip()} is not set or empty")
            elif name.startswith("prefect.blocks."):
                lines.append(f"{name}: a deploy would store it in clear; let the flow load the block")
            else:
                lines.append(f"{{{{ {name} }}}} is nothing that a deploy knows")
    return lines


def _secrets(deployment: Deployment) -> list[str]:
    """Parameters and job variables are stored and shown in clear."""
    env = deployment.work_pool.job_variables.get("env", {})
    given = [*deployment.work_pool.job_variables, *(env if isinstance(env, dict) else {})]
    return [f"the job variable {name} looks like a secret; use a block" for name in given if _SECRET.search(name)]


def _schedules(deployment: Deployment) -> list[str]:
    lines = []
    slugs = [schedule.slug for schedule in deployment.schedules]
    if len(slugs) != len(set(slugs)):
        lines.append("two schedules have one slug")
    for schedule in deployment.schedules:
        try:
            if schedule.timezone not in zoneinfo.available_timezones():
                lines.append(f"schedule {schedule.slug}: there is no time zone {schedule.timezone!r}")
            else:
                _recurrence(schedule)
        except ValidationError as error:
            lines += [f"schedule {schedule.slug}: {one['msg']}" for one in error.errors()]
        except ValueError as error:
            lines.append(f"schedule {schedule.slug}: {error}")
    return lines


def _recurrence(schedule: Schedule) -> None:
    match (schedule.cron, schedule.interval, schedule.rrule):
        case (str(cron), None, None):
            CronSchedule(cron=cron, timezone=schedule.timezone)
        case (None, float(seconds), None):
            IntervalSchedule.model_validate({"interval": seconds, "timezone": schedule.timezone})
        case (None, None, str(rule)):
            RRuleSchedule(rrule=rule, timezone=schedule.timezone)
        case _:
            raise ValueError("exactly one of cron, interval and rrule has to be given")


def _parameters(deployment: Deployment, root: Path, variables: Mapping[str, Any]) -> list[str]:
    try:
        flow: Flow[..., Any] = load_flow_from_entrypoint(str(root / deployment.entrypoint), use_placeholder_flow=False)
    except Exception as error:  # whatever a file raises while it is imported
        return [f"{deployment.entrypoint} does not load: {type(error).__name__}: {error}"]
    if flow.name != deployment.flow_name:
        return [f"the flow of {deployment.entrypoint} is called {flow.name}"]
    filled = manifest.fill(deployment.parameters, dict(variables))
    lines = _fit(flow, filled, "parameters", complete=False)
    for schedule in deployment.schedules:
        both = {**filled, **manifest.fill(schedule.parameters, dict(variables))}
        lines += _fit(flow, both, f"schedule {schedule.slug}", complete=True)
    return lines


def _fit(flow: Flow[..., Any], given: dict[str, Any], what: str, *, complete: bool) -> list[str]:
    """Hold parameters against the flow's: those of a form may miss some, those of a schedule may not."""
    schema = parameter_schema(flow).model_dump_for_openapi()
    if unknown := [name for name in given if name not in schema["properties"]]:
        return [f"{what}: {flow.name} has no parameter {name}" for name in unknown]
    try:
        validate(given, schema, raise_on_error=True, ignore_required=not complete)
        if complete:
            flow.validate_parameters(given)
    except SchemaError as error:
        return [f"{what}: {error}"]
    except ValidationError as error:
        return [f"{what}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    except Exception as error:  # Prefect has several for parameters that do not fit
        return [f"{what}: {error}"]
    return []


def _steps(found: Manifest, variables: Mapping[str, Any]) -> list[str]:
    """Steps are resolved where they run: blocks are right there, and so is what an earlier step gave."""
    lines = []
    for steps in (found.pull, *(one.pull for one in found.deployments if one.pull)):
        given = {str(options["id"]) for step in steps for options in step.values() if "id" in options}
        for name in [n for text in manifest.texts(steps) for n in manifest.PLACEHOLDER.findall(text)]:
            variable = manifest.VARIABLE.fullmatch(name)
            known = (
                (variable and variables.get(variable[1]))
                or name.startswith("prefect.blocks.")
                or name.split(".")[0] in given
                or name.removeprefix("$").strip() in ON_THE_WORKER
            )
            if not known:
                lines.append(f"pull: {{{{ {name} }}}} is not set")
    return lines


def _stems(files: set[Path]) -> list[str]:
    """Prefect puts a flow's folder first on `sys.path`, so what lies there hides modules of the same name."""
    taken = set(sys.stdlib_module_names) | set(importlib.metadata.packages_distributions())
    taken |= {one.name for one in manifest.ROOT.iterdir() if one.is_dir()}
    beside = {one for file in files for one in file.parent.glob("*.py")}
    return [f"{one.parent.name}/{one.name} hides the module {one.stem}" for one in sorted(beside) if one.stem in taken]


def server_problems(client: SyncPrefectClient, path: Path = manifest.FILE) -> list[str]:
    """Find what is wrong with a list of deployments on a server.

    Args:
        client: Of the server.
        path: The file.

    Returns:
        A line for each problem.
    """
    variables = {one.name: one.value for one in client.read_variables(limit=200)}
    lines = problems(path, variables)
    if lines:
        return lines
    for deployment in manifest.load(path).deployments:
        pool = deployment.work_pool
        try:
            template = client.read_work_pool(pool.name).base_job_template
        except ObjectNotFound:
            return [f"there is no work pool {pool.name}: run python -m deployments.bootstrap"]
        known = template.get("variables", {}).get("properties", {})
        lines += [
            f"{deployment.full_name}: the pool {pool.name} has no job variable {name}"
            for name in pool.job_variables
            if known and name not in known
        ]
    return lines


def main() -> None:
    """Check, say what is wrong, and exit with 1 if anything is."""
    parser = argparse.ArgumentParser(prog="python -m deployments.check", description=__doc__)
    parser.add_argument("--server", action="store_true", help="also against the server that PREFECT_API_URL names")
    if parser.parse_args().server:
        with get_client(sync_client=True) as client:
            lines = server_problems(client)
    else:
        lines = problems()
    for line in lines:
        print(line)
    if lines:
        sys.exit(1)
    print("prefect.yaml is right")


if __name__ == "__main__":
    main()
