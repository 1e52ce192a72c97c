"""Hold what a run fetched, out of memory, until it is merged into the lake.

Pages go in as they arrive; batches of Arrow come out, one row per id. The rows wait in unnamed temporary files, which
are gone when the process is, however it ends: personal data is not left on a worker's disk.
"""

import datetime as dt
import tempfile
from collections.abc import Iterator
from contextlib import suppress

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.lake.arrow import Converter
from tasks.lake.causes import temporary_files
from tasks.lake.records import Oddities, Reader, Records
from tasks.lake.schemas import INSTANT

_CHUNK_BYTES = 3 * 2**20  # of JSON for one conversion: large enough to be quick, small enough for many at once
_KEYS = ["id", "changed_at", "remote_deleted_at", "_fetched_at"]


class _Spill:
    """Tables of one schema, in an unnamed temporary file until they are wanted again.

    Args:
        schema: Theirs.
        compression: Of the file; None for none.
    """

    def __init__(self, schema: pa.Schema, compression: str | None) -> None:
        self._schema = schema
        self._options = pa.ipc.IpcWriteOptions(compression=compression)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._sink: pa.ipc.RecordBatchFileWriter | None = None

    def add(self, table: pa.Table) -> None:
        """Append a table."""
        with temporary_files("keeping fetched rows"):
            if self._sink is None:
                self._sink = pa.ipc.new_file(pa.PythonFile(self._file, "w"), self._schema, options=self._options)
            self._sink.write_table(table)

    def finish(self) -> None:
        """End the input; only now may it be read."""
        if self._sink:
            with temporary_files("keeping fetched rows"):
                self._sink.close()
                self._file.flush()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield what was added, in its order."""
        if self._sink is None:
            return
        self._file.seek(0)
        reader = pa.ipc.open_file(pa.PythonFile(self._file, "r"))
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)

    def read(self) -> pa.Table:
        """Return everything."""
        return pa.Table.from_batches(self.batches(), self._schema)

    def close(self) -> None:
        """Throw everything away."""
        with suppress(OSError):  # a full disk, said before
            self._file.close()


class Staging:
    """The rows of one collection that a run fetched. A context manager; for one thread.

    Args:
        schema: The collection's schema.
        integration_id: Whose rows they are.
        run_id: The run that fetched them.
    """

    def __init__(self, schema: pa.Schema, integration_id: str, run_id: str) -> None:
        self.schema = schema
        self._constants = {"integration_id": integration_id, "_run_id": run_id}
        self._reader = Reader(schema)
        self._converter = Converter(schema)
        self._staged = pa.schema([*self._converter.schema, schema.field("_fetched_at"), schema.field("_extra")])
        self._rows = _Spill(self._staged, "lz4")
        self._keys = _Spill(pa.schema([self._staged.field(name) for name in _KEYS]), None)
        self._pages: list[Records] = []
        self._fetched: list[pa.Array] = []
        self._bytes = 0
        self.received = 0

    def __enter__(self) -> "Staging":
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()
        self._keys.close()

    @property
    def odd(self) -> Oddities:
        """What did not fit the schema, so far."""
        return self._reader.odd

    def add(self, records: list[msgspec.Raw], fetched_at: dt.datetime) -> None:
        """Take a page's records.

        Args:
            records: Each as its JSON, as the API sent it.
            fetched_at: When the page was fetched.
        """
        self._pages.append(self._reader.read(records))
        self._fetched.append(pa.repeat(pa.scalar(fetched_at, INSTANT), len(records)))
        self._bytes += sum(map(len, records))
        self.received += len(records)
        if self._bytes >= _CHUNK_BYTES:
            self._convert()

    def _convert(self) -> None:
        records = [record for page in self._pages for record in page.json]
        if records:
            texts = {path: pa.concat_arrays([p.texts[path] for p in self._pages]) for path in self._pages[0].texts}
            try:
                table = self._converter.convert(b"\n".join(records), texts)
            except pa.ArrowInvalid:  # JSON that is right, but that Arrow does not read
                table = self._converter.convert(self._reader.rewritten(records), texts)
            added = [pa.concat_arrays(self._fetched), pa.concat_arrays([page.extra for page in self._pages])]
            table = pa.Table.from_arrays([*table.columns, *added], schema=self._staged)
            self._rows.add(table)
            self._keys.add(table.select(_KEYS))
        self._pages, self._fetched, self._bytes = [], [], 0

    def finish(self) -> "Rows":
        """End the input and return the rows: of each id the one newest by `changed_at`, then the last received."""
        self._convert()
        self._rows.finish()
        self._keys.finish()
        return Rows(self.schema, self._rows, self._keys, self._constants)


class Rows:
    """Fetched rows, on disk.

    Args:
        schema: The collection's schema.
        rows: The columns that vary.
        keys: `id`, `changed_at`, `remote_deleted_at`, `_fetched_at` of the same rows.
        constants: The columns that do not vary.

    Attributes:
        keep: Which of the rows count: of each id the newest.
    """

    def __init__(self, schema: pa.Schema, rows: _Spill, keys: _Spill, constants: dict[str, str]) -> None:
        self._schema = schema
        self._rows = rows
        self._keys = keys
        self._constants = constants
        self.keep = _newest(self.keys())

    def keys(self) -> pa.Table:
        """`id`, `changed_at`, `remote_deleted_at` and `_fetched_at` of every row, `keep` or not."""
        return self._keys.read()

    def __len__(self) -> int:
        return int(self.keep.sum())

    def batches(self) -> Iterator[tuple[pa.RecordBatch, npt.NDArray[np.int64]]]:
        """Yield every batch in the collection's schema, with the positions of its rows among all, `keep` or not."""
        start = 0
        for batch in self._rows.batches():
            yield self._complete(batch), np.arange(start, start + batch.num_rows)
            start += batch.num_rows

    def _complete(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [
            pa.repeat(pa.scalar(self._constants[f.name], f.type), batch.num_rows)
            if f.name in self._constants
            else batch.column(f.name)
            for f in self._schema
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)


def _newest(keys: pa.Table) -> npt.NDArray[np.bool_]:
    """Which rows are the newest of their id."""
    keep = np.ones(keys.num_rows, bool)
    if pc.count_distinct(keys["id"]).as_py() == keys.num_rows:
        return keep
    changed = keys["changed_at"].cast(pa.int64()).fill_null(-(2**63))
    table = pa.table({"id": keys["id"], "changed": changed, "received": np.arange(keys.num_rows)})
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in table.column_names])
    ids = table["id"].take(order).combine_chunks()
    followed = np.append(pc.equal(ids[:-1], ids[1:]).to_numpy(zero_copy_only=False), [False])  # by a newer one
    keep[order.to_numpy()[followed]] = False
    return keep
