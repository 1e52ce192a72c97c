"""Turn checked records into Arrow: JSON and the texts of free-form values in, the API's columns of the schema out.

Arrow's own JSON reader does it: it raises where a value does not convert. Of the keys it reads those of the schema that
are not free-form, and the texts are put in their places afterwards. DuckDB's reader was as quick alone, but waits for
Python's lock so often that it was several times slower beside threads that fetch, and took more memory.
"""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.json as pj

from tasks.lake.records import ADDED, Path
from tasks.lake.schemas import is_json


class Converter:
    """Makes tables of one collection's API columns.

    Args:
        schema: The collection's schema.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = pa.schema([f for f in schema if f.name not in ADDED])
        typed = pa.schema([kept for f in self.schema if (kept := _typed(f))])
        self._options = pj.ParseOptions(explicit_schema=typed, unexpected_field_behavior="ignore")

    def convert(self, records: bytes, texts: Mapping[Path, pa.Array]) -> pa.Table:
        """Return records as a table.

        Args:
            records: JSON objects with the schema's keys, one after another, with white space between them.
            texts: The free-form values, as `Records.texts`.

        Raises:
            pa.ArrowInvalid: Arrow does not read the JSON, such as an instant with nine decimals or a key given twice.
        """
        whole = pj.ReadOptions(use_threads=False, block_size=len(records) + 1)
        table = pj.read_json(pa.BufferReader(records), read_options=whole, parse_options=self._options)
        found = {name: column.chunk(0) for name, column in zip(table.column_names, table.columns, strict=True)}
        columns = [_completed(found.get(f.name), f, texts, ()) for f in self.schema]
        made = pa.Table.from_arrays(columns, schema=self.schema)
        made.validate()  # above all, that there are as many texts as places for them
        return made


def _typed(of: pa.Field) -> pa.Field | None:
    """The field without what is free-form in it; None for nothing left."""
    if is_json(of):
        return None
    if pa.types.is_struct(of.type):
        return of.with_type(pa.struct([kept for f in of.type if (kept := _typed(f))]))
    if pa.types.is_list(of.type):
        item = _typed(of.type.value_field)
        return of.with_type(pa.list_(item)) if item else None
    return of


def _completed(array: pa.Array | None, of: pa.Field, texts: Mapping[Path, pa.Array], path: Path) -> pa.Array:
    """An array of what was read, with the texts in their places."""
    if is_json(of):
        return texts[*path, of.name]
    if array is None:
        raise RuntimeError(f"{of.name} was not read")
    if array.type == of.type:
        return array
    if pa.types.is_list(of.type):
        items = of.type.value_field
        inside = [_completed(array.values, items.with_name(of.name), texts, path)]
    else:
        inside = [_completed(None if is_json(f) else array.field(f.name), f, texts, (*path, of.name)) for f in of.type]
    return pa.Array.from_buffers(of.type, len(array), array.buffers()[: of.type.num_buffers], children=inside)
