"""Batches without Prefect around them: what the tests of applying call, also in processes of their own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import tasks.kombo.client
from deployments.demo.server import Surface
from tasks import stale
from tasks.applying import Applied, Course, apply_rows
from tasks.credentials import KomboCredentials
from tasks.lake import plans
from tasks.lake.plans import Plan, PlanRow, row_key
from tasks.lake.store import Store, open_store
from tasks.standings import known_outcomes


def credentials(demo: Surface) -> KomboCredentials:
    return KomboCredentials(api_key=demo.api_key, base_url=demo.base_url)


def pending(demo: Surface, integration: str | None = None) -> list[dict[str, Any]]:
    """Applications that may be rejected, of the demo's first integration or another."""
    rule = stale.Rule(datetime.now(UTC), 7)
    found = demo.records(integration or demo.integrations[0], "applications", include_deleted=False)
    return [one for one in found if stale.excluded(one, rule) is None]


def rejections(demo: Surface, count: int, *, integration: str | None = None) -> Plan:
    """A plan to reject so many applications of the demo's first integration or another."""
    integration = integration or demo.integrations[0]
    reasons = demo.records(integration, "rejection_reasons", include_deleted=False)
    rows = []
    for one in pending(demo, integration)[:count]:
        arguments = json.dumps({"application_id": one["id"], "rejection_reason_id": reasons[0]["id"]}, sort_keys=True)
        rows.append(PlanRow(one["id"], "reject_application", arguments, application_id=one["id"], seen=stale.seen(one)))
    assert len(rows) == count
    return plan(integration, rows)


def notes(demo: Surface, count: int) -> Plan:
    """A plan to add a note to each of so many applications."""
    rows = []
    for one in pending(demo)[:count]:
        arguments = json.dumps({"application_id": one["id"], "content": "still interested?"}, sort_keys=True)
        key = row_key("add_application_note", arguments)
        rows.append(PlanRow(key, "add_application_note", arguments, application_id=one["id"]))
    return plan(demo.integrations[0], rows)


def plan(integration: str, rows: Sequence[PlanRow], age: timedelta = timedelta()) -> Plan:
    made_at = datetime.now(UTC) - age
    return Plan(plans.plan_id(integration, rows, with_seen=True), integration, made_at, tuple(rows))


def apply(demo: Surface, what: Plan, store: Store, run_id: str = "run", **options: Any) -> Applied:
    options = {"grace": 0.0, **options}
    return apply_rows(what, what.rows, store=store, run_id=run_id, credentials=credentials(demo), **options)


def kinds(applied: Applied) -> list[str]:
    return sorted(one.kind for one in applied.outcomes.values())


def sent(demo: Surface) -> list[str]:
    """The application of every write that was carried out."""
    return [write["ids"][0] for write in demo.writes]


def keep(what: Plan, url: str, options: dict[str, Any] | None, run_id: str) -> None:
    plans.keep(open_store(url, options), run_id, what)


def main() -> None:
    """In a process of its own: carry out a kept plan, as a worker does; the argument is a JSON object."""
    given = json.loads(sys.argv[1])
    tasks.kombo.client.WRITE_TIMEOUT = given.get("timeout", 300.0)
    store = open_store(given["lake"], given.get("options"))
    plan = plans.of_run(store, given["plan_of"])
    assert plan is not None
    key = KomboCredentials(api_key=given["key"], base_url=given["base_url"])
    print("ready", flush=True)  # noqa: T201 - the parent waits for it
    if given.get("wait"):
        sys.stdin.readline()
    applied = apply_rows(
        plan,
        plan.rows,
        store=store,
        run_id=given["run_id"],
        credentials=key,
        course=Course(),
        grace=given.get("grace", 20.0),
    )
    Path(given["out"]).write_text(json.dumps({k: one.kind for k, one in applied.outcomes.items()}))
    os._exit(0)


def ledger(what: Plan, store: Store, run_id: str = "reader") -> dict[str, str]:
    """What the lake says of every row."""
    return {key: one.kind for key, one in known_outcomes(what, what.rows, store, run_id).items()}


if __name__ == "__main__":
    main()
