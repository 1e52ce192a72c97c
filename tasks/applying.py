"""Carry out the rows of a plan: read again, claim, send, record; each row at most once, whatever crashes.

The order is the safety: a row is claimed in the lake, then sent, then its outcome recorded. A process that is killed in
between leaves a claim without an outcome, which counts as unknown and is never sent again by us. A request that
certainly did not run for a reason that is not the row's (no access, no connection, limits) is `unsent`: reported as
refused, and free to be sent by the next run of the plan.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import PrivateAttr

from tasks import stale
from tasks.credentials import KomboCredentials
from tasks.kombo.client import Client
from tasks.kombo.clock import Clock
from tasks.kombo.errors import (
    AccessDenied,
    InvalidRequest,
    KomboError,
    NotOffered,
    OutcomeUnknown,
    RequestRefused,
    SetupPending,
)
from tasks.kombo.exchange import Stopped
from tasks.lake.claims import After, Claims, Outcome, Standing, batch_folder, in_turns, rejections_folder
from tasks.lake.errors import LakeError
from tasks.lake.plans import Plan, PlanRow
from tasks.lake.store import Store
from tasks.operations import OPERATIONS
from tasks.records import each_record

CONCURRENCY = 5
"""Requests in flight on one integration; Kombo allows 30 to all its clients together, and fewer for fragile ATSs."""

MOST_REFUSALS = 5
"""After so many rows in a row that were not done, the batch stops: the reason is unlikely to be the rows'."""

GRACE = 20.0
"""Seconds to wait at the end for rows that another run has just claimed."""

FRESH = timedelta(minutes=15)
"""A claim older than that is not in flight any more."""

READ_AT_ONCE = 100
_SENDERS = CONCURRENCY + 2  # two more than may send: they record outcomes meanwhile
REJECT, MOVE = "reject_application", "move_application_to_stage"

logger = logging.getLogger(__name__)


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


class _Sending(KomboCredentials):
    """Credentials whose clients stop waiting for a turn when the batch is cancelled."""

    _block_type_slug = "kombo-sending"
    _halt: threading.Event = PrivateAttr(default_factory=threading.Event)

    def get_client(self) -> Client:
        return Client(self.api_key.get_secret_value().strip(), self.base_url, clock=_Halting(self._halt))


class _Halting(Clock):
    """A clock whose waits end with `Stopped` once the batch is cancelled."""

    def __init__(self, halt: threading.Event) -> None:
        self._halt = halt

    def wait(self, seconds: float, stop: threading.Event | None = None) -> None:  # noqa: ARG002 - ours instead
        if seconds > 0 and self._halt.wait(seconds):
            raise Stopped


@dataclass(slots=True)
class _Subject:
    """The rows that concern one application or candidate; they are sent one after the other, in the plan's order."""

    rows: list[PlanRow] = field(default_factory=list)


def apply_rows(
    plan: Plan,
    rows: Sequence[PlanRow],
    *,
    store: Store,
    run_id: str,
    credentials: KomboCredentials,
    course: Course | None = None,
    grace: float = GRACE,
) -> Applied:
    """Carry out some rows of a plan.

    Args:
        plan: The plan.
        rows: Those to carry out now.
        store: The lake.
        run_id: The flow run.
        credentials: For Kombo.
        course: How the batch has gone so far.
        grace: Seconds to wait at the end for rows that another run has just claimed.

    Returns:
        The outcome of every row that has one. Rows that were not reached have none.

    Raises:
        LakeError: The claims cannot be read; nothing was sent.
    """
    return _Application(plan, store, run_id, credentials, course or Course(), grace).run(rows)


def known_outcomes(plan: Plan, rows: Sequence[PlanRow], store: Store, run_id: str) -> dict[str, Outcome]:
    """Read from the lake what became of rows, sending nothing; rows that were not claimed are left out."""
    found = _standings(plan, rows, store, run_id)
    return {key: standing.outcome for key, standing in found.items() if standing.outcome}


def claims_of(plan: Plan, operation: str, store: Store, run_id: str) -> Claims:
    """Where an operation's rows are claimed: rejections for all plans together, all else in the plan."""
    folder = rejections_folder(plan.integration) if operation == REJECT else batch_folder(plan.plan_id)
    return Claims(store, folder, plan.plan_id, run_id)


def _standings(plan: Plan, rows: Sequence[PlanRow], store: Store, run_id: str) -> dict[str, Standing]:
    found: dict[str, Standing] = {}
    for rejections in (True, False):
        if some := [row for row in rows if (row.operation == REJECT) is rejections]:
            found |= claims_of(plan, some[0].operation, store, run_id).standings(row.key for row in some)
    return found


