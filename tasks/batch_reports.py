"""What a batch would do and what it did, as an operator reads it in Prefect: ids, reasons and counts, nobody's data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.lake.claims import Outcome
from tasks.lake.plans import Plan, PlanRow

MOST_ROWS = 500
"""Rows of a table: more are a burden on Prefect's API; the lake has them all."""

REJECTIONS, BATCH = "rejections", "rows"

_COLUMNS = (
    *("outcome", "line", "operation", "application", "candidate", "job", "release", "in the ATS", "in Kombo"),
    *("code", "why", "sent at"),
)
_BEFORE = {"skipped": "by another plan"}
_ORDER = {"unknown": 0, "refused": 1, "skipped": 2, "done": 3}
NOT_REACHED = 'not reached: the batch stopped before it; "Retry" goes on with it'


class BatchFailed(Exception):
    """Not every row of a batch is done or skipped; the message counts them."""


def plan_table(plan: Plan, kind: str) -> list[dict[str, Any]]:
    """Make the table of a plan: the first rows of it.

    Args:
        plan: The plan.
        kind: `REJECTIONS` or `BATCH`.
    """
    make = _rejection if kind == REJECTIONS else _request
    return [make(row) for row in plan.rows[:MOST_ROWS]]


def _rejection(row: PlanRow) -> dict[str, Any]:
    return {
        "application": row.application_id,
        "job": row.job or row.job_id,
        "stage": row.stage,
        "days idle": row.days_idle,
        "in the ATS": row.link,
    }


def _request(row: PlanRow) -> dict[str, Any]:
    return {
        "line": row.lines,
        "operation": row.operation,
        "application": row.application_id,
        "candidate": row.candidate_id,
        "job": row.job_id,
    }


def plan_text(plan: Plan, kind: str) -> str:
    """Say in Markdown what a plan would do, and what was left out and why."""
    count = len(plan.rows)
    what = "applications would be rejected" if kind == REJECTIONS else "requests would be sent"
    lines = [f"**{count:,} {what}** on `{plan.integration}`. Plan `{plan.plan_id}`, good until {_at(plan.expires_at)}."]
    notes = plan.notes
    if notes.get("reason"):
        lines.append(f"Reason: {notes['reason']}.")
    if notes.get("remaining"):
        lines.append(f"**{notes['remaining']:,} more remain** beyond the limit; these are the oldest.")
    if kind == BATCH:
        by_operation = Counter(row.operation for row in plan.rows).most_common()
        lines.append("; ".join(f"{number:,} `{name}`" for name, number in by_operation) + ".")
    if before := notes.get("sent_before"):
        told = ", ".join(f"{number:,} {_BEFORE.get(outcome, outcome)}" for outcome, number in before.items())
        lines.append(f"**Sent before, and not sent again:** {told}.")
    if notes.get("repeated"):
        lines.append(f"{notes['repeated']:,} lines repeat another one and are sent once.")
    lines += [f"No application was found for: {text}." for text in notes.get("unmatched", ())]
    if excluded := notes.get("excluded"):
        lines.append("Left alone: " + "; ".join(f"{number:,} {why}" for why, number in excluded.items()) + ".")
    if count > MOST_ROWS:
        lines.append(f"The first {MOST_ROWS} are shown; the lake has all, under `batches/{plan.plan_id}/plans/`.")
    return "\n\n".join(lines)


def complete(plan: Plan, outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """Give every row an outcome: those that were not reached are skipped, and say so."""
    return {row.key: outcomes.get(row.key) or Outcome(row.key, "skipped", why=NOT_REACHED) for row in plan.rows}


def counts(outcomes: Mapping[str, Outcome]) -> dict[str, int]:
    """Count outcomes by kind, those not reached apart."""
    found = Counter(_kind(one) for one in outcomes.values())
    return {kind: found[kind] for kind in ("done", "skipped", "refused", "unknown", "not reached")}


def _kind(one: Outcome) -> str:
    return "not reached" if one.why == NOT_REACHED else one.kind


def sentence(outcomes: Mapping[str, Outcome], stopped: str | None) -> str:
    """Say in one line how a batch ended."""
    found = ", ".join(f"{number:,} {kind}" for kind, number in counts(outcomes).items() if number)
    return f"{len(outcomes):,} rows: {found or 'none'}" + (f"; stopped: {stopped}" if stopped else "")


def is_complete(outcomes: Mapping[str, Outcome]) -> bool:
    """Whether every row is done or skipped, and recorded as such."""
    found = counts(outcomes)
    return found["done"] + found["skipped"] == len(outcomes) and not any(one.unrecorded for one in outcomes.values())


def report_table(plan: Plan, outcomes: Mapping[str, Outcome]) -> list[dict[str, Any]]:
    """Make the table of a report: unknown rows first, done ones last."""
    rows = sorted(plan.rows, key=lambda row: _ORDER[outcomes[row.key].kind])[:MOST_ROWS]
    table = [_outcome(row, outcomes[row.key]) for row in rows]
    used = [name for name in _COLUMNS if any(line[name] is not None for line in table)]
    return [{name: line[name] for name in used} for line in table]


def _outcome(row: PlanRow, one: Outcome) -> dict[str, Any]:
    why = one.why if not one.warnings else f"{len(one.warnings)} warnings from Kombo, in the lake"
    found = {
        "outcome": _kind(one),
        "code": one.code,
        "why": f"{why or ''} (not recorded in the lake)" if one.unrecorded else why,
        "line": row.lines,
        "operation": row.operation if row.lines else None,
        "application": row.application_id,
        "candidate": None if row.application_id else row.candidate_id,
        "job": None if row.application_id else row.job_id,
        "sent at": _at(one.sent_at) if one.sent_at else None,
        "in the ATS": row.link,
        "in Kombo": one.log_url,
        "release": row.key if one.kind == "unknown" else None,
    }
    return {name: found[name] for name in _COLUMNS}


def report_text(plan: Plan, outcomes: Mapping[str, Outcome], stopped: str | None, place: str) -> str:
    """Say in Markdown how a batch ended, and what to do about what is unknown."""
    lines = [f"**{sentence(outcomes, stopped)}.** Plan `{plan.plan_id}` on `{plan.integration}`."]
    if counts(outcomes)["unknown"]:
        lines.append(
            "**Unknown rows come first.** Each may have happened, so it is not sent again. To check one: open it in "
            "the ATS (the link, or Kombo's log of the request). If it did happen, nothing is left to do. If not, "
            "start the flow again, with approval `ask`, with its value of the column *release* in the parameter "
            '*release*. "Retry" sends no unknown row.'
        )
    if plan.notes.get("remaining"):
        lines.append(f"{plan.notes['remaining']:,} more remain beyond the limit of this run.")
    lines.append(f"All rows are in the lake: `{place}`." if place else "The outcomes could not be stored in the lake.")
    if len(plan.rows) > MOST_ROWS:
        lines.append(f"The first {MOST_ROWS} are shown here.")
    return "\n\n".join(lines)


def problem_table(problems: Sequence[tuple[int, str]]) -> list[dict[str, Any]]:
    """Make the table of what is wrong with a file."""
    return [{"line": line, "problem": text} for line, text in problems[:MOST_ROWS]]


def _at(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
