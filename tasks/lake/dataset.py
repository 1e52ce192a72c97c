"""`current`, `changes` and `snapshots` of one collection of one integration: read the state, merge, commit.

The one `current` object is the commit: its rows and, in its footer, the state of the sync. A run writes what it changed
first, then `current` under the condition that it still is the object the merge started from, then the dated snapshot.
"""

import datetime as dt
import json
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.lake import paths
from tasks.lake.causes import temporary_files
from tasks.lake.errors import CurrentUnreadable, LakeError, Moved
from tasks.lake.merging import Mask, Merge, Plan, Positions
from tasks.lake.parquet import ObjectWriter, key_values, read_footer
from tasks.lake.schemas import SCHEMA_VERSION, SCHEMAS
from tasks.lake.staging import Rows
from tasks.lake.store import Held, Store

_ATTEMPTS = 5
_READ_ROWS = 10_000
_KEYS = ["id", "remote_deleted_at", "_fetched_at"]
_ONE_AT_A_TIME = threading.Lock()
"""A merge holds up to a row group in memory; collections are fetched side by side and merged in turn."""


@dataclass(frozen=True, slots=True)
class State:
    """The state of a sync, as the footer of `current` holds it.

    Attributes:
        watermark: Where the next incremental fetch starts from; UTC.
        last_full_at: The watermark of the last full fetch; UTC.
        run_id: The run that committed the object.
        mode: How that run fetched.
        schema_version: The schema of the rows.
        report: What that run counted.
    """

    integration_id: str
    collection: str
    watermark: dt.datetime
    last_full_at: dt.datetime
    run_id: str
    mode: str
    schema_version: str = SCHEMA_VERSION
    report: dict[str, Any] = field(default_factory=dict)

    def as_metadata(self) -> dict[str, str]:
        """Return it as key-value metadata."""
        values = {**asdict(self), "report": json.dumps(self.report)}
        return {f"kombo.{k}": v.isoformat() if isinstance(v, dt.datetime) else v for k, v in values.items()}

    @classmethod
    def from_metadata(cls, given: dict[str, str]) -> "State":
        """Read it back; KeyError and ValueError where it is not ours."""
        values: dict[str, Any] = {k.removeprefix("kombo."): v for k, v in given.items() if k.startswith("kombo.")}
        values["report"] = json.loads(values.get("report", "{}"))
        values |= {k: dt.datetime.fromisoformat(values[k]) for k in ("watermark", "last_full_at")}
        return cls(**{k: values[k] for k in cls.__dataclass_fields__})


class Current:
    """A `current` object, opened. A context manager.

    Args:
        held: The object.
        collection: What it should be of.
        integration_id: Whose it should be.

    Raises:
        CurrentUnreadable: It is something else.
    """

    def __init__(self, held: Held, collection: str, integration_id: str) -> None:
        self.file: IO[bytes] = held.file
        self.version = held.version
        self.size = held.size
        place = paths.current(collection, integration_id)
        try:
            footer = read_footer(held.file)
            self.state = State.from_metadata(key_values(footer))
        except (CurrentUnreadable, KeyError, ValueError) as error:
            held.file.close()
            raise CurrentUnreadable(
                f"{place} is not an object that an export wrote ({type(error).__name__}); restore or remove it, "
                "then run again: the collection is fetched in full"
            ) from error
        if (self.state.collection, self.state.integration_id) != (collection, integration_id):
            held.file.close()
            raise CurrentUnreadable(
                f"{place} says that it holds another collection or integration; move it where it belongs"
            )
        self.rows: int = footer.num_rows
        self.schema = SCHEMAS[collection]

    def __enter__(self) -> "Current":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def _open(self) -> pq.ParquetFile:
        self.file.seek(0)
        return pq.ParquetFile(pa.PythonFile(self.file, "r"))

    def keys(self) -> pa.Table:
        """Return id, deletion and fetch time of every row."""
        return self._open().read(_KEYS)

    def batches(self) -> Iterator[tuple[pa.RecordBatch, Positions]]:
        """Yield every row in today's schema, a few thousand at a time, with their positions."""
        start = 0
        file = self._open()
        for group in range(file.num_row_groups):  # one reader for all would not give back what a group took
            for batch in file.iter_batches(_READ_ROWS, row_groups=[group]):
                yield conform(batch, self.schema), np.arange(start, start + batch.num_rows)
                start += batch.num_rows
            pa.default_memory_pool().release_unused()


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch in another version of its schema: a column that is missing, or of another type, is null there."""
    if batch.schema.equals(schema):
        return batch.cast(schema)
    names = set(batch.schema.names)
    return pa.RecordBatch.from_arrays(
        [
            batch.column(f.name)
            if f.name in names and batch.schema.field(f.name).type == f.type
            else pa.nulls(batch.num_rows, f.type)
            for f in schema
        ],
        schema=schema,
    )


def change_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema of `changes`: how the row changed, then the row as it is now (a deleted one: as it was)."""
    about = {"description": "insert, update or delete, against the current object that the run started from."}
    return pa.schema([pa.field("_change", pa.string(), metadata=about), *schema])


