"""Carry out the rows of a plan: read again, claim, send, record; each row at most once, whatever crashes.

The order is the safety: a row is claimed in the lake, then sent, then its outcome recorded. A process that is killed in
between leaves a claim without an outcome, which counts as unknown and is never sent again by us. A request that
certainly did not run for a reason that is not the row's (no access, no connection, limits) is `unsent`: reported as
refused, and free to be sent by the next run of the plan.

The lake must not slow the requests down: while `CONCURRENCY` rows are in flight, the next `AHEAD` are being claimed and
the last `BEHIND` recorded. So a killed process leaves at most the sum of the three unknown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.credentials import KomboCredentials
from tasks.kombo.errors import KomboError
from tasks.lake.claims import Claims, Outcome, Standing, in_turns
from tasks.lake.errors import LakeError
from tasks.lake.plans import Plan, PlanRow
from tasks.lake.store import Store
from tasks.sending import Sender, send
from tasks.standings import claimed, claims_of
from tasks.subjects import READ_AT_ONCE, current, outdated

CONCURRENCY = 5
"""Requests in flight on one integration; Kombo allows 30 to all its clients together, and fewer for fragile ATSs."""

AHEAD, BEHIND = 3, 3
"""Rows whose claims, and whose outcomes, are on their way to the lake meanwhile; enough for one that takes 60 ms."""

MOST_REFUSALS = 5
"""After so many rows in a row that were not done, the batch stops: the reason is unlikely to be the rows'."""

GRACE = 20.0
"""Seconds to wait at the end for rows that another run has just claimed."""

READ_AGAIN = 60.0
"""Seconds after which a row that still waits for its turn is read once more."""

FRESH = timedelta(minutes=15)
"""A claim older than that is not in flight any more."""


_Seen = tuple[float, Mapping[str, Any]]  # when it was read, and the records by id


@dataclass(slots=True)
class Course:
    """How a batch is going; handed on from one chunk to the next.

    Attributes:
        tried: Whether a row was sent; the first one goes alone, so that what is not allowed stops at one.
        refusals: How many rows in a row were not done.
        stopped: Why no more rows are sent; None while they are.
    """

    tried: bool = False
    refusals: int = 0
    stopped: str | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a chunk's rows, and how the batch is going."""

    outcomes: dict[str, Outcome]
    course: Course


def apply_rows(
    plan: Plan,
    rows: Sequence[PlanRow],
    *,
    store: Store,
    run_id: str,
    credentials: KomboCredentials,
    course: Course | None = None,
    standings: Mapping[str, Standing] | None = None,
    suspended: threading.Event | None = None,
    grace: float | None = None,
) -> Applied:
    """Carry out some rows of a plan.

    Args:
        plan: The plan.
        rows: Those to carry out now.
        store: The lake.
        run_id: The flow run.
        credentials: For Kombo.
        course: How the batch has gone so far.
        standings: What the lake said of rows that were claimed before; None to ask it. It may be old: a claim that it
            does not know is met when the row is claimed.
        suspended: Set by whoever notices that no more rows shall be sent for now.
        grace: Seconds to wait at the end for rows that another run has just claimed; None for `GRACE`.

    Returns:
        The outcome of every row that has one. Rows that were not reached have none.

    Raises:
        LakeError: The claims cannot be read; nothing was sent.
    """
    if standings is None:
        standings = claimed(plan, rows, store, run_id)
    application = _Application(
        plan,
        store,
        run_id,
        credentials,
        course or Course(),
        suspended or threading.Event(),
        GRACE if grace is None else grace,
    )
    return application.run(rows, standings)


