"""Hold what a run fetched, out of memory, until it is merged into the lake.

Pages go in as they arrive; batches of Arrow come out, one row per id. The rows wait in an unnamed temporary file, which
is gone when the process is, however it ends: personal data is not left on a worker's disk.
"""

import datetime as dt
import tempfile
from collections.abc import Iterator
from typing import IO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tasks.lake.arrow import Converter
from tasks.lake.records import Oddities, Reader

_CHUNK_BYTES = 6 * 2**20  # of JSON for one conversion: large enough to be quick, small enough for many at once
_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")


class Staging:
    """The rows of one collection that a run fetched. A context manager; for one thread.

    Args:
        schema: The collection's schema.
        integration_id: Whose rows they are.
        run_id: The run that fetched them.
    """

    def __init__(self, schema: pa.Schema, integration_id: str, run_id: str) -> None:
        self.schema = schema
        self._reader = Reader(schema)
        self._converter = Converter(schema, integration_id, run_id)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._sink = pa.ipc.new_file(pa.PythonFile(self._file, "w"), schema, options=_LZ4)
        self._waiting: list[tuple[bytes, bytes | None]] = []
        self._fetched: list[dt.datetime] = []
        self._bytes = 0
        self._keys: list[pa.RecordBatch] = []
        self.received = 0

    def __enter__(self) -> "Staging":
        return self

    def __exit__(self, *_: object) -> None:
        self._converter.close()
        self._file.close()

    @property
    def odd(self) -> Oddities:
        """What did not fit the schema, so far."""
        return self._reader.odd

    def add(self, results: bytes, fetched_at: dt.datetime) -> int:
        """Take a page's records and return how many there are.

        Args:
            results: The JSON array, as the API sent it.
            fetched_at: When it was fetched.
        """
        rows = self._reader.read(results)
        self._waiting += rows
        self._fetched += [fetched_at] * len(rows)
        self._bytes += len(results)
        self.received += len(rows)
        if self._bytes >= _CHUNK_BYTES:
            self._convert()
        return len(rows)

    def _convert(self) -> None:
        if self._waiting:
            batch = self._converter.convert(self._waiting, self._fetched)
            self._sink.write_batch(batch)
            self._keys.append(batch.select(["id", "changed_at", "remote_deleted_at", "_fetched_at"]))
        self._waiting, self._fetched, self._bytes = [], [], 0

    def finish(self) -> "Rows":
        """End the input and return the rows: of each id the one newest by `changed_at`, then the last received."""
        self._convert()
        self._sink.close()
        schema = pa.schema([self.schema.field(n) for n in ("id", "changed_at", "remote_deleted_at", "_fetched_at")])
        keys = pa.Table.from_batches(self._keys, schema)
        return Rows(self.schema, self._file, keys, _newest(keys))


class Rows:
    """Fetched rows: their keys in memory, the rest on disk.

    Args:
        schema: The collection's schema.
        file: An Arrow IPC file.
        keys: `id`, `changed_at`, `remote_deleted_at`, `_fetched_at` of every row in the file, in its order.
        keep: Which of them count.
    """

    def __init__(self, schema: pa.Schema, file: IO[bytes], keys: pa.Table, keep: np.ndarray) -> None:
        self.schema = schema
        self._file = file
        self.keep = keep
        self.keys = keys

    def __len__(self) -> int:
        return int(self.keep.sum())

    def batches(self) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
        """Yield every batch, with the positions of its rows among all (rows that do not count included)."""
        self._file.seek(0)
        start = 0
        reader = pa.ipc.open_file(pa.PythonFile(self._file, "r"))
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            yield batch, np.arange(start, start + batch.num_rows)
            start += batch.num_rows


def _newest(keys: pa.Table) -> np.ndarray:
    """Which rows are the newest of their id."""
    keep = np.ones(keys.num_rows, bool)
    if pc.count_distinct(keys["id"]).as_py() == keys.num_rows:
        return keep
    frame = pd.DataFrame(
        {"id": keys["id"].to_pandas(), "changed": keys["changed_at"].cast(pa.int64()).fill_null(-(2**63)).to_numpy()}
    )
    order = frame.sort_values("changed", kind="stable")
    keep[order.index[order["id"].duplicated(keep="last")]] = False
    return keep
