"""What an export run did, as data, as Markdown and as JSON. Ids and counts only."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tasks.kombo.errors import KomboError
from tasks.lake.errors import LakeError

Status = Literal["exported", "committed", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class CollectionReport:
    """What an export did with one collection of one integration.

    Attributes:
        integration: Integration id.
        collection: Such as `applications`.
        status: `exported`; `committed` (by an earlier attempt of the same run); `skipped`; `failed`.
        mode: `full` or `incremental`; None if nothing was fetched.
        rows: Rows in `current` afterwards.
        received: Rows fetched, each id once.
        inserted: Ids that are new.
        updated: Ids whose content differs.
        deleted: Ids that a full fetch no longer returned.
        tombstoned: Live rows that became tombstones.
        bytes: Size of `current`.
        pages: Pages fetched.
        started_at: When the work on it began, UTC.
        ended_at: When its last object was in place, UTC.
        watermark: Where the next incremental fetch starts from, UTC.
        unknown_keys: How many records had a key that the schema does not know, by key; kept in `_extra`.
        misfits: How many values did not fit their column's type, by column; kept in `_extra`.
        warnings: What somebody should look at.
        reason: Why it was skipped or failed.
    """

    integration: str
    collection: str
    status: Status
    mode: str | None = None
    rows: int = 0
    received: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    tombstoned: int = 0
    bytes: int = 0
    pages: int = 0
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    watermark: dt.datetime | None = None
    unknown_keys: dict[str, int] = field(default_factory=dict)
    misfits: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    reason: str | None = None

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.ended_at - self.started_at).total_seconds() if self.started_at and self.ended_at else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it with instants as text."""
        return {k: v.isoformat() if isinstance(v, dt.datetime) else v for k, v in asdict(self).items()}


MOST_ROWS = 500
"""Of each part of a report: a larger artifact is slow to show, and Prefect drops its event. The lake has all of it."""

MOST_NAMED = 20
"""Collections in a sentence, which becomes the message of the run's state."""

_HEAD = ("collection", "mode", "rows", "new", "changed", "deleted", "tombstones", "received", "seconds", "rows/s", "MB")


class WrongClock(Exception):
    """This machine's clock is far from the API's; the message says how far."""


class ExportFailed(Exception):
    """At least one collection of a run was not exported; the message names them."""


def failure(integration: str, collection: str, error: object) -> CollectionReport:
    """Report a collection that failed.

    Args:
        integration: Integration id.
        collection: Such as `applications`.
        error: What its task ended with. The text of an error that is not ours is left out: it may quote data.
    """
    known = isinstance(error, KomboError | LakeError | WrongClock)
    reason = f"{type(error).__name__}: {error}" if known else f"{type(error).__name__}: see the task run's log"
    return CollectionReport(integration, collection, "failed", reason=reason)


def sentence(reports: Sequence[CollectionReport]) -> str:
    """Say in one line how a run ended, naming what failed.

    Args:
        reports: All of the run.
    """
    failed = [f"{r.collection} of {r.integration}" for r in reports if r.status == "failed"]
    skipped = sum(r.status == "skipped" for r in reports)
    rows, changed = sum(r.rows for r in reports), sum(r.inserted + r.updated + r.deleted for r in reports)
    done = len(reports) - len(failed) - skipped
    parts = [f"{done} of {len(reports)} collections are in the lake: {rows:,} rows, {changed:,} of them new or changed"]
    parts += [f"{skipped} skipped"] if skipped else []
    more = f" and {len(failed) - MOST_NAMED:,} more" if len(failed) > MOST_NAMED else ""
    parts += [f"{len(failed)} failed: {', '.join(failed[:MOST_NAMED])}{more}"] if failed else []
    return "; ".join(parts)


def markdown(reports: Sequence[CollectionReport], warnings: Sequence[str]) -> str:
    """Return the run's report as an operator reads it: failures first, a table for each integration, warnings.

    Args:
        reports: All of the run.
        warnings: Those that concern the run as a whole.
    """
    lines = []
    for title, status in (("Failed", "failed"), ("Skipped", "skipped")):
        if chosen := [r for r in reports if r.status == status]:
            named = _most([f"`{r.collection}` of `{r.integration}`: {r.reason}" for r in chosen])
            lines += [f"### {title}", "", *(f"- {text}" for text in named), ""]
    done = [r for r in reports if r.status in ("exported", "committed")]
    for integration in dict.fromkeys(r.integration for r in done[:MOST_ROWS]):
        lines += [f"### `{integration}`", "", f"| {' | '.join(_HEAD)} |", f"|---|---|{'--:|' * (len(_HEAD) - 2)}"]
        lines += [*(_line(r) for r in done[:MOST_ROWS] if r.integration == integration), ""]
    lines += [f"{_more(len(done))}.", ""] if len(done) > MOST_ROWS else []
    noted = [*warnings]
    noted += _most([f"`{r.collection}` of `{r.integration}`: {text}" for r in reports for text in r.warnings])
    noted += [*_odd("unknown keys", [(r.collection, r.unknown_keys) for r in reports])]
    noted += [*_odd("values of another type", [(r.collection, r.misfits) for r in reports])]
    if noted:
        lines += ["### Look at", "", *(f"- {text}" for text in noted)]
    return "\n".join(lines)


def _most(texts: list[str]) -> list[str]:
    return [*texts[:MOST_ROWS], _more(len(texts))] if len(texts) > MOST_ROWS else texts


def _more(count: int) -> str:
    return f"{count - MOST_ROWS:,} more are in the file of this run in the lake's `runs/`"


def _line(r: CollectionReport) -> str:
    rate = f"{r.received / r.seconds:,.0f}" if r.seconds and r.received else ""
    mode = r.mode if r.status == "exported" else "done before"
    return (
        f"| {r.collection} | {mode} | {r.rows:,} | {r.inserted:,} | {r.updated:,} | {r.deleted:,} | {r.tombstoned:,} "
        f"| {r.received:,} | {r.seconds:.1f} | {rate} | {r.bytes / 1e6:.1f} |"
    )


def _odd(what: str, found: Iterable[tuple[str, Mapping[str, int]]]) -> Iterator[str]:
    """Say what did not fit the schema, by collection; key names are the API's, values are not shown."""
    counts: dict[str, Counter[str]] = {}
    for collection, keys in found:
        counts.setdefault(collection, Counter()).update(keys)
    for collection, keys_of in counts.items():
        if keys_of:
            shown = ", ".join(f"`{key}` ({count:,})" for key, count in keys_of.most_common(20))
            yield f"`{collection}`: {what}, kept in `_extra`: {shown}"
