"""The table of the ten collections, and the filters that it lets through."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.kombo.collections import COLLECTIONS, NAMES, spec

ID = "222k7eCGyUdgt2JWZDNnkDs3"
SHARED = {"updated_after", "include_deleted", "ignore_unsupported_filters", "ids", "remote_ids"}


def test_the_ten_collections_are_in_the_table() -> None:
    assert tuple(COLLECTIONS) == NAMES
    assert len(NAMES) == 10


@pytest.mark.parametrize("name", NAMES)
def test_every_collection_has_the_shared_filters(name: str) -> None:
    assert set(spec(name).filters) >= SHARED


def test_the_filters_of_their_own_are_these() -> None:
    assert {name: set(row.filters) - SHARED for name, row in COLLECTIONS.items() if set(row.filters) - SHARED} == {
        "applications": {
            "outcome",
            "outcomes",
            "job_ids",
            "job_remote_ids",
            "current_stage_ids",
            "remote_created_after",
        },
        "candidates": {"email", "job_ids", "first_name", "last_name"},
        "jobs": {
            "job_codes",
            "post_url",
            "status",
            "statuses",
            "employment_types",
            "visibilities",
            "remote_created_after",
            "name_contains",
        },
        "users": {"emails"},
        "roles": {"scopes"},
        "interviews": {"job_ids"},
    }


def test_the_deprecated_filters_name_their_successor() -> None:
    for row in COLLECTIONS.values():
        for name, found in row.filters.items():
            assert (found.deprecated is not None) == (name in ("outcome", "status"))
            assert found.deprecated is None or found.deprecated in row.filters


def test_filters_are_written_as_the_api_takes_them() -> None:
    filters = {
        "outcomes": ["PENDING", "HIRED"],
        "include_deleted": True,
        "updated_after": datetime(2026, 1, 2, tzinfo=UTC),
        "ids": [ID],
        "remote_ids": None,
    }
    assert spec("applications").query(filters) == {
        "outcomes": "PENDING,HIRED",
        "include_deleted": "true",
        "updated_after": "2026-01-02T00:00:00.000Z",
        "ids": ID,
    }


@pytest.mark.parametrize(
    ("collection", "filters"),
    [
        ("tags", {"email": "x@example.org"}),
        ("tags", {"cursor": "x"}),
        ("tags", {"page_size": 3}),
        ("tags", {"ids": []}),
        ("tags", {"ids": ["7"]}),
        ("tags", {"ids": [f"{ID},{ID}"]}),
        ("applications", {"outcomes": ["pending"]}),
        ("applications", {"outcomes": []}),
        ("applications", {"outcome": "PENDING,HIRED"}),
        ("applications", {"job_ids": ["remote:7"]}),
        ("candidates", {"first_name": ""}),
        ("candidates", {"first_name": "  "}),
        ("jobs", {"statuses": ["OPEN", "open"]}),
        ("roles", {"scopes": ["GLOBAL"]}),
    ],
)
def test_a_filter_that_the_api_does_not_take_is_refused(collection: str, filters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        spec(collection).query(filters)
    assert "x@example.org" not in str(caught.value)


@pytest.mark.parametrize(
    "filters", [{"outcomes": "PENDING"}, {"outcome": ["PENDING"]}, {"include_deleted": "true"}, {"updated_after": 7}]
)
def test_a_filter_of_the_wrong_type_is_refused(filters: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(filters))):
        spec("applications").query(filters)


def test_a_text_may_hold_a_comma() -> None:
    assert spec("candidates").query({"last_name": "Lovelace, Countess of"}) == {"last_name": "Lovelace, Countess of"}


def test_an_unknown_collection_is_refused_with_a_list_of_those_there_are() -> None:
    with pytest.raises(ValueError, match="application_stages"):
        spec("application-stages")
