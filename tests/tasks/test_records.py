"""Records one at a time: how much is fetched for them, and that each comes once."""

from __future__ import annotations

import json
import threading
from itertools import islice
from typing import Any

import pytest

from tasks.kombo.errors import BadAnswer
from tasks.records import each_record
from tasks.reference import get_tags
from tests.contract.cases import ID, OTHER_ID
from tests.contract.server import INTEGRATION, Answer, Asked, Kombo, failure, success


def read(contract: Kombo, **arguments: Any) -> Any:
    """Read tags lazily."""
    return each_record("tags", integration=INTEGRATION, credentials=contract.credentials, **arguments)


def endless(asked: Asked) -> Answer:
    """Answer a page of three, and always name another."""
    number = int(asked.query.get("cursor", 0))
    return success({"results": [{"id": f"{number}-{n}"} for n in range(3)], "next": str(number + 1)})


def test_nothing_is_asked_before_the_first_record_is_wanted(contract: Kombo) -> None:
    read(contract)
    assert contract.asked == []


def test_whoever_stops_early_does_not_fetch_the_rest(contract: Kombo) -> None:
    contract.answers["*"] = endless
    walk = read(contract)
    assert len(list(islice(walk, 4))) == 4
    walk.close()
    assert len(contract.asked) <= 4


@pytest.mark.parametrize(("limit", "requests", "page_size"), [(1, 1, "1"), (3, 1, "3"), (4, 2, "4"), (7, 3, "7")])
def test_a_limit_fetches_no_page_beyond_it(contract: Kombo, limit: int, requests: int, page_size: str) -> None:
    contract.answers["*"] = endless
    found = get_tags.fn(integration=INTEGRATION, limit=limit, credentials=contract.credentials)
    assert len(found) == limit
    assert len(contract.asked) == requests
    assert {asked.query["page_size"] for asked in contract.asked} == {page_size}


def test_a_limited_read_fetches_nothing_ahead(contract: Kombo) -> None:
    contract.answers["*"] = endless
    walk = read(contract, limit=4)
    next(walk)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("kombo-pages")]
    assert len(contract.asked) == 1


def test_a_page_is_as_large_as_the_api_allows(contract: Kombo) -> None:
    next(read(contract, limit=251))
    next(read(contract))
    assert {asked.query["page_size"] for asked in contract.asked} == {"250"}


@pytest.mark.parametrize("limit", [0, -1, True, "5", 2.5])
def test_a_limit_is_a_number_of_records(contract: Kombo, limit: Any) -> None:
    with pytest.raises(ValueError, match="limit"):
        read(contract, limit=limit)


def test_a_record_that_moves_between_pages_comes_once(contract: Kombo) -> None:
    def answer(asked: Asked) -> Answer:
        if "cursor" in asked.query:
            return success({"results": [{"id": ID}, {"id": OTHER_ID}], "next": None})
        return success({"results": [{"id": ID}], "next": "2"})

    contract.answers["*"] = answer
    assert [record["id"] for record in read(contract)] == [ID, OTHER_ID]


def test_records_come_once_when_a_cursor_expires(contract: Kombo) -> None:
    def answer(asked: Asked) -> Answer:
        if "cursor" in asked.query and sum("cursor" in one.query for one in contract.asked) == 1:
            return failure("PLATFORM.INPUT_INVALID", 400, asked)
        if "cursor" in asked.query:
            return success({"results": [{"id": OTHER_ID}], "next": None})
        return success({"results": [{"id": ID}], "next": "2"})

    contract.answers["*"] = answer
    assert [record["id"] for record in read(contract)] == [ID, OTHER_ID]


def test_a_wrong_filter_is_refused_at_once(contract: Kombo) -> None:
    with pytest.raises(ValueError, match="no filter"):
        read(contract, filters={"outcomes": ["PENDING"]})


@pytest.mark.parametrize("results", [b'["Ada"]', b"[null]"])
def test_records_that_are_none_are_an_error_that_does_not_quote_them(contract: Kombo, results: bytes) -> None:
    contract.answers["*"] = lambda _: (
        200,
        b'{"status":"success","data":{"next":null,"results":' + results + b"}}",
        "application/json",
    )
    with pytest.raises(BadAnswer) as odd:
        list(read(contract))
    assert "Ada" not in str(odd.value)
    assert not isinstance(odd.value.__cause__, json.JSONDecodeError)


def test_what_the_api_sends_is_not_touched(contract: Kombo) -> None:
    record = {"id": ID, "new_key": {"a": [1, None]}, "number": 2**70, "changed_at": "2026-03-29T01:00:00.000Z"}
    contract.answers["*"] = lambda _: success({"results": [record], "next": None})
    assert list(read(contract)) == [record]
