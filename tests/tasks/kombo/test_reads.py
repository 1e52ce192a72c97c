"""Reading: what is sent, what is tried again, and how long that takes."""

from __future__ import annotations

import gzip
import json
import logging
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tasks.kombo import answers
from tasks.kombo.client import EU, US, Client
from tasks.kombo.errors import (
    BadAnswer,
    InvalidRequest,
    KeyRefused,
    KomboError,
    NotOffered,
    RateLimited,
    SetupPending,
    Unavailable,
)
from tasks.kombo.exchange import Stopped
from tasks.kombo.limits import Limiter, shared_limiter
from tests.tasks.kombo.stand_ins import (
    INTEGRATION,
    KEY,
    FakeClock,
    Kombo,
    answer,
    client_of,
    error,
    hang_up,
    http,
    http_then_hang_up,
    loopback,
    success,
    truncated,
)

GOOD = success({"results": [], "next": None})
PACKED = gzip.compress(json.dumps(GOOD).encode())


def read(client: Client, **params: str) -> Any:
    return json.loads(client.get("/ats/jobs", integration=INTEGRATION, params=params))


def test_a_request_carries_key_integration_and_who_we_are() -> None:
    kombo = Kombo([GOOD])
    read(client_of(kombo), email="a+b@x.org")
    (request,) = kombo.requests
    assert request.url == "http://127.0.0.1/v1/ats/jobs?email=a%2Bb%40x.org"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["x-integration-id"] == INTEGRATION
    assert request.headers["accept-encoding"] == "gzip"
    assert request.headers["user-agent"].startswith("kombo-flows")
    assert request.extensions["timeout"]["connect"] == 10
    assert request.extensions["timeout"]["read"] == 60


@pytest.mark.parametrize("region", [EU, US])
def test_both_regions_are_reached_by_https(region: str) -> None:
    kombo = Kombo([GOOD])
    with Client(KEY, region + "/", transport=httpx.MockTransport(kombo), limiter=Limiter()) as client:
        read(client)
    assert str(kombo.requests[0].url) == f"{region}/ats/jobs"


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "api.kombo.dev",
            "ftp://x/v1",
            "http://api.kombo.dev/v1",
            "https://u:p@x/v1",
            "https://x/v1?a=b",
            "https://",
        ),
        *(7, "http://localhost.example.org/v1", "https://x/v1#y"),
    ],
)
def test_a_base_url_that_would_not_work_or_not_be_safe_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="Kombo base URL"):
        Client(KEY, url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/v1", "http://localhost/v1", "http://[::1]:7/v1"])
def test_a_stand_in_on_loopback_may_do_without_tls(url: str) -> None:
    with Client(KEY, url) as client:
        assert client.base_url == url


@pytest.mark.parametrize("key", ["", " ", "secret key", "secret\n", "sécret", "secret\x00"])
def test_a_key_that_cannot_be_a_header_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ValueError, match="API key") as caught:
        Client(key)
    assert "cret" not in str(caught.value)


def test_a_client_shows_and_pickles_no_key() -> None:
    client = client_of(Kombo([GOOD]))
    assert KEY not in repr(client)
    with pytest.raises(TypeError, match="credentials"):
        pickle.dumps(client)


