"""What becomes of a record: into its columns what fits, into `_extra` what does not, and nothing lost."""

from __future__ import annotations

import datetime as dt
import json
import random
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from tasks.lake.records import ADDED
from tasks.lake.schemas import INSTANT, SCHEMAS, is_json
from tasks.lake.staging import Staging
from tests.tasks.lake.comparison import assert_same

NOON = dt.datetime(2026, 3, 28, 12, tzinfo=dt.UTC)
BIG = 2**70


def staged(collection: str, *records: str | dict[str, Any]) -> tuple[list[dict[str, Any]], Staging]:
    """The rows that a page of records becomes."""
    texts = [record if isinstance(record, str) else json.dumps(record) for record in records]
    with Staging(SCHEMAS[collection], "workday:x", "run") as staging:
        staging.add([msgspec.Raw(text) for text in texts], NOON)
        return [row for batch, _ in staging.finish().batches() for row in batch.to_pylist()], staging


def value(collection: str, column: str, given: str) -> tuple[Any, Any, dict[str, int]]:
    """What a column, `_extra` and the report say of a value given as JSON."""
    (row,), staging = staged(collection, f'{{"id":"x","{column}":{given}}}')
    extra = None if row["_extra"] is None else json.loads(row["_extra"])
    return row[column], extra, dict(staging.odd.misfits)


def index(given: str) -> tuple[Any, str | None]:
    """The same for an integer inside a record, and `_extra` as text."""
    (row,), _ = staged("applications", f'{{"id":"x","current_stage":{{"index":{given}}}}}')
    return row["current_stage"]["index"], row["_extra"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2026-01-01T00:00:00.000Z", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        ("2026-01-01t00:00:00z", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        ("2026-01-01T01:30:00+02:00", dt.datetime(2025, 12, 31, 23, 30, tzinfo=dt.UTC)),
        ("2026-01-01T00:00:00.5Z", dt.datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=dt.UTC)),
        ("2026-01-01T00:00:00.123456Z", dt.datetime(2026, 1, 1, 0, 0, 0, 123_456, tzinfo=dt.UTC)),
        ("2026-01-01T00:00:00.123456400Z", dt.datetime(2026, 1, 1, 0, 0, 0, 123_456, tzinfo=dt.UTC)),
        ("0001-01-01T00:00:00Z", dt.datetime(1, 1, 1, tzinfo=dt.UTC)),
        ("9999-12-31T23:59:59Z", dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)),
    ],
)
def test_an_instant_with_a_zone_is_an_instant(given: str, kept: dt.datetime) -> None:
    assert value("applications", "rejected_at", f'"{given}"') == (kept, None, {})


@pytest.mark.parametrize(
    "given",
    [
        *('"2026-01-01"', '"2026-01-01T00:00:00"', '"+020226-01-01T00:00:00Z"', '"yesterday"', '""', "1767225600"),
        *('"2026-02-30T00:00:00Z"', '"2099-13-45T00:00:00.000Z"', '"2016-12-31T23:59:60Z"', "[]", "{}", "true"),
    ],
)
def test_what_is_not_an_instant_is_kept_beside_the_columns(given: str) -> None:
    expected = (None, {"rejected_at": json.loads(given)}, {"rejected_at": 1})
    assert value("applications", "rejected_at", given) == expected


@pytest.mark.parametrize("given", ["17", "2.50", "true", "[]", '{"a": 1}', "[null]"])
def test_what_is_not_text_is_kept_beside_the_columns(given: str) -> None:
    assert value("applications", "outcome", given) == (None, {"outcome": json.loads(given)}, {"outcome": 1})


@pytest.mark.parametrize(
    ("given", "kept"),
    [('"a\\u0000b"', "a\0b"), ('"\\ud83d\\ude00"', "😀"), ('"\\u00e9"', "é"), ('"\u2028"', "\u2028"), ('""', "")],
)
def test_any_text_is_text(given: str, kept: str) -> None:
    assert value("applications", "outcome", given) == (kept, None, {})


