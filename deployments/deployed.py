"""What is deployed, held against `prefect.yaml`.

Only a deploy makes a deployment, or changes one. What is no longer listed it leaves running: a schedule whose slug is
gone, or all of those of a deployment that is gone.
"""

from collections.abc import Container, Iterator
from functools import partial
from typing import Any, Literal

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse

from deployments import manifest
from deployments.steps import Step


def steps(client: SyncPrefectClient, *, apply: bool) -> Iterator[Step]:
    """Compare what is deployed with `prefect.yaml`, and switch off schedules that it no longer has.

    Args:
        client: Of the server.
        apply: False if a deployment that has to be deployed again is a fault, rather than what comes next.

    Returns:
        A step for each deployment, and for each schedule that is to be switched off or worth a word.
    """
    file = manifest.load()
    listed = {one.full_name: one for one in file.deployments}
    deployed = _ours(client, listed)
    values = {one.name: one.value for one in client.read_variables(limit=200)}
    behind: Literal["note", "missing"] = "note" if apply else "missing"
    for name, one in listed.items():
        if name not in deployed:
            yield Step(behind, f"deployment {name}: there is none; prefect --no-prompt deploy --all")
        elif differences := _differences(one, one.pull or file.pull, deployed[name], values):
            what = f"deployment {name}: not as in prefect.yaml: {', '.join(differences)}"
            yield Step(behind, f"{what}; prefect --no-prompt deploy --all")
        else:
            yield Step("unchanged", f"deployment {name}")
    for name, found in deployed.items():
        slugs = {each.slug for each in listed[name].schedules} if name in listed else set()
        for schedule in found.schedules:
            what = f"schedule {schedule.slug or schedule.schedule} of {name}"
            if schedule.slug in slugs:
                if not schedule.active:
                    yield Step("note", f"{what} is switched off; it stays so")
            elif not schedule.active:
                continue
            elif name in listed and schedule.slug is None:
                yield Step("note", f"{what} was made by hand; it stays")
            else:
                # Without its parameters, an update would drop them; so does the switch in the UI.
                off = partial(
                    client.update_deployment_schedule,
                    found.id,
                    schedule.id,
                    active=False,
                    parameters=schedule.parameters,
                )
                yield Step("change", f"{what}, which prefect.yaml does not have: off", off)
        if found.paused:
            yield Step("note", f"deployment {name} is paused: its schedules start nothing")


def _ours(client: SyncPrefectClient, listed: Container[str]) -> dict[str, DeploymentResponse]:
    """What prefect.yaml lists, and what it once did: of our flows, on our pool, with our tag."""
    of_ours = FlowFilter(name=FlowFilterName(like_=manifest.FLOW_PREFIX))
    flows = {flow.id: flow.name for flow in client.read_flows(flow_filter=of_ours, limit=200)}
    named = {f"{flows[one.flow_id]}/{one.name}": one for one in client.read_deployments(flow_filter=of_ours, limit=200)}
    return {
        name: one
        for name, one in named.items()
        if name in listed
        or (
            name.startswith(manifest.FLOW_PREFIX)
            and one.work_pool_name == manifest.POOL
            and manifest.TAG in (one.tags or ())
        )
    }


def _differences(
    one: manifest.Deployment, pull: list[manifest.Step], found: DeploymentResponse, values: dict[str, Any]
) -> list[str]:
    wanted_limit = one.concurrency_limit and (one.concurrency_limit.limit, one.concurrency_limit.collision_strategy)
    limit = found.global_concurrency_limit and (
        found.global_concurrency_limit.limit,
        found.concurrency_options and found.concurrency_options.collision_strategy.value,
    )
    schedules = {each.slug: each for each in found.schedules}
    same = {
        "entrypoint": found.entrypoint == one.entrypoint,
        "description": found.description == one.description,
        "tags": set(found.tags or ()) == set(one.tags),
        "parameters": _filled(one.parameters, found.parameters, values),
        "concurrency limit": limit == wanted_limit,
        "work pool": found.work_pool_name == one.work_pool.name,
        "job variables": _filled(one.work_pool.job_variables, found.job_variables, values),
        "pull": found.pull_steps == pull,  # stored as it is written
        **{f"schedule {each.slug}": _same_schedule(each, schedules.get(each.slug), values) for each in one.schedules},
    }
    return [name for name, is_same in same.items() if not is_same]


def _filled(written: dict[str, Any], found: dict[str, Any], values: dict[str, Any]) -> bool:
    """Whether a deploy would store the same; what it takes from its own environment cannot be told from here."""
    wanted = manifest.fill(written, values)
    return found == wanted or any(manifest.PLACEHOLDER.search(text) for text in manifest.texts(wanted))


def _same_schedule(one: manifest.Schedule, found: DeploymentSchedule | None, values: dict[str, Any]) -> bool:
    if found is None or not _filled(one.parameters, found.parameters, values):
        return False
    recurrence = found.schedule.model_dump(mode="json")
    return recurrence.get("timezone") == one.timezone and all(
        getattr(one, key) in (None, recurrence.get(key)) for key in ("cron", "interval", "rrule")
    )
