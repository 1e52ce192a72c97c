"""Make what the deployments need on a Prefect server: its work pool, blocks, variables and automations.

    python -m deployments.bootstrap            make what is missing or differs; a line for everything
    python -m deployments.bootstrap --check    change nothing; exit with 1 if anything is missing or differs

It may be run again and again. Values come from the environment; what is not set there stays on the server as it is. No
secret is ever printed.

    KOMBO_API_KEY, KOMBO_BASE_URL     block kombo; a new key replaces the old one
    KOMBO_LAKE                        block kombo-lake; on S3 with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
                                      AWS_SESSION_TOKEN (all three or none), AWS_ENDPOINT_URL, AWS_REGION
    KOMBO_INTEGRATIONS                what the nightly export brings: ids, with commas or spaces between them
    KOMBO_STALE_INTEGRATION, KOMBO_STALE_REASON     of the weekly dry run
    KOMBO_FLOWS_REPOSITORY            where managed pools clone this repository from
    KOMBO_ALERT_URL                   gets {"text": ...} when a run fails or is late: Slack, Mattermost, ...
    KOMBO_POOL_TYPE                   type of the work pool if there is none yet; process if not set

Run it before the first deploy, for a deploy copies the variables, and after every deploy: then it also makes the
automations that start deployments. Schedules that `prefect.yaml` no longer has are switched off either way.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import VariableCreate, VariableUpdate, WorkPoolCreate
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from prefect.utilities.asyncutils import run_coro_as_sync
from prefect.workers.utilities import get_default_base_job_template_for_infrastructure_type
from pydantic import TypeAdapter, ValidationError

from deployments import automations, blocks, deployed, manifest
from deployments.steps import Environment, Step, said
from tasks.parameters import IntegrationId, Integrations, Name

VARIABLES: Mapping[str, Any] = {
    "kombo_integrations": Integrations,
    "kombo_stale_integration": IntegrationId,
    "kombo_stale_reason": Name,
    "kombo_flows_repository": Name,
}
"""The variables that `prefect.yaml` takes, with their types."""

_MANAGED = "prefect:managed"


def bootstrap(
    client: SyncPrefectClient, environment: Environment, *, pool_type: str | None = None, apply: bool = True
) -> list[Step]:
    """Compare a server with what the deployments need, and make it so.

    Args:
        client: Of the server; has to be the one that PREFECT_API_URL names.
        environment: Where values come from.
        pool_type: Of the work pool, if there is none yet; None for KOMBO_POOL_TYPE, else `process`.
        apply: False to change nothing.

    Returns:
        Everything, in the order in which it was looked at.
    """
    return list(_steps(client, environment, pool_type, apply=apply))


def _steps(
    client: SyncPrefectClient, environment: Environment, pool_type: str | None, *, apply: bool
) -> Iterator[Step]:
    """Each once it is done, so that what was changed is known even if the next one fails."""
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    for step in chain(
        _pool(client, pool_type or given.get("KOMBO_POOL_TYPE")),
        blocks.steps(client, given),
        _variables(client, given),
        deployed.steps(client, apply=apply),
        _automations(client, given, apply=apply),  # after the blocks, which they refer to
    ):
        if apply and step.do:
            step.do()
        yield step


def _pool(client: SyncPrefectClient, kind: str | None) -> Iterator[Step]:
    """Its type is chosen once; its job variables belong to whoever runs the workers."""
    what = f"work pool {manifest.POOL}"
    try:
        found = client.read_work_pool(manifest.POOL)
    except ObjectNotFound:
        kind = kind or "process"
        template: dict[str, Any] | None = run_coro_as_sync(get_default_base_job_template_for_infrastructure_type(kind))
        if template is None:
            hint = "; it is Prefect Cloud's" if kind == _MANAGED else ""
            yield Step("missing", f"{what}: this server knows no type {kind}{hint}")
            return
        pool = WorkPoolCreate(name=manifest.POOL, type=kind, base_job_template=template)
        yield Step("create", f"{what}, of type {kind}", partial(client.create_work_pool, pool))
    else:
        if kind and kind != found.type:
            yield Step("missing", f"{what} is of type {found.type}, not {kind}; delete it first, a type cannot change")
            return
        yield Step("unchanged", f"{what}, of type {found.type}")
        if found.is_paused:
            yield Step("note", f"{what} is paused: nothing runs")
        kind = found.type
    if kind == _MANAGED:
        yield Step("note", f"{what}: no worker, so key and lake have to be blocks, and the lake object storage")
        if any("set_working_directory" in step for one in manifest.load().pull for step in one):
            yield Step(
                "missing", "prefect.yaml: a managed pool has no checkout; take the other `pull`, which clones one"
            )


def _variables(client: SyncPrefectClient, given: Environment) -> Iterator[Step]:
    used = {name for text in manifest.texts(manifest.load().model_dump()) for name in manifest.VARIABLE.findall(text)}
    for name, kind in VARIABLES.items():
        text, found = given.get(name.upper()), client.read_variable_by_name(name)
        if not text:
            if found is not None:
                yield Step("unchanged", f"variable {name}: {name.upper()} is not set")
            elif name in used:
                yield Step("missing", f"variable {name}: set {name.upper()}, or create it in the UI")
            continue
        try:
            value = TypeAdapter(kind).validate_python(_list(text) if kind is Integrations else text)
        except ValidationError as error:
            yield Step("missing", f"variable {name}: {name.upper()} is not right: {said(error)}")
            continue
        if found is None:
            create = VariableCreate(name=name, value=value, tags=[manifest.TAG])
            yield Step("create", f"variable {name}", partial(client.create_variable, create))
        elif found.value != value:
            update = partial(client.update_variable, VariableUpdate(name=name, value=value))
            yield Step("change", f"variable {name}; deploy again, for a deploy copies it", update)
        else:
            yield Step("unchanged", f"variable {name}")


def _list(text: str) -> list[str]:
    return [one for one in re.split(r"[\s,]+", text) if one]


def _automations(client: SyncPrefectClient, given: Environment, *, apply: bool) -> Iterator[Step]:
    for name, written in automations.read().items():
        what = f"automation {name}"
        found = client.read_automations_by_name(name)
        try:
            wanted = automations.build(client, written)
        except automations.NotYet as lacking:
            if str(lacking) != automations.ALERTS:
                yield Step("note" if apply else "missing", f"{what} waits for {lacking}: deploy, and run this again")
            elif "KOMBO_ALERT_URL" in given:  # else it was said that nobody is told
                yield Step("create", what)
            continue
        if not found:
            yield Step("create", what, partial(client.create_automation, wanted))
            continue
        wanted.enabled = found[0].enabled
        if not automations.same(found[0], wanted):
            yield Step("change", what, partial(client.update_automation, found[0].id, wanted))
        else:
            yield Step("unchanged", what)
        if not wanted.enabled:
            yield Step("note", f"{what} is switched off; it stays so")


_NO_API = "{url} is no Prefect API: PREFECT_API_URL ends in /api, or on Prefect Cloud in the id of the workspace"
_ANSWERS = {
    401: "{url} refuses the login: set PREFECT_API_KEY (Prefect Cloud) or PREFECT_API_AUTH_STRING (your own server)",
    403: "{url} does not allow this: the key's account needs the right to change blocks, variables and automations",
    404: _NO_API,
    405: _NO_API,
}


def main() -> None:
    """Make everything, or check it."""
    parser = argparse.ArgumentParser(
        prog="python -m deployments.bootstrap",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="change nothing, and exit with 1 if anything differs")
    parser.add_argument("--pool-type", help="of the work pool: process, docker, kubernetes, ecs, prefect:managed, ...")
    options = parser.parse_args()
    url = PREFECT_API_URL.value()
    if not url:  # Prefect would start a server of its own, and all that is made would be gone with it
        parser.exit(2, "PREFECT_API_URL is not set: it names the server, such as http://127.0.0.1:4200/api\n")
    fault = False
    try:
        with get_client(sync_client=True) as client:
            for step in _steps(client, os.environ, options.pool_type, apply=not options.check):
                print(f"{_say(step, check=options.check):<12}{step.what}", flush=True)
                fault |= step.kind == "missing" or (options.check and step.kind in ("create", "change"))
    except (httpx.HTTPError, json.JSONDecodeError, ValidationError) as error:
        parser.exit(2, f"{_trouble(error, url)}\n")
    except (automations.InvalidAutomation, manifest.InvalidManifest) as error:
        parser.exit(2, f"{error}\n")
    sys.exit(1 if fault else 0)


def _trouble(error: Exception, url: str) -> str:
    """What to do about it. An error's own text may quote what was sent, or what is stored."""
    if isinstance(error, httpx.HTTPStatusError):
        status, request = error.response.status_code, error.request
        said = _ANSWERS.get(status, "{url} answered {status} to {method} {path}")
        return said.format(url=url, status=status, method=request.method, path=request.url.path)
    if isinstance(error, httpx.HTTPError):
        return f"cannot reach {url}: is the server up, and does PREFECT_API_URL name it? ({type(error).__name__})"
    return _NO_API.format(url=url)


def _say(step: Step, *, check: bool) -> str:
    done = {"create": "to create" if check else "created", "change": "to change" if check else "changed"}
    return done.get(step.kind, step.kind)


if __name__ == "__main__":
    main()
