"""HTTP/1.1 on a socket, small and in our own hands: scripted faults need the connection itself."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, unquote

import msgspec

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict"}
_HEAD_LIMIT = 64_000


class Request(msgspec.Struct):
    """A request; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    def pairs(self) -> list[tuple[str, str]]:
        """The query parameters in order."""
        return parse_qsl(self.query, keep_blank_values=True)


class Response(msgspec.Struct):
    """An answer. ``cut`` sends only so many bytes of the body and breaks off; ``pieces`` sends it slowly."""

    status: int
    body: bytes
    headers: list[tuple[str, str]]
    cut: int | None = None
    pieces: tuple[int, float] | None = None

    def head(self) -> bytes:
        """Status line and headers."""
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines.append(f"content-length: {len(self.body)}\r\n\r\n")
        return "\r\n".join(lines).encode()


Handler = Callable[[Request], Awaitable[Response | None]]


class Connection(asyncio.Protocol):
    """One client connection; requests on it are answered one after another.

    Args:
        handler: Answers a request; None breaks the connection.
        connections: The connections that are open; this one adds and removes itself.
    """

    def __init__(self, handler: Handler, connections: set["Connection"]) -> None:
        self._handler = handler
        self._connections = connections
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the socket."""
        if isinstance(transport, asyncio.Transport):
            self.transport = transport
        self._connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget the socket, and the answer that nobody waits for."""
        self._connections.discard(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Collect bytes until a request is complete."""
        self._buffer += data
        self._next()

    def _next(self) -> None:
        if self._task is not None or self.transport is None:
            return
        try:
            request = self._parse()
        except (ValueError, UnicodeDecodeError):
            self.transport.write(Response(400, b"", [("connection", "close")]).head())
            self.transport.close()
            return
        if request is not None:
            self._task = asyncio.get_running_loop().create_task(self._answer(request))

    def _parse(self) -> Request | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _HEAD_LIMIT:
                raise ValueError("the head of the request is too long")
            return None
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        start = end + 4
        if headers.get("transfer-encoding", "").lower() == "chunked":
            parsed = self._chunks(start)
            if parsed is None:
                return None
            body, stop = parsed
        else:
            stop = start + int(headers.get("content-length", "0"))
            if len(self._buffer) < stop:
                return None
            body = bytes(self._buffer[start:stop])
        del self._buffer[:stop]
        path, _, query = target.partition("?")
        return Request(method, unquote(path), query, headers, body)

    def _chunks(self, at: int) -> tuple[bytes, int] | None:
        body = bytearray()
        while True:
            line = self._buffer.find(b"\r\n", at)
            if line < 0:
                return None
            size = int(bytes(self._buffer[at:line]).split(b";")[0], 16)
            at = line + 2
            if len(self._buffer) < at + size + 2:
                return None
            body += self._buffer[at : at + size]
            at += size + 2
            if size == 0:
                return bytes(body), at

    async def _answer(self, request: Request) -> None:
        transport = self.transport
        if transport is None:
            return
        response = await self._handler(request)
        if response is None:
            transport.abort()
            return
        if response.cut is not None:
            transport.write(response.head() + response.body[: response.cut])
            transport.close()
            return
        if response.pieces is None:
            transport.write(response.head())
            transport.write(response.body)
        else:
            count, pause = response.pieces
            transport.write(response.head())
            step = max(1, len(response.body) // count)
            for start in range(0, len(response.body), step):
                await asyncio.sleep(pause)
                transport.write(response.body[start : start + step])
        self._task = None
        if request.headers.get("connection", "").lower() == "close":
            transport.close()
        else:
            self._next()
