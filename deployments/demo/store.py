"""Where the demo keeps records: as the JSON that it serves, so that a million of them fit in memory."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

COLLECTIONS = (
    "applications",
    "candidates",
    "jobs",
    "application_stages",
    "tags",
    "users",
    "roles",
    "offers",
    "rejection_reasons",
    "interviews",
)

Record = dict[str, Any]

# Decimal keeps what a float would change: 2^70, 1e400 and the digits of a price.
encode = msgspec.json.Encoder(decimal_format="number").encode


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < 19 else Decimal(digits)


def decode(raw: bytes) -> Record:
    """A record to change and to encode again, with every number as it was written."""
    record: Record = json.loads(raw, parse_float=Decimal, parse_int=_integer)
    return record


class Row:
    """A record at rest.

    Attributes:
        seq: Position in the collection; never used twice, so a cursor survives insertions and removals.
        id: Kombo id.
        raw: The record as JSON.
        touched: When the record *or nested data that counts* changed; what ``updated_after`` compares.
        deleted: Whether it is a tombstone.
        links: Ids of the records that it embeds, see ``nesting.RELATIONS``.
    """

    __slots__ = ("deleted", "id", "links", "raw", "seq", "touched")

    def __init__(self, seq: int, record: Record, changed: float, links: tuple[Any, ...]) -> None:
        self.seq = seq
        self.id: str = record["id"]
        self.touched = changed
        self.links = links
        self.put(record)

    def put(self, record: Record) -> None:
        """Replace what is served."""
        self.raw = encode(record)
        self.deleted = record.get("remote_deleted_at") is not None

    def record(self) -> Record:
        """The record, to be changed."""
        return decode(self.raw)


class Store:
    """One collection of one integration, in the order in which it is served."""

    def __init__(self) -> None:
        self.rows: list[Row | None] = []
        self.by_id: dict[str, Row] = {}
        self.version = 0  # anything computed from the rows is stale when this moves

    def __iter__(self) -> Iterator[Row]:
        return (row for row in self.rows if row is not None)

    def __len__(self) -> int:
        return len(self.by_id)

    def add(self, record: Record, changed: float, links: tuple[Any, ...]) -> Row:
        """Append a record.

        Args:
            record: The record.
            changed: Unix time of its ``changed_at``.
            links: What it embeds.

        Returns:
            Its row.
        """
        row = Row(len(self.rows), record, changed, links)
        self.rows.append(row)
        self.by_id[row.id] = row
        self.version += 1
        return row

    def remove(self, row: Row) -> None:
        """Forget a record altogether; the others keep their positions."""
        self.rows[row.seq] = None
        del self.by_id[row.id]
        self.version += 1
