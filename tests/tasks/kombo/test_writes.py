"""Writing: what is sent again, what is not, and what is said about a write that may have happened."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tasks.kombo.answers import Answer
from tasks.kombo.client import Client
from tasks.kombo.errors import (
    BadAnswer,
    ConcurrencyLimited,
    InvalidRequest,
    KomboError,
    NotOffered,
    OutcomeUnknown,
    RateLimited,
    RequestRefused,
    Unavailable,
)
from tasks.kombo.limits import Limiter
from tasks.kombo.retries import Repeat
from tests.tasks.kombo.stand_ins import (
    APPLICATION,
    INTEGRATION,
    KEY,
    REASON,
    START,
    FakeClock,
    Kombo,
    answer,
    client_of,
    error,
    garbage,
    hang_up,
    http,
    http_then_hang_up,
    loopback,
    success,
    truncated,
)

DONE = success({}, warnings=[])

# Sent, and then nobody can say.
UNKNOWN = [
    httpx.ReadTimeout("slow"),
    httpx.ReadError("reset"),
    httpx.WriteTimeout("slow"),
    httpx.WriteError("reset"),
    httpx.CloseError("reset"),
    httpx.RemoteProtocolError("illegal status line: Ada Lovelace"),
    ConnectionResetError(),
    RuntimeError("a fault that nobody foresaw"),
    answer(500),
    answer(500, error("PLATFORM.UNKNOWN_ERROR")),
    answer(504, error("PLATFORM.TASK_TIMED_OUT")),
    answer(500, error("PLATFORM.NEVER_HEARD_OF")),
    answer(502, b"<html>Bad gateway</html>"),
    answer(503, b""),
    answer(503, error("REMOTE.SERVICE_UNAVAILABLE")),
    answer(408),
    answer(302, location="https://elsewhere.example.org/"),
    answer(200, b""),
    answer(200, b"<html>Welcome</html>"),
    answer(200, b'{"status":"success","data":{'),
    answer(200, success(None)),
    answer(200, error(None)),
    answer(200, b"[" * 100_000),
]

# May have run, and is not worth another try: an answer of the ATS that Kombo does not know.
UNKNOWN_TO_KOMBO = answer(500, error("REMOTE.UNKNOWN_HTTP_ERROR"))

# Certainly did not run.
NOT_RUN = [
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("slow"),
    httpx.PoolTimeout("full"),
    httpx.ProxyError("refused"),
    answer(429, error("PLATFORM.CONCURRENCY_LIMIT_EXCEEDED")),
    answer(429, error("PLATFORM.RATE_LIMIT_EXCEEDED"), ratelimit_reset="3"),
    answer(429, error("REMOTE.RATE_LIMIT_EXCEEDED")),
    answer(429, b"<html>Slow down</html>"),
]

# Ran into a clear no.
REFUSED: list[tuple[httpx.Response, type[KomboError]]] = [
    (answer(400, error("PLATFORM.INPUT_INVALID")), InvalidRequest),
    (answer(400, error("REMOTE.INPUT_INVALID")), InvalidRequest),
    (answer(400, error("ATS.JOB_CLOSED")), RequestRefused),
    (answer(400, error("INTEGRATION.ACTION_DISABLED")), NotOffered),
    (answer(409), RequestRefused),
    (answer(413, b"<html>Too large</html>"), InvalidRequest),
]


def write(client: Client, repeat: Repeat, **changes: Any) -> Answer:
    arguments: dict[str, Any] = {
        "integration": INTEGRATION,
        "operation": "reject_application",
        "repeat": repeat,
        "path_ids": {"application_id": APPLICATION},
        "json": {"rejection_reason_id": REASON, "note": "Ada Lovelace"},
    }
    return client.call("POST", "/ats/applications/{application_id}/reject", **{**arguments, **changes})


def test_a_write_carries_its_body_and_its_ids_and_may_take_minutes() -> None:
    kombo = Kombo([DONE])
    write(client_of(kombo), "unsafe")
    (request,) = kombo.requests
    assert request.method == "POST"
    assert request.url.path == f"/v1/ats/applications/{APPLICATION}/reject"
    assert json.loads(request.content) == {"rejection_reason_id": REASON, "note": "Ada Lovelace"}
    assert request.headers["content-type"] == "application/json"
    assert request.extensions["timeout"]["read"] == 300
    assert request.extensions["timeout"]["connect"] == 10


def test_a_delete_carries_a_body_too() -> None:
    kombo = Kombo([DONE])
    client_of(kombo).call(
        "DELETE",
        "/ats/candidates/{candidate_id}/tags",
        integration=INTEGRATION,
        operation="remove_tag",
        repeat="safe",
        path_ids={"candidate_id": APPLICATION},
        json={"tag": {"name": "x"}},
    )
    assert kombo.requests[0].method == "DELETE"
    assert json.loads(kombo.requests[0].content) == {"tag": {"name": "x"}}


def test_bytes_are_a_body_that_is_encoded_already() -> None:
    kombo = Kombo([DONE])
    write(client_of(kombo), "unsafe", json=b'{"a": 1}')
    assert kombo.requests[0].content == b'{"a": 1}'


def test_warnings_come_back_with_the_data() -> None:
    done = write(client_of(Kombo([success({"id": "x"}, warnings=[{"message": "partly"}, {}])])), "unsafe")
    assert (done.data, done.warnings) == ({"id": "x"}, ("partly",))


@pytest.mark.parametrize("data", [{}, [], 0, False, ""])
def test_any_data_but_null_is_a_success(data: Any) -> None:
    assert write(client_of(Kombo([success(data)])), "unsafe").data == data


@pytest.mark.parametrize("step", UNKNOWN, ids=repr)
def test_an_unsafe_write_that_may_have_run_is_not_sent_twice(step: object) -> None:
    kombo = Kombo([step, DONE])
    with pytest.raises(OutcomeUnknown):
        write(client_of(kombo), "unsafe")
    assert len(kombo.requests) == 1


@pytest.mark.parametrize("repeat", ["safe", "unsafe"])
def test_an_error_of_the_ats_that_kombo_does_not_know_leaves_the_outcome_unknown(repeat: Repeat) -> None:
    kombo = Kombo([UNKNOWN_TO_KOMBO, DONE])
    with pytest.raises(OutcomeUnknown):
        write(client_of(kombo), repeat)
    assert len(kombo.requests) == 1


@pytest.mark.parametrize("repeat", ["safe", "unsafe"])
@pytest.mark.parametrize("step", NOT_RUN, ids=repr)
def test_a_write_that_did_not_run_is_sent_again(step: object, repeat: Repeat) -> None:
    kombo = Kombo([step, step, DONE])
    write(client_of(kombo), repeat)
    assert len(kombo.requests) == 3


@pytest.mark.parametrize("repeat", ["safe", "unsafe"])
@pytest.mark.parametrize(("step", "kind"), REFUSED, ids=repr)
def test_a_refused_write_is_not_sent_twice(step: httpx.Response, kind: type[KomboError], repeat: Repeat) -> None:
    kombo = Kombo([step, DONE])
    with pytest.raises(kind):
        write(client_of(kombo), repeat)
    assert len(kombo.requests) == 1


@pytest.mark.parametrize("repeat", ["safe", "unsafe"])
@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (httpx.ConnectError("refused"), Unavailable),
        (answer(429, error("PLATFORM.CONCURRENCY_LIMIT_EXCEEDED")), ConcurrencyLimited),
        (answer(429, error("REMOTE.RATE_LIMIT_EXCEEDED")), RateLimited),
    ],
    ids=repr,
)
def test_a_write_that_never_ran_does_not_end_as_unknown(step: object, kind: type[KomboError], repeat: Repeat) -> None:
    kombo = Kombo([step])
    with pytest.raises(kind):
        write(client_of(kombo), repeat)
    assert 1 < len(kombo.requests) <= 8


def test_an_unsafe_write_that_waited_for_a_slot_may_still_end_as_unknown() -> None:
    kombo = Kombo([answer(429, error("PLATFORM.CONCURRENCY_LIMIT_EXCEEDED")), httpx.ReadTimeout("slow"), DONE])
    with pytest.raises(OutcomeUnknown):
        write(client_of(kombo), "unsafe")
    assert len(kombo.requests) == 2


@pytest.mark.parametrize("step", [step for step in UNKNOWN if not isinstance(step, RuntimeError)], ids=repr)
def test_a_safe_write_that_may_have_run_is_sent_again(step: object) -> None:
    kombo = Kombo([step, DONE])
    write(client_of(kombo), "safe")
    assert len(kombo.requests) == 2


@pytest.mark.parametrize("step", UNKNOWN, ids=repr)
def test_a_safe_write_whose_tries_all_may_have_run_ends_as_unknown(step: object) -> None:
    kombo = Kombo([step])
    with pytest.raises(OutcomeUnknown):
        write(client_of(kombo), "safe")
    assert 1 < len(kombo.requests) <= 4


@pytest.mark.parametrize(
    "later", [answer(400, error("REMOTE.INPUT_INVALID")), httpx.ConnectError("refused"), answer(429)], ids=repr
)
def test_no_later_answer_but_success_tells_what_became_of_an_earlier_try(later: object) -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        write(client_of(Kombo([httpx.ReadTimeout("slow"), later])), "safe")
    assert caught.value.sent_at == START


def test_an_unknown_outcome_counts_from_the_first_try_that_may_have_run() -> None:
    clock = FakeClock()
    with pytest.raises(OutcomeUnknown) as caught:
        write(client_of(Kombo([httpx.ConnectError("refused"), httpx.ReadTimeout("slow")]), clock), "safe")
    assert clock.waits == [1, 2, 4]
    assert caught.value.sent_at == START + timedelta(seconds=1)


def test_an_unknown_outcome_tells_what_was_sent_to_whom_and_when() -> None:
    clock = FakeClock()
    clock.now = 90
    failed = answer(500, error("PLATFORM.UNKNOWN_ERROR", message="Ada Lovelace"))
    with pytest.raises(OutcomeUnknown) as caught:
        write(client_of(Kombo([failed]), clock), "unsafe")
    unknown = caught.value
    assert (unknown.operation, unknown.integration) == ("reject_application", INTEGRATION)
    assert unknown.ids == {"application_id": APPLICATION}
    assert unknown.sent_at == START + timedelta(seconds=90)
    assert (unknown.code, unknown.status) == ("PLATFORM.UNKNOWN_ERROR", 500)
    assert unknown.log_url is not None
    assert unknown.log_url in str(unknown)


@pytest.mark.parametrize("step", [*UNKNOWN, *NOT_RUN, *(step for step, _ in REFUSED)], ids=repr)
@pytest.mark.parametrize("repeat", ["safe", "unsafe"])
def test_no_failed_write_tells_what_it_was_about(
    step: object, repeat: Repeat, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(KomboError) as caught:
        write(client_of(Kombo([step])), repeat)
    told = caplog.text + str(caught.value) + repr(caught.value) + repr(caught.value.__cause__)
    for secret in ("Lovelace", REASON, KEY, "nobody foresaw"):
        assert secret not in told


@pytest.mark.parametrize(
    "changes",
    [
        {"path_ids": {"application_id": "a/../b?x"}},
        {"path_ids": {"application_id": "remote:7"}},
        {"path_ids": {"application_id": ""}},
        {"integration": "nothing"},
    ],
)
def test_a_malformed_id_is_refused_before_anything_is_sent(changes: Mapping[str, Any]) -> None:
    kombo = Kombo([DONE])
    with pytest.raises(ValueError, match="expected"):
        write(client_of(kombo), "unsafe", **changes)
    assert kombo.requests == []


# On a real socket from here on.


@pytest.mark.parametrize("step", [hang_up, truncated, garbage, http(b"", "503 Busy")])
def test_an_unsafe_write_that_is_lost_on_the_wire_is_sent_once(step: Any) -> None:
    with loopback(step, http(DONE)) as server, Client(KEY, server.url, clock=FakeClock()) as client:
        with pytest.raises(OutcomeUnknown) as caught:
            write(client, "unsafe")
        assert len(server.arrived) == 1
    assert "Lovelace" not in str(caught.value)


def test_an_unsafe_write_to_nobody_certainly_did_not_run() -> None:
    with loopback(http(DONE)) as server:
        gone = server.url
    with Client(KEY, gone, clock=FakeClock(), limiter=Limiter()) as client, pytest.raises(Unavailable):
        write(client, "unsafe")


def test_every_unsafe_write_has_a_connection_of_its_own() -> None:
    with loopback(http(DONE)) as server, Client(KEY, server.url) as client:
        for _ in range(3):
            write(client, "unsafe")
        assert [arrived.connection for arrived in server.arrived] == [0, 1, 2]


def test_a_server_that_hangs_up_after_each_answer_makes_no_outcome_unknown() -> None:
    with loopback(http_then_hang_up(DONE)) as server, Client(KEY, server.url) as client:
        for _ in range(5):
            write(client, "unsafe")
        assert len(server.arrived) == 5


def test_a_remote_id_reaches_the_server_as_one_segment() -> None:
    with loopback(http(DONE)) as server, Client(KEY, server.url) as client:
        client.call(
            "POST",
            "/ats/jobs/{job_id}/applications",
            integration=INTEGRATION,
            operation="create_application",
            repeat="unsafe",
            path_ids={"job_id": "remote:a/../b?x#y%2F"},
            remote_ids=("job_id",),
            json={},
        )
        assert server.arrived[0].path == "/v1/ats/jobs/remote%3Aa%2F..%2Fb%3Fx%23y%252F/applications"


def test_a_broken_answer_to_a_read_is_no_unknown_outcome() -> None:
    with pytest.raises(BadAnswer):
        write(client_of(Kombo([answer(200, b"")])), "read")
