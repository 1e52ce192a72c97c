"""Write one Parquet object, and be sure of it before anybody sees it."""

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.lake.errors import CurrentUnreadable, LakeError

GROUP_ROWS = 100_000
_GROUP_BYTES = 128 * 2**20  # of Arrow: wide rows make smaller groups, so that memory stays bounded


class ObjectWriter:
    """Collects batches into row groups of about 100,000 rows, in an unnamed temporary file. A context manager.

    Args:
        schema: The object's schema; every batch has it.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._writer = pq.ParquetWriter(pa.PythonFile(self.file, "w"), schema, compression="zstd")
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        self.rows = 0

    def __enter__(self) -> "ObjectWriter":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # a full disk, said before: what is not finished is thrown away
            if self._writer.is_open:
                self._writer.close()
        with suppress(OSError):
            self.file.close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Add a batch."""
        self.rows += batch.num_rows
        while batch.num_rows:
            part = batch.slice(0, GROUP_ROWS - self._waiting_rows)
            batch = batch.slice(part.num_rows)
            self._waiting.append(part)
            self._waiting_rows += part.num_rows
            self._waiting_bytes += part.nbytes
            if self._waiting_rows >= GROUP_ROWS or self._waiting_bytes >= _GROUP_BYTES:
                self._flush()

    def _flush(self) -> None:
        if self._waiting_rows:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self.schema), row_group_size=GROUP_ROWS)
            self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0
            pa.default_memory_pool().release_unused()  # a hundred megabytes that the next collection needs

    def finish(self, metadata: Mapping[str, str]) -> int:
        """Write the footer, read it back, and return the object's size in bytes.

        Args:
            metadata: Goes into the footer's key-value metadata.

        Raises:
            LakeError: What was written is not what was meant; nothing has been published.
        """
        self._flush()
        self._writer.add_key_value_metadata(dict(metadata))
        self._writer.close()
        size = self.file.seek(0, 2)
        footer = read_footer(self.file)
        if footer.num_rows != self.rows or not metadata.items() <= key_values(footer).items():
            raise LakeError(f"a Parquet file of {self.rows} rows reads back as {footer.num_rows}: not published")
        return size


def read_footer(file: IO[bytes]) -> pq.FileMetaData:
    """Read an object's footer.

    Raises:
        CurrentUnreadable: It has none.
    """
    file.seek(0)
    try:
        return pq.ParquetFile(pa.PythonFile(file, "r")).metadata
    except (pa.ArrowInvalid, OSError) as error:
        raise CurrentUnreadable(f"not a Parquet file: {type(error).__name__}") from error


def key_values(footer: pq.FileMetaData) -> dict[str, str]:
    """Return a footer's key-value metadata as text, Arrow's own left out."""
    return {k.decode(): v.decode() for k, v in (footer.metadata or {}).items() if k != b"ARROW:schema"}
