"""Turn checked records into Arrow: canonical JSON in, columns of the collection's schema out.

DuckDB does it, the fastest correct way that was measured, in its strict mode: a value that would not convert is an
error here and not a null, though `records.Reader` has let through only what converts.
"""

import datetime as dt
import json
from typing import Any

import duckdb
import pyarrow as pa

from tasks.lake.records import ADDED
from tasks.lake.schemas import INSTANT, is_json

_NAMES = {pa.string(): "VARCHAR", pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN"}
_GIVEN = pa.schema([("record", pa.string()), ("_fetched_at", INSTANT), ("_extra", pa.string())])


def connect() -> duckdb.DuckDBPyConnection:
    """A private in-memory DuckDB on one thread, in UTC, that loads nothing from anywhere."""
    connection = duckdb.connect(
        config={"threads": 1, "autoinstall_known_extensions": False, "autoload_known_extensions": False}
    )
    connection.execute("SET TimeZone = 'UTC'")
    return connection


class Converter:
    """Makes batches of one collection for one integration and run. For one thread.

    Args:
        schema: The collection's schema.
        integration_id: The value of the column `integration_id`.
        run_id: The value of the column `_run_id`.
    """

    def __init__(self, schema: pa.Schema, integration_id: str, run_id: str) -> None:
        self.schema = schema
        self._constants = {"integration_id": integration_id, "_run_id": run_id}
        shape = json.dumps({f.name: _shape(f) for f in schema if f.name not in ADDED})
        self._sql = f"SELECT unnest(from_json_strict(record, '{shape}')), _fetched_at, _extra FROM given"  # noqa: S608 - our schema
        self._duckdb = connect()

    def convert(self, records: list[tuple[bytes, bytes | None]], fetched: list[dt.datetime]) -> pa.RecordBatch:
        """Return the records as one batch.

        Args:
            records: Canonical JSON objects, and what did not fit of each, as JSON.
            fetched: When each was fetched.
        """
        columns = [
            pa.array([record for record, _ in records], pa.string()),
            pa.array(fetched, INSTANT),
            pa.array([extra for _, extra in records], pa.string()),
        ]
        self._duckdb.register("given", pa.Table.from_arrays(columns, schema=_GIVEN))
        found = self._duckdb.sql(self._sql).to_arrow_table()
        self._duckdb.unregister("given")
        arrays = [
            pa.repeat(pa.scalar(self._constants[f.name], f.type), len(records))
            if f.name in self._constants
            else found.column(f.name).cast(f.type).combine_chunks()
            for f in self.schema
        ]
        return pa.RecordBatch.from_arrays([_flat(array) for array in arrays], schema=self.schema)

    def close(self) -> None:
        """Free DuckDB's memory."""
        self._duckdb.close()


def _flat(array: Any) -> pa.Array:
    """`combine_chunks` of a column with one chunk may still be a chunked array."""
    return array.chunk(0) if isinstance(array, pa.ChunkedArray) and array.num_chunks == 1 else array


def _shape(of: pa.Field) -> Any:
    """The field's type as DuckDB's `from_json` wants it."""
    if is_json(of):
        return "JSON"
    if pa.types.is_struct(of.type):
        return {f.name: _shape(f) for f in of.type}
    if pa.types.is_list(of.type):
        return [_shape(of.type.value_field)]
    return _NAMES.get(of.type, "TIMESTAMPTZ")
