"""Decide, from keys and fingerprints alone, which rows a merge keeps, adds, changes and drops."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.lake.errors import ShrinkRefused
from tasks.lake.staging import Rows

if TYPE_CHECKING:
    import duckdb

Mask: TypeAlias = npt.NDArray[np.bool_]
Positions: TypeAlias = npt.NDArray[np.int64]
_DUCKDB: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_NOT_CONTENT = ["_fetched_at", "_run_id"]  # a row fetched again is not a row changed


class Old(Protocol):
    """The rows that are there already."""

    rows: int

    def keys(self) -> pa.Table:
        """`id`, `remote_deleted_at` and `_fetched_at` of every row."""

    def batches(self) -> Iterator[tuple[pa.RecordBatch, npt.NDArray[np.int64]]]:
        """Every row, with its position."""


@dataclass(slots=True)
class Merge:
    """What a merge did to `current`.

    Attributes:
        rows: Rows in `current` now.
        received: Rows fetched, each id once.
        inserted: Ids that are new.
        updated: Ids whose content differs.
        deleted: Ids that a full fetch no longer returned.
        tombstoned: Live rows that became tombstones.
        bytes: The size of `current`.
        warnings: What somebody should look at.
    """

    rows: int = 0
    received: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    tombstoned: int = 0
    bytes: int = 0
    warnings: list[str] = field(default_factory=list)


class Plan:
    """Which rows of the old and the fetched ones make the new object.

    Args:
        rows: The fetched rows.
        old: The rows there are, if any.
        base: For a full fetch, the keys of the rows that were there when it began: those of them that it did not return
            go. None for an incremental fetch, which removes nothing.
        moved: Another run has written `old` since then: of a row that both fetched, the later fetch counts, and a row
            that the other run fetched does not go.

    Attributes:
        keep_old: Of the old rows, those that stay as they are.
        gone: Of the old rows, those that go.
        keep_new: Of the fetched rows, those that are written.
        inserted: Of those, the ones with a new id.
        updated: Of those, the ones whose content differs from the old row's.
    """

    def __init__(self, rows: Rows, old: Old | None, base: pa.Table | None, *, moved: bool) -> None:
        self.keep_new = rows.keep.copy()
        self.inserted = rows.keep.copy()
        self.updated = np.zeros(len(rows.keep), bool)
        self.keep_old = self.gone = np.zeros(0, bool)
        self._received, self._live, self._tombstoned = len(rows), 0, 0
        if old is None:
            return
        keys, new = old.keys(), rows.keys()
        at = _positions(keys["id"], new["id"], rows.keep)
        unmatched = at < 0
        if moved:
            theirs = ~unmatched & (_instants(keys["_fetched_at"]) > _instants(new["_fetched_at"])[at])
            self.keep_new[at[theirs]] = False
            at[theirs] = -1
        found = at >= 0
        self.inserted[at[found]] = False
        self.inserted &= self.keep_new
        self.gone = unmatched & _untouched(keys, base) if base is not None else np.zeros(old.rows, bool)
        self.keep_old = ~found & ~self.gone
        self._find_updates(rows, old, at)
        was_live = ~_is_set(keys["remote_deleted_at"])
        self._live = int(was_live.sum())
        self._tombstoned = int((was_live[found] & _is_set(new["remote_deleted_at"])[at[found]]).sum())

    def _find_updates(self, rows: Rows, old: Old, at: Positions) -> None:
        """Compare the content of every row that is both old and fetched."""
        matched = np.zeros(len(rows.keep), bool)
        matched[at[at >= 0]] = True
        if not matched.any():
            return
        import duckdb  # 25 MB that a first export can do without

        with duckdb.connect(config=_DUCKDB) as connection:
            new_prints, old_prints = np.zeros(len(rows.keep), np.uint64), np.zeros(old.rows, np.uint64)
            for prints, batches, chosen in (
                (new_prints, rows.batches(), matched),
                (old_prints, old.batches(), at >= 0),
            ):
                for batch, positions in batches:
                    if (mask := chosen[positions]).any():
                        prints[positions[mask]] = _fingerprints(connection, batch.filter(pa.array(mask)))
        both = np.flatnonzero(at >= 0)
        self.updated[at[both]] = new_prints[at[both]] != old_prints[both]

    def counts(self, max_shrink: float, of: str) -> Merge:
        """Return what the merge will have done.

        Args:
            max_shrink: The share of rows that a full fetch may lose.
            of: Whose rows they are, for messages.

        Raises:
            ShrinkRefused: It would lose more.
        """
        deleted = int(self.gone.sum())
        if deleted > max_shrink * len(self.gone):
            raise ShrinkRefused(
                f"{of}: a full fetch returned {self._received} rows and would remove {deleted} of "
                f"{len(self.gone)}, more than max_shrink={max_shrink:g} allows; nothing was changed. "
                "If the ATS really lost them, run once with max_shrink=1."
            )
        warnings = []
        if self._live and self._tombstoned > max_shrink * self._live:
            warnings.append(
                f"{self._tombstoned} of {self._live} live rows became tombstones, more than "
                f"max_shrink={max_shrink:g}: check that the integration is still connected"
            )
        return Merge(
            received=self._received,
            inserted=int(self.inserted.sum()),
            updated=int(self.updated.sum()),
            deleted=deleted,
            tombstoned=self._tombstoned,
            warnings=warnings,
        )


def _positions(ids: pa.ChunkedArray, among: pa.ChunkedArray, kept: Mask) -> Positions:
    """Where each id stands among the kept ones of others; -1 for nowhere."""
    found = pc.index_in(ids, value_set=among.filter(pa.array(kept)).combine_chunks()).fill_null(-1).to_numpy()
    positions: Positions = np.append(np.flatnonzero(kept), -1)[found]  # index -1 is the appended -1
    return positions


def _untouched(keys: pa.Table, base: pa.Table) -> Mask:
    """Which rows are still those of the base, not fetched again by another run."""
    at = _positions(keys["id"], base["id"], np.ones(base.num_rows, bool))
    before = np.append(_instants(base["_fetched_at"]), -1)[at]
    same: Mask = before == _instants(keys["_fetched_at"])
    return same


def _instants(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    values: npt.NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
    return values


def _is_set(column: pa.ChunkedArray) -> Mask:
    mask: Mask = column.is_valid().to_numpy()
    return mask


def _fingerprints(connection: "duckdb.DuckDBPyConnection", batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """64 bits of MD5 over each row's content; equal for equal rows, and practically only for them."""
    content = pa.Table.from_batches([batch]).drop_columns(_NOT_CONTENT)
    connection.register("content", content)
    prints: npt.NDArray[np.uint64] = (
        connection.sql("SELECT md5_number_lower(to_json(content)::VARCHAR) AS p FROM content")
        .to_arrow_table()["p"]
        .to_numpy()
    )
    connection.unregister("content")
    return prints
