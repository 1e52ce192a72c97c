"""Claims and outcomes of batch writes: small objects whose names say what happened, so that one listing tells it all.

::

    <folder>/<key>.<attempt>.claimed     created exclusively before the request; whoever creates it may send, once
    <folder>/<key>.<attempt>.<mark>      created by the same process after the request: one of `AFTER`
    <folder>/<key>.<attempt>.settled     the ATS's data shows that the rejection has arrived, or was overtaken
    <folder>/<key>.<attempt>.released    an operator says that it did not happen and may be sent again

Nothing is ever replaced or deleted, so two processes cannot undo each other's marks. A claim without one of `AFTER` is
of unknown outcome. A further attempt is possible only once the one before is over, and again takes an exclusive create.
"""

import datetime as dt
import json
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.lake.errors import LakeError, LakeRefused, LakeUnavailable, Moved
from tasks.lake.paths import slug
from tasks.lake.store import Store, check, put_bytes, read_bytes

After = Literal["done", "refused", "unknown", "unsent"]
"""How a request ended: `refused` for good; `unsent`: it certainly did not run, for a reason that is not the row's."""

Kind = Literal["done", "refused", "skipped", "unknown"]

AFTER: tuple[After, ...] = ("done", "refused", "unknown", "unsent")
OVER = frozenset({"refused", "unsent", "settled", "released"})
"""Marks after which another attempt may be made, by the same plan or another; `Claims.standing` says by whom."""

_NAME = re.compile(r"([^.]+)\.(\d+)\.([a-z]+)")
_READERS = 16
_PAUSES = (0.5, 2.0, 5.0)  # seconds before trying a store again that did not answer

Marks = dict[int, set[str]]
"""Attempt → marks."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row.

    Attributes:
        key: The row's key.
        kind: `done`; `refused`: it certainly did not happen; `skipped`: not sent, see `why`; `unknown`: it was claimed,
            and sent or about to be, and may have happened.
        code: Kombo's code, or the error's kind, where refused or unknown.
        why: In our own words, without personal data.
        run_id: The run that sent it.
        sent_at: When it was claimed, UTC.
        ended_at: When the answer came, UTC.
        log_url: The page of Kombo's dashboard that shows the request.
        warnings: What Kombo said went only partly right; may hold personal data.
        created: Ids of what was created.
        unrecorded: The outcome is known to this process, and the lake did not take it.
    """

    key: str
    kind: Kind
    code: str | None = None
    why: str | None = None
    run_id: str | None = None
    sent_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    log_url: str | None = None
    warnings: list[str] = field(default_factory=list)
    created: dict[str, str] = field(default_factory=dict)
    unrecorded: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a plan may claim a key, and what it already knows about it.

    Attributes:
        attempt: The number of the next attempt; 0 if there must not be one.
        outcome: What became of the plan's own attempt, or why there must not be one.
        pending: The own attempt has no outcome yet: in flight in another process, or that process was killed.
        worker: Which process claimed it, where pending.
    """

    attempt: int
    outcome: Outcome | None = None
    pending: bool = False
    worker: str | None = None


def batch_folder(plan_id: str) -> str:
    """Where a plan's own claims are."""
    return f"batches/{plan_id}/claims"


def rejections_folder(integration_id: str) -> str:
    """Where an integration's rejections are claimed, by all plans together: the keys are application ids."""
    return f"batches/rejections/{slug(integration_id)}"


def check_exclusive(store: Store) -> None:
    """Refuse a store where two processes could claim the same row.

    Raises:
        LakeRefused: It has no exclusive create, or is gone with this process.
        LakeError: It does not work.
    """
    if store.url.startswith("memory:"):
        raise LakeRefused(
            "a lake in memory is gone with this process, and with it what was sent: the next run would send it again; "
            "batch writes need a folder, or an S3 store; nothing was sent"
        )
    check(store)
    if not store.conditional:
        raise LakeRefused(
            "this lake's store has no exclusive create (a put that fails if the object is there), so two runs could "
            "send the same row; batch writes need a folder, or an S3 store that honours If-None-Match; nothing was sent"
        )


