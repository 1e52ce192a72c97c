"""Walking through a collection: to its end and no further, with nothing lost on the way."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tasks.kombo.client import Client
from tasks.kombo.errors import BadAnswer, InvalidRequest, KomboError, NotOffered, Unavailable
from tasks.kombo.pages import Page, pages
from tests.tasks.kombo.stand_ins import (
    INTEGRATION,
    START,
    FakeClock,
    Kombo,
    answer,
    client_of,
    error,
    page,
    success,
)

EXPIRED = answer(400, error("PLATFORM.INPUT_INVALID"))
THREE = [page([{"id": 1}, {"id": 2}], "c1"), page([{"id": 3}], "c2"), page([{"id": 4}], None)]


@pytest.fixture(params=[0, 1, 3], ids="prefetch={}".format)
def prefetch(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert [thread for thread in threading.enumerate() if thread.name.startswith("kombo-pages")] == []


def walk(client: Client, prefetch: int = 1, **changes: Any) -> Generator[Page, None, None]:
    return pages(client, "jobs", integration=INTEGRATION, prefetch=prefetch, **changes)


def ids_of(walked: Iterator[Page]) -> list[int]:
    return [json.loads(bytes(record))["id"] for found in walked for record in found.records]


def test_a_walk_yields_every_record_once(prefetch: int) -> None:
    assert ids_of(walk(client_of(Kombo(THREE)), prefetch)) == [1, 2, 3, 4]


def test_pages_are_numbered_from_one(prefetch: int) -> None:
    assert [found.number for found in walk(client_of(Kombo(THREE)), prefetch)] == [1, 2, 3]


def test_the_filters_go_with_every_cursor(prefetch: int) -> None:
    kombo = Kombo(THREE)
    updated_after = datetime(2026, 1, 2, tzinfo=UTC)
    list(walk(client_of(kombo), prefetch, filters={"updated_after": updated_after, "include_deleted": True}))
    filters = {"page_size": "250", "updated_after": "2026-01-02T00:00:00.000Z", "include_deleted": "true"}
    assert [dict(request.url.params) for request in kombo.requests] == [
        filters,
        {**filters, "cursor": "c1"},
        {**filters, "cursor": "c2"},
    ]


def test_a_short_or_empty_page_does_not_end_a_walk(prefetch: int) -> None:
    kombo = Kombo([page([], "c1"), page([{"id": 1}], "c2"), page([], "c3"), page([], None)])
    assert ids_of(walk(client_of(kombo), prefetch)) == [1]
    assert len(kombo.requests) == 4


def test_records_come_byte_for_byte() -> None:
    raw = [b'{"id":1, "n":1e400,"x":123456789012345678901234567890, "d":1,"d":2 , "t":"\\u00e4" }', b'{"id":\n2}']
    kombo = Kombo([answer(200, b'{"status":"success","data":{"results":[ ' + b" ,\n".join(raw) + b' ],"next":null}}')])
    (found,) = walk(client_of(kombo))
    assert [bytes(record) for record in found.records] == raw


def test_keys_may_come_in_any_order_and_new_ones_are_no_matter() -> None:
    body = b'{"more":[1],"data":{"next":null,"total":3,"results":[{"id":1}]},"warnings":[],"status":"success"}'
    assert ids_of(walk(client_of(Kombo([answer(200, body)])))) == [1]


def test_a_cursor_is_sent_as_it_was_given() -> None:
    cursor = 'eyJ+/=="&?#% ä'
    kombo = Kombo([page([], cursor), page([], None)])
    list(walk(client_of(kombo)))
    assert kombo.requests[1].url.params["cursor"] == cursor


@pytest.mark.parametrize(
    "body",
    [
        success({"results": []}),
        success({"next": None}),
        success({"results": None, "next": None}),
        success({"results": {}, "next": None}),
        success({"results": "[]", "next": None}),
        success({"results": [], "next": 7}),
        success({"results": [], "next": ""}),
        success([]),
        success(None),
        {"status": "success"},
        {"data": {"results": [], "next": None}},
        {"status": "error", "data": {"results": [], "next": None}},
        error(None),
        b"<html></html>",
        b"",
        b'{"status":"success","data":{"results":[{"id":1}],"next":null}',
        b"[" * 100_000,
    ],
)
def test_a_broken_page_is_an_error_and_never_an_empty_page(body: Any, prefetch: int) -> None:
    with pytest.raises(BadAnswer) as caught:
        list(walk(client_of(Kombo([answer(200, body)])), prefetch))
    assert str(caught.value).startswith("jobs, page 1: ")


def test_pages_before_a_failing_one_come_first(prefetch: int) -> None:
    walked = walk(client_of(Kombo([*THREE[:2], answer(503, error("REMOTE.SERVICE_UNAVAILABLE"))])), prefetch)
    assert [next(walked).number, next(walked).number] == [1, 2]
    with pytest.raises(Unavailable) as caught:
        next(walked)
    text = str(caught.value)
    for part in ("jobs, page 3", "REMOTE.SERVICE_UNAVAILABLE", "https://app.kombo.dev/x/logs?id=7"):
        assert part in text


def test_a_page_is_tried_again_without_starting_over(prefetch: int) -> None:
    kombo = Kombo([THREE[0], answer(502), httpx.ReadTimeout("slow"), THREE[1], answer(429), THREE[2]])
    assert ids_of(walk(client_of(kombo), prefetch)) == [1, 2, 3, 4]


def test_a_collection_that_is_not_offered_says_so(prefetch: int) -> None:
    kombo = Kombo([answer(400, error("INTEGRATION.MODEL_DISABLED"))])
    with pytest.raises(NotOffered):
        list(walk(client_of(kombo), prefetch))
    assert len(kombo.requests) == 1


@pytest.mark.parametrize(
    "steps",
    [
        [page([], "c1"), page([], "c1")],
        [page([], "c1"), page([], "c2"), page([], "c1")],
    ],
)
def test_a_cursor_that_repeats_ends_the_walk_with_an_error(steps: list[Any], prefetch: int) -> None:
    kombo = Kombo(steps)
    with pytest.raises(BadAnswer, match=rf"jobs, page {len(steps)}: .*cursor"):
        list(walk(client_of(kombo), prefetch))
    assert len(kombo.requests) == len(steps)


def test_a_walk_whose_cursor_expired_starts_again_from_the_beginning(prefetch: int) -> None:
    kombo = Kombo([*THREE[:2], EXPIRED, *THREE])
    found = list(walk(client_of(kombo), prefetch))
    assert [one.number for one in found] == [1, 2, 1, 2, 3]
    assert [one.restarted for one in found] == [False, False, True, False, False]
    assert "cursor" not in kombo.requests[3].url.params


def test_a_walk_starts_again_once_only(prefetch: int) -> None:
    kombo = Kombo([*THREE[:2], EXPIRED, *THREE[:2], EXPIRED])
    with pytest.raises(InvalidRequest, match="jobs, page 3"):
        list(walk(client_of(kombo), prefetch))
    assert len(kombo.requests) == 6


def test_a_first_page_that_is_refused_is_no_expired_cursor(prefetch: int) -> None:
    kombo = Kombo([EXPIRED])
    with pytest.raises(InvalidRequest, match="jobs, page 1"):
        list(walk(client_of(kombo), prefetch))
    assert len(kombo.requests) == 1


def test_the_api_tells_the_time_where_it_does() -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        clock.now += 7
        return answer(200, page([], None), date="Sun, 29 Mar 2026 01:00:00 GMT")

    clock = FakeClock()
    (found,) = walk(client_of(Kombo([slow]), clock))
    assert found.fetched_at == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert found.sent_at == found.fetched_at - timedelta(seconds=7)
    assert found.skew == (START + timedelta(seconds=7) - found.fetched_at).total_seconds() - 0.5


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}])
def test_without_a_date_our_own_clock_tells_the_time(headers: dict[str, str]) -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        clock.now += 7
        return answer(200, page([], None), **headers)

    clock = FakeClock()
    (found,) = walk(client_of(Kombo([slow]), clock))
    assert (found.sent_at, found.fetched_at) == (START, START + timedelta(seconds=7))
    assert found.skew is None


def test_a_page_that_was_tried_again_was_sent_when_its_last_try_was() -> None:
    (found,) = walk(client_of(Kombo([answer(503, retry_after="30"), page([], None)])))
    assert found.sent_at == START + timedelta(seconds=31)


@pytest.mark.parametrize(
    "changes",
    [
        {"collection": "application-stages"},
        {"integration": "nothing"},
        {"page_size": 0},
        {"page_size": 251},
        {"filters": {"ids": []}},
        {"filters": {"email": "ada@example.org"}},
    ],
)
def test_a_wrong_parameter_is_refused_at_once(changes: dict[str, Any], prefetch: int) -> None:
    kombo = Kombo([page([], None)])
    arguments: dict[str, Any] = {"collection": "jobs", "integration": INTEGRATION, "prefetch": prefetch, **changes}
    with pytest.raises(ValueError, match=r"\w"):
        pages(client_of(kombo), arguments.pop("collection"), **arguments)
    assert kombo.requests == []


def endless() -> Kombo:
    numbers = iter(range(1_000_000))
    return Kombo([lambda request: page([], f"c{next(numbers)}")])


def test_nothing_is_fetched_before_the_first_page_is_asked_for(prefetch: int) -> None:
    kombo = endless()
    walk(client_of(kombo), prefetch)
    assert kombo.requests == []


def test_a_walk_is_never_further_ahead_than_asked() -> None:
    kombo = endless()
    walked = walk(client_of(kombo), prefetch=2)
    for taken in range(1, 20):
        next(walked)
        assert len(kombo.requests) <= taken + 2
    walked.close()


def test_the_next_page_is_on_its_way_while_the_last_one_is_used() -> None:
    second_requested = threading.Event()

    def second(request: httpx.Request) -> dict[str, Any]:
        second_requested.set()
        return page([], None)

    walked = walk(client_of(Kombo([page([], "c1"), second])))
    next(walked)
    assert second_requested.wait(10)
    list(walked)


def test_a_walk_closed_early_fetches_no_more(prefetch: int) -> None:
    kombo = endless()
    walked = walk(client_of(kombo), prefetch)
    next(walked)
    walked.close()
    fetched = len(kombo.requests)
    assert fetched <= 1 + prefetch
    assert list(walked) == []
    assert len(kombo.requests) == fetched


def test_a_walk_closed_while_it_waits_does_not_wait_on() -> None:
    waiting = threading.Event()

    class Waiting(FakeClock):
        def wait(self, seconds: float, stop: threading.Event | None = None) -> None:
            assert stop is not None
            waiting.set()
            assert stop.wait(10)

    walked = walk(client_of(Kombo([page([], "c1"), answer(503)]), Waiting()))
    next(walked)
    assert waiting.wait(10)
    walked.close()


def test_an_error_of_the_consumer_ends_the_walk() -> None:
    def consume() -> None:
        for found in walk(client_of(endless())):
            assert found.number < 3

    with pytest.raises(AssertionError):
        consume()
    gc.collect()


def test_a_fault_of_our_own_reaches_the_consumer(prefetch: int) -> None:
    client = client_of(endless())
    walked = walk(client, prefetch)
    next(walked)
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        list(walked)


def test_an_error_of_a_walk_is_a_kombo_error_that_names_the_integration(prefetch: int) -> None:
    with pytest.raises(KomboError, match=INTEGRATION):
        list(walk(client_of(Kombo([answer(401)])), prefetch))
