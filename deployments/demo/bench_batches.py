"""Benchmark of batch writes: rejections with claims and outcomes, against what the requests alone would take.

``python -m deployments.demo.bench_batches`` rejects 1,000 applications at 100 ms each, five at a time, and compares
with the arithmetic minimum of 20 seconds.
"""

import argparse
import json
import math
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from deployments.demo.server import DemoProcess, Surface
from tasks import stale
from tasks.applying import CONCURRENCY, Course, apply_rows
from tasks.batches import CHUNK
from tasks.credentials import KomboCredentials
from tasks.lake import plans
from tasks.lake.plans import Plan, PlanRow
from tasks.lake.store import open_store
from tasks.subjects import REJECT


def measure(rejections: int = 1_000, latency_ms: float = 100, lake: Path | None = None) -> dict[str, float]:
    """Reject so many applications of a demo server and say how long it took.

    Args:
        rejections: How many.
        latency_ms: How long the ATS takes for each.
        lake: Where the claims go; None for a folder that is removed.

    Returns:
        `seconds`, `minimum` (arithmetic), `ratio` and `done`.
    """
    with (
        tempfile.TemporaryDirectory() as temporary,
        DemoProcess("small", odd=False, action_latency_ms=latency_ms) as demo,
    ):
        plan = _plan(demo, rejections)
        store = open_store(str(lake or temporary))
        credentials = KomboCredentials(api_key=demo.api_key, base_url=demo.base_url)  # type: ignore[arg-type]
        plans.keep(store, "bench", plan)
        started = time.perf_counter()
        course, done = Course(), 0
        for first in range(0, rejections, CHUNK):
            rows = plan.rows[first : first + CHUNK]
            applied = apply_rows(plan, rows, store=store, run_id="bench", credentials=credentials, course=course)
            course = applied.course
            done += sum(one.kind == "done" for one in applied.outcomes.values())
        seconds = time.perf_counter() - started
    minimum = math.ceil(rejections / CONCURRENCY) * latency_ms / 1000
    return {"seconds": seconds, "minimum": minimum, "ratio": seconds / minimum, "done": done}


def _plan(demo: Surface, count: int) -> Plan:
    """Plan rejections of one integration; the demo has enough for 1,000."""
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
    options = parser.parse_args()
    found = measure(options.rejections, options.latency_ms)
    what = f"{options.rejections:,} rejections at {options.latency_ms:g} ms, {CONCURRENCY} at a time"
    print(
        f"{what}: {found['seconds']:.1f} s, "
        f"{found['ratio']:.2f} x the arithmetic minimum of {found['minimum']:.1f} s ({found['done']:,.0f} done)"
    )


if __name__ == "__main__":
    main()
