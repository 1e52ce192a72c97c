"""Check every record of a page against a collection's schema, and part what fits from what does not.

Each record is decoded strictly into types made from the Arrow schema, where unknown keys and misfits are errors. One
that passes goes on to Arrow as it came; an odd one is taken apart value by value, and goes on as what fits. Free-form
JSON, which Arrow's reader cannot keep as text, goes beside the records.
"""

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import Annotated, Any, TypeAlias

import msgspec
import pyarrow as pa

from tasks.lake.schemas import INSTANT, is_json

ADDED = frozenset({"integration_id", "_fetched_at", "_run_id", "_extra"})
"""The columns that the lake adds to the API's."""

_AT_ONCE = 32  # records decoded before the first is thrown away: few enough that the memory they take stays in cache
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


@dataclass(slots=True)
class Oddities:
    """What did not fit, counted by where it was; names of keys only, never a value."""

    unknown: Counter[str] = field(default_factory=Counter)
    misfits: Counter[str] = field(default_factory=Counter)


Path: TypeAlias = tuple[str, ...]
"""Where a free-form value stands: the names of the fields around it, and its own."""


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a page, as they fit a schema.

    Attributes:
        json: Each as JSON of the schema's keys only; values that are free-form are to be taken from `texts`.
        texts: The same free-form values as text, in the order in which they stand, one for each struct that they are
            in; null for null, and where the struct itself is null.
        extra: What did not fit each record, as JSON; null for nothing.
    """

    json: list[msgspec.Raw]
    texts: dict[Path, pa.Array]
    extra: pa.Array


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
        typed: Any = _struct("Typed", self._fields, free_form=False)
        self._record = msgspec.json.Decoder(row).decode
        self._typed = msgspec.json.Decoder(typed).decode
        self._texts = _gatherers(self._fields)
        self.odd = Oddities()

    def read(self, records: list[msgspec.Raw]) -> Records:
        """Read a page.

        Args:
            records: Its records, each as its JSON.
        """
        fitting: list[msgspec.Raw] = []
        texts: dict[Path, list[str | None]] = {path: [] for path, _ in self._texts}
        extra: list[bytes | None] = []
        for start in range(0, len(records), _AT_ONCE):
            some = records[start : start + _AT_ONCE]
            gathered, odd = self._checked(some)
            fitting += some
            extra += odd
            for path, values in gathered.items():
                texts[path] += values
        arrays = {path: pa.array(values, pa.string()) for path, values in texts.items()}  # while they are in cache
        return Records(fitting, arrays, pa.array(extra, pa.string()))

    def _checked(self, records: list[msgspec.Raw]) -> tuple[dict[Path, list[str | None]], list[bytes | None]]:
        """Replace each record that is odd by what fits of it; return the texts of all, and what did not fit."""
        rows = [self._strict(record) for record in records]
        extra: list[bytes | None] = [None] * len(rows)

        def part(odd: Iterable[int]) -> None:
            for number in odd:
                records[number], rows[number], extra[number] = self._take_apart(records[number])

        part(number for number, row in enumerate(rows) if row is None)
        try:
            return self._gather(rows), extra
        except UnicodeDecodeError:  # in free-form JSON, which is not looked into before
            part(number for number, record in enumerate(records) if not _is_text(record))
            return self._gather(rows), extra

    def _gather(self, rows: list[Any]) -> dict[Path, list[str | None]]:
        return {path: gather(rows) for path, gather in self._texts}

    def rewritten(self, records: list[Any]) -> bytes:
        """Return the JSON of records at its plainest: nothing free-form, no repeated keys, instants in UTC.

        Args:
            records: `Records.json`.
        """
        return _encode_lines([self._typed(record) for record in records])

    def _strict(self, record: msgspec.Raw) -> Any:
        """Return a record that fits in every way, else None."""
        try:
            row = self._record(record)
        except _DOES_NOT_FIT:
            return None
        return row if row.id else None

    def _take_apart(self, record: msgspec.Raw) -> tuple[msgspec.Raw, Any, bytes | None]:
        """Return what fits of a record, as JSON and decoded, and what does not."""
        text = bytes(record).decode(errors="replace")  # bytes that are no text become U+FFFD
        fitted, extra = self._parts.object(msgspec.Raw(text), self.odd)
        json = _encode(fitted or {})
        row = self._record(json)
        if not row.id:
            json = _encode({**(fitted or {}), "id": _stand_in(record, extra)})
            row = self._record(json)
        return msgspec.Raw(json), row, None if extra is None else _encode(extra)

    @cached_property
    def _parts(self) -> "_Part":
        return _Part(pa.field("Record", pa.struct(self._fields)), "")


class _Part:
    """A field at any depth, which parts a value that fits it from one that does not.

    Whatever fits as a whole is not looked into: a key that Kombo adds to its API makes every record odd.

    Args:
        of: The field.
        path: Where it is, for the report.
    """

    def __init__(self, of: pa.Field, path: str) -> None:
        self._path = path
        self._decode = msgspec.json.Decoder(_python(of, free_form=True)).decode
        self._fields: dict[str, _Part] = {}
        self._items: _Part | None = None
        self._integer = of.type == pa.int64()
        if pa.types.is_struct(of.type):
            self._fields = {f.name: _Part(f, self._within(f.name)) for f in of.type}
        elif pa.types.is_list(of.type):
            self._items = _Part(of.type.value_field, f"{path}[]")

    def _within(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _fits(self, value: bytes | msgspec.Raw) -> bool:
        try:
            self._decode(value)
        except _DOES_NOT_FIT:
            return False
        return True

    def part(self, value: msgspec.Raw, odd: Oddities) -> tuple[Any, Any]:
        """Return what fits the field, and what is left over (None for nothing), and count the latter."""
        if self._fits(value):
            return value, None
        if self._fields:
            return self.object(value, odd)
        if self._items:
            return self._array(value, self._items, odd)
        whole = _whole(value) if self._integer else None
        return (whole, None) if whole is not None else self._misfit(value, odd)

    def _misfit(self, value: msgspec.Raw, odd: Oddities) -> tuple[None, msgspec.Raw]:
        odd.misfits[self._path] += 1
        return None, value

    def object(self, value: msgspec.Raw, odd: Oddities) -> tuple[Any, Any]:
        """`part`, of what does not fit as a whole."""
        try:
            given = _object(value)
        except _DOES_NOT_FIT:
            return self._misfit(value, odd)
        fitted = {name: one for name, one in given.items() if name in self._fields}
        unknown = {name: one for name, one in given.items() if name not in self._fields}
        odd.unknown.update(map(self._within, unknown))
        if unknown and self._fits(_encode(fitted)):
            return fitted, unknown
        extra = {}
        for name, one in fitted.items():
            fitted[name], left = self._fields[name].part(one, odd)
            if left is not None:
                extra[name] = left
        return fitted, {**extra, **unknown} or None

    def _array(self, value: msgspec.Raw, items: "_Part", odd: Oddities) -> tuple[Any, Any]:
        try:
            given = _array(value)
        except _DOES_NOT_FIT:
            return self._misfit(value, odd)
        pairs = [items.part(item, odd) for item in given]
        extra = {str(n): left for n, (_, left) in enumerate(pairs) if left is not None}
        return [fitted for fitted, _ in pairs], extra or None


def _struct(name: str, fields: list[pa.Field], *, free_form: bool = True) -> type[msgspec.Struct]:
    """A type that has all fields and no other key; or, to read what has been checked, all but the free-form ones."""
    members = [
        (f.name, _python(f, free_form=free_form), _NULL if is_json(f) else None)
        for f in fields
        if free_form or not is_json(f)
    ]
    return msgspec.defstruct(name, members, forbid_unknown_fields=free_form, gc=False)


def _python(of: pa.Field, *, free_form: bool) -> Any:
    if is_json(of):
        return msgspec.Raw
    if pa.types.is_struct(of.type):
        return _struct(of.name.title(), list(of.type), free_form=free_form) | None
    if pa.types.is_list(of.type):
        return list[_python(of.type.value_field, free_form=free_form)] | None  # type: ignore[misc]  # made at run time
    return _KINDS[of.type] | None


def _gatherers(fields: list[pa.Field]) -> list[tuple[Path, Callable[[list[Any]], list[str | None]]]]:
    """Return, for each free-form field at any depth, a function that collects its values out of decoded objects.

    They take many objects at once, because a call for each value of each record costs more than the work itself.
    """
    found: list[tuple[Path, Callable[[list[Any]], list[str | None]]]] = []
    for f in fields:
        many = pa.types.is_list(f.type)
        of = f.type.value_type if many else f.type
        if is_json(f):
            found.append(((f.name,), _texts_of(f.name)))
        elif pa.types.is_struct(of):
            within = _items_of(f.name) if many else _values_of(f.name)
            found += [((f.name, *path), _chained(within, gather)) for path, gather in _gatherers(list(of))]
    return found


def _texts_of(name: str) -> Callable[[list[Any]], list[str | None]]:
    get = attrgetter(name)

    def texts(objects: list[Any]) -> list[str | None]:
        return [None if one is None or (raw := get(one)) == _NULL else str(raw, "utf-8") for one in objects]

    return texts


def _values_of(name: str) -> Callable[[list[Any]], list[Any]]:
    get = attrgetter(name)
    return lambda objects: [None if one is None else get(one) for one in objects]


def _items_of(name: str) -> Callable[[list[Any]], list[Any]]:
    get = attrgetter(name)
    return lambda objects: [item for one in objects if one is not None for item in get(one) or ()]


def _chained(
    first: Callable[[list[Any]], list[Any]], second: Callable[[list[Any]], list[str | None]]
) -> Callable[[list[Any]], list[str | None]]:
    return lambda objects: second(first(objects))


def _is_text(record: msgspec.Raw) -> bool:
    try:
        str(record, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


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
