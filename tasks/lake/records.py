"""Check every record of a page against a collection's schema, and part what fits from what does not.

A page is decoded once, strictly, into types made from the Arrow schema: unknown keys and misfits are errors there.
Where a page has one, its records are tried one by one, and only the odd ones are taken apart value by value. Both ways
end in the same canonical JSON (known keys in schema order, missing ones null, instants in UTC), so there is one way on
to Arrow.
"""

import datetime as dt
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
import pyarrow as pa

from tasks.lake.schemas import is_json

ADDED = frozenset({"integration_id", "_fetched_at", "_run_id", "_extra"})
"""The columns that the lake adds to the API's."""

_NULL = msgspec.Raw(b"null")
_KINDS: dict[pa.DataType, Any] = {
    pa.string(): str,
    pa.int64(): Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
    pa.float64(): float,
    pa.bool_(): bool,
    pa.timestamp("us", tz="UTC"): Annotated[dt.datetime, msgspec.Meta(tz=True)],
}
_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_number = msgspec.json.Decoder(float).decode


@dataclass(slots=True)
class Oddities:
    """What did not fit, counted by where it was; names of keys only, never a value."""

    records: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    misfits: Counter[str] = field(default_factory=Counter)


class Reader:
    """Reads pages of one collection.

    Args:
        schema: The collection's schema; the columns that the lake adds are left out.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.fields = [f for f in schema if f.name not in ADDED]
        row: Any = _struct("Row", self.fields)
        self._page = msgspec.json.Decoder(list[row]).decode
        self._record = msgspec.json.Decoder(row).decode
        self._scalars = {kind: msgspec.json.Decoder(python).decode for kind, python in _KINDS.items()}
        self.odd = Oddities()

    def read(self, results: bytes) -> list[tuple[bytes, bytes | None]]:
        """Return each record as canonical JSON and, where something did not fit, that as JSON.

        Args:
            results: The JSON array of a page's records.

        Raises:
            msgspec.DecodeError: It is not a JSON array.
        """
        try:
            rows = self._page(results)
        except (msgspec.DecodeError, UnicodeDecodeError):
            rows = [None]
        if all(row and row.id for row in rows):
            return [(_encode(row), None) for row in rows]
        return [self._one(record) for record in _array(results)]

    def _one(self, record: msgspec.Raw) -> tuple[bytes, bytes | None]:
        try:
            row = self._record(record)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        else:
            if row.id:
                return _encode(row), None
        self.odd.records += 1
        fitted, extra = self._fit_object(record, self.fields, "")
        if not isinstance(fitted, dict):
            fitted = {f.name: None for f in self.fields}
        if not fitted["id"]:
            fitted["id"] = _stand_in(record, extra)
        return _encode(fitted), _encode(extra) if extra is not None else None

    def _fit(self, value: msgspec.Raw, of: pa.Field, path: str) -> tuple[Any, Any]:
        """Return what fits the field, and what is left over (None for nothing)."""
        if is_json(of) or bytes(value) == b"null":
            return value, None
        if pa.types.is_struct(of.type):
            return self._fit_object(value, list(of.type), path)
        if pa.types.is_list(of.type):
            return self._fit_array(value, of.type.value_field, path)
        try:
            return self._scalars[of.type](value), None
        except (msgspec.DecodeError, UnicodeDecodeError):
            whole = _whole(value) if of.type == pa.int64() else None
            return (whole, None) if whole is not None else self._misfit(value, path)

    def _misfit(self, value: msgspec.Raw, path: str) -> tuple[None, msgspec.Raw]:
        self.odd.misfits[path] += 1
        return None, value

    def _fit_object(self, value: msgspec.Raw, fields: list[pa.Field], path: str) -> tuple[Any, Any]:
        try:
            given = _object(value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._misfit(value, path)
        fitted, extra = {}, {}
        for of in fields:
            fitted[of.name], left = self._fit(given.pop(of.name, _NULL), of, f"{path}.{of.name}" if path else of.name)
            if left is not None:
                extra[of.name] = left
        for name, left in given.items():
            self.odd.unknown[f"{path}.{name}" if path else name] += 1
            extra[name] = left
        return fitted, extra or None

    def _fit_array(self, value: msgspec.Raw, of: pa.Field, path: str) -> tuple[Any, Any]:
        try:
            given = _array(value)
        except (msgspec.DecodeError, UnicodeDecodeError):
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


def _whole(value: msgspec.Raw) -> int | None:
    """`2.0` is the integer 2; `2.5` and 2^70 are not ones that a column of int64 holds."""
    try:
        number = _number(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else None


def _stand_in(record: msgspec.Raw, extra: Any) -> str:
    """A record without a usable id is kept under one made from it, so that it is not lost and stays the same row."""
    given = extra.get("id") if isinstance(extra, dict) else None
    if given is not None and bytes(given)[:1] in b"-0123456789":
        return bytes(given).decode()
    return f"no-id-{hashlib.sha256(bytes(record)).hexdigest()[:24]}"
