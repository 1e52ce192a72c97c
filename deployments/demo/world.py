"""What the demo server knows: integrations, their settings, their records, and pages of those."""

import base64
import gzip
import json
import time
from collections.abc import Callable
from typing import Any

import msgspec

from deployments.demo.data import SCALES, Builder
from deployments.demo.errors import RefusedError, invalid
from deployments.demo.faults import Fault
from deployments.demo.filters import Query
from deployments.demo.jobs import DAY
from deployments.demo.store import COLLECTIONS, Record, Row, Store, encode
from deployments.demo.values import iso, unix

API_KEY = "demo-key-not-a-secret"
GREENHOUSE = "greenhouse:Demo1111111111111111Aaaa"
WORKDAY = "workday:Demo2222222222222222Bbbb"


class Settings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How one integration behaves.

    Attributes:
        error: Code that every call of the integration gets, e.g. ``INTEGRATION.SETUP_SYNC_PENDING``.
        models: Code per collection, e.g. ``{"offers": "INTEGRATION.MODEL_NOT_AVAILABLE"}``.
        actions: Code per action, e.g. ``{"reject_application": "INTEGRATION.ACTION_DISABLED"}``.
        unsupported_filters: Filters that this ATS lacks, per collection.
        concurrency_limit: Actions in flight at once.
        attachment_limits: Answer of an action's limits, per action; None means that nothing is known.
        refuse_settled: Whether rejecting an application that is no longer pending is an error, or a silent success.
        warnings: Messages that come back with a successful action, per action.
        drift: Whether stages have the keys that newer versions of the API send; set it before the first request.
    """

    error: str | None = None
    models: dict[str, str] = {}
    actions: dict[str, str] = {}
    unsupported_filters: dict[str, list[str]] = {}
    concurrency_limit: int = 30
    attachment_limits: dict[str, dict[str, Any] | None] = {}
    refuse_settled: bool = True
    warnings: dict[str, list[str]] = {}
    drift: bool = True


class Config(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How the server behaves.

    Attributes:
        latency_ms: Added to every answer.
        action_latency_ms: Added to actions instead, if set.
        rate_limit: Requests per window.
        rate_window_s: Length of the window in seconds.
        clock_skew_s: How far the server's clock is ahead.
        immediate: Whether writes show in the data at once, instead of after the next sync.
    """

    latency_ms: float = 0
    action_latency_ms: float | None = None
    rate_limit: int = 1_000_000
    rate_window_s: float = 60
    clock_skew_s: float = 0
    immediate: bool = False


class Logged(msgspec.Struct):
    """A request as the server saw it."""

    method: str
    path: str
    query: str
    integration: str | None
    operation: str | None
    time: float
    status: int | None = None  # None: it was not answered


class Write(msgspec.Struct):
    """A write that was carried out."""

    operation: str
    integration: str
    ids: list[str]
    body: dict[str, Any]
    time: float


class Page(msgspec.Struct):
    """A page ready to be sent; the plain bytes are put together again when asked for, to save memory."""

    rows: list[bytes]
    next: str | None
    gzipped: bytes | None = None

    def plain(self) -> bytes:
        """The JSON of the page."""
        head = b'{"status":"success","data":{"next":' + encode(self.next) + b',"results":['
        return head + b",".join(self.rows) + b"]}}"

    def zipped(self) -> bytes:
        """The same, gzipped; kept."""
        if self.gzipped is None:
            body = self.plain()
            # Level 1 takes a third of the time of level 6 and costs a quarter more bytes on loopback.
            self.gzipped = gzip.compress(body, 1, mtime=0)
        return self.gzipped


