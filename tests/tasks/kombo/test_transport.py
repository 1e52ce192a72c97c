"""How the bytes travel: TLS read once, a proxy from the environment, and nothing of it in any log."""

from __future__ import annotations

import json
import logging
import queue
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest
from httpcore import HTTPConnection, Origin

from tasks.kombo import transport
from tasks.kombo.client import EU, US, Client
from tasks.kombo.errors import Unavailable
from tasks.kombo.limits import Limiter
from tasks.kombo.transport import Single
from tests.tasks.kombo.stand_ins import INTEGRATION, KEY, FakeClock, http, loopback, success

DONE = success({"results": [], "next": None})


@pytest.fixture(autouse=True)
def _no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    transport._tls.cache_clear()
    yield
    transport._tls.cache_clear()


def test_certificates_are_read_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = httpx.create_ssl_context

    def counting() -> object:
        made.append(1)
        return real()

    monkeypatch.setattr(httpx, "create_ssl_context", counting)
    for region in (EU, US, EU):
        Client(KEY, region).close()
    assert made == [1]


def test_a_proxy_that_refuses_to_connect_leaves_no_write_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    with loopback(http(b"", "407 Proxy Authentication Required")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.removesuffix("/v1"))
        with Client(KEY, clock=FakeClock(), limiter=Limiter()) as client, pytest.raises(Unavailable) as caught:
            client.call("POST", "/ats/x", integration=INTEGRATION, operation="x", repeat="unsafe", json={})
        assert {arrived.line for arrived in proxy.arrived} == {"CONNECT api.kombo.dev:443 HTTP/1.1"}
        assert not any(KEY in str(arrived.headers) for arrived in proxy.arrived)
    assert caught.value.sent is False


def test_loopback_is_reached_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with loopback(http(DONE)) as server, loopback(http(b"", "502 Bad Gateway")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with Client(KEY, server.url) as client:
            client.get("/ats/tags", integration=INTEGRATION)
        assert (len(server.arrived), len(proxy.arrived)) == (1, 0)


def test_no_layer_logs_key_query_or_body(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with loopback(http(DONE)) as server, Client(KEY, server.url) as client:
        client.get("/ats/candidates", integration=INTEGRATION, params={"email": "ada@example.org"})
        client.call(
            "POST", "/ats/x", integration=INTEGRATION, operation="x", repeat="unsafe", json={"note": "Lovelace"}
        )
        assert "ada%40example.org" in server.arrived[0].path
    assert "httpcore" in {record.name.split(".")[0] for record in caplog.records}
    for secret in (KEY, "ada", "Lovelace"):
        assert secret not in caplog.text


def test_writes_side_by_side_never_share_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pools of httpcore let them, between looking for connections to close and for one to use: here that is longer."""
    real = HTTPConnection.can_handle_request

    def slowly(self: HTTPConnection, origin: Origin) -> bool:
        time.sleep(0.002)
        return real(self, origin)

    monkeypatch.setattr(HTTPConnection, "can_handle_request", slowly)
    with (
        loopback(http(success({}))) as server,
        Client(KEY, server.url, limiter=Limiter()) as client,
        ThreadPoolExecutor(5) as pool,
    ):
        write = partial(client.call, "POST", "/ats/x", integration=INTEGRATION, operation="x", repeat="unsafe", json={})
        for done in [pool.submit(write) for _ in range(60)]:
            done.result()
        assert len({arrived.connection for arrived in server.arrived}) == len(server.arrived) == 60


@pytest.mark.parametrize("read", [True, False])
def test_a_connection_of_its_own_is_closed_with_the_answer(read: bool) -> None:
    heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def step(connection: socket.socket) -> bool:
        http(success({}))(connection)
        connection.settimeout(10)
        heard.put(connection.recv(1))
        return False

    with loopback(step) as server:
        response = Single(server.url).handle_request(httpx.Request("GET", server.url))
        if read:
            assert json.loads(response.read())["status"] == "success"
        response.close()
        assert heard.get(timeout=20) == b""