class _Application:
    def __init__(
        self,
        plan: Plan,
        store: Store,
        run_id: str,
        credentials: KomboCredentials,
        course: Course,
        suspended: threading.Event,
        grace: float,
    ) -> None:
        self._plan = plan
        self._store = store
        self._run_id = run_id
        self._credentials = credentials
        self._sender = Sender(api_key=credentials.api_key, base_url=credentials.base_url)
        self._course = replace(course)
        self._suspended = suspended
        self._grace = grace
        self._lock = threading.Lock()
        self._claiming = threading.Semaphore(CONCURRENCY + AHEAD)  # claimed and not answered
        self._sending = threading.Semaphore(CONCURRENCY)
        self._outcomes: dict[str, Outcome] = {}
        self._elsewhere: list[PlanRow] = []  # claimed by another process while we were at it
        self._attempts: dict[str, int] = {}

    def run(self, rows: Sequence[PlanRow], standings: Mapping[str, Standing]) -> Applied:
        operations = {row.operation for row in rows}
        self._claims = {name: claims_of(self._plan, name, self._store, self._run_id) for name in operations}
        subjects: dict[str, list[PlanRow]] = {}  # of one application or candidate, one after the other, in plan order
        for row in rows:
            standing = standings.get(row.key) or Standing(1)
            if standing.outcome:
                self._outcomes[row.key] = standing.outcome
            if standing.pending:
                self._elsewhere.append(row)
            if standing.attempt:
                self._attempts[row.key] = standing.attempt
                subjects.setdefault(row.application_id or row.candidate_id or row.key, []).append(row)
        try:
            self._send_all(list(subjects.values()))
        finally:
            self._sender.close()
        self._await_elsewhere()
        return Applied(self._outcomes, self._course)

    def _send_all(self, subjects: list[list[PlanRow]]) -> None:
        threads = CONCURRENCY + AHEAD + BEHIND
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(threads) as pool:
            under_way: set[Future[None]] = set()
            try:
                for subject, seen in self._read_ahead(reader, subjects):
                    while len(under_way) >= threads:
                        under_way = self._settled(under_way)
                    if self._course.stopped:
                        break
                    under_way.add(pool.submit(copy_context().run, self._send_subject, subject, seen))
                    while under_way and not self._course.tried:
                        under_way = self._settled(under_way)  # the first request of a batch goes alone
                while under_way:
                    under_way = self._settled(under_way)
            except BaseException:
                # Cancelled, or something unforeseen: claim no more, and let those in flight end and be recorded.
                self._stop("the run was interrupted")
                self._sender.halt()
                wait(under_way)
                raise

    @staticmethod
    def _settled(under_way: set[Future[None]]) -> set[Future[None]]:
        done, rest = wait(under_way, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
        return rest

    def _read_ahead(
        self, reader: ThreadPoolExecutor, subjects: list[list[PlanRow]]
    ) -> Iterator[tuple[list[PlanRow], _Seen]]:
        """Yield each subject with what Kombo says now, read a hundred at a time, the next while one is being sent."""
        windows = [subjects[start : start + READ_AT_ONCE] for start in range(0, len(subjects), READ_AT_ONCE)]
        coming = reader.submit(copy_context().run, self._read, windows[0]) if windows else None
        for number, window in enumerate(windows, 1):
            assert coming is not None  # noqa: S101 - there is one for each window
            try:
                seen = coming.result()
            except KomboError as error:
                self._stop(f"the rows could not be read again before sending: {error}")
                return
            if number < len(windows):
                coming = reader.submit(copy_context().run, self._read, windows[number])
            for subject in window:
                yield subject, seen

    def _read(self, window: list[list[PlanRow]]) -> _Seen:
        rows = [row for subject in window for row in subject]
        began = time.monotonic()
        return began, current(self._plan.integration, rows, self._credentials)

    def _send_subject(self, subject: list[PlanRow], seen: _Seen) -> None:
        for row in subject:
            if self._course.stopped:
                return
            if time.monotonic() - seen[0] > READ_AGAIN:
                try:
                    seen = self._read([subject])
                except KomboError as error:
                    self._stop(f"a row could not be read again before sending: {error}")
                    return
            if why := outdated(row, seen[1]):
                self._outcomes[row.key] = Outcome(row.key, "skipped", why=why)
                continue
            self._send_one(row)

    def _send_one(self, row: PlanRow) -> None:
        claims, attempt = self._claims[row.operation], self._attempts[row.key]
        with self._claiming:
            if self._is_over() or not self._claim(claims, row, attempt):
                return
            with self._sending:
                sent = None if self._is_over() else send(row, self._plan.integration, self._run_id, self._sender)
                if sent:
                    self._count(sent.mark == "done")
                    if sent.fatal:
                        self._stop(sent.fatal)
        if sent is None:  # claimed a moment too late: nobody has sent it, and the next run may
            claims.record(attempt, "unsent", Outcome(row.key, "refused", why="the batch stopped before it"))
            return
        outcome = sent.outcome
        if not claims.record(attempt, sent.mark, outcome):
            outcome = replace(outcome, unrecorded=True)
            self._stop("an outcome could not be recorded: the lake does not answer")
        with self._lock:
            self._outcomes[row.key] = outcome
            self._course.tried = True

    def _is_over(self) -> bool:
        if datetime.now(UTC) > self._plan.expires_at:
            self._stop("the plan has expired; plan again")
        if self._suspended.is_set():
            self._stop("the run was suspended")
        return self._course.stopped is not None

    def _claim(self, claims: Claims, row: PlanRow, attempt: int) -> bool:
        try:
            won = claims.claim(row.key, attempt)
        except LakeError as error:
            self._stop(f"a row could not be claimed: {error}")
            return False
        if not won:
            with self._lock:
                self._elsewhere.append(row)
        return won

    def _count(self, done: bool) -> None:
        with self._lock:
            self._course.refusals = 0 if done else self._course.refusals + 1
            refusals = self._course.refusals
        if refusals >= MOST_REFUSALS:
            self._stop(f"{refusals} rows in a row were not done")

    def _stop(self, why: str) -> None:
        with self._lock:
            self._course.stopped = self._course.stopped or why

    def _await_elsewhere(self) -> None:
        """Take over what became of rows that another process has claimed, giving it a moment to finish."""
        fresh = datetime.now(UTC) - FRESH
        for _ in in_turns(self._grace):
            if not self._elsewhere:
                return
            found = claimed(self._plan, self._elsewhere, self._store, self._run_id)
            self._outcomes |= {key: standing.outcome for key, standing in found.items() if standing.outcome}
            self._elsewhere = [row for row in self._elsewhere if self._in_flight(found.get(row.key), fresh)]

    def _in_flight(self, standing: Standing | None, fresh: datetime) -> bool:
        outcome = standing.outcome if standing and standing.pending else None
        # An earlier process of the same run is no more: Prefect starts the next one after it.
        return (
            outcome is not None
            and outcome.run_id != self._run_id
            and outcome.sent_at is not None
            and outcome.sent_at > fresh
        )