class Claims:
    """The claims of one folder.

    Args:
        store: The lake.
        folder: From `batch_folder` or `rejections_folder`.
        plan_id: Who claims.
        run_id: The flow run.
    """

    def __init__(self, store: Store, folder: str, plan_id: str, run_id: str) -> None:
        self.store = store
        self.folder = folder
        self.plan_id = plan_id
        self.run_id = run_id
        self.worker = uuid.uuid4().hex

    def marks(self) -> dict[str, Marks]:
        """List everything that was ever claimed here."""
        found: dict[str, Marks] = {}
        for name in self.store.names(self.folder):
            if parts := _NAME.fullmatch(name):
                found.setdefault(parts[1], {}).setdefault(int(parts[2]), set()).add(parts[3])
        return found

    def open(self) -> set[str]:
        """The keys that were sent, or may have been, and are not over: they must not be planned again."""
        return {key for key, marks in self.marks().items() if not marks[max(marks)] & OVER}

    def standings(self, keys: Iterable[str]) -> dict[str, Standing]:
        """Say for each key that was ever claimed whether this plan may claim it; the others are left out."""
        listed = self.marks()
        wanted = [key for key in keys if key in listed]
        with ThreadPoolExecutor(_READERS) as pool:
            return dict(zip(wanted, pool.map(lambda key: self.standing(key, listed[key]), wanted), strict=True))

    def standing(self, key: str, marks: Marks) -> Standing:
        """Say whether this plan may claim a key that has these marks."""
        claimer: dict[str, Any] = {}
        for attempt in sorted(marks, reverse=True):
            claimer = self._read(key, attempt, "claimed")
            if claimer.get("plan_id") == self.plan_id and not marks[attempt] & {"unsent", "released"}:
                return self._own(key, attempt, marks[attempt], claimer)
        last = max(marks, default=0)
        if last and not marks[last] & OVER:
            claimer = self._read(key, last, "claimed")
            what = "done" if "done" in marks[last] else "of unknown outcome"
            why = f"another plan sent it ({claimer.get('plan_id')}, {str(claimer.get('claimed_at'))[:16]}): {what}"
            return Standing(0, Outcome(key, "skipped", why=why))
        return Standing(last + 1)

    def _own(self, key: str, attempt: int, marks: set[str], claimer: Mapping[str, Any]) -> Standing:
        for mark in AFTER:
            if mark in marks:
                return Standing(0, _restored(key, self._read(key, attempt, mark)))
        outcome = Outcome(
            key,
            "unknown",
            why="claimed, and no outcome recorded: the run that claimed it was interrupted, or is still at it",
            run_id=claimer.get("run_id"),
            sent_at=_instant(claimer.get("claimed_at")),
        )
        return Standing(0, outcome, pending=True, worker=claimer.get("worker"))

    def claim(self, key: str, attempt: int) -> bool:
        """Claim a row; whoever gets True, and only it, may send the row, once.

        Raises:
            LakeError: The store did not say: the row must not be sent.
        """
        content = {
            "plan_id": self.plan_id,
            "run_id": self.run_id,
            "worker": self.worker,
            "token": uuid.uuid4().hex,
            "claimed_at": dt.datetime.now(dt.UTC).isoformat(),
        }
        for pause in (*_PAUSES, None):
            try:
                self._create(key, attempt, "claimed", content)
            except Moved:
                # Ours, if the store's answer to an earlier try was lost on the way.
                found = self._read(key, attempt, "claimed")
                if found or pause is None:
                    return found.get("token") == content["token"]
                time.sleep(pause)  # S3 may call it a conflict and have taken nobody's
            except LakeUnavailable:
                if pause is None:
                    raise
                time.sleep(pause)
            else:
                return True
        raise AssertionError

    def record(self, attempt: int, mark: After, outcome: Outcome) -> bool:
        """Write what became of a claimed row; False if the lake did not take it, which leaves the row unknown."""
        content = {
            **{name: getattr(outcome, name) for name in ("kind", "code", "why", "log_url", "warnings", "created")},
            "run_id": self.run_id,
            "sent_at": outcome.sent_at.isoformat() if outcome.sent_at else None,
            "ended_at": outcome.ended_at.isoformat() if outcome.ended_at else None,
        }
        for pause in (*_PAUSES, None):
            try:
                self._create(outcome.key, attempt, mark, content)
            except LakeError as error:
                with suppress(LakeError):
                    if isinstance(error, Moved) and self._read(outcome.key, attempt, mark):
                        return True  # by us: nobody else writes after our claim
                if pause is None:
                    return False
                time.sleep(pause)
            else:
                return True
        raise AssertionError

    def close(self, keys: Iterable[str], mark: Literal["settled", "released"]) -> list[str]:
        """Mark the open attempts of keys as over; returns those that had one, or that this run has closed before."""
        listed = self.marks()
        closed = []
        for key in keys:
            marks = listed.get(key, {})
            last = max(marks, default=0)
            if last and not marks[last] & OVER:
                content = {"run_id": self.run_id, "at": dt.datetime.now(dt.UTC).isoformat()}
                with suppress(Moved):  # somebody else marked it
                    self._create(key, last, mark, content)
                closed.append(key)
            elif last and mark in marks[last] and self._read(key, last, mark).get("run_id") == self.run_id:
                closed.append(key)  # by an earlier try of the same step
        return closed

    def _create(self, key: str, attempt: int, mark: str, content: Mapping[str, Any]) -> None:
        put_bytes(self.store, f"{self.folder}/{key}.{attempt}.{mark}", json.dumps(content).encode(), expect=None)

    def _read(self, key: str, attempt: int, mark: str) -> dict[str, Any]:
        content = read_bytes(self.store, f"{self.folder}/{key}.{attempt}.{mark}")
        found: dict[str, Any] = json.loads(content) if content else {}
        return found


def in_turns(seconds: float, step: float = 0.5) -> Iterator[None]:
    """Yield now and then again until so many seconds have passed, at least once."""
    end = time.monotonic() + seconds
    yield
    while time.monotonic() < end:
        time.sleep(step)
        yield


def _restored(key: str, content: Mapping[str, Any]) -> Outcome:
    known = {name: value for name, value in content.items() if name in Outcome.__dataclass_fields__}
    instants = {name: _instant(known.get(name)) for name in ("sent_at", "ended_at")}
    # An object that cannot be read whole must not look like a success.
    return Outcome(**{"kind": "unknown", **known, **instants, "key": key})


def _instant(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
