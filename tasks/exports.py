"""The tasks that an export is made of: check the lake, bring one collection of one integration, record the run."""

import datetime as dt
import functools
import gc
import importlib
import json
import logging
import threading
import time
from collections.abc import Sequence
from contextlib import closing, nullcontext
from typing import Any, Literal

from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

from tasks.credentials import KomboCredentials, KomboLake, resolve_credentials
from tasks.kombo.client import Client
from tasks.kombo.collections import COLLECTIONS, Collection
from tasks.kombo.errors import IntegrationRefused, KeyRefused, KomboError, NotOffered, SetupPending
from tasks.kombo.pages import Page, pages
from tasks.lake import dataset, paths
from tasks.lake.errors import StateMissing
from tasks.lake.merging import Merge
from tasks.lake.schemas import SCHEMA_VERSION, SCHEMAS
from tasks.lake.staging import Staging
from tasks.lake.store import Store, check, put_bytes
from tasks.policies import reads
from tasks.reports import CollectionReport, WrongClock

__all__ = ["COLLECTIONS", "Collection", "Mode", "check_lake", "export_collection", "record_run"]

Mode = Literal["auto", "incremental", "full"]

OVERLAP = dt.timedelta(minutes=5)
"""How far before its own start a fetch is said to be complete; rows are taken by id, so an overlap costs nothing."""

MAX_SKEW = dt.timedelta(minutes=15)
"""How far this machine's clock may be from the API's; beyond, dates and ages are wrong, and S3 refuses us too."""

_PROGRESS_SECONDS = 15.0
_AHEAD = 8  # pages fetched while others are converted, which happens in bursts of a few megabytes


