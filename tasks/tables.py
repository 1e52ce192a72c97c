"""What of an operation's answer may be shown in Prefect, whose artifacts many people can read.

Only columns named here are shown: ids, dates, statuses and the names of things, never of people; nothing free-form, no
link, no file name. A column that is not named stays out, whatever the API adds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from prefect.artifacts import create_table_artifact
from pydantic import Field

from tasks.kombo.errors import KomboError, OutcomeUnknown
from tasks.lake.errors import LakeError
from tasks.logs import run_log
from tasks.operations import Operation

_DATES = ("remote_created_at", "remote_updated_at", "changed_at", "remote_deleted_at")

COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "get_applications": (
            *("id", "outcome", "rejected_at", "rejection_reason_name", "current_stage_id", "job_id", "candidate_id"),
            *_DATES,
        ),
        "get_candidates": ("id", "confidential", *_DATES),
        "get_jobs": (
            *("id", "name", "job_code", "status", "visibility", "employment_type", "department", "remote_work_status"),
            *("opened_at", "closed_at", *_DATES),
        ),
        "get_application_stages": ("id", "name", "status", "changed_at", "remote_deleted_at"),
        "get_tags": ("id", "name", "changed_at", "remote_deleted_at"),
        "get_users": ("id", "status", "changed_at", "remote_deleted_at"),
        "get_roles": ("id", "remote_label", "scope", "unified_type", "changed_at", "remote_deleted_at"),
        "get_offers": ("id", "status", "employment_start_date", "application_id", *_DATES),
        "get_rejection_reasons": ("id", "name", "changed_at", "remote_deleted_at"),
        "get_interviews": ("id", "starting_at", "ending_at", "canceled", "application_id", "stage_id", *_DATES),
        "get_application_attachments": ("id", "type", "content_type", "remote_created_at", "remote_updated_at"),
        "get_candidate_attachments": (
            *("id", "application_id", "candidate_id", "type", "content_type"),
            *("remote_created_at", "remote_updated_at"),
        ),
    }
)

_LIMITS = ("type", "is_supported", "min_amount", "max_amount", "max_file_size_bytes", "accepted_mime_types")
_LONGEST = 200  # characters of a cell
_KOMBO_ID = re.compile(r"[1-9A-HJ-NP-Za-km-z]{24}")

RowLimit = Annotated[int, Field(ge=1, le=500)]
"""Rows of a table: more than 500 are a burden on Prefect's API."""


def rows(operation: Operation, answer: Any, limit: int) -> list[dict[str, Any]]:
    """Make the table of a reading operation's answer.

    Args:
        operation: The operation.
        answer: What its task returned: a list of records, or an action's limits.
        limit: Rows at most.

    Returns:
        Rows, each with the same columns.
    """
    if operation.name not in COLUMNS:
        return _action_rows(answer)
    return [{name: _cell(record.get(name)) for name in COLUMNS[operation.name]} for record in answer[:limit]]


def _action_rows(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    restrictions = answer.get("attachment_restrictions") or {}
    total = restrictions.get("total_size_bytes")
    found = [
        {**{name: _cell((rule or {}).get(name)) for name in _LIMITS}, "type": kind, "total_size_bytes": total}
        for kind, rule in (restrictions.get("types") or {}).items()
    ]
    return found or [dict.fromkeys((*_LIMITS, "total_size_bytes"))]


def done(operation: Operation, integration: str, arguments: Mapping[str, Any], answer: Any) -> dict[str, Any]:
    """Make the row of a write that succeeded: what was done to whom, and how many warnings came back."""
    created = answer["data"] if isinstance(answer, dict) else {}
    warnings = answer["warnings"] if isinstance(answer, dict) else answer
    return {
        "operation": operation.name,
        "integration": integration,
        **_ids(arguments),
        **{f"created_{name}": created[name] for name in ("id", "imported_id") if isinstance(created.get(name), str)},
        "outcome": "done",
        "warnings": len(warnings),
    }


def failed(
    operation: Operation, integration: str, arguments: Mapping[str, Any], error: BaseException
) -> dict[str, Any]:
    """Make the row of a write that did not succeed: `unknown` if it may have happened all the same, else `not done`.

    Only what the operations themselves raise says that nothing happened. Anything else may have gone wrong around a
    request that was carried out, in Prefect for instance.
    """
    refused = isinstance(error, KomboError | LakeError) and not isinstance(error, OutcomeUnknown)
    not_sent = type(error) in (ValueError, TypeError)
    told = str(error) if isinstance(error, KomboError) else ""  # these alone are known to be free of people's data
    return {
        "operation": operation.name,
        "integration": integration,
        **_ids(arguments),
        "outcome": "not done" if refused or not_sent else "unknown",
        "error": f"{type(error).__name__}: {told}" if told else type(error).__name__,
        **({"sent_at": f"{error.sent_at:%Y-%m-%dT%H:%M:%SZ}"} if isinstance(error, OutcomeUnknown) else {}),
    }


def sentence(row: Mapping[str, Any]) -> str:
    """Say what became of a write, above its table; `row` is what `done` or `failed` made."""
    if row["outcome"] == "done":
        return f"{row['operation']} was carried out."
    if row["outcome"] == "not done":
        return f"{row['operation']} was not carried out."
    return f"{row['operation']} may have been carried out or not: look in the ATS before doing it again."


def caption(
    operation: Operation, integration: str, arguments: Mapping[str, Any], answer: Any, shown: list[dict[str, Any]]
) -> str:
    """Say above a reading operation's table whether it shows everything, and whether Kombo warned.

    Args:
        operation: The operation.
        integration: Integration id.
        arguments: What it was called with.
        answer: What its task returned.
        shown: The table.

    Returns:
        A sentence or two, without anything about people.
    """
    text = f"{operation.name} of {integration}: {len(shown)} rows."
    if isinstance(answer, list) and (len(shown) < len(answer) or len(answer) == arguments.get("limit")):
        text = f"{operation.name} of {integration}: the first {len(shown)} rows; there may be more."
    warnings = len(getattr(answer, "warnings", ()))
    return f"{text} Warnings from Kombo: {warnings}." if warnings else text


def publish(row: Mapping[str, Any], key: str, description: str) -> None:
    """Keep what became of a write as an artifact, without ever hiding what became of it.

    A write that was done must not look failed, and one whose outcome is unknown must not end in another error, only
    because Prefect did not take the table; it is then in the log alone.

    Args:
        row: What `done` or `failed` made.
        key: Of the artifact.
        description: Above the table.
    """
    log = run_log(__name__)
    log.info("%s", dict(row))
    try:
        create_table_artifact([dict(row)], key=key, description=description)
    except Exception as error:
        log.warning("The artifact could not be stored (%s); the outcome is in the line above", type(error).__name__)


def _ids(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Take the ids out of the arguments; what is no Kombo id may be anything that was put in its place."""
    return {
        name: value
        for name, value in arguments.items()
        if name.endswith("_id") and isinstance(value, str) and _KOMBO_ID.fullmatch(value)
    }


def _cell(value: Any) -> Any:
    """Show scalars, and lists of texts; anything else is not what the column is for."""
    if isinstance(value, list):
        return ", ".join(item for item in value if isinstance(item, str))[:_LONGEST]
    if isinstance(value, str):
        return value[:_LONGEST]
    return value if value is None or isinstance(value, bool | int | float) else None
