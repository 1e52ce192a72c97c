"""The jobs that `make bench` runs, each in a process of its own. The last line of output is JSON with `seconds`."""

import datetime as dt
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATHS = {"applications": "/ats/applications", "candidates": "/ats/candidates", "jobs": "/ats/jobs"}


def floor(base_url: str, integration: str, how: str) -> dict[str, Any]:
    """Fetch every page with httpx, decoded from gzip, and throw it away."""
    import httpx

    headers = {"Authorization": f"Bearer {os.environ['KOMBO_API_KEY']}", "X-Integration-Id": integration}

    def walk(path: str) -> None:
        with httpx.Client(headers=headers, timeout=60) as client:
            params = {"page_size": "250", "include_deleted": "true"}
            while True:
                body = client.get(base_url + path, params=params).content
                start = body.index(b'"next":') + len(b'"next":')
                following = body[start : start + 1000].lstrip()
                if following.startswith(b"null"):
                    return
                params["cursor"] = following.split(b'"')[1].decode()

    began = time.perf_counter()
    if how == "sequential":
        for path in PATHS.values():
            walk(path)
    else:
        threads = [threading.Thread(target=walk, args=(path,)) for path in PATHS.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return {"seconds": time.perf_counter() - began}


def export(base_url: str, integration: str, lake: str) -> dict[str, Any]:
    """Run the real flow."""
    os.environ.update(KOMBO_BASE_URL=base_url, PREFECT_LOGGING_LEVEL="WARNING")
    sys.path.insert(0, str(ROOT))
    from flows.export import export as flow

    reports = flow([integration], lake=lake, collections=list(PATHS))  # type: ignore[arg-type]
    began = min(r.started_at for r in reports if r.started_at)
    ended = max(r.ended_at for r in reports if r.ended_at)
    return {"seconds": (ended - began).total_seconds(), "rows": sum(r.rows for r in reports)}


def merge(lake: str, integration: str) -> dict[str, Any]:
    """Merge 1 % of a collection, fetched again with another time, into its current object."""
    sys.path.insert(0, str(ROOT))
    import msgspec

    from tasks.lake.dataset import Collection, State
    from tasks.lake.schemas import SCHEMAS
    from tasks.lake.staging import Staging
    from tasks.lake.store import open_store

    target = Collection(open_store(lake), "applications", integration)
    now = dt.datetime.now(dt.UTC)
    with target.current() as base, Staging(SCHEMAS["applications"], integration, f"merge-{now:%H%M%S%f}") as staging:  # type: ignore[union-attr]
        keys = base.keys()["id"].to_pylist()[::100]
        changed_at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        staging.add([msgspec.Raw(json.dumps({"id": key, "changed_at": changed_at})) for key in keys], now)
        rows = staging.finish()
        state = State(integration, "applications", now, base.state.last_full_at, f"merge-{now:%H%M%S%f}", "incremental")
        began = time.perf_counter()
        done = target.publish(rows, base, state, day=now.date(), max_shrink=1, keep_snapshots=0)
        return {"seconds": time.perf_counter() - began, "rows": done.rows}


def dlt(base_url: str, integration: str, folder: str) -> dict[str, Any]:
    """The REST source of dlt, source to Parquet files, in the configuration that was fastest."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    os.environ.update(NORMALIZE__WORKERS="2", RUNTIME__DLTHUB_TELEMETRY="false", RUNTIME__LOG_LEVEL="ERROR")
    import dlt as library
    from dlt.sources.rest_api import rest_api_source

    began = time.perf_counter()
    source = rest_api_source(
        {
            "client": {
                "base_url": base_url,
                "headers": {"X-Integration-Id": integration},
                "auth": {"type": "bearer", "token": os.environ["KOMBO_API_KEY"]},
                "paginator": {"type": "cursor", "cursor_path": "data.next", "cursor_param": "cursor"},
            },
            "resource_defaults": {"primary_key": "id", "write_disposition": "replace"},
            "resources": [
                {
                    "name": name,
                    "endpoint": {
                        "path": path,
                        "params": {"page_size": 250, "include_deleted": "true"},
                        "data_selector": "data.results",
                    },
                }
                for name, path in PATHS.items()
            ],
        },
        max_table_nesting=0,
    )
    pipeline = library.pipeline(
        pipeline_name=f"bench{os.getpid()}",
        pipelines_dir=f"{folder}/state",
        destination=library.destinations.filesystem(bucket_url=f"file://{folder}/data"),
        dataset_name="kombo",
    )
    pipeline.run(source, loader_file_format="parquet")
    return {"seconds": time.perf_counter() - began}


def sdk(base_url: str, integration: str, folder: str) -> dict[str, Any]:
    """The official SDK's models into pandas, nested columns as JSON text, or Parquet would refuse them.

    Without deleted records, a few in a hundred: its models refuse those that Kombo has anonymised.
    """
    import pandas as pd
    from kombo import Kombo

    Path(folder).mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    client = Kombo(
        api_key=os.environ["KOMBO_API_KEY"], integration_id=integration, server_url=base_url, timeout_ms=60_000
    )
    for name in PATHS:
        rows: list[dict[str, Any]] = []
        page = getattr(client.ats, f"get_{name}")(page_size=250)
        while page is not None:
            rows += [record.model_dump(mode="json") for record in page.result.data.results]
            page = page.next()
        frame = pd.DataFrame(rows)
        for column in frame.columns:
            if frame[column].map(lambda value: isinstance(value, list | dict)).any():
                frame[column] = frame[column].map(lambda value: None if value is None else json.dumps(value))
        frame.to_parquet(f"{folder}/{name}.parquet")
    return {"seconds": time.perf_counter() - began}


if __name__ == "__main__":
    jobs: dict[str, Callable[..., dict[str, Any]]] = {job.__name__: job for job in (floor, export, merge, dlt, sdk)}
    print(json.dumps(jobs[sys.argv[1]](*sys.argv[2:])))