def test_a_closed_client_says_so() -> None:
    client = client_of(Kombo([GOOD]))
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        read(client)


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.WriteError("reset"),
        httpx.RemoteProtocolError("peer closed connection without sending complete message body"),
        ConnectionResetError(),
        answer(408),
        answer(429),
        answer(500, error("PLATFORM.UNKNOWN_ERROR")),
        answer(500, error("PLATFORM.TASK_TIMED_OUT")),
        answer(502, b"<html>Bad gateway</html>"),
        answer(503, b""),
        answer(503, error("REMOTE.SERVICE_UNAVAILABLE")),
        answer(429, error("PLATFORM.RATE_LIMIT_EXCEEDED"), ratelimit_reset="5"),
        answer(429, error("REMOTE.RATE_LIMIT_EXCEEDED")),
        answer(429, error("PLATFORM.CONCURRENCY_LIMIT_EXCEEDED")),
        answer(200, b"<html>Maintenance</html>"),
        answer(200, b""),
        answer(200, b'{"status":"success","data":{"resu'),
        answer(200, success(None)),
        answer(200, error(None)),
    ],
    ids=repr,
)
def test_what_may_pass_is_read_again(failure: object) -> None:
    kombo = Kombo([failure, GOOD])
    assert read(client_of(kombo)) == GOOD
    assert len(kombo.requests) == 2


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (answer(400, error("PLATFORM.INPUT_INVALID")), InvalidRequest),
        (answer(401, error("PLATFORM.AUTHENTICATION_INVALID")), KeyRefused),
        (answer(409, error("INTEGRATION.SETUP_SYNC_PENDING")), SetupPending),
        (answer(503, error("INTEGRATION.SETUP_SYNC_PENDING")), SetupPending),
        (answer(400, error("INTEGRATION.MODEL_DISABLED")), NotOffered),
    ],
)
def test_what_will_not_pass_is_read_once(failure: httpx.Response, kind: type[KomboError]) -> None:
    kombo = Kombo([failure])
    with pytest.raises(kind):
        read(client_of(kombo))
    assert len(kombo.requests) == 1


def test_tries_are_bounded_in_number() -> None:
    kombo, clock = Kombo([answer(503)]), FakeClock()
    with pytest.raises(Unavailable):
        read(client_of(kombo, clock))
    assert len(kombo.requests) == 6
    assert clock.waits == [1, 2, 4, 8, 16]


def test_tries_are_bounded_in_time() -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        clock.now += 120
        raise httpx.ReadTimeout("slow")

    kombo, clock = Kombo([slow]), FakeClock()
    with pytest.raises(Unavailable):
        read(client_of(kombo, clock))
    assert len(kombo.requests) == 3


