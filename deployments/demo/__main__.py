"""`make demo`: the main job without an account.

A local stand-in for Kombo, a Prefect server, and the real export flow of two integrations on two nights, into `./lake`.
"""

import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deployments.demo.server import DemoProcess
from deployments.processes import prefect_server
from tasks.reports import CollectionReport

LAKE = Path("lake")
OURS = LAKE / ".made-by-make-demo"

QUESTION = "Which jobs have the most applicants waiting for an answer, and since when?"
ANSWER = """\
import duckdb
duckdb.sql("SELECT job.name AS job, count(*) AS waiting, max(date_diff('day', remote_created_at, now())) AS days \
FROM 'lake/current/applications/*/*.parquet' WHERE outcome = 'PENDING' AND remote_deleted_at IS NULL \
GROUP BY ALL ORDER BY waiting DESC LIMIT 8").show()"""


class _Progress(logging.Handler):
    """Shows the export's own lines, and none of the engine's."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.module == "exports" or record.levelno >= logging.WARNING:
            print(f"  {record.getMessage()}", flush=True)


@contextmanager
def _step(text: str) -> Iterator[None]:
    print(f"{text} ...", end="", flush=True)
    began = time.monotonic()
    yield
    print(f" {time.monotonic() - began:.0f} s", flush=True)


def _night(integrations: list[str]) -> None:
    from flows.export import export

    logger = logging.getLogger("prefect")
    logger.handlers, logger.propagate = [_Progress()], False
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).handlers, logging.getLogger(name).propagate = [], True
    began = time.monotonic()
    reports = export(integrations, lake=str(LAKE))
    print(_table(reports), f"\n  {time.monotonic() - began:.1f} s in all\n", sep="")


def _table(reports: Sequence[CollectionReport]) -> str:
    rows: list[tuple[str, ...]] = [
        ("collection", "integration", "how", "rows", "new", "changed", "deleted", "seconds", "kB")
    ]
    for r in reports:
        gone = r.deleted + r.tombstoned
        counts = [f"{n:,}" for n in (r.rows, r.inserted, r.updated - r.tombstoned, gone)]
        tool = r.integration.split(":")[0]
        rows.append((r.collection, tool, r.mode or r.status, *counts, f"{r.seconds:.2f}", f"{r.bytes / 1e3:,.0f}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            [
                "",
                *(
                    cell.rjust(w) if n > 2 else cell.ljust(w)
                    for n, (cell, w) in enumerate(zip(row, widths, strict=True))
                ),
            ]
        )
        for row in rows
    ]
    return "\n".join(["", lines[0], "  " + "-" * (len(lines[0]) - 2), *lines[1:], ""])


def main() -> None:
    """Run the demo."""
    if OURS.exists():
        shutil.rmtree(LAKE)
    elif LAKE.exists():
        sys.exit(f"{LAKE.resolve()} exists and was not made by this demo: move it away, then run `make demo` again")
    LAKE.mkdir()
    OURS.touch()
    print("kombo-flows demo: nothing leaves this machine, and nothing stays running.\n")
    with ExitStack() as running:
        with _step("Starting a stand-in for Kombo on loopback"):
            kombo = running.enter_context(DemoProcess(scale="small"))
        with _step("Starting a Prefect server (the slow part)"):
            url = running.enter_context(prefect_server())
        os.environ.update(PREFECT_API_URL=url, KOMBO_API_KEY=kombo.api_key, KOMBO_BASE_URL=kombo.base_url)
        print("\nNight one: everything, from two integrations.\n")
        _night(kombo.integrations)
        for integration in kombo.integrations:
            kombo.evolve(integration, share=0.02)
        print(
            "The next day: people apply, interviews are booked, records are deleted.\n\nNight two: only what changed.\n"
        )
        _night(kombo.integrations)
    print(f"{QUESTION}\n\n{ANSWER}\n", flush=True)
    exec(ANSWER, {})  # noqa: S102 - the two lines that were just shown
    print(f"\nThe lake is in {LAKE}/.")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nstopped; nothing is left running")
