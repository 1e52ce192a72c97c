"""Compare the lake with what the API served, independently of how the lake was made.

The API's record is put together again from a row's columns and its `_extra`, and must be the record that was served.
Allowed is only what a typed column means: a key that is missing is null, an instant is the same instant, a number in a
column of floats is the nearest double, and 2.0 in a column of integers is 2.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from tasks.lake.schemas import INSTANT, SCHEMAS, is_json

_OURS = ("integration_id", "_fetched_at", "_run_id", "_extra")
_WITH_ZONE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)")


def instant(value: Any) -> dt.datetime | None:
    """The instant that a value says, if it does."""
    if not isinstance(value, str) or not _WITH_ZONE.fullmatch(value):
        return None
    try:
        return dt.datetime.fromisoformat(value.upper())
    except ValueError:
        return None


def fits(field: pa.Field, value: Any) -> bool:
    """Whether a value of the API is of a column's type."""
    kind = field.type
    if is_json(field):
        return True
    if pa.types.is_struct(kind):
        return isinstance(value, dict)
    if pa.types.is_list(kind):
        return isinstance(value, list)
    if kind == INSTANT:
        return instant(value) is not None
    if kind == pa.string():
        return isinstance(value, str)
    if kind == pa.bool_():
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if kind == pa.float64():
        return abs(value) < 2**1024
    return abs(value) < 2**63 and (isinstance(value, int) or value.is_integer())


def served(field: pa.Field, value: Any) -> Any:
    """A value of the API as its column means it."""
    kind = field.type
    if value is None or is_json(field) or not fits(field, value):
        return value
    if pa.types.is_struct(kind):
        known = {f.name: served(f, value.get(f.name)) for f in kind}
        unknown = {k: v for k, v in value.items() if k not in known}
        return {k: v for k, v in known.items() if v is not None} | unknown
    if pa.types.is_list(kind):
        return [served(kind.value_field, item) for item in value]
    if kind == INSTANT:
        return f"instant {instant(value).astimezone(dt.UTC)}"  # type: ignore[union-attr]  # it fits
    return {pa.float64(): float, pa.int64(): int}.get(kind, lambda same: same)(value)


def kept(field: pa.Field, value: Any, extra: Any) -> Any:
    """What a column and its part of `_extra` keep of a value."""
    kind = field.type
    if value is None:
        assert extra is None or not fits(field, extra), f"{field.name}: {extra!r} belongs into its column"
        return extra
    if is_json(field):
        assert extra is None
        return json.loads(value)
    if pa.types.is_struct(kind):
        extra = dict(extra or {})
        known = {f.name: kept(f, value[f.name], extra.pop(f.name, None)) for f in kind}
        return {k: v for k, v in known.items() if v is not None} | extra
    if pa.types.is_list(kind):
        extra = dict(extra or {})
        items = [kept(kind.value_field, item, extra.pop(str(n), None)) for n, item in enumerate(value)]
        assert not extra
        return items
    assert extra is None
    return f"instant {value.astimezone(dt.UTC)}" if kind == INSTANT else value


def text(value: Any) -> str:
    """A value as text that tells 1 from 1.0 and from true, and not one order of keys from another."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def record_of(row: dict[str, Any], collection: str) -> dict[str, Any]:
    """The record that a row keeps."""
    fields = [f for f in SCHEMAS[collection] if f.name not in _OURS]
    extra = json.loads(row["_extra"]) if row["_extra"] is not None else None
    whole: dict[str, Any] = kept(pa.field("record", pa.struct(fields)), {f.name: row[f.name] for f in fields}, extra)
    return whole


def assert_same(rows: Iterable[dict[str, Any]], records: list[dict[str, Any]], collection: str) -> None:
    """The lake has these records: each once, whole, and no other."""
    fields = [f for f in SCHEMAS[collection] if f.name not in _OURS]
    expected = {record["id"]: text(served(pa.field("record", pa.struct(fields)), record)) for record in records}
    found = [(row["id"], text(record_of(row, collection))) for row in rows]
    assert len(found) == len(dict(found)), "an id occurs twice"
    assert dict(found) == expected
