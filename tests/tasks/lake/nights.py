"""Exports without an API: pages of records in, a lake out."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from uuid import uuid4

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.lake import paths
from tasks.lake.dataset import Collection, State
from tasks.lake.merging import Merge
from tasks.lake.schemas import SCHEMAS
from tasks.lake.staging import Staging
from tasks.lake.store import Store, read_bytes

INTEGRATION = "workday:HWUTwvyx2wLoSUHphiWVrp28"
NOON = dt.datetime(2026, 3, 28, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
Record = dict[str, Any]


def record(id_: Any, name: str | None = "a", changed: str | None = "2026-03-01T00:00:00Z", **more: Any) -> Record:
    """A record of the collection `tags`."""
    return {"id": id_, "remote_id": None, "name": name, "changed_at": changed, "remote_deleted_at": None, **more}


def tombstone(id_: str, name: str | None = "a") -> Record:
    """The same, deleted."""
    return record(id_, name, remote_deleted_at="2026-03-02T00:00:00Z")


@contextmanager
def begun(
    store: Store,
    *pages: list[Record],
    mode: str = "full",
    run: str | None = None,
    at: dt.datetime = NOON,
    collection: str = "tags",
    integration: str = INTEGRATION,
    max_shrink: float = 0.5,
    keep: int = 7,
) -> Iterator[Callable[[], Merge]]:
    """An export that has opened `current` and fetched everything; call what it yields to publish."""
    target = Collection(store, collection, integration)
    run = run or uuid4().hex
    with target.current() or nullcontext() as base, Staging(SCHEMAS[collection], integration, run) as staging:
        for page in pages:
            staging.add([msgspec.Raw(json.dumps(record)) for record in page], at)
        full_at = at if mode == "full" or base is None else base.state.last_full_at
        state = State(integration, collection, at - 5 * MINUTE, full_at, run, mode)
        rows = staging.finish()
        yield lambda: target.publish(rows, base, state, day=at.date(), max_shrink=max_shrink, keep_snapshots=keep)


def export(store: Store, *pages: list[Record], **options: Any) -> Merge:
    """An export from beginning to end; options as for `begun`."""
    with begun(store, *pages, **options) as publish:
        return publish()


def table(store: Store, key: str) -> pa.Table:
    """An object of the lake."""
    content = read_bytes(store, key)
    assert content is not None, key
    return pq.read_table(io.BytesIO(content))


def current(store: Store, collection: str = "tags", integration: str = INTEGRATION) -> pa.Table:
    """The rows of `current`."""
    return table(store, paths.current(collection, integration))


def names(store: Store) -> dict[str, str | None]:
    """The tags in `current`: name by id."""
    return {row["id"]: row["name"] for row in current(store).select(["id", "name"]).to_pylist()}


def changes(store: Store, run: str, at: dt.datetime = NOON) -> dict[str, str] | None:
    """What a run changed: kind by id; None if it wrote nothing."""
    key = paths.changes("tags", INTEGRATION, at.date(), run)
    if read_bytes(store, key) is None:
        return None
    return {row["id"]: row["_change"] for row in table(store, key).to_pylist()}


def snapshots(store: Store, collection: str = "tags", integration: str = INTEGRATION) -> list[str]:
    """The dates of the snapshots of an integration."""
    dates = (name.removeprefix("date=") for name in store.names(f"snapshots/{collection}"))
    keys = {date: paths.snapshot(collection, integration, dt.date.fromisoformat(date)) for date in dates}
    return [date for date, key in keys.items() if read_bytes(store, key) is not None]


def state(store: Store) -> State:
    """The state of the sync."""
    held = Collection(store, "tags", INTEGRATION).current()
    assert held is not None
    with held:
        return held.state