class Integration:
    """One customer's ATS behind the API.

    Args:
        id: Integration id.
        scale: Name of the scale of its data.
        seed: Seed of its data.
        midnight: Unix time that ages count back from.
        odd: Whether a few values do not fit their types.
    """

    def __init__(self, id: str, scale: str, seed: int, midnight: float, *, odd: bool) -> None:  # noqa: A002  (the field's name)
        self.id = id
        self.settings = Settings(drift=not id.startswith("workday:"))
        self._make = (scale, seed, midnight, odd)
        self._builder: Builder | None = None
        self._stores: dict[str, Store] | None = None
        self._matches: dict[Any, tuple[int, list[Row]]] = {}
        self._pages: dict[Any, tuple[int, Page]] = {}
        self.pending: list[Callable[[Any], None]] = []  # what writes have done in the ATS, and Kombo has yet to see
        self.unseen: dict[tuple[str, str], Record] = {}  # what they have created, by collection and id
        self.settled: dict[str, str] = {}  # outcomes in the ATS
        self.applied: set[tuple[str, str]] = set()  # candidate and job
        self.created = 0
        self.files: dict[str, list[Any]] = {}  # by application or candidate
        self.links: dict[str, Any] = {}  # the same by id of the file
        self.rounds = 0  # of evolution, so far
        self.in_flight = 0
        self.most_in_flight = 0

    @property
    def builder(self) -> Builder:
        """Makes this integration's records; used again for new ones."""
        if self._builder is None:
            scale, seed, midnight, odd = self._make
            drift = self.settings.drift
            self._builder = Builder(self.id, SCALES[scale], seed, midnight, odd=odd, drift=drift)
        return self._builder

    @property
    def stores(self) -> dict[str, Store]:
        """The records; built when first needed."""
        if self._stores is None:
            self._stores = self.builder.build()
        return self._stores

    def records(self, collection: str, *, include_deleted: bool = True) -> list[bytes]:
        """What the collection holds, as JSON, in the order in which it is served."""
        return [row.raw for row in self.stores[collection] if include_deleted or not row.deleted]

    def record(self, collection: str, id_: str) -> Record | None:
        """One record, or None; tombstones count as absent."""
        row = self.stores[collection].by_id.get(id_)
        return None if row is None or row.deleted else row.record()

    def _matching(self, collection: str, query: Query) -> list[Row]:
        store = self.stores[collection]
        key = (collection, query.key)
        known = self._matches.get(key)
        if known is not None and known[0] == store.version:
            return known[1]
        lacking = set(self.settings.unsupported_filters.get(collection, ()))
        tests = [test for name, test in query.tests if name not in lacking]
        rows = [row for row in store if query.include_deleted or not row.deleted]
        if query.updated_after is not None:
            if "updated_after" not in lacking:
                rows = [row for row in rows if row.touched > query.updated_after]
            elif not query.ignore_unsupported:
                rows = []
        if len(tests) < len(query.tests) and not query.ignore_unsupported:
            rows = []  # a filter that the ATS lacks matches nothing, unless asked to be ignored
        if tests:
            wanted = dict(query.filters).get("ids")
            if wanted is not None:  # by far the most frequent filter, and the only one with an index
                ids = set(wanted.split(","))
                rows = [row for row in rows if row.id in ids]
            rows = [row for row in rows if all(test(json.loads(row.raw)) for test in tests)]
        self._matches[key] = (store.version, rows)
        return rows

    def page(self, collection: str, query: Query, fault: Fault | None = None) -> Page:
        """One page of a collection.

        Args:
            collection: Which one.
            query: What is asked for.
            fault: A scripted fault of the page itself.

        Returns:
            The page.

        Raises:
            RefusedError: If the cursor is not one of ours.
        """
        number, after = self.position(collection, query.cursor)
        store = self.stores[collection]
        key = (collection, query.key, query.page_size, after, number)
        known = self._pages.get(key)
        if known is not None and known[0] == store.version and fault is None:
            return known[1]
        rows = self._matching(collection, query)
        start = _first_after(rows, after)
        size = query.page_size if fault is None or fault.kind != "short_page" else min(fault.count, query.page_size)
        chosen = rows[start : start + size]
        more = start + size < len(rows)
        last = chosen[-1].seq if chosen else after
        page = Page([row.raw for row in chosen], self.cursor(collection, number + 1, last) if more else None)
        if fault is None:
            self._pages[key] = (store.version, page)
        elif fault.kind == "repeat_cursor":
            page.next = query.cursor or self.cursor(collection, 1, -1)
        elif fault.kind == "older_first":
            page.rows += [_older(row) for row in rows[start + size :][: fault.count]]
        elif fault.kind == "older_last":
            page.rows += [_older(row) for row in rows[: min(start, fault.count)]]
        return page

    def cursor(self, collection: str, number: int, seq: int) -> str:
        """A cursor: a position, and nothing of the filters."""
        return base64.urlsafe_b64encode(json.dumps([collection, number, seq]).encode()).decode()

    def position(self, collection: str, cursor: str | None) -> tuple[int, int]:
        """Where a cursor points.

        Args:
            collection: The collection that it is used for.
            cursor: The cursor, or None for the first page.

        Returns:
            Number of the page, from 1, and the position after which it starts.

        Raises:
            RefusedError: If the cursor is not one of ours.
        """
        if cursor is None:
            return 1, -1
        try:
            kind, number, seq = json.loads(base64.urlsafe_b64decode(cursor.encode()))
            if kind == collection:
                return int(number), int(seq)
        except (ValueError, TypeError):
            pass
        raise invalid("The cursor is invalid or has expired.")

    def warm(self, *, include_deleted: bool | None = None, page_size: int = 250) -> int:
        """Prepare every page of an unfiltered walk.

        Args:
            include_deleted: With tombstones, without, or (None) both.
            page_size: Of the walk.

        Returns:
            Number of pages.
        """
        pages = 0
        for collection in COLLECTIONS:
            for deleted in (False, True) if include_deleted is None else (include_deleted,):
                query = Query(page_size=page_size, include_deleted=deleted)
                while True:
                    page = self.page(collection, query)
                    page.zipped()
                    pages += 1
                    if page.next is None:
                        break
                    query = Query(cursor=page.next, page_size=page_size, include_deleted=deleted)
        return pages