@pytest.mark.parametrize(("given", "kept"), [("2.0", 2), ("1e2", 100), ("-0.0", 0), (str(2**63 - 1), 2**63 - 1)])
def test_a_whole_number_is_an_integer_however_it_is_written(given: str, kept: int) -> None:
    assert index(given) == (kept, None)


@pytest.mark.parametrize("given", ["2.5", str(BIG), str(2**63), "1e400", '"2"', "true", "9007199254740993.0"])
def test_what_no_integer_column_holds_is_kept_digit_by_digit(given: str) -> None:
    assert index(given) == (None, f'{{"current_stage":{{"index":{given}}}}}')


@pytest.mark.parametrize(("given", "kept"), [("72000", 72000.0), ("38.5", 38.5), (str(BIG), float(BIG)), ("0", 0.0)])
def test_a_number_is_the_nearest_double_in_a_column_of_floats(given: str, kept: float) -> None:
    assert value("jobs", "salary_amount", given) == (kept, None, {})


@pytest.mark.parametrize("given", ["1e400", "-1e400"])
def test_a_number_beyond_doubles_is_kept_digit_by_digit(given: str) -> None:
    (row,), _ = staged("jobs", f'{{"id":"x","salary_amount":{given}}}')
    assert (row["salary_amount"], row["_extra"]) == (None, f'{{"salary_amount":{given}}}')


@pytest.mark.parametrize("given", ["1", "0", '"false"', '"no"'])
def test_only_true_and_false_are_flags(given: str) -> None:
    assert value("jobs", "confidential", given) == (None, {"confidential": json.loads(given)}, {"confidential": 1})


@pytest.mark.parametrize("given", ["[]", '"Berlin"', "7"])
def test_what_is_not_an_object_is_kept_beside_the_columns(given: str) -> None:
    assert value("jobs", "location", given) == (None, {"location": json.loads(given)}, {"location": 1})


@pytest.mark.parametrize("given", ["{}", '"n/a"', '{"0": "VIP"}'])
def test_what_is_not_a_list_is_kept_beside_the_columns(given: str) -> None:
    assert value("candidates", "tags", given) == (None, {"tags": json.loads(given)}, {"tags": 1})


@pytest.mark.parametrize(
    "given", ['{"a":1,"a":2}', "1e400", '{"b": 1 , "a" : 0.1000000000000000055}', str(BIG), '"x"', "[1, {}]", "false"]
)
def test_free_form_json_is_kept_byte_for_byte(given: str) -> None:
    (row,), staging = staged("applications", f'{{"id":"x","custom_fields":{given}}}')
    assert (row["custom_fields"], row["_extra"]) == (given, None)
    assert not staging.odd.misfits


def test_null_in_free_form_json_is_null() -> None:
    assert value("applications", "custom_fields", "null") == (None, None, {})


def test_a_missing_key_is_null() -> None:
    (row,), staging = staged("applications", '{"id":"x"}')
    assert {k for k, v in row.items() if v is not None} == {"integration_id", "id", "_fetched_at", "_run_id"}
    assert not staging.odd.misfits


def test_an_empty_object_is_not_null() -> None:
    (row,), _ = staged("jobs", '{"id":"x","location":{}}')
    assert row["location"] == dict.fromkeys(row["location"])


def test_of_a_key_given_twice_the_last_counts_as_everywhere() -> None:
    (row,), _ = staged("applications", '{"id":"x","outcome":"A","outcome":"B"}')
    assert row["outcome"] == "B"


def test_items_of_a_list_that_do_not_fit_leave_their_place_and_the_others_alone() -> None:
    (row,), staging = staged("applications", '{"id":"x","offers":[1,{"id":"a","z":1},null,{"id":"b"}]}')
    assert [offer and offer["id"] for offer in row["offers"]] == [None, "a", None, "b"]
    assert json.loads(row["_extra"]) == {"offers": {"0": 1, "1": {"z": 1}}}
    assert dict(staging.odd.misfits) == {"offers[]": 1}
    assert dict(staging.odd.unknown) == {"offers[].z": 1}


