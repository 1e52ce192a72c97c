"""The tasks that batch writes are made of: plan, carry out a chunk, report."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from prefect.artifacts import create_table_artifact

from tasks import applying, batch_reports, stale
from tasks.applying import Applied, Course
from tasks.approvals import check_age
from tasks.credentials import KomboCredentials, KomboLake
from tasks.kombo.errors import NotOffered
from tasks.kombo.pages import pages
from tasks.lake import claims, plans
from tasks.lake.claims import Outcome
from tasks.lake.errors import LakeError
from tasks.lake.plans import Plan, PlanRow
from tasks.lake.sheets import read_sheet
from tasks.lake.store import Store, check, open_store, put_bytes
from tasks.operations import OPERATIONS
from tasks.policies import reads, unsafe_writes
from tasks.records import each_record
from tasks.rows import InvalidRows, Problem, Rehearsal, parse

CHUNK = 500
"""Rows a task run: enough to be worth one, few enough to watch the batch go on."""

logger = logging.getLogger(__name__)


class NoReason(ValueError):
    """There is no such rejection reason; the message lists those that there are. Nothing was planned."""


def plan_of(lake: KomboLake, run_id: str) -> Plan | None:
    """Return the plan that a flow run has made, None if it has made none: a restarted run goes on with its own."""
    return plans.of_run(_open(lake), run_id)


@reads(task_run_name="plan-rejections-of-{integration}")
def plan_rejections(
    *,
    integration: str,
    rejection_reason: str,
    stale_after_days: int,
    stages: list[str] | None,
    jobs: list[str] | None,
    note: str | None,
    limit: int,
    release: list[str] | None,
    writes: bool,
    lake: KomboLake,
    run_id: str,
    credentials: KomboCredentials,
) -> None:
    """Plan the rejection of stale applications, and show the plan as an artifact.

    Args:
        integration: Integration id.
        rejection_reason: A Kombo id or an exact name.
        stale_after_days: From how many idle days on.
        stages: Ids or exact names; None for all.
        jobs: Likewise.
        note: Goes with each rejection.
        limit: Applications at most, the oldest.
        release: Applications that an operator has found not to be rejected, though sent.
        writes: Whether the plan is to be carried out, so that the lake has to be fit for claims.
        lake: Where to keep it.
        run_id: The flow run; the plan is kept under it.
        credentials: For Kombo.

    Raises:
        NoReason: There is no such reason.
        KomboError: Kombo could not be read.
        LakeError: The lake does not work, or could not keep claims apart.
    """
    store = _checked(lake, writes)
    reason = _reason(integration, rejection_reason, credentials)
    ledger = claims.Claims(store, claims.rejections_folder(integration), "", run_id)
    _release(ledger, release)
    sent = ledger.open()
    applications, now = _pending(integration, credentials)
    sent -= _settled(ledger, sent - {one.get("id") for one in applications}, integration, credentials)
    rule = stale.Rule(now, stale_after_days, stages, jobs)
    found = stale.select(applications, rule, sent, limit)
    rows = tuple(_with_arguments(row, reason["id"], note) for row in found.chosen)
    if rows:
        _rehearse(integration, rows[0])
    notes = {
        "reason": reason.get("name") or reason["id"],
        "remaining": found.remaining,
        "excluded": found.excluded,
        "unmatched": found.unmatched,
    }
    name = plans.plan_id(integration, rows, with_seen=True)
    plan = plans.keep(store, run_id, Plan(name, integration, datetime.now(UTC), rows, notes))
    _show(plan, batch_reports.REJECTIONS, "kombo-reject-stale-plan")


@reads(task_run_name="plan-batch-of-{integration}")
def plan_batch(
    *,
    integration: str,
    file: str,
    batch: str | None,
    release: list[str] | None,
    writes: bool,
    lake: KomboLake,
    run_id: str,
    credentials: KomboCredentials,
) -> None:
    """Plan the rows of a file, all of them or none, and show the plan as an artifact.

    Args:
        integration: Integration id.
        file: CSV or Parquet, a path or any fsspec URL.
        batch: Tells apart batches of equal content.
        release: Keys of rows that an operator has found not to have happened, though sent.
        writes: Whether the plan is to be carried out, so that the lake has to be fit for claims.
        lake: Where to keep it.
        run_id: The flow run; the plan is kept under it.
        credentials: For Kombo.

    Raises:
        InvalidRows: Rows cannot be sent; the message has all, with their lines.
        KomboError: Kombo could not be read.
        LakeError: The file or the lake cannot be used.
    """
    store = _checked(lake, writes)
    rows, problems = parse(read_sheet(file, _options(file, lake)), integration)
    checked, more = _against_kombo(integration, rows, credentials)
    if problems := [*problems, *more]:
        raise _kept(store, run_id, InvalidRows(problems))
    name = plans.plan_id(integration, checked, batch, with_seen=False)
    plan = Plan(name, integration, datetime.now(UTC), tuple(checked), {"repeated": _repeated(checked)})
    for rejections in (True, False):
        some = {row.key for row in checked if (row.operation == applying.REJECT) is rejections}
        if wanted := [key for key in release or () if key in some]:
            operation = applying.REJECT if rejections else ""
            _release(applying.claims_of(plan, operation, store, run_id), wanted)
    if unknown := set(release or ()) - {row.key for row in checked}:
        raise ValueError(f"release: {len(unknown)} of the values are not keys of this file's rows")
    plan = plans.keep(store, run_id, plan)
    _show(plan, batch_reports.BATCH, "kombo-apply-batch-plan")


@unsafe_writes(task_run_name="rows-{first}-to-{last}")
def apply_chunk(
    *, first: int, last: int, course: Course, lake: KomboLake, run_id: str, credentials: KomboCredentials
) -> Applied:
    """Carry out some rows of the plan that a flow run has made; each is claimed in the lake before it is sent.

    Args:
        first: Position in the plan, from 1.
        last: The last position.
        course: How the batch has gone so far.
        lake: Has the plan and the claims.
        run_id: The flow run.
        credentials: For Kombo.

    Returns:
        What became of them.

    Raises:
        PlanExpired: It is more than a day old.
        LakeError: The lake does not work, or cannot keep claims apart; nothing was sent.
    """
    store = _checked(lake, writes=True)
    plan = plans.of_run(store, run_id)
    if plan is None:
        raise LakeError("this run's plan is not in the lake any more: nothing was sent")
    check_age(plan)
    rows = plan.rows[first - 1 : last]
    return applying.apply_rows(plan, rows, store=store, run_id=run_id, credentials=credentials, course=course)


def carry_out(
    plan: Plan, *, lake: KomboLake, run_id: str, credentials: KomboCredentials, report: str
) -> dict[str, Any]:
    """Carry out a plan and report what became of every row, however it ends.

    Args:
        plan: The flow run's plan.
        lake: The lake.
        run_id: The flow run.
        credentials: For Kombo.
        report: Key of the artifact.

    Returns:
        The plan's id, and counts by outcome.

    Raises:
        BatchFailed: Not every row is done or skipped.
    """
    outcomes: dict[str, Outcome] = {}
    course = Course()
    try:
        for first in range(1, len(plan.rows) + 1, CHUNK):
            last = min(first + CHUNK - 1, len(plan.rows))
            applied = apply_chunk(
                first=first, last=last, course=course, lake=lake, run_id=run_id, credentials=credentials
            )
            outcomes |= applied.outcomes
            course = applied.course
            if course.stopped:
                break
    except BaseException as error:
        # Also when the run is cancelled: whoever did that wants to know how far it got.
        course.stopped = f"{type(error).__name__}"
        _report(plan, outcomes, course.stopped, lake, run_id, report)
        raise
    outcomes = _report(plan, outcomes, course.stopped, lake, run_id, report)
    if not batch_reports.is_complete(outcomes):
        raise batch_reports.BatchFailed(batch_reports.sentence(outcomes, course.stopped))
    return {"plan_id": plan.plan_id, **batch_reports.counts(outcomes)}


def _report(
    plan: Plan, known: Mapping[str, Outcome], stopped: str | None, lake: KomboLake, run_id: str, key: str
) -> dict[str, Outcome]:
    """Store and show what became of the rows; what was done must not look otherwise because of that."""
    place = ""
    outcomes = dict(known)
    try:
        store = _open(lake)
        rest = [row for row in plan.rows if row.key not in outcomes]
        outcomes = batch_reports.complete(plan, applying.known_outcomes(plan, rest, store, run_id) | outcomes)
        place = plans.keep_outcomes(store, run_id, plan, outcomes)
    except LakeError as error:
        logger.warning("The outcomes could not be stored in the lake: %s", error)
        outcomes = batch_reports.complete(plan, outcomes)
    logger.info("%s", batch_reports.sentence(outcomes, stopped))
    try:
        create_table_artifact(
            batch_reports.report_table(plan, outcomes),
            key=key,
            description=batch_reports.report_text(plan, outcomes, stopped, place),
        )
    except Exception as error:
        logger.warning("The report could not be shown (%s); the lake has it", type(error).__name__)
    return outcomes


def _open(lake: KomboLake) -> Store:
    url, options = lake.location()
    return open_store(url, options)


def _checked(lake: KomboLake, writes: bool) -> Store:
    store = _open(lake)
    claims.check_exclusive(store) if writes else check(store)
    return store


def _options(file: str, lake: KomboLake) -> dict[str, Any]:
    url, options = lake.location()
    return options if "://" in file and file.split("://")[0] == url.split("://")[0] else {}


def _release(ledger: claims.Claims, keys: Sequence[str] | None) -> None:
    if keys and len(ledger.close(keys, "released")) < len(set(keys)):
        raise ValueError(
            "release: there is no open claim for some of the values; they need no release, or are misspelt"
        )


def _reasons(integration: str, credentials: KomboCredentials) -> list[dict[str, Any]]:
    try:
        found = list(each_record("rejection_reasons", integration=integration, credentials=credentials))
    except NotOffered:
        found = []
    usable = [one for one in found if one.get("remote_deleted_at") is None and isinstance(one.get("id"), str)]
    if not usable:
        raise NoReason(
            f"{integration} has no rejection reasons, and Kombo rejects with one of the integration's own only: "
            "reject in the ATS itself"
        )
    return usable


def _reason(integration: str, wanted: str, credentials: KomboCredentials) -> dict[str, Any]:
    usable = _reasons(integration, credentials)
    found = [one for one in usable if one["id"] == wanted] or [one for one in usable if one.get("name") == wanted]
    if len(found) == 1:
        return found[0]
    choices = "; ".join(sorted(f"{one.get('name')} ({one['id']})" for one in found or usable))
    if found:
        raise NoReason(f"{len(found)} rejection reasons have that name; give the id of one: {choices}")
    raise NoReason(f"there is no such rejection reason (or it was deleted). There are: {choices}")


def _pending(integration: str, credentials: KomboCredentials) -> tuple[list[dict[str, Any]], datetime]:
    """Read the pending applications, and the time by Kombo's own clock: ages must not depend on this machine's."""
    filters = {"outcomes": ["PENDING"], "ignore_unsupported_filters": True}
    found: dict[str, dict[str, Any]] = {}
    now = None
    with (
        credentials.get_client() as client,
        closing(pages(client, "applications", integration=integration, filters=filters)) as walk,
    ):
        for page in walk:
            now = now or page.sent_at
            for record in json.loads(page.results):
                found[str(record.get("id"))] = _needed(record)
    return list(found.values()), now or datetime.now(UTC)


_NEEDED = (
    *("id", "outcome", "remote_deleted_at", "remote_created_at", "remote_updated_at", "changed_at", "remote_url"),
    *("current_stage_id", "job_id", "candidate_id", "current_stage", "job", "interviews", "offers"),
)


def _needed(application: Mapping[str, Any]) -> dict[str, Any]:
    """Keep of an application what decides: no person, and a tenth of the memory."""
    return {name: application[name] for name in _NEEDED if name in application}


def _settled(ledger: claims.Claims, sent: set[Any], integration: str, credentials: KomboCredentials) -> set[str]:
    """Close the claims of applications that Kombo shows as settled; returns those."""
    rows = [PlanRow(key, applying.REJECT, "", application_id=key) for key in sent]
    shown = applying.current(integration, rows, credentials)
    settled = [key for key, record in shown.items() if record.get("outcome") in ("DECLINED", "HIRED")]
    return set(ledger.close(settled, "settled")) if settled else set()


def _with_arguments(row: PlanRow, reason_id: str, note: str | None) -> PlanRow:
    arguments = {"application_id": row.application_id, "rejection_reason_id": reason_id}
    arguments |= {} if note is None else {"note": note}
    written = json.dumps(arguments, sort_keys=True, ensure_ascii=False)
    return PlanRow(**{name: getattr(row, name) for name in PlanRow.__slots__} | {"arguments": written})


def _rehearse(integration: str, row: PlanRow) -> None:
    operation = OPERATIONS["reject_application"]
    rehearsal = Rehearsal(api_key="rehearsal")  # type: ignore[arg-type]
    operation.task.fn(**operation.checked(integration, json.loads(row.arguments)), credentials=rehearsal)


def _against_kombo(
    integration: str, rows: Sequence[PlanRow], credentials: KomboCredentials
) -> tuple[list[PlanRow], list[Problem]]:
    """Hold rows against what Kombo has: their applications and candidates, the stages of their jobs, the reasons."""
    problems: list[Problem] = []
    records = applying.current(integration, rows, credentials)
    stages = _stages(integration, rows, records, credentials)
    rejects = any(row.operation == applying.REJECT for row in rows)
    reasons = {one["id"] for one in _reasons(integration, credentials)} if rejects else set()
    checked = []
    for row in rows:
        record = records.get(row.application_id or row.candidate_id or "")
        given = json.loads(row.arguments)
        if record is None and (row.application_id or row.candidate_id):
            problems.append((_line(row), "Kombo does not have this application or candidate, or not yet"))
        elif row.operation == applying.MOVE and given["stage_id"] not in stages.get(
            record["job_id"] if record else None, ()
        ):
            problems.append((_line(row), "stage_id: not one of the stages of that application's job"))
        elif row.operation == applying.REJECT and given["rejection_reason_id"] not in reasons:
            problems.append((_line(row), "rejection_reason_id: not one of this integration's, or deleted"))
        checked.append(_with_state(row, record))
    return checked, problems


def _with_state(row: PlanRow, record: Mapping[str, Any] | None) -> PlanRow:
    if record is None:
        return row
    known: dict[str, Any] = {"link": record["remote_url"]} if isinstance(record.get("remote_url"), str) else {}
    if row.operation in (applying.REJECT, applying.MOVE):
        known["seen"] = stale.seen(record)
    return PlanRow(**{name: getattr(row, name) for name in PlanRow.__slots__} | known)


def _stages(
    integration: str, rows: Sequence[PlanRow], records: Mapping[str, Any], credentials: KomboCredentials
) -> dict[Any, set[str]]:
    found_ids = [row.application_id or "" for row in rows if row.operation == applying.MOVE]
    moved = [records[key] for key in found_ids if key in records]
    wanted = sorted({record["job_id"] for record in moved if record.get("job_id")})
    found: dict[Any, set[str]] = {}
    for start in range(0, len(wanted), applying.READ_AT_ONCE):
        filters = {"ids": wanted[start : start + applying.READ_AT_ONCE]}
        for job in each_record("jobs", integration=integration, filters=filters, credentials=credentials):
            found[job["id"]] = {stage["id"] for stage in job.get("stages") or ()}
    return found


def _kept(store: Store, run_id: str, error: InvalidRows) -> InvalidRows:
    """Keep all problems where an exception's text is too short for them."""
    lines = [{"line": line, "problem": text} for line, text in error.problems]
    put_bytes(store, f"batches/problems/{run_id}.json", json.dumps(lines, ensure_ascii=False).encode())
    create_table_artifact(
        batch_reports.problem_table(error.problems),
        key="kombo-apply-batch-problems",
        description=f"{len(lines):,} problems; nothing was sent. The lake has all: `batches/problems/{run_id}.json`.",
    )
    return error


def _line(row: PlanRow) -> int:
    return int((row.lines or "0").split(",")[0])


def _repeated(rows: Sequence[PlanRow]) -> int:
    return sum((row.lines or "").count(",") for row in rows)


def _show(plan: Plan, kind: str, key: str) -> None:
    """Show the plan; without that there is nothing to approve, so an artifact that fails is an error."""
    table = batch_reports.plan_table(plan, kind) or [{"plan": "no rows"}]
    create_table_artifact(table, key=key, description=batch_reports.plan_text(plan, kind))
