"""What a batch is about, as Kombo has it now: applications, candidates, stages of jobs, reasons.

Read when a batch is planned, and again right before each row is sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from tasks import stale
from tasks.credentials import KomboCredentials
from tasks.kombo.collections import Collection
from tasks.kombo.errors import NotOffered
from tasks.kombo.pages import pages
from tasks.lake.plans import PlanRow
from tasks.records import each_record

READ_AT_ONCE = 100
"""Ids in one request: more would make a URL that proxies refuse."""

REJECT, MOVE = "reject_application", "move_application_to_stage"

_DECIDES = (
    *("id", "outcome", "remote_deleted_at", "remote_created_at", "remote_updated_at", "changed_at", "remote_url"),
    *("current_stage_id", "job_id", "candidate_id", "current_stage", "job", "interviews", "offers"),
)


class NoReason(ValueError):
    """There is no such rejection reason; the message lists those that there are. Nothing was planned."""


def pending(integration: str, credentials: KomboCredentials) -> tuple[list[dict[str, Any]], datetime]:
    """Read the pending applications, or, where the ATS cannot filter, all of them.

    Args:
        integration: Integration id.
        credentials: For Kombo.

    Returns:
        Of each application what decides about it: no person, and a tenth of the memory. And the time by Kombo's own
        clock: ages must not depend on this machine's.

    Raises:
        KomboError: They could not be read.
    """
    filters = {"outcomes": ["PENDING"], "ignore_unsupported_filters": True}
    found: dict[str, dict[str, Any]] = {}
    now = None
    with (
        credentials.get_client() as client,
        closing(pages(client, "applications", integration=integration, filters=filters)) as walk,
    ):
        for page in walk:
            now = now or page.sent_at
            for record in map(json.loads, map(bytes, page.records)):
                found[str(record.get("id"))] = {name: record[name] for name in _DECIDES if name in record}
    return list(found.values()), now or datetime.now(UTC)


def current(integration: str, rows: Iterable[PlanRow], credentials: KomboCredentials) -> dict[str, Any]:
    """Read the applications and candidates of rows as they are now.

    Args:
        integration: Integration id.
        rows: Those that are about to be planned or sent.
        credentials: For Kombo.

    Returns:
        Of each what decides about it, by id; what is gone is missing.

    Raises:
        KomboError: They could not be read.
    """
    applications: set[str] = set()
    candidates: set[str] = set()
    for row in rows:
        if row.application_id:
            applications.add(row.application_id)
        elif row.candidate_id:
            candidates.add(row.candidate_id)
    return {
        **_by_id("applications", applications, integration, credentials),
        **_by_id("candidates", candidates, integration, credentials),
    }


def outdated(row: PlanRow, records: Mapping[str, Any]) -> str | None:
    """Say why a row must not be sent any more, given what Kombo says now; None if it may be.

    A note, a tag, a link or a file may be added to whatever is still there. A rejection or a move was decided on what
    the application was like.
    """
    subject = row.application_id or row.candidate_id
    if subject is None:
        return None
    record = records.get(subject)
    if record is None:
        return "gone: Kombo does not have it any more"
    if row.operation == REJECT and record.get("outcome") != "PENDING":
        return "no longer pending"
    if row.operation == MOVE and row.seen and _stage(json.loads(row.seen)) != _stage(record):
        return "changed since the plan: its outcome, stage or job"
    if row.operation == REJECT and row.seen != stale.seen(record):
        return "changed since the plan"
    return None


def stages(job_ids: Iterable[str], integration: str, credentials: KomboCredentials) -> dict[str, set[str]]:
    """Read the ids of the stages of jobs, by job; what is gone is missing.

    Raises:
        KomboError: They could not be read.
    """
    found = _by_id("jobs", job_ids, integration, credentials)
    return {
        key: {stage["id"] for stage in job.get("stages") or () if isinstance(stage.get("id"), str)}
        for key, job in found.items()
    }


def reasons(integration: str, credentials: KomboCredentials) -> list[dict[str, Any]]:
    """Read the rejection reasons that may be used.

    Raises:
        NoReason: There are none.
        KomboError: They could not be read.
    """
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


def reason(wanted: str, usable: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Find the rejection reason that somebody means.

    Args:
        wanted: Its Kombo id or its exact name.
        usable: From `reasons`.

    Raises:
        NoReason: It is none of them, or the name is not one's alone.
    """
    found = [one for one in usable if one["id"] == wanted] or [one for one in usable if one.get("name") == wanted]
    if len(found) == 1:
        return found[0]
    choices = "; ".join(sorted(f"{one.get('name')} ({one['id']})" for one in found or usable))
    if found:
        raise NoReason(f"{len(found)} rejection reasons have that name; give the id of one: {choices}")
    raise NoReason(f"there is no such rejection reason (or it was deleted). There are: {choices}")


def _by_id(
    collection: Collection, ids: Iterable[str], integration: str, credentials: KomboCredentials
) -> dict[str, dict[str, Any]]:
    wanted = sorted(ids)
    found: dict[str, dict[str, Any]] = {}
    needed = (*_DECIDES, "stages")
    for start in range(0, len(wanted), READ_AT_ONCE):
        filters = {"ids": wanted[start : start + READ_AT_ONCE]}
        for record in each_record(collection, integration=integration, filters=filters, credentials=credentials):
            if record.get("remote_deleted_at") is None and isinstance(record.get("id"), str):
                found[record["id"]] = {name: record[name] for name in needed if name in record}
    return found


def _stage(state: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(state.get(name) for name in ("outcome", "current_stage_id", "job_id"))
