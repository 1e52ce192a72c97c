"""How a column is declared, and what can be asked about one.

A declaration is a name, a sentence for the people who read the lake, and a type. The sentence and two marks travel in
the field's metadata and so into the Parquet file: `personal` for data about a person, `json` for text that holds JSON.
"""

from __future__ import annotations

import pyarrow as pa

INSTANT = pa.timestamp("us", tz="UTC")


def text(name: str, meaning: str, *, personal: bool = False) -> pa.Field:
    """Declare a text column; enumerations are text too, because the API's lists of values grow."""
    return _field(name, pa.string(), meaning, personal=personal)


def integer(name: str, meaning: str) -> pa.Field:
    """Declare a column of whole numbers (64 bits)."""
    return _field(name, pa.int64(), meaning)


def number(name: str, meaning: str) -> pa.Field:
    """Declare a column of numbers with a fraction (64 bits)."""
    return _field(name, pa.float64(), meaning)


def flag(name: str, meaning: str) -> pa.Field:
    """Declare a true/false column."""
    return _field(name, pa.bool_(), meaning)


def instant(name: str, meaning: str) -> pa.Field:
    """Declare a point in time, UTC, to the microsecond."""
    return _field(name, INSTANT, meaning)


def json_text(name: str, meaning: str, *, personal: bool = False) -> pa.Field:
    """Declare a text column that holds JSON, for what the API leaves free-form."""
    return _field(name, pa.string(), meaning, personal=personal, json=True)


def texts(name: str, meaning: str) -> pa.Field:
    """Declare a column with a list of texts."""
    return _field(name, _list_of(pa.string()), meaning)


def record(name: str, meaning: str, *fields: pa.Field, personal: bool = False) -> pa.Field:
    """Declare a nested object; `personal` says that it is about a person as a whole."""
    return _field(name, pa.struct(fields), meaning, personal=personal)


def records(name: str, meaning: str, *fields: pa.Field, personal: bool = False) -> pa.Field:
    """Declare a list of nested objects; `personal` says that it is about a person as a whole."""
    return _field(name, _list_of(pa.struct(fields)), meaning, personal=personal)


def required(field: pa.Field) -> pa.Field:
    """Turn a declared column into one that is never null."""
    return field.with_nullable(False)


def description(field: pa.Field) -> str:
    """Say what a column means, in a sentence."""
    return str((field.metadata or {}).get(b"description", b"").decode())


def is_json(field: pa.Field) -> bool:
    """Tell whether a text column holds JSON."""
    return (field.metadata or {}).get(b"json") == b"true"


def is_personal(field: pa.Field) -> bool:
    """Tell whether a column, or anything nested in it, is about a person."""
    if (field.metadata or {}).get(b"personal") == b"true":
        return True
    return any(is_personal(child) for child in children(field))


def children(field: pa.Field) -> list[pa.Field]:
    """List the fields of a nested object or of a list's objects; empty for anything else."""
    kind = field.type.value_type if pa.types.is_list(field.type) else field.type
    return list(kind.fields) if pa.types.is_struct(kind) else []


def _list_of(kind: pa.DataType) -> pa.ListType:
    # The name that Parquet gives a list's elements: another one here would come back changed from a file.
    return pa.list_(pa.field("element", kind))


def _field(name: str, kind: pa.DataType, meaning: str, *, personal: bool = False, json: bool = False) -> pa.Field:
    metadata = {"description": meaning}
    if personal:
        metadata["personal"] = "true"
    if json:
        metadata["json"] = "true"
    return pa.field(name, kind, metadata=metadata)
