"""A clock that nobody waits for, and a server on loopback that misbehaves on demand."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tasks.kombo.client import Client
from tasks.kombo.clock import Clock
from tasks.kombo.limits import Limiter

KEY = "key-for-tests-only"
INTEGRATION = "workday:HWUTwvyx2wLoSUHphiWVrp28"
APPLICATION = "222k7eCGyUdgt2JWZDNnkDs3"
REASON = "B5DVmypWENfU6eMe6gYDyJG3"
START = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)  # half an hour before Europe's clocks go forward


class FakeClock(Clock):
    """Moves only when somebody waits, and always jitters to the upper end."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def utc(self) -> datetime:
        return START + timedelta(seconds=self.now)

    def jitter(self, upper: float) -> float:
        return upper

    def wait(self, seconds: float, stop: threading.Event | None = None) -> None:
        self.waits.append(seconds)
        self.now += seconds


def success(data: Any, **extra: Any) -> dict[str, Any]:
    return {"status": "success", "data": data, **extra}


def page(records: list[Any], following: str | None) -> dict[str, Any]:
    return success({"results": records, "next": following})


def error(code: str | None, message: str = "what Ada Lovelace sent") -> dict[str, Any]:
    return {
        "status": "error",
        "error": {"code": code, "title": "A title", "message": message, "log_url": "https://app.kombo.dev/x/logs?id=7"},
    }


@dataclass
class Kombo:
    """Answers from a script, one step a request, and remembers the requests."""

    steps: list[Any]
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        step = self.steps[min(len(self.requests), len(self.steps)) - 1]
        if isinstance(step, Exception):
            raise step
        if callable(step):
            step = step(request)
        if isinstance(step, httpx.Response):
            # A response is read once; the script may use it again.
            return httpx.Response(step.status_code, headers=step.headers, content=step.content)
        return httpx.Response(200, json=step)


def answer(status: int, content: Any = None, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if isinstance(content, bytes):
        return httpx.Response(status, content=content, headers=named)
    return httpx.Response(status, json=content, headers=named)


def client_of(kombo: Kombo, clock: Clock | None = None, limiter: Limiter | None = None) -> Client:
    return Client(
        KEY,
        "http://127.0.0.1/v1",
        transport=httpx.MockTransport(kombo),
        limiter=limiter or Limiter(),
        clock=clock or FakeClock(),
    )


@dataclass
class Arrived:
    """A request as it came over the wire."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]


Step = Callable[[socket.socket], bool]
"""Answers a request on its connection; returns whether the connection stays open."""


def http(body: Any, status: str = "200 OK", **headers: str) -> Step:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    raw = "\r\n".join([*lines, "", ""]).encode() + content

    def step(connection: socket.socket) -> bool:
        connection.sendall(raw)
        return True

    return step


def http_then_hang_up(body: Any) -> Step:
    def step(connection: socket.socket) -> bool:
        http(body)(connection)
        return False

    return step


def hang_up(connection: socket.socket) -> bool:
    return False


def truncated(connection: socket.socket) -> bool:
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"status":"success","da')
    return False


def garbage(connection: socket.socket) -> bool:
    connection.sendall(b"Ada Lovelace\r\n\r\n")
    return False


@dataclass
class Loopback:
    """What a loopback server has seen, and where it is."""

    url: str
    arrived: list[Arrived]


@contextmanager
def loopback(*steps: Step) -> Iterator[Loopback]:
    """Serve a script on a real socket: one step a request, the last one for ever."""
    arrived: list[Arrived] = []
    connections = iter(range(1_000_000))

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            number = next(connections)
            while line := self.rfile.readline().decode().strip():
                headers = {}
                while header := self.rfile.readline().decode().strip():
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = self.rfile.read(int(headers.get("content-length", 0)))
                arrived.append(Arrived(line, headers, body, number))
                if not steps[min(len(arrived), len(steps)) - 1](self.connection):
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            """A client that goes away is part of the game."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Loopback(f"http://127.0.0.1:{server.server_address[1]}/v1", arrived)
        finally:
            server.shutdown()
            thread.join()
