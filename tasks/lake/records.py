"""Check every record of a page against a collection's schema, and part what fits from what does not.

Each record is decoded strictly into types made from the Arrow schema, where unknown keys and misfits are errors; only
the odd ones are then taken apart value by value. Both ways end in the same canonical JSON (known keys only, free-form
JSON as text, instants in UTC), so there is one way on to Arrow.
"""

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any

import msgspec
import pyarrow as pa

from tasks.lake.schemas import INSTANT, is_json

ADDED = frozenset({"integration_id", "_fetched_at", "_run_id", "_extra"})
"""The columns that the lake adds to the API's."""

_NULL = msgspec.Raw(b"null")
_KINDS: dict[pa.DataType, Any] = {
    pa.string(): str,
    pa.int64(): Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
    pa.float64(): float,
    pa.bool_(): bool,
    INSTANT: Annotated[dt.datetime, msgspec.Meta(tz=True)],
}
_DOES_NOT_FIT = (msgspec.DecodeError, UnicodeDecodeError)
_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_number = msgspec.json.Decoder(float).decode
_scalars = {kind: msgspec.json.Decoder(python).decode for kind, python in _KINDS.items()}


@dataclass(slots=True)
class Oddities:
    """What did not fit, counted by where it was; names of keys only, never a value."""

    unknown: Counter[str] = field(default_factory=Counter)
    misfits: Counter[str] = field(default_factory=Counter)


