"""Turn checked records into Arrow: canonical JSON lines in, the API's columns of the collection's schema out.

Arrow's own JSON reader does it: it raises where a value does not convert, though `records.Reader` has let through only
what does. DuckDB's was as quick alone, but waits for Python's lock so often that it was several times slower beside
threads that fetch, and took more memory.
"""

import pyarrow as pa
import pyarrow.json as pj

from tasks.lake.records import ADDED


class Converter:
    """Makes tables of one collection's API columns.

    Args:
        schema: The collection's schema.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = pa.schema([f for f in schema if f.name not in ADDED])
        self._options = pj.ParseOptions(explicit_schema=self.schema, unexpected_field_behavior="error")

    def convert(self, lines: bytes) -> pa.Table:
        """Return the records as a table.

        Args:
            lines: Canonical JSON objects, each on a line that ends.
        """
        whole = pj.ReadOptions(use_threads=False, block_size=len(lines) + 1)
        return pj.read_json(pa.BufferReader(lines), read_options=whole, parse_options=self._options)