def test_unknown_keys_are_kept_and_counted_by_name() -> None:
    rows, staging = staged("tags", '{"id":"a","zz":{"y":1}}', '{"id":"b","zz":null}', '{"id":"c","":2}')
    assert [row["_extra"] for row in rows] == ['{"zz":{"y":1}}', '{"zz":null}', '{"":2}']
    assert dict(staging.odd.unknown) == {"zz": 2, "": 1}


def test_keys_named_like_the_columns_of_the_lake_do_not_touch_them() -> None:
    (row,), _ = staged("tags", '{"id":"x","integration_id":"y","_run_id":"z","_extra":{"a":1},"_fetched_at":3}')
    assert (row["integration_id"], row["_run_id"], row["_fetched_at"]) == ("workday:x", "run", NOON)
    assert json.loads(row["_extra"]) == {"integration_id": "y", "_run_id": "z", "_extra": {"a": 1}, "_fetched_at": 3}


@pytest.mark.parametrize(
    ("given", "kept"), [('{"id":5,"name":"a"}', "5"), ('{"id":-5.50}', "-5.50"), ('{"id":12345678901234567890}', None)]
)
def test_a_number_for_an_id_is_the_key_and_its_type_is_not_lost(given: str, kept: str | None) -> None:
    (row,), staging = staged("tags", given)
    assert row["id"] == (kept or "12345678901234567890")
    assert json.loads(row["_extra"])["id"] == json.loads(given)["id"]
    assert dict(staging.odd.misfits) == {"id": 1}


@pytest.mark.parametrize(
    "given", ["{}", '{"id":null}', '{"id":""}', '{"id":true}', '{"id":{}}', "null", "5", '"x"', "[]"]
)
def test_a_record_without_an_id_is_kept_under_one_that_is_always_the_same(given: str) -> None:
    (first, second), _ = staged("tags", given, '{"id":"y"}')
    ((again, *_), _) = staged("tags", given)
    assert first["id"].startswith("no-id-")
    assert first["id"] == again["id"]
    assert second["id"] == "y"


def test_two_records_without_an_id_are_two_rows_with_their_values() -> None:
    rows, _ = staged("tags", '{"name":"a"}', '{"id":7,"name":"b","new":1}', '{"id":"","name":"c"}')
    assert len({row["id"] for row in rows}) == 3
    assert [(row["name"], row["_extra"]) for row in rows] == [("a", None), ("b", '{"id":7,"new":1}'), ("c", None)]


def test_one_odd_record_does_not_touch_the_others_of_its_page() -> None:
    rows, _ = staged("tags", '{"id":"a","name":"1"}', '{"id":"b","name":[1]}', '{"id":"c","name":"3"}')
    assert [(row["id"], row["name"]) for row in rows] == [("a", "1"), ("b", None), ("c", "3")]


def sample(dice: random.Random, field: pa.Field, *, oddness: float) -> Any:
    """A value for a column; with some probability one of another type."""
    anything: list[Any] = [None, True, 0, 2.0, 2.5, BIG, "", "ä\0😀", "2026-01-01", [], {}, [None], {"x": [1, "y"]}]
    if dice.random() < oddness or is_json(field):
        return dice.choice(anything)
    if dice.random() < 0.2:
        return None
    kind = field.type
    if pa.types.is_struct(kind):
        keys = [f for f in kind if dice.random() < 0.8]
        given = {f.name: sample(dice, f, oddness=oddness) for f in keys}
        return given | ({"unknown": dice.choice(anything)} if dice.random() < oddness else {})
    if pa.types.is_list(kind):
        return [sample(dice, kind.value_field, oddness=oddness) for _ in range(dice.randrange(3))]
    return {
        pa.string(): dice.choice(["x", "", "Grüße", "\u2028", "a\0b"]),
        pa.int64(): dice.choice([0, -3, 2**53 + 1, -(2**63)]),
        pa.float64(): dice.choice([0.5, 3, -1e300, 0.1]),
        pa.bool_(): dice.choice([True, False]),
        INSTANT: dice.choice(["2026-03-29T01:30:00.123Z", "1969-12-31T23:59:59.999999Z", "2026-10-25T02:30:00+01:00"]),
    }[kind]