class Reader:
    """Reads pages of one collection.

    Args:
        schema: The collection's schema; the columns that the lake adds are left out.

    Attributes:
        odd: What did not fit so far.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._fields = [f for f in schema if f.name not in ADDED]
        row: Any = _struct("Row", self._fields)
        self._record = msgspec.json.Decoder(row).decode
        self._as_text = _texter(self._fields)
        self.odd = Oddities()

    def read(self, results: bytes) -> tuple[bytes, list[bytes | None]]:
        """Return the records as lines of canonical JSON and, for each, what did not fit, as JSON.

        Args:
            results: The JSON array of a page's records.

        Raises:
            msgspec.DecodeError: It is not a JSON array.
        """
        records = _array(results)
        rows = [self._strict(record) for record in records]
        try:
            self._as_text(rows)
        except UnicodeDecodeError:  # in free-form JSON, which is not looked into before: rare, so record by record
            rows = [self._strict(record, as_text=True) for record in records]
        extra: list[bytes | None] = [None] * len(rows)
        for number, row in enumerate(rows):
            if row is None:
                rows[number], extra[number] = self._take_apart(records[number])
        return _encode_lines(rows), extra

    def _strict(self, record: msgspec.Raw, *, as_text: bool = False) -> Any:
        """Return a record that fits in every way, else None."""
        try:
            row = self._record(record)
            if as_text:
                self._as_text([row])
        except _DOES_NOT_FIT:
            return None
        return row if row.id else None

    def _take_apart(self, record: msgspec.Raw) -> tuple[dict[str, Any], bytes | None]:
        text = bytes(record).decode(errors="replace")  # bytes that are no text become U+FFFD
        fitted, extra = self._fit_object(msgspec.Raw(text.encode()), self._fields, "")
        row = fitted or {}
        if not row.get("id"):
            row["id"] = _stand_in(record, extra)
        return row, None if extra is None else _encode(extra)

    def _fit(self, value: msgspec.Raw, of: pa.Field, path: str) -> tuple[Any, Any]:
        """Return what fits the field, and what is left over (None for nothing)."""
        if bytes(value) == b"null":
            return None, None
        if is_json(of):
            try:
                return str(value, "utf-8"), None
            except UnicodeDecodeError:
                return self._misfit(value, path)
        if pa.types.is_struct(of.type):
            return self._fit_object(value, list(of.type), path)
        if pa.types.is_list(of.type):
            return self._fit_array(value, of.type.value_field, path)
        try:
            return _scalars[of.type](value), None
        except _DOES_NOT_FIT:
            whole = _whole(value) if of.type == pa.int64() else None
            return (whole, None) if whole is not None else self._misfit(value, path)

    def _misfit(self, value: msgspec.Raw, path: str) -> tuple[None, msgspec.Raw]:
        self.odd.misfits[path] += 1
        return None, value

    def _fit_object(self, value: msgspec.Raw, fields: list[pa.Field], path: str) -> tuple[Any, Any]:
        try:
            given = _object(value)
        except _DOES_NOT_FIT:
            return self._misfit(value, path)
        fitted, extra = {}, {}
        for of in fields:
            if of.name in given:
                here = f"{path}.{of.name}" if path else of.name
                fitted[of.name], left = self._fit(given.pop(of.name), of, here)
                if left is not None:
                    extra[of.name] = left
        for name, left in given.items():
            self.odd.unknown[f"{path}.{name}" if path else name] += 1
            extra[name] = left
        return fitted, extra or None

    def _fit_array(self, value: msgspec.Raw, of: pa.Field, path: str) -> tuple[Any, Any]:
        try:
            given = _array(value)
        except _DOES_NOT_FIT:
            return self._misfit(value, path)
        pairs = [self._fit(item, of, f"{path}[]") for item in given]
        extra = {str(n): left for n, (_, left) in enumerate(pairs) if left is not None}
        return [fitted for fitted, _ in pairs], extra or None


def _struct(name: str, fields: list[pa.Field]) -> type[msgspec.Struct]:
    members = [(f.name, _python(f), _NULL if is_json(f) else None) for f in fields]
    return msgspec.defstruct(name, members, forbid_unknown_fields=True, gc=False)


def _python(of: pa.Field) -> Any:
    if is_json(of):
        return msgspec.Raw
    if pa.types.is_struct(of.type):
        return _struct(of.name.title(), list(of.type)) | None
    if pa.types.is_list(of.type):
        return list[_python(of.type.value_field)] | None  # type: ignore[misc]  # made at run time
    return _KINDS[of.type] | None


def _texter(fields: list[pa.Field]) -> Callable[[Iterable[Any]], None]:
    """Return a function that turns the free-form values of decoded objects, at any depth, into text, in place.

    It takes many objects at once, because a call for each value of each record costs more than the work itself.
    """
    steps: list[Callable[[list[Any]], None]] = []
    for f in fields:
        many = pa.types.is_list(f.type)
        of = f.type.value_type if many else f.type
        if is_json(f):
            steps.append(_text_of(f.name))
        elif pa.types.is_struct(of) and _has_json(of):
            steps.append(_within(f.name, _texter(list(of)), many=many))

    def as_text(objects: Iterable[Any]) -> None:
        there = [one for one in objects if one is not None]
        for step in steps:
            step(there)

    return as_text


def _text_of(name: str) -> Callable[[list[Any]], None]:
    get = attrgetter(name)

    def step(objects: list[Any]) -> None:
        for one in objects:
            value = get(one)
            if value != _NULL:  # which stays as it is, and is the column's null
                setattr(one, name, str(value, "utf-8"))

    return step


def _within(name: str, inner: Callable[[Iterable[Any]], None], *, many: bool) -> Callable[[list[Any]], None]:
    get = attrgetter(name)

    def step(objects: list[Any]) -> None:
        found: Iterable[Any] = map(get, objects)
        inner(chain.from_iterable(filter(None, found)) if many else found)

    return step


def _has_json(struct: pa.StructType) -> bool:
    for f in struct:
        of = f.type.value_type if pa.types.is_list(f.type) else f.type
        if is_json(f) or (pa.types.is_struct(of) and _has_json(of)):
            return True
    return False


def _whole(value: msgspec.Raw) -> int | None:
    """`2.0` is the integer 2; `2.5` and 2^70 are not ones that a column of int64 holds."""
    try:
        number = _number(value)
    except _DOES_NOT_FIT:
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else None


def _stand_in(record: msgspec.Raw, extra: Any) -> str:
    """A record without a usable id is kept under one made from it, so that it is not lost and stays the same row."""
    given = extra.get("id") if isinstance(extra, dict) else None
    if given is not None and bytes(given)[:1] in b"-0123456789":
        return bytes(given).decode()
    return f"no-id-{hashlib.sha256(bytes(record)).hexdigest()[:24]}"