class _Refusals:
    """Which integrations refused a run in this process, so that their other collections do not ask again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, dict[str | None, KomboError]] = {}

    def add(self, run_id: str, error: KeyRefused | IntegrationRefused, integration: str) -> None:
        with self._lock:
            self._found.setdefault(run_id, {})[None if isinstance(error, KeyRefused) else integration] = error

    def check(self, run_id: str, integration: str) -> None:
        with self._lock:
            found = self._found.get(run_id, {})
            error = found.get(None) or found.get(integration)
        if error:
            raise error

    def forget(self, run_id: str) -> None:
        with self._lock:
            self._found.pop(run_id, None)


_refusals = _Refusals()


@reads(task_run_name="check-lake")
def check_lake(lake: KomboLake) -> list[str]:
    """Write and remove a small object in the lake, so that a lake that does not work is one error and not hundreds.

    Args:
        lake: Where the lake is.

    Returns:
        Warnings, such as that the store does not protect concurrent exports.

    Raises:
        LakeError: It does not work.
    """
    _settle()
    store = lake.get_store()
    check(store)
    if store.conditional:
        return []
    return ["This store has no conditional writes: two exports of one integration at the same time are not protected."]


@reads(task_run_name="{collection}-of-{integration}")
def export_collection(
    *,
    integration: str,
    collection: Collection,
    lake: KomboLake,
    run_id: str,
    mode: Mode = "auto",
    full_every_days: int = 7,
    keep_snapshots: int = 7,
    max_shrink: float = 0.5,
    credentials: KomboCredentials | None = None,
) -> CollectionReport:
    """Bring one collection of one integration into the lake.

    What an earlier attempt of the same run has committed is not fetched again.

    Args:
        integration: Integration id.
        collection: One of the ten.
        lake: Where to.
        run_id: The export run; part of paths and footers.
        mode: `auto` is incremental where there is something to be incremental against and the last full is recent.
        full_every_days: After how many days `auto` is full again.
        keep_snapshots: How many dated copies to keep; 0 for none.
        max_shrink: The share of rows, 0 to 1, that a full fetch may lose.
        credentials: None for the environment.

    Returns:
        The report; `skipped` where Kombo does not offer the collection or has not yet synced the integration.

    Raises:
        KomboError: It could not be fetched (GET on the collection's path).
        LakeError: It could not be written; `current` is as before.
        WrongClock: This machine's clock is wrong; `current` is as before.
    """
    _refusals.check(run_id, integration)
    try:
        return _bring(
            integration,
            collection,
            lake.get_store(),
            run_id,
            mode,
            full_every_days,
            keep_snapshots,
            max_shrink,
            credentials,
        )
    except (NotOffered, SetupPending) as error:
        _log().warning("%s of %s is skipped: %s", collection, integration, error)
        return CollectionReport(integration, collection, "skipped", reason=str(error))
    except (KeyRefused, IntegrationRefused) as error:
        _refusals.add(run_id, error, integration)
        raise


@reads(task_run_name="record-run")
def record_run(
    lake: KomboLake, run_id: str, started_at: dt.datetime, reports: Sequence[CollectionReport], warnings: Sequence[str]
) -> str:
    """Write what a run did into the lake, where it outlives the engine's own records.

    Args:
        lake: Where to.
        run_id: The export run.
        started_at: When it began, UTC.
        reports: One for each collection of each integration.
        warnings: Those that concern the run as a whole.

    Returns:
        The object's key, `runs/<run_id>.json`.

    Raises:
        LakeError: It could not be written.
    """
    _refusals.forget(run_id)
    record = {
        "run_id": run_id,
        "started_at": started_at.isoformat(),
        "ended_at": dt.datetime.now(dt.UTC).isoformat(),
        "schema_version": SCHEMA_VERSION,
        "warnings": list(warnings),
        "collections": [{**report.as_json(), "seconds": round(report.seconds, 3)} for report in reports],
    }
    put_bytes(lake.get_store(), paths.run(run_id), json.dumps(record, indent=1).encode())
    return paths.run(run_id)


@functools.cache
def _settle() -> None:
    """Once in a process: load what is needed, and leave it out of garbage collection.

    Arrow loads pandas when it first meets a Python value, which would be in the middle of the first pages. Each full
    collection would walk all of Prefect's and pandas's objects and hold Python's lock for some 80 ms meanwhile.
    """
    importlib.import_module("pandas")
    gc.collect()
    gc.freeze()


def _log() -> Any:
    """The run's logger, or Python's where there is no run."""
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger(__name__)


def _bring(
    integration: str,
    collection: Collection,
    store: Store,
    run_id: str,
    mode: Mode,
    full_every_days: int,
    keep_snapshots: int,
    max_shrink: float,
    credentials: KomboCredentials | None,
) -> CollectionReport:
    started_at = dt.datetime.now(dt.UTC)
    target = dataset.Collection(store, collection, integration)
    with target.current() or nullcontext() as base:
        if base and base.state.run_id == run_id:
            done = target.committed(base, day=started_at.date(), keep_snapshots=keep_snapshots)
            _log().info("%s of %s: committed by an earlier attempt of this run", collection, integration)
            return _report(integration, collection, "committed", base.state, done, started_at)
        chosen = _choose(mode, base.state if base else None, full_every_days)
        filters: dict[str, Any] = {"include_deleted": True}
        if chosen == "incremental" and base:
            filters["updated_after"] = base.state.watermark
        client = (credentials or resolve_credentials(None)).get_client()
        with client, Staging(SCHEMAS[collection], integration, run_id) as staging:
            first, number = _fetch(client, staging, integration, collection, filters)
            state = dataset.State(
                integration_id=integration,
                collection=collection,
                watermark=first.sent_at - OVERLAP,
                last_full_at=first.sent_at if chosen == "full" or not base else base.state.last_full_at,
                run_id=run_id,
                mode=chosen,
            )
            rows = staging.finish()
            done = target.publish(
                rows, base, state, day=started_at.date(), max_shrink=max_shrink, keep_snapshots=keep_snapshots
            )
            report = _report(integration, collection, "exported", state, done, started_at, number, staging)
    _log().info(
        "%s of %s: %s, %s received, %s new, %s changed, %s deleted; rows now: %s, in %.1f s",
        *(collection, integration, chosen, done.received, done.inserted, done.updated, done.deleted),
        *(done.rows, report.seconds),
    )
    return report


def _choose(mode: Mode, state: dataset.State | None, full_every_days: int) -> Literal["full", "incremental"]:
    usable = state is not None and state.schema_version == SCHEMA_VERSION
    if mode == "incremental" and not usable:
        raise StateMissing(
            "mode=incremental needs an earlier export with this schema to be incremental against; use mode=auto or full"
        )
    if mode != "auto":
        return mode
    if not usable or state is None:
        return "full"
    age = dt.datetime.now(dt.UTC) - state.last_full_at
    return "full" if age >= dt.timedelta(days=full_every_days) else "incremental"


def _fetch(
    client: Client, staging: Staging, integration: str, collection: Collection, filters: dict[str, Any]
) -> tuple[Page, int]:
    """Walk the collection into the staging; return the walk's first page and how many there were."""
    first: Page | None = None
    number = 0
    said = time.monotonic()
    with closing(pages(client, collection, integration=integration, filters=filters, prefetch=_AHEAD)) as walk:
        for page in walk:
            if first is None:
                first = page
                _check_clock(page)
            number += 1
            staging.add(page.records, page.fetched_at)
            if time.monotonic() - said > _PROGRESS_SECONDS:
                said = time.monotonic()
                _log().info("%s of %s: %s rows on %s pages so far", collection, integration, staging.received, number)
    if first is None:
        raise RuntimeError("a walk ended without a page")
    return first, number


def _check_clock(page: Page) -> None:
    if page.skew is not None and abs(page.skew) > MAX_SKEW.total_seconds():
        raise WrongClock(
            f"this machine's clock is {abs(page.skew) / 60:.0f} minutes {'ahead of' if page.skew > 0 else 'behind'} "
            "the API's: correct it (NTP) and run again; nothing was written"
        )


def _report(
    integration: str,
    collection: str,
    status: Literal["exported", "committed"],
    state: dataset.State,
    done: Merge,
    started_at: dt.datetime,
    number: int = 0,
    staging: Staging | None = None,
) -> CollectionReport:
    return CollectionReport(
        integration,
        collection,
        status,
        mode=state.mode,
        rows=done.rows,
        received=done.received,
        inserted=done.inserted,
        updated=done.updated,
        deleted=done.deleted,
        tombstoned=done.tombstoned,
        bytes=done.bytes,
        pages=number,
        started_at=started_at,
        ended_at=dt.datetime.now(dt.UTC),
        watermark=state.watermark,
        unknown_keys=dict(staging.odd.unknown) if staging else {},
        misfits=dict(staging.odd.misfits) if staging else {},
        warnings=done.warnings,
    )
