"""One request with all its tries: whose turn it is, sending, reading, and whether it may be sent again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import TypeVar

import httpx
from isal import isal_zlib

from tasks.kombo.answers import Reply, may_have_run
from tasks.kombo.clock import Clock
from tasks.kombo.errors import BadAnswer, KomboError, OutcomeUnknown, RateLimited, Unavailable
from tasks.kombo.limits import LONGEST, Limiter
from tasks.kombo.retries import PATIENCE, Repeat, pause

logger = logging.getLogger(__name__)

SLOWEST = 5  # an answer that trickles is cut off after this many of its timeouts
LONGEST_TURN = 900.0  # seconds; the longest wait for one's turn under the limiter

# The request did not leave: nothing was connected, or no connection could be had.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
_LOST = (httpx.HTTPError, httpx.StreamError, OSError)

T = TypeVar("T")
E = TypeVar("E", bound=KomboError)


def _inflated(response: httpx.Response) -> Iterator[bytes]:
    """An answer's content: httpx's own, but gzip through a library that takes half the time."""
    if response.headers.get("content-encoding", "").strip().lower() != "gzip":
        yield from response.iter_bytes()
        return
    gunzip = isal_zlib.decompressobj(wbits=31)
    empty = True
    try:
        for chunk in response.iter_raw():
            empty = False
            yield gunzip.decompress(chunk)
    except isal_zlib.error as error:  # type: ignore[misc]  # its stub has an instance here
        raise httpx.DecodingError("the answer is not gzip") from error
    if not (empty or gunzip.eof):
        raise httpx.DecodingError("the answer's gzip is cut off")


class Stopped(Exception):
    """The caller's `stop` was set while a request was waiting."""


class Exchange:
    """One request with all its tries.

    Args:
        request: Ready to send, and again.
        label: Method and path template, for errors.
        integration: Whom it concerns.
        repeat: Whether it may be sent again after it may have run.
        action: Whether it takes one of the integration's slots for actions.
        transport: Sends it.
        limiter: Says when.
        clock: For waiting.
        stop: When set, waiting ends at once with `Stopped`.
    """

    def __init__(
        self,
        request: httpx.Request,
        *,
        label: str,
        integration: str,
        repeat: Repeat,
        action: bool,
        transport: httpx.BaseTransport,
        limiter: Limiter,
        clock: Clock,
        stop: threading.Event | None = None,
    ) -> None:
        self._request = request
        self._label = label
        self._integration = integration
        self._repeat: Repeat = repeat
        self._action_on = integration if action else None
        self._transport = transport
        self._limiter = limiter
        self._clock = clock
        self._stop = stop

    def run(self, decode: Callable[[Reply], T], operation: str = "", path_ids: Mapping[str, str] | None = None) -> T:
        """Send until it succeeds, may not be sent again, or patience ends.

        Args:
            decode: Turns the answer into the result, or raises a `KomboError`.
            operation: Its name, for `OutcomeUnknown`.
            path_ids: Its ids, for `OutcomeUnknown`.

        Returns:
            What `decode` returned.

        Raises:
            OutcomeUnknown: A write that may have run, and no try succeeded.
            KomboError: Any other failure for good.
            Stopped: `stop` was set while waiting.
        """
        patience = PATIENCE[self._repeat]
        begun = None  # waiting for one's turn is not trying
        unknown_since = None
        for tries in count(1):
            try:
                self._await_turn()
            except RateLimited as caught:
                error: KomboError = caught
                break
            begun = self._clock.monotonic() if begun is None else begun
            sent_at = self._clock.utc()
            try:
                return decode(self._send())
            except KomboError as caught:
                error = caught
            except Exception as caught:
                if self._repeat == "read":
                    raise
                # An unforeseen fault must not make a write that was sent look like one that was not.
                error = self._error(BadAnswer, f"The answer could not be read: {type(caught).__name__}.")
            wait = pause(error, tries, patience, self._clock.jitter)
            if self._repeat != "read" and may_have_run(error):
                unknown_since = unknown_since or sent_at
                if self._repeat == "unsafe":
                    wait = None
            if isinstance(error, RateLimited) and error.code != "REMOTE.RATE_LIMIT_EXCEEDED":
                held = error.retry_after or wait or 0.0
                self._limiter.hold(self._clock.monotonic() + min(held, LONGEST))
            if wait is None or self._clock.monotonic() - begun + wait > patience.total:
                break
            logger.warning("Trying again in %.1f s: %s", wait, error)
            self._wait(wait)
        if unknown_since is None:
            raise error
        # Even a clear refusal of a later try says nothing about the earlier one.
        raise OutcomeUnknown(operation=operation, ids=path_ids or {}, sent_at=unknown_since, cause=error)

    def _await_turn(self) -> None:
        waited = 0.0
        while (turn := self._limiter.take(self._clock.monotonic(), self._action_on)) > 0:
            turn += self._clock.jitter(turn / 50)
            waited += turn
            if waited > LONGEST_TURN:
                error = self._error(RateLimited, "Kombo's request limit leaves no turn in sensible time; nothing sent.")
                error.retry_after = turn
                raise error
            self._wait(turn)

    def _wait(self, seconds: float) -> None:
        self._clock.wait(seconds, self._stop)
        if self._stop is not None and self._stop.is_set():
            raise Stopped

    def _send(self) -> Reply:
        """Send once and read the answer to its end."""
        headers = None
        started = self._clock.monotonic()
        try:
            response = self._transport.handle_request(self._request)
            try:
                headers = response.headers
                elapsed = self._clock.monotonic() - started
                local = self._clock.utc()
                body = self._read(response, started)
            finally:
                response.close()
        except _NOT_SENT as error:
            # These two say why and quote nothing of the request: "[Errno 111] Connection refused".
            reason = str(error) if isinstance(error, httpx.ConnectError | httpx.ProxyError) else type(error).__name__
            raise self._unavailable(f"Cannot connect to {self._request.url.host}: {reason}.", sent=False) from None
        except _LOST as error:
            # Only the kind: the text may quote what came over the wire.
            raise self._unavailable(f"The answer was lost: {type(error).__name__}.", sent=True) from None
        finally:
            self._limiter.give_back(self._clock.monotonic(), headers, self._action_on)
        return Reply(response.status_code, response.headers, body, self._label, self._integration, local, elapsed)

    def _read(self, response: httpx.Response, started: float) -> bytes:
        latest = started + SLOWEST * self._request.extensions["timeout"]["read"]
        chunks = []
        for chunk in _inflated(response):
            chunks.append(chunk)
            if self._clock.monotonic() > latest:
                raise httpx.ReadTimeout("the answer trickles")
        return b"".join(chunks)

    def _unavailable(self, detail: str, *, sent: bool) -> Unavailable:
        error = self._error(Unavailable, detail)
        error.sent = sent
        return error

    def _error(self, kind: type[E], detail: str) -> E:
        return kind(detail=detail, request=self._label, integration=self._integration)
