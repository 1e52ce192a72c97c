"""The demo misbehaves on demand, exactly where and as often as it was told."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import msgspec
import pytest

from deployments.demo.server import DemoKombo
from deployments.demo.values import unix
from tests.deployments.demo_client import ids, open_client, refusal, walk, walk_pages


@pytest.fixture
def kombo() -> Iterator[DemoKombo]:
    with DemoKombo() as running:
        yield running


@pytest.fixture
def client(kombo: DemoKombo) -> Iterator[httpx.Client]:
    with open_client(kombo) as opened:
        yield opened


@pytest.fixture
def note(kombo: DemoKombo) -> tuple[str, dict[str, str]]:
    """A write: its path and body."""
    application = kombo.records(kombo.integrations[0], "applications", include_deleted=False)[0]["id"]
    return f"/ats/applications/{application}/notes", {"content": "n", "content_type": "PLAIN_TEXT"}


def test_faults_come_in_order_and_only_once(kombo: DemoKombo, client: httpx.Client) -> None:
    kombo.fault("error", status=503, code="REMOTE.SERVICE_UNAVAILABLE")
    kombo.fault("error", status=429, code="PLATFORM.RATE_LIMIT_EXCEEDED")
    assert [client.get("/ats/tags").status_code for _ in range(3)] == [503, 429, 200]
    assert kombo.faults == {"pending": [], "applied": ["error", "error"]}


@pytest.mark.parametrize(
    "criterion",
    [
        {"method": "PUT"},
        {"path": "/ats/jobs"},
        {"path": "/ats/tags/*"},
        {"collection": "jobs"},
        {"integration": "workday:Demo2222222222222222Bbbb"},
        {"page": 2},
        {"query": "updated_after"},
        {"skip": 1},
    ],
)
def test_a_fault_spares_requests_that_do_not_fit(kombo: DemoKombo, client: httpx.Client, criterion: Any) -> None:
    kombo.fault("error", **criterion)
    assert client.get("/ats/tags").status_code == 200
    assert len(kombo.faults["pending"]) == 1


@pytest.mark.parametrize(
    "criterion",
    [
        {"method": "GET", "collection": "tags"},
        {"path": "/ats/t*"},
        {"integration": "greenhouse:Demo1111111111111111Aaaa"},
        {"page": 1},
        {"query": "page_size=3"},
    ],
)
def test_a_fault_hits_requests_that_fit(kombo: DemoKombo, client: httpx.Client, criterion: Any) -> None:
    kombo.fault("error", **criterion)
    assert client.get("/ats/tags", params={"page_size": 3}).status_code == 500


def test_a_fault_can_hit_one_page_of_a_walk(kombo: DemoKombo, client: httpx.Client) -> None:
    kombo.fault("empty", collection="applications", page=3)
    pages = walk_pages(client, "applications", page_size=10)
    next(pages)
    next(pages)
    with pytest.raises(AssertionError):
        next(pages)


def test_a_fault_can_last_for_ever(kombo: DemoKombo, client: httpx.Client) -> None:
    kombo.fault("error", times=None)
    assert {client.get("/ats/tags").status_code for _ in range(5)} == {500}
    kombo.clear_faults()
    assert client.get("/ats/tags").status_code == 200


def test_a_misspelt_fault_is_refused(kombo: DemoKombo) -> None:
    with pytest.raises(msgspec.ValidationError):
        kombo.fault("eror")
    with pytest.raises(msgspec.ValidationError):
        kombo.fault("error", colection="tags")


@pytest.mark.parametrize(
    ("kind", "fields", "status", "content_type", "start"),
    [
        ("html", {}, 502, "text/html", "<html>"),
        ("html", {"status": 200}, 200, "text/html", "<html>"),
        ("text", {}, 500, "text/plain", "upstream"),
        ("empty", {}, 503, None, ""),
        ("data_null", {}, 200, "application/json; charset=utf-8", '{"status":"success","data":null}'),
        (
            "status_error",
            {"code": "REMOTE.UNKNOWN_HTTP_ERROR"},
            200,
            "application/json; charset=utf-8",
            '{"status":"error"',
        ),
        ("error", {"code": None}, 500, "application/json; charset=utf-8", '{"status":"error","error":{"code":null'),
        ("error", {"code": "NEW.CODE", "status": 418}, 418, "application/json; charset=utf-8", '{"status":"error"'),
        ("body", {"body": "{", "content_type": "application/json"}, 200, "application/json", "{"),
    ],
)
def test_each_kind_of_answer(
    kombo: DemoKombo,
    client: httpx.Client,
    kind: str,
    fields: dict[str, Any],
    status: int,
    content_type: str | None,
    start: str,
) -> None:
    kombo.fault(kind, **fields)
    answer = client.get("/ats/tags")
    assert (answer.status_code, answer.headers.get("content-type")) == (status, content_type)
    assert answer.text.startswith(start)


def test_a_wait_is_announced_in_seconds_as_a_date_or_as_a_reset(kombo: DemoKombo, client: httpx.Client) -> None:
    kombo.fault("error", status=429, retry_after=7)
    kombo.fault("error", status=429, retry_after=7, retry_after_date=True)
    kombo.fault("error", status=429, ratelimit_reset=9)
    kombo.fault("error", status=429)
    seconds, date, reset, nothing = (client.get("/ats/tags").headers for _ in range(4))
    assert seconds["retry-after"] == "7"
    ahead = parsedate_to_datetime(date["retry-after"]) - parsedate_to_datetime(date["date"])
    assert ahead.total_seconds() in (6, 7, 8)
    assert (reset["ratelimit-reset"], reset["ratelimit-remaining"]) == ("9", "0")
    assert not {"retry-after", "ratelimit-reset"} & set(nothing)


def test_a_dropped_connection_has_no_answer_and_the_next_one_works(kombo: DemoKombo, client: httpx.Client) -> None:
    kombo.fault("drop")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        client.get("/ats/tags")
    assert kombo.requests[-1]["status"] is None
    assert client.get("/ats/tags").status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_a_truncated_answer_announces_its_full_length(kombo: DemoKombo, client: httpx.Client, encoding: str) -> None:
    kombo.fault("truncate")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        client.get("/ats/applications", headers={"accept-encoding": encoding})


@pytest.mark.parametrize("kind", ["drop", "error", "html", "empty"])
@pytest.mark.parametrize(("after", "carried_out"), [(False, 0), (True, 1)])
def test_a_write_fails_before_or_after_it_was_carried_out(
    kombo: DemoKombo, client: httpx.Client, note: tuple[str, dict[str, str]], kind: str, after: bool, carried_out: int
) -> None:
    kombo.fault(kind, after=after)
    path, body = note
    if kind == "drop":
        with pytest.raises(httpx.TransportError):
            client.post(path, json=body)
    else:
        assert client.post(path, json=body).status_code >= 500
    assert len(kombo.writes) == carried_out


@pytest.mark.parametrize(("after", "carried_out"), [(False, 0), (True, 1)])
def test_a_hang_that_the_client_gives_up_on(
    kombo: DemoKombo, client: httpx.Client, note: tuple[str, dict[str, str]], after: bool, carried_out: int
) -> None:
    kombo.fault("hang", after=after)
    path, body = note
    with pytest.raises(httpx.ReadTimeout):
        client.post(path, json=body, timeout=0.05)
    kombo.release()
    assert client.get("/ats/tags").status_code == 200
    assert len(kombo.writes) == carried_out


def test_a_hang_ends_when_released(kombo: DemoKombo, client: httpx.Client) -> None:
    kombo.fault("hang", collection="tags")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.get, "/ats/tags")
        assert any(kombo.faults["applied"] for _ in range(100_000))
        kombo.release()
        assert answer.result().status_code == 200


def test_a_hang_may_end_by_itself(kombo: DemoKombo, client: httpx.Client) -> None:
    kombo.fault("hang", seconds=0.01)
    assert client.get("/ats/tags").status_code == 200


def test_a_slow_answer_is_complete_in_the_end(kombo: DemoKombo, client: httpx.Client) -> None:
    kombo.fault("slow", seconds=0.02)
    answer = client.get("/ats/tags", headers={"accept-encoding": "identity"})
    assert len(answer.json()["data"]["results"]) == 9


@pytest.mark.parametrize("page", [1, 2, 6])
def test_a_repeated_cursor_leads_back_to_a_page_already_seen(kombo: DemoKombo, client: httpx.Client, page: int) -> None:
    kombo.fault("repeat_cursor", collection="applications", page=page)
    seen = []
    for data in walk_pages(client, "applications", page_size=10):
        if data["next"] in seen:
            return
        seen.append(data["next"])
        if page == 1 and len(seen) == 2:
            assert ids(data["results"]) == ids(
                kombo.records(kombo.integrations[0], "applications", include_deleted=False)[:10]
            )
            return
    raise AssertionError("no cursor came twice")


def test_an_expired_cursor_is_an_invalid_request_that_names_the_cursor(kombo: DemoKombo, client: httpx.Client) -> None:
    kombo.fault("expired_cursor", collection="tags", page=2)
    cursor = client.get("/ats/tags", params={"page_size": 2}).json()["data"]["next"]
    answer = client.get("/ats/tags", params={"page_size": 2, "cursor": cursor})
    assert refusal(answer) == (400, "PLATFORM.INPUT_INVALID")
    assert "cursor" in answer.json()["error"]["message"]


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_short_page_in_the_middle_loses_nothing(kombo: DemoKombo, client: httpx.Client, count: int) -> None:
    kombo.fault("short_page", collection="applications", page=2, count=count)
    sizes = [len(data["results"]) for data in walk_pages(client, "applications", page_size=10)]
    assert sizes[1] == count
    assert sum(sizes) == len(kombo.records(kombo.integrations[0], "applications", include_deleted=False))


@pytest.mark.parametrize("kind", ["older_first", "older_last"])
def test_a_record_comes_twice_in_two_versions(kombo: DemoKombo, client: httpx.Client, kind: str) -> None:
    kombo.fault(kind, collection="applications", page=2, count=2)
    received = walk(client, "applications", page_size=10)
    held = {one["id"]: one for one in kombo.records(kombo.integrations[0], "applications", include_deleted=False)}
    twice = [id_ for id_ in held if ids(received).count(id_) == 2]
    assert len(twice) == 2
    for id_ in twice:
        first, second = (one for one in received if one["id"] == id_)
        older, newer = (first, second) if kind == "older_first" else (second, first)
        assert newer == held[id_]
        assert unix(older["changed_at"]) < unix(newer["changed_at"])


def test_latency_is_added_to_every_answer(kombo: DemoKombo, client: httpx.Client) -> None:
    kombo.configure(latency_ms=10_000)
    with pytest.raises(httpx.ReadTimeout):
        client.get("/ats/tags", timeout=0.05)


def test_actions_can_have_a_latency_of_their_own(
    kombo: DemoKombo, client: httpx.Client, note: tuple[str, dict[str, str]]
) -> None:
    kombo.configure(action_latency_ms=10_000)
    assert client.get("/ats/tags", timeout=5).status_code == 200
    with pytest.raises(httpx.ReadTimeout):
        client.post(note[0], json=note[1], timeout=0.05)


def test_rubbish_on_the_socket_is_a_bad_request(kombo: DemoKombo) -> None:
    host, port = kombo.origin.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as raw:
        raw.sendall(b"rubbish\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 400")
