"""A walk through a collection, a page at a time, the next one on its way while the last one is being used.

Only `next: null` ends a walk: a page may be short or empty before the end. Kombo's cursor does not carry the filters,
so they go with every request. How long a cursor lives is not documented: when one is refused in the middle of a walk,
the walk starts again from the beginning, once. The records of the first attempt are then seen twice; whoever consumes
the pages takes records by id anyway, because a record may move between pages while one reads.
"""

from __future__ import annotations

import contextvars
import logging
import queue
import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

import msgspec

from tasks.kombo import answers, ids
from tasks.kombo.client import Client
from tasks.kombo.collections import Collection, CollectionSpec, spec
from tasks.kombo.errors import BadAnswer, InvalidRequest, KomboError
from tasks.kombo.exchange import Stopped

logger = logging.getLogger(__name__)

PAGE_SIZE = 250  # the most that Kombo serves


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a collection.

    Attributes:
        number: From 1; from 1 again after a restart.
        records: Each as its JSON, byte for byte as it came.
        fetched_at: When it was answered, in UTC: the API's `Date` where present, else our clock.
        sent_at: When its request was sent, on the same clock: `fetched_at` less the time the answer took. That of the
            first page is what an incremental read may safely continue from.
        restarted: True on the first page after the walk began again.
        skew: Seconds by which our clock is ahead of the API's, good to about a second; None if the API did not tell.
    """

    number: int
    records: list[msgspec.Raw]
    fetched_at: datetime
    sent_at: datetime
    restarted: bool
    skew: float | None


def pages(
    client: Client,
    collection: Collection,
    *,
    integration: str,
    filters: Mapping[str, Any] | None = None,
    page_size: int = PAGE_SIZE,
    prefetch: int = 1,
) -> Generator[Page, None, None]:
    """Walk through a collection.

    Args:
        client: Stays open until the walk ends.
        collection: One of the ten.
        integration: Integration id.
        filters: By API name, as Python values: lists, datetimes with a zone, booleans.
        page_size: Records a page, 1 to 250.
        prefetch: How many pages to fetch ahead in the background; 0 fetches a page when it is asked for.

    Returns:
        A generator of pages. Close it to stop early; that waits for a request in flight, and for nothing else.

    Raises:
        ValueError: A parameter is wrong; at once, before anything is sent.
        TypeError: A filter has the wrong type; at once.
        KomboError: While iterating, after the pages before it: a page failed for good. Names collection and page.
    """
    what = spec(collection)
    ids.integration_id(integration)
    if not 1 <= page_size <= PAGE_SIZE:
        raise ValueError(f"page_size: expected 1 to {PAGE_SIZE}")
    walk = _Walk(client, what, integration, {"page_size": str(page_size), **what.query(filters)})
    return _ahead(walk, prefetch) if prefetch > 0 else walk.__iter__()


class _Walk:
    """The requests of a walk, one after another."""

    def __init__(self, client: Client, what: CollectionSpec, integration: str, params: dict[str, str]) -> None:
        self._client = client
        self.name = what.name
        self._path = what.path
        self._integration = integration
        self._params = params
        self.stop = threading.Event()
        self.sent: Callable[[], None] | None = None

    def __iter__(self) -> Generator[Page, None, None]:
        finished = yield from self._attempt(restarted=False)
        if not finished:
            logger.warning(
                "%s of %s: Kombo no longer takes the cursor; starting again from the first page",
                self.name,
                self._integration,
            )
            yield from self._attempt(restarted=True)

    def _attempt(self, *, restarted: bool) -> Generator[Page, None, bool]:
        """Walk from the first page; return False if the cursor expired on the way and there is another attempt."""
        params = self._params
        seen: set[str] = set()
        for number in count(1):
            try:
                reply, (records, following) = self._client.read(
                    self._path,
                    integration=self._integration,
                    params=params,
                    decode=lambda reply: (reply, answers.page(reply)),
                    stop=self.stop,
                    sent=self.sent,
                )
                if following in seen:
                    raise self._repeated_cursor()
            except KomboError as error:
                refused = isinstance(error, InvalidRequest) and (
                    error.status == 400 or error.code == "PLATFORM.INPUT_INVALID"
                )
                if refused and number > 1 and not restarted:
                    return False
                error.collection = self.name
                error.page = number
                raise
            yield Page(
                number, records, reply.received_at, reply.sent_at, restarted=restarted and number == 1, skew=reply.skew
            )
            if following is None:
                return True
            seen.add(following)
            params = {**self._params, "cursor": following}
        raise AssertionError  # count() does not end

    def _repeated_cursor(self) -> BadAnswer:
        return BadAnswer(
            status=200,
            detail="The answer names a cursor that this walk has already used, so it would never end.",
            request=f"GET {self._path}",
            integration=self._integration,
        )


def _ahead(walk: _Walk, prefetch: int) -> Generator[Page, None, None]:
    """Run a walk in a thread that is at most `prefetch` pages ahead of the consumer.

    Where there is room, a page is handed over once the next request is on its way: the consumer's work would otherwise
    keep Python's lock from the thread that has yet to send it, by some milliseconds a page.
    """
    done: queue.SimpleQueue[Page | BaseException | None] = queue.SimpleQueue()
    room = threading.Semaphore(prefetch - 1)  # taking a page makes room for one more
    held: list[Page] = []

    def hand_over() -> None:
        if held:
            done.put(held.pop())

    walk.sent = hand_over

    def fetch() -> None:
        try:
            for page in walk:
                hand_over()
                held.append(page)
                if not room.acquire(blocking=False):
                    hand_over()
                    room.acquire()
                if walk.stop.is_set():
                    return
            hand_over()
            done.put(None)
        except Stopped:
            return
        except BaseException as error:
            hand_over()
            done.put(error)

    # In the consumer's context, so that what is logged there belongs to the same run.
    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(fetch,), name=f"kombo-pages-{walk.name}", daemon=True
    )
    thread.start()
    try:
        while (page := done.get()) is not None:
            if isinstance(page, BaseException):
                raise page
            room.release()
            yield page
    finally:
        walk.stop.set()
        room.release()
        thread.join()
