"""The reading operations against the demo: each returns what the server holds, and under each filter what fits it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from deployments.demo.server import DemoKombo
from tasks.kombo.collections import NAMES as COLLECTIONS
from tasks.kombo.collections import Collection
from tasks.kombo.errors import BadAnswer
from tasks.operations import OPERATIONS, OperationName
from tasks.records import each_record
from tests.contract.ats import READS, Ats, Record, arguments_of
from tests.contract.server import impatient


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_read_returns_what_there_is(still: Ats, collection: Collection) -> None:
    name: Any = f"get_{collection}"
    assert still.call(name) == still.held(collection)
    assert still.call(name, include_deleted=True) == still.held(collection, deleted=True)
    assert still.call(name, include_deleted=False) == still.held(collection)


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_read_by_ids_returns_these(still: Ats, collection: Collection) -> None:
    name: Any = f"get_{collection}"
    wanted = [record for record in still.held(collection) if isinstance(record["remote_id"], str)][1:4]
    assert still.call(name, ids=[record["id"] for record in wanted]) == wanted
    assert still.call(name, remote_ids=[record["remote_id"] for record in wanted]) == wanted


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_read_of_what_changed_returns_that(ats: Ats, collection: Collection) -> None:
    name: Any = f"get_{collection}"
    before = {record["id"]: record for record in ats.held(collection, deleted=True)}
    since = datetime.fromtimestamp(ats.kombo.now() - 1, timezone(timedelta(hours=8)))
    changed = ats.kombo.evolve(ats.integration, 0.01, kinds=["insert", "update", "delete"], collections=[collection])
    found = ats.call(name, updated_after=since, include_deleted=True)
    moved = [record for record in ats.held(collection, deleted=True) if before.get(record["id"]) != record]
    assert found == moved
    assert {record["id"] for record in found} >= {id_ for ids in changed[collection].values() for id_ in ids}
    assert ats.call(name, updated_after=since) == [record for record in moved if not record["remote_deleted_at"]]


def has_email(address: str) -> Callable[[Record], bool]:
    """Whether a candidate has an address, in any capitals."""
    return lambda one: f'"{address}"' in json.dumps(one["email_addresses"]).lower()


Filtered = tuple[OperationName, Callable[[Ats], tuple[Record, Callable[[Record], Any]]]]


def _field(name: OperationName, argument: str, field: str, *, many: bool) -> Filtered:
    """Filter by a value that some record has, or by two."""

    def make(ats: Ats) -> tuple[Record, Callable[[Record], Any]]:
        values = [record[field] for record in ats.held(name.removeprefix("get_"))]
        texts = sorted({value for value in values if isinstance(value, str)})[: 2 if many else 1]
        return {argument: texts if many else texts[0]}, lambda record: record[field] in texts

    return name, make


def _choice(name: OperationName, argument: str, field: str, *choices: str) -> Filtered:
    """Filter by documented values."""
    given: Any = list(choices) if argument.endswith("s") and argument != "status" else choices[0]
    return name, lambda _: ({argument: given}, lambda record: record[field] in choices)


def _job_of(record: Record) -> Any:
    return record["job"]["remote_id"] if isinstance(record["job"], dict) else None


def _days(name: OperationName) -> Filtered:
    def make(ats: Ats) -> tuple[Record, Callable[[Record], Any]]:
        times = [record["remote_created_at"] for record in ats.held(name.removeprefix("get_"))]
        middle = sorted(time for time in times if isinstance(time, str))[len(times) // 2]
        noon = f"{middle[:10]}T12:00:00Z"  # a time of day has no effect
        return {"remote_created_after": noon}, lambda record: str(record["remote_created_at"] or "")[:10] >= middle[:10]

    return name, make


def _upper(name: OperationName, argument: str, field: str) -> Filtered:
    def make(ats: Ats) -> tuple[Record, Callable[[Record], Any]]:
        value = ats.one(name.removeprefix("get_"), lambda record: record[field])[field]
        return {argument: value.upper()}, lambda record: bool(str(record[field] or "").upper() == value.upper())

    return name, make


def _of_jobs(name: OperationName, jobs: Callable[[Record], list[Any]]) -> Filtered:
    def make(ats: Ats) -> tuple[Record, Callable[[Record], Any]]:
        wanted = [job["id"] for job in ats.held("jobs")[:2]]
        return {"job_ids": wanted}, lambda record: set(jobs(record)) & set(wanted)

    return name, make


def _email(ats: Ats) -> tuple[Record, Callable[[Record], Any]]:
    address = ats.one("candidates", lambda one: one["email_addresses"])["email_addresses"][0]["email_address"]
    return {"email": address.upper()}, has_email(address.lower())


def _name_part(ats: Ats) -> tuple[Record, Callable[[Record], Any]]:
    part = ats.one("jobs", lambda one: one["name"])["name"][2:7]
    return {"name_contains": part}, lambda one: part.lower() in (one["name"] or "").lower()


def _two(ats: Ats) -> tuple[Record, Callable[[Record], Any]]:
    jobs = [job["id"] for job in ats.held("jobs")[:3]]
    return (
        {"outcomes": ["PENDING"], "job_ids": jobs},
        lambda one: one["outcome"] == "PENDING" and one["job_id"] in jobs,
    )


FILTERS: list[Filtered] = [
    _choice("get_applications", "outcome", "outcome", "DECLINED"),
    _choice("get_applications", "outcomes", "outcome", "PENDING", "HIRED"),
    _of_jobs("get_applications", lambda one: [one["job_id"]]),
    (
        "get_applications",
        lambda ats: (
            {"job_remote_ids": [job["remote_id"] for job in ats.held("jobs")[:2]]},
            lambda one: _job_of(one) in [job["remote_id"] for job in ats.held("jobs")[:2]],
        ),
    ),
    _field("get_applications", "current_stage_ids", "current_stage_id", many=True),
    _days("get_applications"),
    ("get_applications", _two),
    ("get_candidates", _email),
    _of_jobs("get_candidates", lambda one: [each["job"]["id"] for each in one["applications"] if each["job"]]),
    _upper("get_candidates", "first_name", "first_name"),
    _upper("get_candidates", "last_name", "last_name"),
    _field("get_jobs", "job_codes", "job_code", many=True),
    _field("get_jobs", "post_url", "post_url", many=False),
    _choice("get_jobs", "status", "status", "OPEN"),
    _choice("get_jobs", "statuses", "status", "OPEN", "CLOSED"),
    _choice("get_jobs", "employment_types", "employment_type", "FULL_TIME", "PART_TIME"),
    _choice("get_jobs", "visibilities", "visibility", "PUBLIC"),
    _days("get_jobs"),
    ("get_jobs", _name_part),
    _field("get_users", "emails", "email", many=True),
    _choice("get_roles", "scopes", "scope", "JOB"),
    _of_jobs(
        "get_interviews", lambda one: [one["application"]["job"]["id"]] if (one["application"] or {})["job"] else []
    ),
]


@pytest.mark.parametrize(("name", "make"), FILTERS)
def test_a_filter_returns_what_fits_it_and_nothing_else(
    still: Ats, name: OperationName, make: Callable[[Ats], tuple[Record, Callable[[Record], Any]]]
) -> None:
    arguments, fits = make(still)
    records = still.held(name.removeprefix("get_"))
    wanted = [record for record in records if fits(record)]
    assert 0 < len(wanted) < len(records)
    assert still.call(name, **arguments) == wanted


def test_every_filter_is_tried(still: Ats) -> None:
    everywhere = {"updated_after", "include_deleted", "ignore_unsupported_filters", "ids", "remote_ids", "limit"}
    tried = {(name, argument) for name, make in FILTERS for argument in make(still)[0]}
    for collection in COLLECTIONS:
        name: Any = f"get_{collection}"
        assert {(name, one) for one in OPERATIONS[name].parameters if one not in everywhere} <= tried


def test_a_filter_that_the_ats_lacks_returns_nothing_unless_ignored(ats: Ats) -> None:
    ats.kombo.settings(ats.integration, unsupported_filters={"users": ["emails"]})
    assert ats.call("get_users", emails=["ada@lovelace.example"]) == []
    found = ats.call("get_users", emails=["ada@lovelace.example"], ignore_unsupported_filters=True)
    assert found == ats.held("users")
    ats.kombo.settings(ats.integration, unsupported_filters={})


@pytest.fixture
def many() -> Iterator[Ats]:
    """A server with several pages."""
    with DemoKombo("small") as kombo:
        yield Ats(kombo)


def test_a_limit_stops_early_and_fetches_no_page_more(many: Ats) -> None:
    records = many.held("applications")
    assert len(records) > 500
    for limit, requests in ((1, 1), (250, 1), (251, 2), (len(records) + 1, -(-len(records) // 250))):
        many.kombo.clear_log()
        assert many.call("get_applications", limit=limit) == records[:limit]
        assert len(many.kombo.requests) == requests
        assert f"page_size={min(limit, 250)}" in many.kombo.requests[0]["query"]
    many.kombo.clear_log()
    walk = each_record(
        "applications",
        integration=many.integration,
        credentials=impatient(many.kombo.api_key, many.kombo.base_url),
    )
    assert next(walk) == records[0]
    walk.close()  # type: ignore[attr-defined]
    assert len(many.kombo.requests) <= 2


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("get_create_candidate_action", "create_candidate"),
        ("get_create_application_action", "create_application"),
        ("get_add_application_attachment_action", "add_application_attachment"),
        ("get_add_candidate_attachment_action", "add_candidate_attachment"),
    ],
)
def test_limits_are_those_of_the_ats(ats: Ats, name: OperationName, action: str) -> None:
    known = ats.call(name)["attachment_restrictions"]
    assert known["types"]["CV"]["max_file_size_bytes"] == 5_000_000
    assert known["types"]["OTHER"]["is_supported"] is (action != "create_candidate")
    ats.kombo.settings(ats.integration, attachment_limits={action: None})
    assert ats.call(name) == {"attachment_restrictions": None}


@pytest.mark.parametrize("name", READS)
def test_a_read_whose_answer_is_lost_is_asked_again(ats: Ats, name: OperationName) -> None:
    arguments = arguments_of(name, ats)
    before = ats.call(name, **arguments)
    for kind in ("drop", "html", "empty", "truncate"):
        ats.kombo.fault(kind)
        ats.kombo.clear_log()
        assert ats.call(name, **arguments) == before
        assert len(ats.kombo.requests) == 2


@pytest.mark.parametrize("name", READS)
def test_an_answer_without_data_is_never_taken_for_nothing(ats: Ats, name: OperationName) -> None:
    arguments = arguments_of(name, ats)
    ats.kombo.fault("data_null", times=None)
    with pytest.raises(BadAnswer):
        ats.call(name, **arguments)