def _first_after(rows: list[Row], seq: int) -> int:
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        if rows[middle].seq > seq:
            high = middle
        else:
            low = middle + 1
    return low


def _older(row: Row) -> bytes:
    """A record as it was a day before."""
    record = json.loads(row.raw)
    record["changed_at"] = iso(unix(record["changed_at"]) - DAY)
    for key in ("remote_updated_at", "name", "title"):
        if key in record:
            record[key] = None
    return encode(record)


class World:
    """Everything behind the server.

    Args:
        scale: Name of the scale of each integration's data.
        seed: Seed of the data.
        integrations: Their ids.
        odd: Whether a few values do not fit their types.
        midnight: Unix time that ages count back from; by default the start of today, UTC.
        config: How the server behaves.
    """

    def __init__(
        self,
        scale: str = "tiny",
        seed: int = 1,
        integrations: list[str] | None = None,
        *,
        odd: bool = True,
        midnight: float | None = None,
        config: Config | None = None,
    ) -> None:
        self.scale, self.seed, self.odd = scale, seed, odd
        self.midnight = midnight if midnight is not None else time.time() // DAY * DAY
        self.config = config or Config()
        self.integrations: dict[str, Integration] = {}
        self.writes: list[Write] = []
        for id_ in integrations or [GREENHOUSE, WORKDAY]:
            self.add(id_)

    def add(self, id_: str) -> Integration:
        """Connect an integration.

        Args:
            id_: Its id.

        Returns:
            The integration, with data of its own.
        """
        made = Integration(id_, self.scale, self.seed, self.midnight, odd=self.odd)
        self.integrations[id_] = made
        return made

    def integration(self, id_: str | None) -> Integration:
        """Find the integration that a request names.

        Args:
            id_: Value of its header.

        Returns:
            The integration.

        Raises:
            RefusedError: If there is none of that id.
        """
        if not id_:
            raise invalid("The X-Integration-Id header is missing.")
        found = self.integrations.get(id_)
        if found is None:
            raise RefusedError("PLATFORM.INTEGRATION_NOT_FOUND", "There is no such integration in this environment.")
        return found

    def now(self) -> float:
        """The server's clock, in Unix time."""
        return time.time() + self.config.clock_skew_s
