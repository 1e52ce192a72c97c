"""Exports for tests: from a demo server into a lake, in this process or in one that kills itself on the way."""

from __future__ import annotations

import datetime as dt
import functools
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import SecretStr
from s3fs import S3FileSystem

from deployments.demo.world import API_KEY
from tasks import exports
from tasks.credentials import KomboCredentials, KomboLake
from tasks.kombo import pages
from tasks.lake import store as stores
from tasks.lake.staging import Staging
from tasks.lake.store import FolderStore, S3Store, open_store
from tasks.reports import CollectionReport


def bring(
    kombo: str, integration: str, collection: str, lake: KomboLake | str, run: str, **options: Any
) -> CollectionReport:
    """Export one collection.

    Args:
        kombo: Base URL of the demo server.
        integration: Integration id.
        collection: One of the ten.
        lake: Where to.
        run: Id of the run.
        options: Of `export_collection`.
    """
    return exports.export_collection.fn(
        integration=integration,
        collection=collection,  # type: ignore[arg-type]  # one of the ten
        lake=lake if isinstance(lake, KomboLake) else KomboLake(url=lake),
        run_id=run,
        credentials=KomboCredentials(api_key=SecretStr(API_KEY), base_url=kombo),
        **options,
    )


def _any(*_: Any, **__: Any) -> bool:
    return True


def _part_of_current(_: S3FileSystem, operation: str, **options: Any) -> bool:
    return operation == "upload_part" and "/current/" in options["Key"]


DEATHS: dict[str, tuple[Any, str, Callable[..., bool]]] = {
    "page": (Staging, "add", _any),
    "put": (FolderStore, "put", _any),
    "draft": (os, "fsync", _any),
    "s3put": (S3Store, "put", _any),
    "part": (S3FileSystem, "call_s3", _part_of_current),
}
"""What `die` may count, and which calls of it: `before put 2` is just before the second object is put."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _on_call(number: int, *, after: bool, of: Any, name: str, counts: Callable[..., bool]) -> None:
    """Let the process die before or after the call of that number, of those that count."""
    real: Callable[..., Any] = getattr(of, name)
    calls = iter(range(1, 10_000))

    @functools.wraps(real)
    def counted(*args: Any, **options: Any) -> Any:
        if not counts(*args, **options):
            return real(*args, **options)
        this = next(calls) == number
        if this and not after:
            _die()
        result = real(*args, **options)
        if this:
            _die()
        return result

    setattr(of, name, counted)


def export(
    kombo: str,
    integration: str,
    collection: str,
    lake: dict[str, Any],
    run: str,
    die: str | None = None,
    page_size: int = 250,
    part_size: int | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Export one collection and return the report; see `DEATHS` for how not to return."""

    def paged(*args: Any, **more: Any) -> Iterator[pages.Page]:
        return pages.pages(*args, page_size=page_size, **more)

    exports.pages = paged  # type: ignore[assignment]  # smaller pages
    if part_size:
        stores._PART = part_size
    if die:
        when, what, number = die.split()
        of, name, counts = DEATHS[what]
        _on_call(int(number), after=when == "after", of=of, name=name, counts=counts)
    return bring(kombo, integration, collection, KomboLake(**lake), run, **options).as_json()


def dst_night(lake: str) -> dict[str, Any]:
    """Two interviews in the hour that comes twice; the first one moves by that hour."""
    from tests.tasks.lake import nights

    store = open_store(lake)
    for given in ("2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"):
        interviews = [{"id": "a", "starting_at": given}, {"id": "b", "starting_at": "2026-10-25T02:30:00+01:00"}]
        done = nights.export(store, interviews, collection="interviews")
    found = nights.current(store, "interviews")["starting_at"].to_pylist()
    return {"updated": done.updated, "starting_at": [at.astimezone(dt.UTC).isoformat() for at in found]}
