"""The tasks that make plans: what would be done, row by row, checked against what Kombo has, kept and shown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from prefect.artifacts import create_table_artifact

from tasks import batch_reports, stale, subjects
from tasks.credentials import KomboCredentials, KomboLake
from tasks.kombo.errors import NotOffered
from tasks.lake import claims, plans
from tasks.lake.plans import Plan, PlanRow
from tasks.lake.sheets import read_sheet
from tasks.lake.store import Store, check, put_bytes
from tasks.operations import OPERATIONS
from tasks.policies import reads
from tasks.rows import InvalidRows, Problem, Rehearsal, parse
from tasks.standings import claims_of, known_outcomes
from tasks.subjects import MOVE, REJECT


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
    store = checked_store(lake, writes=writes)
    reason = subjects.reason(rejection_reason, subjects.reasons(integration, credentials))
    ledger = claims.Claims(store, claims.rejections_folder(integration), "", run_id)
    _release(ledger, release)
    sent = ledger.open()
    applications, now = subjects.pending(integration, credentials)
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
    store = checked_store(lake, writes=writes)
    rows, problems = parse(read_sheet(file, _options(file, lake)), integration)
    checked, more = _against_kombo(integration, rows, credentials)
    if problems := [*problems, *more]:
        raise _kept(store, run_id, InvalidRows(problems))
    name = plans.plan_id(integration, checked, batch, with_seen=False)
    repeated = sum((row.lines or "").count(",") for row in checked)
    plan = Plan(name, integration, datetime.now(UTC), tuple(checked), {"repeated": repeated})
    if unknown := set(release or ()) - {row.key for row in checked}:
        raise ValueError(f"release: {len(unknown)} of the values are not keys of this file's rows")
    for rejections in (True, False):
        some = {row.key for row in checked if (row.operation == REJECT) is rejections}
        if wanted := [key for key in release or () if key in some]:
            _release(claims_of(plan, REJECT if rejections else "", store, run_id), wanted)
    before = Counter(one.kind for one in known_outcomes(plan, plan.rows, store, run_id).values())
    plan = plans.keep(store, run_id, replace(plan, notes={**plan.notes, "sent_before": dict(before)}))
    _show(plan, batch_reports.BATCH, "kombo-apply-batch-plan")


def checked_store(lake: KomboLake, *, writes: bool) -> Store:
    """Open the lake and try it.

    Args:
        lake: Where it is.
        writes: Whether it has to keep claims apart.

    Raises:
        LakeError: It does not work, or cannot keep claims apart.
    """
    store = lake.get_store()
    claims.check_exclusive(store) if writes else check(store)
    return store


def _options(file: str, lake: KomboLake) -> dict[str, Any]:
    """The lake's own options for a file that is on the same kind of store."""
    url, options = lake.location()
    return options if "://" in file and file.split("://")[0] == url.split("://")[0] else {}


def _release(ledger: claims.Claims, keys: Sequence[str] | None) -> None:
    if keys and len(ledger.close(set(keys), "released")) < len(set(keys)):
        raise ValueError(
            "release: there is no open claim for some of the values; they need no release, or are misspelt"
        )


def _settled(ledger: claims.Claims, sent: Collection[Any], integration: str, credentials: KomboCredentials) -> set[str]:
    """Close the claims of applications that Kombo shows as settled; returns those."""
    rows = [PlanRow(key, REJECT, "", application_id=key) for key in sent]
    shown = subjects.current(integration, rows, credentials)
    settled = [key for key, record in shown.items() if record.get("outcome") in ("DECLINED", "HIRED")]
    return set(ledger.close(settled, "settled")) if settled else set()


def _with_arguments(row: PlanRow, reason_id: str, note: str | None) -> PlanRow:
    arguments = {"application_id": row.application_id, "rejection_reason_id": reason_id}
    arguments |= {} if note is None else {"note": note}
    written = json.dumps(arguments, sort_keys=True, ensure_ascii=False)
    return _changed(row, arguments=written)


def _rehearse(integration: str, row: PlanRow) -> None:
    operation = OPERATIONS["reject_application"]
    rehearsal = Rehearsal(api_key="rehearsal")  # type: ignore[arg-type]
    operation.task.fn(**operation.checked(integration, json.loads(row.arguments)), credentials=rehearsal)


def _against_kombo(
    integration: str, rows: Sequence[PlanRow], credentials: KomboCredentials
) -> tuple[list[PlanRow], list[Problem]]:
    """Hold rows against what Kombo has: applications, candidates, jobs and their stages, the reasons."""
    problems: list[Problem] = []
    records = subjects.current(integration, rows, credentials)
    stages = _stages(integration, rows, records, credentials)
    rejects = any(row.operation == REJECT for row in rows)
    reasons = {one["id"] for one in subjects.reasons(integration, credentials)} if rejects else set()
    checked = []
    for row in rows:
        record = records.get(row.application_id or row.candidate_id or "")
        given = json.loads(row.arguments)
        line = int((row.lines or "0").split(",")[0])
        job = _new_job(row)
        if record is None and (row.application_id or row.candidate_id):
            problems.append((line, "Kombo does not have this application or candidate, or not yet"))
        elif row.operation == MOVE and given["stage_id"] not in (stages or {}).get((record or {}).get("job_id"), ()):
            problems.append((line, "stage_id: not one of the stages of that application's job"))
        elif row.operation == REJECT and given["rejection_reason_id"] not in reasons:
            problems.append((line, "rejection_reason_id: not one of this integration's, or deleted"))
        elif job and stages is not None and job not in stages:
            problems.append((line, "job_id: Kombo does not have this job, or not yet"))
        elif job and stages is not None and given.get("stage_id") not in (None, *stages[job]):
            problems.append((line, "stage_id: not one of the stages of that job"))
        checked.append(_with_state(row, record))
    return checked, problems


def _new_job(row: PlanRow) -> str | None:
    """The job that a row creates an application for, where it is given by its Kombo id."""
    if row.operation not in ("create_application", "create_candidate"):
        return None
    given = json.loads(row.arguments)
    job = row.job_id or given["application"]["job_id"]
    return None if job.startswith("remote:") else str(job)


def _with_state(row: PlanRow, record: Mapping[str, Any] | None) -> PlanRow:
    if record is None:
        return row
    known: dict[str, Any] = {"link": stale.link(record)}
    if row.operation in (REJECT, MOVE):
        known["seen"] = stale.seen(record)
    return _changed(row, **known)


def _stages(
    integration: str, rows: Iterable[PlanRow], records: Mapping[str, Any], credentials: KomboCredentials
) -> dict[Any, set[str]] | None:
    """The stages of the jobs that rows are about, by job; None if jobs that are only added to cannot be read."""
    moved = [records.get(row.application_id or "", {}) for row in rows if row.operation == MOVE]
    wanted = {record["job_id"] for record in moved if isinstance(record.get("job_id"), str)}
    wanted |= {job for row in rows if (job := _new_job(row))}
    try:
        return dict(subjects.stages(wanted, integration, credentials))
    except NotOffered:
        if moved:
            raise
        return None


def _changed(row: PlanRow, **fields: Any) -> PlanRow:
    return PlanRow(**{name: getattr(row, name) for name in PlanRow.__slots__} | fields)


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


def _show(plan: Plan, kind: str, key: str) -> None:
    """Show the plan; without that there is nothing to approve, so an artifact that fails is an error."""
    table = batch_reports.plan_table(plan, kind) or [{"plan": "no rows"}]
    create_table_artifact(table, key=key, description=batch_reports.plan_text(plan, kind))