def samples(collection: str, *, oddness: float, count: int = 40) -> list[dict[str, Any]]:
    """Records of a collection, always the same."""
    dice = random.Random(f"{collection}/{oddness}")  # noqa: S311 - not a secret
    fields = [f for f in SCHEMAS[collection] if f.name not in ADDED]
    records = []
    for number in range(count):
        record = sample(dice, pa.field("record", pa.struct(fields)), oddness=oddness)
        records.append((record if isinstance(record, dict) else {}) | {"id": f"id-{number}"})
    return records


@pytest.mark.parametrize("oddness", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("collection", SCHEMAS)
def test_nothing_is_lost_whatever_a_record_has(collection: str, oddness: float) -> None:
    records = samples(collection, oddness=oddness)
    rows, _ = staged(collection, *records)
    assert_same(rows, records, collection)


@pytest.mark.parametrize("collection", SCHEMAS)
def test_sound_records_leave_nothing_beside_the_columns(collection: str) -> None:
    rows, staging = staged(collection, *samples(collection, oddness=0.0))
    assert {row["_extra"] for row in rows} == {None}
    assert not staging.odd.misfits
    assert not staging.odd.unknown


@pytest.mark.parametrize("collection", SCHEMAS)
def test_a_record_has_the_same_columns_whether_it_is_taken_apart_or_not(collection: str) -> None:
    records = samples(collection, oddness=0.0)
    quick, _ = staged(collection, *records)
    slow, staging = staged(collection, *({**record, "unknown": 1} for record in records))
    assert staging.odd.unknown["unknown"] == len(records)
    assert [{**row, "_extra": None} for row in slow] == quick


def test_bytes_that_are_no_text_in_free_form_json_concern_that_record_alone() -> None:
    with Staging(SCHEMAS["applications"], "workday:x", "run") as staging:
        page = [b'{"id":"a","custom_fields":["\xff"]}', b'{"id":"b","custom_fields":[1]}', b'{"id":"c","ai":1}']
        staging.add([msgspec.Raw(record) for record in page], NOON)
        rows = [row for batch, _ in staging.finish().batches() for row in batch.to_pylist()]
    assert [(row["id"], row["custom_fields"], row["_extra"]) for row in rows] == [
        ("a", '["\ufffd"]', None),
        ("b", "[1]", None),
        ("c", None, '{"ai":1}'),
    ]


@pytest.mark.parametrize("collection", SCHEMAS)
def test_a_record_has_the_same_columns_however_its_json_is_written(collection: str) -> None:
    records = samples(collection, oddness=0.0)
    plain, _ = staged(collection, *(json.dumps(record, ensure_ascii=False) for record in records))
    spread, _ = staged(collection, *(json.dumps(record, indent=1).replace('"id"', '"\\u0069d"') for record in records))
    unlike = [
        (a["id"], name) for a, b in zip(plain, spread, strict=True) for name in a if read(a[name]) != read(b[name])
    ]
    assert unlike == []


def read(value: Any) -> Any:
    """A value, with the JSON in it read."""
    if isinstance(value, dict):
        return {name: read(one) for name, one in value.items()}
    if isinstance(value, list):
        return [read(one) for one in value]
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


@pytest.mark.parametrize("collection", SCHEMAS)
def test_records_are_the_same_beside_one_that_arrow_does_not_read_as_it_came(collection: str) -> None:
    records = samples(collection, oddness=0.0)
    alone, _ = staged(collection, *records)
    beside, staging = staged(collection, *records, {"id": "nine", "changed_at": "2026-03-29T01:30:00.123456789Z"})
    assert beside[:-1] == alone
    assert beside[-1]["changed_at"] == dt.datetime(2026, 3, 29, 1, 30, 0, 123457, dt.UTC)
    assert not staging.odd.misfits


def test_of_a_key_that_comes_twice_the_last_value_counts_inside_and_out() -> None:
    twice = '{"id":"x","integration_fields":[{"value":1}],"integration_fields":[{"value":2},{"value":3,"value":[4]}]}'
    (row,), _ = staged("applications", twice)
    assert [one["value"] for one in row["integration_fields"]] == ["2", "[4]"]
