"""What makes real data awkward: tombstones, keys that nobody announced, and values of the wrong type.

Each falls on fixed positions of a collection: rarely in a large one, and often enough in a small one that a test
meets it.
"""

from collections.abc import Callable
from typing import Any

from deployments.demo.store import Record
from deployments.demo.values import HUGE_FLOAT, HUGE_INTEGER

_TOMBSTONE_AGES = (3.0, 40.0, 9.0, 17.0)  # days; every second one is old enough to have been anonymised
_KEPT = ("id", "changed_at", "remote_deleted_at")


def _stride(size: int, usual: int, at_least: int) -> int:
    return min(usual, max(at_least, size // 4))


def tombstone_age(nr: int, size: int) -> float | None:
    """Days since a record was deleted; None if it was not.

    Args:
        nr: Position of the record.
        size: How many records the collection has.

    Returns:
        Days, or None.
    """
    stride = _stride(size, 100, 7)
    return _TOMBSTONE_AGES[nr // stride % 4] if nr % stride == 5 else None


def is_anonymised(nr: int, size: int) -> bool:
    """Whether a record is a tombstone of which only the id is left."""
    age = tombstone_age(nr, size)
    return age is not None and age > 30


def anonymise(record: Record, *, empty_lists: bool) -> None:
    """Take everything personal out of a tombstone.

    Args:
        record: Changed in place: every field but the id and two times becomes null.
        empty_lists: Lists become empty instead of null; both readings of the documentation are possible.
    """
    for key, value in record.items():
        if key not in _KEPT:
            record[key] = [] if empty_lists and isinstance(value, list) else None


def add_unknown_key(collection: str, nr: int, size: int, record: Record) -> None:
    """Give about one record in 200 a key that the documentation does not have, at the top or further in."""
    stride = _stride(size, 200, 5)
    if nr % stride != 2:
        return
    inner = {"applications": "candidate", "jobs": "stages", "interviews": "application"}
    nested: Any = record.get(inner.get(collection, ""))
    if isinstance(nested, list):
        nested = nested[0] if nested else None
    if nr // stride % 2 and isinstance(nested, dict):
        nested["pronouns"] = "they/them"
    else:
        record["ai_score"] = nr % 100 / 100
        record["ai_labels"] = [{"label": "stretch", "of": ["ä", None]}]


def _put(key: str, value: Any) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        record[key] = value

    return change


def _inside(outer: str, key: str, value: Any) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        nested = record.get(outer)
        if isinstance(nested, list):
            nested = nested[0] if nested else None
        if isinstance(nested, dict):
            nested[key] = value
        else:
            record[outer] = {key: value}

    return change


_YESTERDAY = "yesterday"
_ODD: dict[str, tuple[Callable[[Record], None], ...]] = {
    "applications": (
        _put("rejection_reason_name", 17),
        _inside("current_stage", "index", HUGE_INTEGER),
        _put("custom_fields", {"big": HUGE_INTEGER, "bigger": HUGE_FLOAT, "exact": "0.1000000000000000055"}),
        _put("rejected_at", _YESTERDAY),
        _put("offers", {"id": "not a list"}),
        _put("outcome", "WITHDRAWN"),
        _put(
            "screening_question_answers", [{"question": {"title": "Stars?", "type": "RATING"}, "answer": {"stars": 5}}]
        ),
        _put("remote_url", None),
        _put("job", "Backend Engineer"),
        _put("remote_updated_at", "+020226-01-01T00:00:00Z"),
    ),
    "candidates": (
        _put("first_name", 4711),
        _put("tags", {"0": "VIP"}),
        _put("location", "Berlin"),
        _put("remote_created_at", _YESTERDAY),
        _put("confidential", "no"),
        _put("custom_fields", ["not", "an", "object"]),
        _put("email_addresses", ["plain@example.com"]),
        _put("remote_id", 1234567),
    ),
    "jobs": (
        _put("weekly_hours", "38,5"),
        _inside("stages", "index", 2.5),
        _put("closed_at", "2099-13-45T00:00:00.000Z"),
        _put("salary_amount", HUGE_INTEGER),
        _put("confidential", 1),
        _put("hiring_team", "n/a"),
    ),
    "interviews": (_put("starting_at", _YESTERDAY), _put("canceled", "false"), _put("location", []), _put("users", {})),
    "offers": (_put("employment_start_date", "2026-02-30"), _put("status", "EXPIRED"), _put("custom_fields", "none")),
    "users": (_put("email", {"value": "user@corp.example.com"}), _put("system_roles", [None])),
    "tags": (_put("name", ["a", "b"]),),
    "application_stages": (_put("name", 3),),
    "rejection_reasons": (_put("remote_id", 99),),
    "roles": (_put("scope", "TENANT"),),
}


def add_odd_value(collection: str, nr: int, size: int, record: Record) -> None:
    """Give about one record in 500 a value that does not fit its documented type; ids and ``changed_at`` stay sound."""
    kinds = _ODD[collection]
    count = max(min(len(kinds), size // 5), size // 500, 1)
    stride = max(1, size // count)
    if nr % stride == 3 % stride:
        kinds[nr // stride % len(kinds)](record)
