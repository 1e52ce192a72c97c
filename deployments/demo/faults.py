"""Scripted misbehaviour: what goes wrong, at which request, how often."""

import asyncio
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

Kind = Literal[
    "error",  # an error envelope: status, code, message
    "status_error",  # the same, with status 200
    "html",  # a load balancer's page
    "text",  # a plain sentence
    "empty",  # no body at all
    "data_null",  # 200 and {"status": "success", "data": null}
    "body",  # any bytes: body, content_type
    "drop",  # the connection breaks without an answer
    "truncate",  # the announced length is right, the body stops half way
    "hang",  # no answer until released, or for `seconds`
    "slow",  # the body comes in ten pieces over `seconds`
    "repeat_cursor",  # `next` is the cursor that this page was asked with
    "expired_cursor",  # 400, the cursor is no longer valid
    "short_page",  # only `count` records (0: none), though `next` is set
    "older_first",  # `count` records of the next page are on this one too, as they were before
    "older_last",  # `count` records of an earlier page come again, as they were before
]
PAGE_KINDS = ("repeat_cursor", "short_page", "older_first", "older_last")
STATUSES = {"error": 500, "status_error": 200, "html": 502, "text": 500, "empty": 503, "data_null": 200, "body": 200}


class Fault(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One scripted fault. It applies to the first requests that fit every given criterion.

    Attributes:
        kind: What goes wrong.
        method: HTTP method.
        path: Path below ``/v1``, with ``*`` and ``?`` as wildcards, e.g. ``/ats/applications/*/reject``.
        collection: One of the ten collections: its list only.
        integration: Integration id.
        page: Number of the page in its walk, from 1.
        query: Text that the query string contains.
        skip: Let this many fitting requests pass first.
        times: How often; None is for ever.
        after: Carry the request out, and only then fail.
        status: HTTP status of the answer.
        code: Code in the envelope.
        message: Message in the envelope.
        retry_after: Seconds to announce in ``Retry-After``.
        retry_after_date: Announce them as an HTTP date.
        ratelimit_reset: Seconds to announce in ``ratelimit-reset``, with ``ratelimit-remaining: 0``.
        body: Text of the answer.
        content_type: Its type.
        seconds: How long a hang or a slow answer lasts; a hang without it lasts until ``release``.
        count: Records, for the kinds that have a number.
    """

    kind: Kind
    method: str | None = None
    path: str | None = None
    collection: str | None = None
    integration: str | None = None
    page: int | None = None
    query: str | None = None
    skip: int = 0
    times: int | None = 1
    after: bool = False
    status: int | None = None
    code: str | None = None
    message: str = "This is a scripted fault of the demo."
    retry_after: float | None = None
    retry_after_date: bool = False
    ratelimit_reset: float | None = None
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"
    seconds: float | None = None
    count: int = 1

    def fits(self, seen: "Seen") -> bool:
        """Whether a request meets every criterion."""
        return (
            self.method in (None, seen.method)
            and (self.path is None or fnmatchcase(seen.path, self.path))
            and self.collection in (None, seen.collection)
            and self.integration in (None, seen.integration)
            and self.page in (None, seen.page)
            and (self.query is None or self.query in seen.query)
        )


class Seen(msgspec.Struct, frozen=True):
    """What a fault can be recognised by."""

    method: str
    path: str
    query: str
    collection: str | None
    integration: str | None
    page: int | None


class Script:
    """The faults still to come, in order."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.applied: list[str] = []
        self._released = asyncio.Event()

    def take(self, seen: Seen) -> Fault | None:
        """The fault for a request, if there is one; it is then used up.

        Args:
            seen: The request.

        Returns:
            The first fault that fits and has nothing left to skip.
        """
        for fault in self.faults:
            if not fault.fits(seen) or (fault.kind in PAGE_KINDS and seen.collection is None):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
            self.applied.append(fault.kind)
            return fault
        return None

    async def hang(self, seconds: float | None) -> None:
        """Wait for ``release``, at most so long.

        Args:
            seconds: None waits without end.
        """
        released = self._released
        try:
            await asyncio.wait_for(released.wait(), seconds)
        except TimeoutError:
            return
        for _ in range(4):  # a client that gave up just before must not have its request carried out
            await asyncio.sleep(0)

    def release(self) -> None:
        """End every hang that is under way; later ones hang again."""
        self._released.set()
        self._released = asyncio.Event()

    def clear(self) -> None:
        """Forget all faults."""
        self.faults.clear()
        self.release()
