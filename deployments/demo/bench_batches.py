"""Benchmark of batch writes: rejections with claims and outcomes, against what the requests alone would take.

``python -m deployments.demo.bench_batches`` rejects 1,000 applications at 100 ms each, five at a time, and compares
with the arithmetic minimum of 20 seconds; with ``--s3`` the claims are kept on a SeaweedFS of its own, not in a folder.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deployments.demo.server import DemoProcess, Surface
from tasks import stale
from tasks.applying import CONCURRENCY, Course, apply_rows
from tasks.batches import CHUNK
from tasks.credentials import KomboCredentials
from tasks.lake import plans
from tasks.lake.plans import Plan, PlanRow
from tasks.lake.store import open_store
from tasks.standings import claimed
from tasks.subjects import REJECT


@contextmanager
def lake_place(*, s3: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """An empty lake for the claims: its address and storage options; a folder, or on the S3 server of the tests."""
    with tempfile.TemporaryDirectory(prefix="kombo-flows-bench-") as folder:
        if not s3:
            yield folder, {}
            return
        from tests.servers import seaweedfs

        with seaweedfs(Path(folder)) as bucket:
            yield bucket.new_url(), bucket.options


def measure(rejections: int = 1_000, latency_ms: float = 100, *, s3: bool = False) -> dict[str, float]:
    """Reject so many applications of a demo server and say how long it took.

    Args:
        rejections: How many.
        latency_ms: How long the ATS takes for each.
        s3: Whether the lake is on S3.

    Returns:
        `seconds`, `minimum` (arithmetic), `ratio`, `done`, and the `cpu` seconds of this process.
    """
    with (
        lake_place(s3=s3) as (url, options),
        DemoProcess(_scale(rejections), odd=False, action_latency_ms=latency_ms) as demo,
    ):
        plan = _plan(demo, rejections)
        store = open_store(url, options)
        credentials = KomboCredentials(api_key=demo.api_key, base_url=demo.base_url)  # type: ignore[arg-type]
        plans.keep(store, "bench", plan)
        started, cpu = time.perf_counter(), time.process_time()
        course, done = Course(), 0
        known = claimed(plan, plan.rows, store, "bench")
        for first in range(0, rejections, CHUNK):
            part = plans.of_run(store, "bench", first + 1, first + CHUNK)
            assert part is not None  # noqa: S101 - it has just been kept
            applied = apply_rows(
                part,
                part.rows,
                store=store,
                run_id="bench",
                credentials=credentials,
                course=course,
                standings={row.key: known[row.key] for row in part.rows if row.key in known},
            )
            course = applied.course
            done += sum(one.kind == "done" for one in applied.outcomes.values())
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    minimum = math.ceil(rejections / CONCURRENCY) * latency_ms / 1000
    return {"seconds": seconds, "minimum": minimum, "ratio": seconds / minimum, "done": done, "cpu": cpu}


def _scale(rejections: int) -> str:
    return "small" if rejections <= 1_000 else "bench"


def _plan(demo: Surface, count: int) -> Plan:
    """Plan rejections of one integration."""
    integration = demo.integrations[0]
    (reason, *_) = demo.records(integration, "rejection_reasons", include_deleted=False)
    found = demo.records(integration, "applications", include_deleted=False)
    rows = []
    for one in [one for one in found if one["outcome"] == "PENDING"][:count]:
        arguments = json.dumps({"application_id": one["id"], "rejection_reason_id": reason["id"]}, sort_keys=True)
        rows.append(PlanRow(one["id"], REJECT, arguments, application_id=one["id"], seen=stale.seen(one)))
    if len(rows) < count:
        raise ValueError(f"the demo has {len(rows)} pending applications")
    return Plan("plan-bench", integration, datetime.now(UTC), tuple(rows))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m deployments.demo.bench_batches", description=__doc__)
    parser.add_argument("--rejections", type=int, default=1_000)
    parser.add_argument("--latency-ms", type=float, default=100)
    parser.add_argument("--s3", action="store_true")
    options = parser.parse_args()
    found = measure(options.rejections, options.latency_ms, s3=options.s3)
    where = "claims on S3" if options.s3 else "claims in a folder"
    print(
        f"{options.rejections:,} rejections at {options.latency_ms:g} ms, {CONCURRENCY} at a time, {where}: "
        f"{found['seconds']:.1f} s, {found['ratio']:.2f} x the arithmetic minimum of {found['minimum']:.1f} s "
        f"({found['done']:,.0f} done, {found['cpu']:.1f} s of CPU)"
    )


if __name__ == "__main__":
    main()
