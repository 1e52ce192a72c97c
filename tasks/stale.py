"""Which applications have been pending for too long: rules over what Kombo says of each, every exclusion counted.

Where Kombo does not say enough to be sure, an application is left alone.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.kombo import ids
from tasks.lake.plans import PlanRow

NOT_PENDING = "no longer pending, or with an unknown outcome"
DELETED = "deleted in the ATS"
NO_ID = "without a usable id"
OTHER_STAGE = "not in the stages asked for"
OTHER_JOB = "not for the jobs asked for"
OFFER = "with an offer that is out, approved, in draft or accepted, or whose status is unknown"
UPCOMING = "with an interview still to come, or at an unknown time"
UNKNOWN_AGE = "of unknown age"
RECENT = "with something that happened more recently"
SENT = "already sent by an earlier batch, and not yet shown by Kombo"

_OVER = ("DECLINED", "ABANDONED")


@dataclass(frozen=True, slots=True)
class Rule:
    """What makes an application stale.

    Attributes:
        now: The present, UTC, by the API's clock.
        days: From how many days on.
        stages: Ids or exact names; None for all.
        jobs: Likewise.
    """

    now: datetime
    days: int
    stages: Sequence[str] | None = None
    jobs: Sequence[str] | None = None


@dataclass(slots=True)
class Selection:
    """What was chosen, oldest first, and what was not.

    Attributes:
        chosen: Rows without their arguments.
        remaining: How many more are stale, beyond the limit.
        excluded: How many were left alone, by reason.
        unmatched: Stages and jobs asked for by which no application was found.
    """

    chosen: list[PlanRow] = field(default_factory=list)
    remaining: int = 0
    excluded: dict[str, int] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)


def select(
    applications: Iterable[Mapping[str, Any]], rule: Rule, sent: frozenset[str] | set[str], limit: int
) -> Selection:
    """Choose stale applications.

    Args:
        applications: As the API sends them.
        rule: What is stale.
        sent: Ids that a batch has sent and Kombo has not yet shown as settled.
        limit: Choose so many at most, the oldest.

    Returns:
        The selection.
    """
    counted: Counter[str] = Counter()
    stale: list[PlanRow] = []
    found: set[str] = set()
    for application in applications:
        found |= _names(application, "current_stage") | _names(application, "job")
        why = excluded(application, rule)
        if why is None and application["id"] in sent:
            why = SENT
        if why is not None:
            counted[why] += 1
        else:
            stale.append(_row(application, rule))
    stale.sort(key=lambda row: (row.idle_since, row.key))
    asked = [*(rule.stages or ()), *(rule.jobs or ())]
    return Selection(
        stale[:limit],
        max(0, len(stale) - limit),
        dict(counted.most_common()),
        [one for one in asked if one not in found],
    )


def excluded(application: Mapping[str, Any], rule: Rule) -> str | None:
    """Say why an application must not be rejected as stale; None if it may be."""
    if application.get("outcome") != "PENDING":
        return NOT_PENDING
    if application.get("remote_deleted_at") is not None:
        return DELETED
    try:
        ids.kombo_id(application.get("id"))  # type: ignore[arg-type]
    except ValueError:
        return NO_ID
    if rule.stages is not None and not _names(application, "current_stage") & set(rule.stages):
        return OTHER_STAGE
    if rule.jobs is not None and not _names(application, "job") & set(rule.jobs):
        return OTHER_JOB
    offers, interviews = application.get("offers"), application.get("interviews")
    if not _records(offers) or any(offer.get("status") not in _OVER for offer in offers or ()):
        return OFFER
    if not _records(interviews) or any(_is_ahead(interview, rule.now) for interview in interviews or ()):
        return UPCOMING
    since = idle_since(application)
    if since is None:
        return UNKNOWN_AGE
    return RECENT if rule.now - since < timedelta(days=rule.days) else None


def idle_since(application: Mapping[str, Any]) -> datetime | None:
    """The latest of creation, update in the ATS, and the end of any interview not cancelled; None if unknown."""
    created, updated = application.get("remote_created_at"), application.get("remote_updated_at")
    moments = [_time(created), _time(updated)]
    if moments == [None, None] or (created and not moments[0]) or (updated and not moments[1]):
        return None
    moments += [_end(interview) for interview in application["interviews"] if interview.get("canceled") is not True]
    return max(moment for moment in moments if moment is not None)


def seen(application: Mapping[str, Any]) -> str:
    """Write down what a decision about an application rests on; another text means that something has changed."""
    parts = ("outcome", "remote_deleted_at", "changed_at", "remote_updated_at", "current_stage_id", "job_id")
    state = {name: application.get(name) for name in parts}
    events = {name: application.get(name) for name in ("interviews", "offers")}
    for name, entries in events.items():
        kept = ("id", "status", "starting_at", "ending_at", "canceled")
        state[name] = (
            [{k: entry.get(k) for k in kept} for entry in entries]
            if isinstance(entries, list) and _records(entries)
            else None
        )
    return json.dumps(state, sort_keys=True)


def link(record: Mapping[str, Any]) -> str | None:
    """The address of an application or candidate in the ATS; None if there is none that a browser may open."""
    address = record.get("remote_url")
    return address if isinstance(address, str) and re.fullmatch(r"https?://[!-~]{1,500}", address) else None


def _row(application: Mapping[str, Any], rule: Rule) -> PlanRow:
    since = idle_since(application)
    assert since is not None  # noqa: S101 - or it would have been excluded
    return PlanRow(
        key=application["id"],
        operation="reject_application",
        arguments="",
        application_id=application["id"],
        candidate_id=_text(application.get("candidate_id")),
        job_id=_text(application.get("job_id")),
        job=_text(_nested(application, "job").get("name")),
        stage=_text(_nested(application, "current_stage").get("name")),
        idle_since=since,
        days_idle=(rule.now - since).days,
        link=link(application),
        seen=seen(application),
    )


def _names(application: Mapping[str, Any], what: str) -> set[str]:
    nested = _nested(application, what)
    return {
        name
        for name in (application.get(f"{what}_id"), nested.get("id"), nested.get("name"))
        if isinstance(name, str) and name
    }


def _nested(application: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    found = application.get(what)
    return found if isinstance(found, Mapping) else {}


def _records(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, Mapping) for entry in value)


def _is_ahead(interview: Mapping[str, Any], now: datetime) -> bool:
    if interview.get("canceled") is True:
        return False
    given = [interview.get("starting_at"), interview.get("ending_at")]
    moments = [_time(value) for value in given if value is not None]
    return not moments or any(moment is None or moment > now for moment in moments)


def _end(interview: Mapping[str, Any]) -> datetime | None:
    return max((m for m in (_time(interview.get("starting_at")), _time(interview.get("ending_at"))) if m), default=None)


def _time(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
