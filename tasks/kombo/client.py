"""The way to Kombo: one request at a time, with waiting and repeating done here so that nobody else has to.

What is sent again, by the operation's class (`tasks.kombo.retries.Repeat`):

- a read: whatever may pass;
- a safe write: the same, and if it may have run and no try succeeded, it ends in `OutcomeUnknown`;
- an unsafe write: only what certainly did not run, which is a connection that never came about, a rate limit and the
  concurrency limit. Everything else after sending (a timeout, a dropped connection, a 5xx, an answer that cannot be
  read) is `OutcomeUnknown` and is not sent again.

Two things here are not obvious. httpx logs every URL with its query, which may be somebody's e-mail address: so
requests go to httpx's transport, below the part that logs (and that follows redirects, which we do not). And a
connection kept alive may be closed by the server just when a request is sent on it, which looks like a request that
may have run: so every unsafe write gets a connection of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Self, TypeVar

import httpx
import msgspec

from tasks.kombo import answers, ids
from tasks.kombo.answers import Answer, Reply
from tasks.kombo.clock import Clock
from tasks.kombo.exchange import Exchange
from tasks.kombo.limits import Limiter, shared_limiter
from tasks.kombo.retries import Repeat
from tasks.kombo.transport import Single, checked_base_url, pooled, user_agent

EU = "https://api.kombo.dev/v1"
US = "https://api.us.kombo.dev/v1"

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
WRITE_TIMEOUT = 300.0  # a write may queue at Kombo for minutes and still complete
PIECE = 2**18  # bytes

_SENT = "http11.send_request_body.complete"  # httpcore's name for it

T = TypeVar("T")


class Pieces:
    """A large body in pieces, as often as it is sent.

    Of what it is given, httpcore copies the rest after every send: of a large body in one piece, all of it, many times.

    Args:
        body: The body.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return (self._body[start : start + PIECE] for start in range(0, len(self._body), PIECE))


class Client:
    """A connection pool to one region with one key. Thread-safe; a context manager.

    Args:
        api_key: Kombo API key. Never shown, logged or pickled.
        base_url: The region: `EU`, `US`, or a stand-in on loopback. Anything else has to be https.
        transport: Sends the requests instead of httpx's own; closed with the client.
        limiter: Instead of the one that the process shares for this key and region.
        clock: Instead of the machine's.

    Raises:
        ValueError: The key or the URL cannot be used; the text does not repeat the key.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str = EU,
        *,
        transport: httpx.BaseTransport | None = None,
        limiter: Limiter | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
            # httpx would say so later, and quote the key in the error.
            raise ValueError("the Kombo API key is empty, or has spaces, line breaks or other odd characters in it")
        self.base_url = checked_base_url(base_url)
        self.clock = clock or Clock()
        self._limiter = limiter or shared_limiter(api_key, self.base_url)
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": user_agent(),
        }
        self._pooled = transport or pooled(self.base_url)
        self._single = transport or Single(self.base_url)
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client(base_url={self.base_url!r})"

    def __reduce__(self) -> Any:
        raise TypeError("a Client holds connections and a key and is not pickled; pass credentials instead")

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        self._pooled.close()
        self._single.close()

    def get(self, path: str, *, integration: str, params: Mapping[str, str] | None = None) -> bytes:
        """Read, trying again what may pass.

        Args:
            path: Below the base URL, such as `/ats/jobs`.
            integration: Integration id.
            params: Query, checked and as the API takes it, not yet percent-encoded.

        Returns:
            The JSON body of the successful answer.

        Raises:
            KomboError: It failed for good.
            ValueError: The integration id is malformed.
        """
        return self.read(path, integration=integration, params=params, decode=answers.body)

    def read(
        self,
        path: str,
        *,
        integration: str,
        decode: Callable[[Reply], T],
        params: Mapping[str, str] | None = None,
        stop: threading.Event | None = None,
        sent: Callable[[], None] | None = None,
    ) -> T:
        """Read, and decode within the retries, so that an answer that cannot be decoded is asked for again.

        Args:
            path: As for `get`.
            integration: As for `get`.
            decode: Turns the answer into the result, or raises a `KomboError`.
            params: As for `get`.
            stop: When set, waiting ends at once.
            sent: Called, in this thread, whenever the request is on its way and the answer is waited for.

        Returns:
            What `decode` returned.

        Raises:
            KomboError: It failed for good.
            Stopped: `stop` was set.
            ValueError: The integration id is malformed.
        """
        request = self._request("GET", path, integration, params, None, READ_TIMEOUT)
        if sent is not None:
            request.extensions["trace"] = lambda event, _: sent() if event == _SENT else None
        return self._exchange(request, f"GET {path}", integration, "read", action=False, stop=stop).run(decode)

    def call(
        self,
        method: str,
        path: str,
        *,
        integration: str,
        operation: str,
        repeat: Repeat,
        path_ids: Mapping[str, str] | None = None,
        remote_ids: Collection[str] = (),
        params: Mapping[str, str] | None = None,
        json: Any = None,
    ) -> Answer:
        """Carry out one operation.

        Args:
            method: HTTP method.
            path: Template below the base URL, such as `/ats/applications/{application_id}/reject`.
            integration: Integration id.
            operation: Its name, for `OutcomeUnknown`.
            repeat: Whether it may be sent again after it may have run.
            path_ids: The ids for the template's places; checked to be Kombo ids.
            remote_ids: Names of those that may also be `remote:<id>`.
            params: As for `get`.
            json: The body, encoded here; bytes are taken as JSON that is encoded already. None for no body.

        Returns:
            Data and warnings of the successful answer.

        Raises:
            OutcomeUnknown: A write that was sent and may have happened.
            KomboError: It did not happen.
            ValueError: An id is malformed; nothing was sent.
        """
        places = {}
        for name, value in (path_ids or {}).items():
            check = ids.kombo_or_remote_id if name in remote_ids else ids.kombo_id
            places[name] = ids.path_segment(check(value, name))
        body = json if json is None or isinstance(json, bytes) else msgspec.json.encode(json)
        timeout = READ_TIMEOUT if repeat == "read" else WRITE_TIMEOUT
        request = self._request(method, path.format_map(places), integration, params, body, timeout)
        exchange = self._exchange(request, f"{method} {path}", integration, repeat, action=True)
        return exchange.run(answers.answer, operation, path_ids)

    def _request(
        self,
        method: str,
        path: str,
        integration: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        timeout: float,
    ) -> httpx.Request:
        headers = {**self._headers, "X-Integration-Id": ids.integration_id(integration)}
        content: bytes | Pieces | None = body
        if body is not None:
            headers["Content-Type"] = "application/json"
            headers["Content-Length"] = str(len(body))
            content = body if len(body) <= PIECE else Pieces(body)
        query = ids.query(params)
        return httpx.Request(
            method,
            f"{self.base_url}{path}?{query}" if query else f"{self.base_url}{path}",
            headers=headers,
            content=content,
            extensions={"timeout": {"connect": CONNECT_TIMEOUT, "read": timeout, "write": timeout, "pool": timeout}},
        )

    def _exchange(
        self,
        request: httpx.Request,
        label: str,
        integration: str,
        repeat: Repeat,
        *,
        action: bool,
        stop: threading.Event | None = None,
    ) -> Exchange:
        if self._closed:
            raise RuntimeError("this client is closed")
        return Exchange(
            request,
            label=label,
            integration=integration,
            repeat=repeat,
            action=action,
            transport=self._single if repeat == "unsafe" else self._pooled,
            limiter=self._limiter,
            clock=self.clock,
            stop=stop,
        )