class Collection:
    """One collection of one integration in a lake.

    Args:
        store: The lake.
        collection: Such as `applications`.
        integration_id: Such as `workday:HWUT…`.
    """

    def __init__(self, store: Store, collection: str, integration_id: str) -> None:
        self.store = store
        self.collection = collection
        self.integration_id = integration_id
        self.schema = SCHEMAS[collection]

    def current(self) -> Current | None:
        """Open `current`; None where there is none yet."""
        held = self.store.read(paths.current(self.collection, self.integration_id))
        return Current(held, self.collection, self.integration_id) if held else None

    def publish(
        self, rows: Rows, base: Current | None, state: State, *, day: dt.date, max_shrink: float, keep_snapshots: int
    ) -> Merge:
        """Merge fetched rows into `current`, commit, and keep a dated copy.

        Args:
            rows: What was fetched: everything for a full fetch, what changed for an incremental one.
            base: `current` as it was when the fetch began; stays open.
            state: The state to commit, `mode` saying which of the two it was.
            day: The run's day, for the paths of `changes` and the snapshot; UTC.
            max_shrink: The share of rows that a full fetch may lose.
            keep_snapshots: How many dated copies to keep; 0 for none.

        Raises:
            ShrinkRefused: It would lose more.
            Moved: Others kept replacing `current`.
            LakeError: The store failed; `current` is as before.
        """
        base_keys = base.keys() if base and state.mode == "full" else None
        try:
            return self._commit(
                rows, base, state, base_keys, moved=False, day=day, max_shrink=max_shrink, keep=keep_snapshots
            )
        except Moved:
            pass
        for _ in range(_ATTEMPTS):
            with self.current() or nullcontext() as found:
                if found and found.state.run_id == state.run_id:  # the store's answer was lost, not our write
                    return self.committed(found, day=day, keep_snapshots=keep_snapshots)
                try:
                    return self._commit(
                        rows, found, state, base_keys, moved=True, day=day, max_shrink=max_shrink, keep=keep_snapshots
                    )
                except Moved:
                    continue
        raise Moved(
            f"{self.collection} of {self.integration_id}: other exports kept replacing current; "
            "this one changed nothing; run it again when they have ended"
        )

    def committed(self, current: Current, *, day: dt.date, keep_snapshots: int) -> Merge:
        """Return what the run that committed `current` counted, and make the snapshot that it may not have."""
        self._snapshot(current.file, day, keep_snapshots)
        return Merge(**current.state.report, bytes=current.size)

    def _commit(
        self,
        rows: Rows,
        old: Current | None,
        state: State,
        base_keys: pa.Table | None,
        *,
        moved: bool,
        day: dt.date,
        max_shrink: float,
        keep: int,
    ) -> Merge:
        with (
            temporary_files(f"merging {self.collection} of {self.integration_id}"),
            ObjectWriter(self.schema) as target,
            ObjectWriter(change_schema(self.schema)) as log,
        ):
            with _ONE_AT_A_TIME:
                pa.default_memory_pool().release_unused()  # what fetching and the merge before have left
                plan = Plan(rows, old, base_keys, moved=moved)
                done = plan.counts(max_shrink, f"{self.collection} of {self.integration_id}")
                _write(plan, rows, old, target, log)
                done.rows = target.rows
                if moved and old:
                    state = _joined(state, old.state)
                report = {k: v for k, v in asdict(done).items() if k != "bytes"}
                metadata = replace(state, report=report).as_metadata()
                done.bytes = target.finish(metadata)
                log.finish(metadata)
            log_place = paths.changes(self.collection, self.integration_id, day, state.run_id)
            if log.rows:
                self.store.put(log_place, log.file)
            elif moved:
                self.store.delete(log_place)  # what the first attempt would have changed, another run has
            self.store.put(
                paths.current(self.collection, self.integration_id), target.file, expect=old.version if old else None
            )
            done.warnings += self._snapshot(target.file, day, keep)
        return done

    def _snapshot(self, file: IO[bytes], day: dt.date, keep: int) -> list[str]:
        """Keep a copy under today's date, unless there is one, and drop the oldest ones beyond `keep`."""
        if not keep:
            return []
        try:
            self.store.put(paths.snapshot(self.collection, self.integration_id, day), file, expect=None)
        except Moved:
            return []  # a snapshot never changes: the first run of a day made it
        try:
            dates = [name.removeprefix("date=") for name in self.store.names(f"snapshots/{self.collection}")]
            days = [dt.date.fromisoformat(date) for date in reversed(dates) if _is_date(date)]
            kept = 0
            for other in days:
                place = paths.snapshot(self.collection, self.integration_id, other)
                if kept < keep:
                    folder, _, name = place.rpartition("/")
                    kept += name in self.store.names(folder)  # some stores still list a folder that is empty
                else:
                    self.store.delete(place)
        except LakeError as error:
            return [f"old snapshots were not removed: {error}"]
        return []


def _is_date(text: str) -> bool:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _write(plan: Plan, rows: Rows, old: Current | None, target: ObjectWriter, log: ObjectWriter) -> None:
    for batch, positions in old.batches() if old else ():
        _some(batch, plan.keep_old[positions], target)
        _some(batch, plan.gone[positions], log, "delete")
    for batch, positions in rows.batches():
        _some(batch, plan.keep_new[positions], target)
        if old:
            _some(batch, plan.inserted[positions], log, "insert")
            _some(batch, plan.updated[positions], log, "update")


def _some(batch: pa.RecordBatch, chosen: Mask, writer: ObjectWriter, change: str | None = None) -> None:
    if not chosen.any():
        return
    part = batch if chosen.all() else batch.filter(pa.array(chosen))
    if change:
        kind = pa.repeat(pa.scalar(change), part.num_rows)
        part = pa.RecordBatch.from_arrays([kind, *part.columns], schema=writer.schema)
    writer.write(part)


def _joined(ours: State, theirs: State) -> State:
    """The state of two exports that ran side by side: complete as of the earlier of their watermarks."""
    return replace(
        ours,
        watermark=min(ours.watermark, theirs.watermark),
        last_full_at=max(ours.last_full_at, theirs.last_full_at),
    )