class _Application:
    def __init__(
        self,
        plan: Plan,
        store: Store,
        run_id: str,
        credentials: KomboCredentials,
        course: Course,
        grace: float,
    ) -> None:
        self._plan = plan
        self._store = store
        self._run_id = run_id
        self._credentials = credentials
        self._halt = threading.Event()
        self._sending = _Sending(api_key=credentials.api_key, base_url=credentials.base_url)
        self._sending._halt = self._halt
        self._course = replace(course)
        self._grace = grace
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(CONCURRENCY)
        self._outcomes: dict[str, Outcome] = {}
        self._elsewhere: list[PlanRow] = []  # claimed by another process while we were at it
        self._claims = {
            operation: claims_of(plan, operation, store, run_id) for operation in {row.operation for row in plan.rows}
        }

    def run(self, rows: Sequence[PlanRow]) -> Applied:
        standings = _standings(self._plan, rows, self._store, self._run_id)
        for key, standing in standings.items():
            if standing.outcome:
                self._outcomes[key] = standing.outcome
        self._elsewhere = [row for row in rows if standings[row.key].pending]
        subjects: dict[str, _Subject] = {}
        for row in rows:
            if standings[row.key].attempt:
                subjects.setdefault(row.application_id or row.candidate_id or row.key, _Subject()).rows.append(row)
        try:
            self._send_all(list(subjects.values()), standings)
        finally:
            self._halt.set()
        self._await_elsewhere()
        return Applied(self._outcomes, self._course)

    def _send_all(self, subjects: list[_Subject], standings: Mapping[str, Standing]) -> None:
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(_SENDERS) as pool:
            under_way: set[Future[None]] = set()
            try:
                for subject, records in self._read_ahead(reader, subjects):
                    while len(under_way) >= _SENDERS:
                        under_way = self._settled(under_way)
                    if self._course.stopped:
                        break
                    task = copy_context().run
                    under_way.add(pool.submit(task, self._send_subject, subject, records, standings))
                    while under_way and not self._course.tried:
                        under_way = self._settled(under_way)  # the first request of a batch goes alone
                while under_way:
                    under_way = self._settled(under_way)
            except BaseException:
                # Cancelled, or something unforeseen: claim no more, and let those in flight end and be recorded.
                self._stop("the run was interrupted")
                self._halt.set()
                wait(under_way)
                raise

    @staticmethod
    def _settled(under_way: set[Future[None]]) -> set[Future[None]]:
        done, rest = wait(under_way, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
        return rest

    def _read_ahead(
        self, reader: ThreadPoolExecutor, subjects: list[_Subject]
    ) -> Iterator[tuple[_Subject, Mapping[str, Any]]]:
        """Yield each subject with what Kombo says now, read a hundred at a time, the next while one is being sent."""
        windows = [subjects[start : start + READ_AT_ONCE] for start in range(0, len(subjects), READ_AT_ONCE)]
        coming = reader.submit(copy_context().run, self._read, windows[0]) if windows else None
        for number, window in enumerate(windows, 1):
            assert coming is not None  # noqa: S101 - there is one for each window
            try:
                records = coming.result()
            except KomboError as error:
                self._stop(f"the rows could not be read again before sending: {error}")
                return
            if number < len(windows):
                coming = reader.submit(copy_context().run, self._read, windows[number])
            for subject in window:
                yield subject, records

    def _read(self, window: list[_Subject]) -> dict[str, Any]:
        rows = [row for subject in window for row in subject.rows]
        return current(self._plan.integration, rows, self._credentials)

    def _send_subject(self, subject: _Subject, records: Mapping[str, Any], standings: Mapping[str, Standing]) -> None:
        for row in subject.rows:
            if self._course.stopped:
                return
            if datetime.now(UTC) > self._plan.expires_at:
                self._stop("the plan has expired; plan again")
                return
            if why := outdated(row, records):
                self._outcomes[row.key] = Outcome(row.key, "skipped", why=why)
                continue
            self._send_one(row, standings[row.key].attempt)

    def _send_one(self, row: PlanRow, attempt: int) -> None:
        claims = self._claims[row.operation]
        with self._slots:
            if self._course.stopped:
                return
            try:
                if not claims.claim(row.key, attempt):
                    with self._lock:
                        self._elsewhere.append(row)
                    return
            except LakeError as error:
                self._stop(f"a row could not be claimed: {error}")
                return
            mark, outcome, fatal = self._sent(row)
            with self._lock:
                self._course.refusals = 0 if mark == "done" else self._course.refusals + 1
                if self._course.refusals >= MOST_REFUSALS:
                    fatal = fatal or f"{self._course.refusals} rows in a row were not done"
            if fatal:
                self._stop(fatal)
        if not claims.record(attempt, mark, outcome):
            outcome = replace(outcome, unrecorded=True)
            self._stop("an outcome could not be recorded: the lake does not answer")
        with self._lock:
            self._outcomes[row.key] = outcome
            self._course.tried = True

    def _sent(self, row: PlanRow) -> tuple[After, Outcome, str | None]:
        """Send a claimed row: the mark, the outcome, and why no more should be sent, if so."""
        started = datetime.now(UTC)
        known: dict[str, Any] = {"run_id": self._run_id, "sent_at": started}
        try:
            answer = self._request(row)
        except OutcomeUnknown as error:
            return "unknown", _failed(row, "unknown", error, known), None
        except Stopped:
            # The client waits only after a try that did not run, or for a write that may be repeated.
            why = "cancelled while waiting for a turn"
            if OPERATIONS[row.operation].repeat == "unsafe":  # type: ignore[index]
                return "unsent", Outcome(row.key, "refused", "cancelled", why, **known), why
            return "unknown", Outcome(row.key, "unknown", "cancelled", why, **known), why
        except KomboError as error:
            final = isinstance(error, InvalidRequest | RequestRefused)
            denied = isinstance(error, NotOffered | AccessDenied | SetupPending)
            return (
                "refused" if final else "unsent",
                _failed(row, "refused", error, known),
                f"not allowed here: {error}" if denied else None,
            )
        except (ValueError, TypeError, LakeError) as error:
            why = f"{type(error).__name__}: its arguments were not accepted"
            return "refused", Outcome(row.key, "refused", type(error).__name__, why, **known), None
        except Exception as error:
            logger.exception("A row met an error that nobody foresaw")
            why = f"{type(error).__name__}: see the log"
            return "unknown", Outcome(row.key, "unknown", type(error).__name__, why, **known), why
        warnings, created = answer
        known |= {"ended_at": datetime.now(UTC), "warnings": warnings, "created": created}
        return "done", Outcome(row.key, "done", **known), None

    def _request(self, row: PlanRow) -> tuple[list[str], dict[str, str]]:
        operation = OPERATIONS[row.operation]  # type: ignore[index]
        arguments = operation.checked(self._plan.integration, json.loads(row.arguments))
        answer = operation.task.fn(**arguments, credentials=self._sending)
        if isinstance(answer, Mapping):
            data = answer.get("data") or {}
            created = {name: data[name] for name in ("id", "imported_id") if isinstance(data.get(name), str)}
            return list(answer.get("warnings") or ()), created
        return list(answer or ()), {}

    def _stop(self, why: str) -> None:
        with self._lock:
            self._course.stopped = self._course.stopped or why

    def _await_elsewhere(self) -> None:
        """Take over what became of rows that another process has claimed, giving it a moment to finish."""
        fresh = datetime.now(UTC) - FRESH
        for _ in in_turns(self._grace):
            if not self._elsewhere:
                return
            found = _standings(self._plan, self._elsewhere, self._store, self._run_id)
            self._outcomes |= {key: standing.outcome for key, standing in found.items() if standing.outcome}
            self._elsewhere = [row for row in self._elsewhere if self._in_flight(found[row.key], fresh)]

    def _in_flight(self, standing: Standing, fresh: datetime) -> bool:
        outcome = standing.outcome
        if not standing.pending or outcome is None:
            return False
        # An earlier process of the same run is no more: Prefect starts the next one after it.
        return outcome.run_id != self._run_id and outcome.sent_at is not None and outcome.sent_at > fresh


def current(integration: str, rows: Sequence[PlanRow], credentials: KomboCredentials) -> dict[str, Any]:
    """Read the applications and candidates of rows as they are now.

    Args:
        integration: Integration id.
        rows: Those that are about to be sent.
        credentials: For Kombo.

    Returns:
        Records by id; what is gone is missing.

    Raises:
        KomboError: They could not be read.
    """
    found: dict[str, Any] = {}
    subjects = {
        "applications": {row.application_id for row in rows if row.application_id},
        "candidates": {row.candidate_id for row in rows if row.candidate_id and not row.application_id},
    }
    for collection, wanted in subjects.items():
        some = sorted(wanted)
        for start in range(0, len(some), READ_AT_ONCE):
            filters = {"ids": some[start : start + READ_AT_ONCE]}
            for record in each_record(
                collection,  # type: ignore[arg-type]
                integration=integration,
                filters=filters,
                credentials=credentials,
            ):
                if record.get("remote_deleted_at") is None and isinstance(record.get("id"), str):
                    found[record["id"]] = record
    return found


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


def _stage(state: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(state.get(name) for name in ("outcome", "current_stage_id", "job_id"))


def _failed(row: PlanRow, kind: Any, error: KomboError, known: dict[str, Any]) -> Outcome:
    return Outcome(
        row.key,
        kind,
        code=error.code or type(error).__name__,
        why=error.detail,
        log_url=error.log_url,
        ended_at=datetime.now(UTC),
        **known,
    )