def test_an_answer_that_trickles_for_ever_is_cut_off() -> None:
    class Trickle(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                clock.now += 50
                yield b" "

    class Transport(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, stream=Trickle())

    clock = FakeClock()
    with (
        Client(KEY, "http://127.0.0.1", transport=Transport(), limiter=Limiter(), clock=clock) as client,
        pytest.raises(Unavailable, match="ReadTimeout"),
    ):
        read(client)


def test_a_wait_longer_than_sensible_is_not_begun() -> None:
    kombo, clock = Kombo([answer(503, retry_after="86400")]), FakeClock()
    with pytest.raises(Unavailable) as caught:
        read(client_of(kombo, clock))
    assert caught.value.retry_after == 86400
    assert clock.waits == []


def test_a_429_holds_every_client_of_the_key_until_the_reset() -> None:
    limiter, clock = Limiter(), FakeClock()
    limited = answer(429, error("PLATFORM.RATE_LIMIT_EXCEEDED"), ratelimit_reset="57")
    with pytest.raises(RateLimited):
        client_of(Kombo([limited]), clock, limiter).call(
            "POST", "/ats/x", integration=INTEGRATION, operation="x", repeat="read", json={}
        )
    clock.waits.clear()
    held_until = clock.now + 57
    other = Kombo([GOOD])
    read(client_of(other, clock, limiter))
    assert clock.now >= held_until


@pytest.mark.parametrize("code", ["PLATFORM.CONCURRENCY_LIMIT_EXCEEDED", "REMOTE.RATE_LIMIT_EXCEEDED"])
def test_a_limit_of_one_integration_holds_no_other(code: str) -> None:
    limiter, clock = Limiter(), FakeClock()
    with pytest.raises(KomboError):
        read(client_of(Kombo([answer(429, error(code), ratelimit_reset="57")]), clock, limiter))
    clock.waits.clear()
    read(client_of(Kombo([GOOD]), clock, limiter))
    assert clock.waits == []


def test_waiting_for_ones_turn_does_not_use_up_the_tries() -> None:
    limiter, clock = Limiter(), FakeClock()
    limiter.hold(400)
    kombo = Kombo([answer(503), GOOD])
    read(client_of(kombo, clock, limiter))
    assert len(kombo.requests) == 2


def test_nobody_waits_for_ever_for_their_turn() -> None:
    limiter, clock = Limiter(), FakeClock()
    limiter.hold(1e6)
    kombo = Kombo([GOOD])
    with pytest.raises(RateLimited):
        read(client_of(kombo, clock, limiter))
    assert kombo.requests == []


def test_clients_of_one_key_share_a_limiter() -> None:
    transport = httpx.MockTransport(
        Kombo([answer(200, GOOD, ratelimit_limit="300", ratelimit_remaining="0", ratelimit_reset="9")])
    )
    url = "http://127.0.0.1/shared"
    with Client("shared-key", url, transport=transport, clock=FakeClock()) as client:
        read(client)
    assert shared_limiter("shared-key", url).take(0) == pytest.approx(9)


def test_a_redirect_is_not_followed() -> None:
    kombo = Kombo([answer(302, location="https://elsewhere.example.org/")])
    with pytest.raises(BadAnswer):
        read(client_of(kombo))
    assert {request.url.host for request in kombo.requests} == {"127.0.0.1"}


def test_a_malformed_integration_id_is_refused_before_anything_is_sent() -> None:
    kombo = Kombo([GOOD])
    with pytest.raises(ValueError, match="integration"):
        client_of(kombo).get("/ats/jobs", integration="a:b\r\nEvil: yes")
    assert kombo.requests == []


def test_waiting_ends_when_the_caller_says_stop() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        client_of(Kombo([answer(503)])).read("/ats/jobs", integration=INTEGRATION, decode=answers.body, stop=stop)


def test_no_log_and_no_error_has_key_body_query_or_message(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    kombo = Kombo([answer(503, error("REMOTE.SERVICE_UNAVAILABLE", message="Ada Lovelace"))])
    with pytest.raises(Unavailable) as caught:
        read(client_of(kombo), email="ada@example.org")
    assert "Trying again" in caplog.text
    for secret in ("Ada", "ada", KEY):
        assert secret not in caplog.text + str(caught.value) + repr(caught.value)


# On a real socket from here on.


def test_an_answer_comes_back_over_a_real_connection() -> None:
    with loopback(http(PACKED, Content_Encoding="gzip")) as server, Client(KEY, server.url) as client:
        assert read(client) == GOOD


def test_an_empty_answer_that_says_gzip_is_judged_by_its_status() -> None:
    refusal = http(b"", "401 Unauthorized", Content_Encoding="gzip")
    with (
        loopback(refusal) as server,
        Client(KEY, server.url, clock=FakeClock(), limiter=Limiter()) as client,
        pytest.raises(KomboError) as caught,
    ):
        read(client)
    assert caught.value.status == 401


def test_reads_share_a_connection() -> None:
    with loopback(http(GOOD)) as server, Client(KEY, server.url) as client:
        for _ in range(3):
            read(client)
        assert {arrived.connection for arrived in server.arrived} == {0}


@pytest.mark.parametrize(
    "fault",
    [
        hang_up,
        truncated,
        http(b"<html>", "502 Bad Gateway"),
        http(b"", "503 Busy"),
        http(PACKED[:20], Content_Encoding="gzip"),
        http(b"no gzip", Content_Encoding="gzip"),
    ],
)
def test_a_fault_on_the_wire_is_read_again(fault: Any) -> None:
    with loopback(fault, http(GOOD)) as server, Client(KEY, server.url, clock=FakeClock(), limiter=Limiter()) as client:
        assert read(client) == GOOD
        assert len(server.arrived) == 2


def test_a_connection_that_the_server_closed_in_between_costs_no_read() -> None:
    with loopback(http_then_hang_up(GOOD)) as server, Client(KEY, server.url, clock=FakeClock()) as client:
        assert [read(client) for _ in range(5)] == [GOOD] * 5


def test_a_refused_connection_names_the_host_and_the_reason() -> None:
    with loopback(http(GOOD)) as server:
        gone = server.url
    with Client(KEY, gone, clock=FakeClock(), limiter=Limiter()) as client, pytest.raises(Unavailable) as caught:
        read(client)
    assert "127.0.0.1" in str(caught.value)
    assert "refused" in str(caught.value)
    assert caught.value.sent is False
