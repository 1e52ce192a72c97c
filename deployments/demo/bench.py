"""`make bench`: the export against its floor and its peers, on one machine, in one run.

Every measured job is a process of its own, so that time, CPU and peak memory are the system's figures. A job
prints its own work, from first request to last commit, apart from what starting Python and the engine takes. Jobs
that are compared take turns, and the median of the runs is shown. The peers are installed into `.bench`, apart from us.

`BENCH_RUNS` is how often each job runs (5), `BENCH_ONLY` a comma-separated choice of sections.
"""

import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from deployments import budget
from deployments.demo.bench_batches import measure
from deployments.demo.server import DemoProcess
from deployments.processes import prefect_server

RUNS = int(os.environ.get("BENCH_RUNS", "5"))
ONLY = {name for name in os.environ.get("BENCH_ONLY", "").split(",") if name}
COLLECTIONS = ["applications", "candidates", "jobs"]
PEERS = Path(".bench")
PEER_PACKAGES = ("dlt[filesystem,parquet]==1.31.0", "kombo==1.4.0", "pandas==3.1.1", "pyarrow==26.0.1")
JOBS = Path(__file__).with_name("bench_jobs.py")


class Run:
    """One run of a job: its own work in seconds, and the process's wall and CPU seconds and peak memory in MB."""

    def __init__(self, python: str, job: str, *args: str) -> None:
        began = time.perf_counter()
        with tempfile.TemporaryFile() as out:
            process = subprocess.Popen([python, str(JOBS), job, *args], stdout=out, stderr=subprocess.STDOUT)  # noqa: S603
            _, status, usage = os.wait4(process.pid, 0)
            self.wall = time.perf_counter() - began
            out.seek(0)
            said = out.read().decode(errors="replace")
        if status:
            raise RuntimeError(f"{job} failed:\n{said[-3000:]}")
        self.said: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
        self.work = float(self.said["seconds"])
        self.cpu = usage.ru_utime + usage.ru_stime
        self.peak = usage.ru_maxrss / 1024


def turns(*jobs: Callable[[], Run], runs: int = RUNS) -> list[list[Run]]:
    """Run jobs in turn, after one run of each that is not counted, and return the runs of each."""
    found: list[list[Run]] = [[] for _ in jobs]
    for number in range(runs + 1):
        for job, seen in zip(jobs, found, strict=True):
            done = job()
            if number or runs == 1:
                seen.append(done)
    return [seen[-runs:] for seen in found]


def middle(runs: list[Run], what: str = "work") -> float:
    """The median of a figure."""
    return float(statistics.median(getattr(run, what) for run in runs))


def ratio(ours: list[Run], theirs: list[Run], what: str = "work") -> float:
    """The median of the ratios, run by run, which holds when the machine's speed drifts."""
    return float(statistics.median(getattr(a, what) / getattr(b, what) for a, b in zip(ours, theirs, strict=True)))


@contextmanager
def kombo(scale: str) -> Iterator[DemoProcess]:
    """A demo server with clean data, its pages made and compressed beforehand."""
    with DemoProcess(scale=scale, seed=1, odd=False, rate_limit=10**9) as server:
        server.warm(server.integrations[0])
        yield server


class Bench:
    """The sections, and the rows that they add to the table."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.rows: list[tuple[str, str, str, str]] = []

    def row(self, what: str, measured: str, goal: str, *, holds: bool | None = None) -> None:
        """Add a row and show it at once."""
        self.rows.append((what, measured, goal, {True: "yes", False: "NO", None: ""}[holds]))
        print(f"  {what}: {measured}" + (f"  (goal {goal}: {self.rows[-1][3]})" if goal else ""), flush=True)

    def export(self, server: DemoProcess, *args: str, lake: str = "lake", fresh: bool = True) -> Run:
        """Run the real flow against a Prefect server that is up."""
        if fresh:
            shutil.rmtree(self.scratch / lake, ignore_errors=True)
        return Run(sys.executable, "export", server.base_url, server.integrations[0], str(self.scratch / lake), *args)

    def floor(self, server: DemoProcess, how: str) -> Run:
        """Fetch the same pages and throw them away."""
        return Run(sys.executable, "floor", server.base_url, server.integrations[0], how)

    def speed(self, server: DemoProcess) -> None:
        """Own work against the floor, with and without latency."""
        for latency, how, goal in ((0, "sequential", 3.0), (30, "concurrent", 1.10), (100, "concurrent", 1.05)):
            server.configure(latency_ms=latency)
            ours, floor = turns(lambda: self.export(server), lambda how=how: self.floor(server, how))  # type: ignore[misc]
            found = ratio(ours, floor)
            self.row(
                f"own work at {latency} ms a page against the {how} floor",
                f"{middle(ours):.2f} s / {middle(floor):.2f} s = {found:.2f} x",
                f"<= {goal:g} x",
                holds=found <= goal,
            )
            if latency == 0:
                peak = max(run.peak for run in ours)
                self.row("peak memory of the process", f"{peak:.0f} MB", "<= 500 MB", holds=peak <= 500)
                self.row("interpreter, libraries and Prefect", f"{middle(ours, 'wall') - middle(ours):.1f} s", "")
        server.configure(latency_ms=0)

    def peers(self, server: DemoProcess) -> None:
        """The whole process and own work against dlt and the official SDK."""
        python = str(PEERS / "bin" / "python")
        if not Path(python).exists():
            print("  installing the peers into .bench ...", flush=True)
            subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)  # noqa: S603
            subprocess.run([python, "-m", "pip", "install", "-q", *PEER_PACKAGES], check=True)  # noqa: S603
        args = (server.base_url, server.integrations[0])
        ours, dlt, sdk = turns(
            lambda: self.export(server),
            lambda: Run(python, "dlt", *args, str(self.scratch / "dlt")),
            lambda: Run(python, "sdk", *args, str(self.scratch / "sdk")),
            runs=min(RUNS, 5),
        )
        for what, figure, theirs, goal in (
            ("dlt: own work", "work", dlt, 7.0),
            ("dlt: whole process", "wall", dlt, 4.0),
            ("dlt: CPU", "cpu", dlt, 4.0),
            ("SDK with pandas: whole process", "wall", sdk, 9.0),
        ):
            found = 1 / ratio(ours, theirs, figure)
            self.row(
                f"faster than {what}",
                f"{middle(theirs, figure):.1f} s / {middle(ours, figure):.1f} s = {found:.1f} x",
                f">= {goal:g} x",
                holds=found >= goal,
            )

    def night(self, server: DemoProcess) -> None:
        """An incremental night, and its merge alone."""
        server.configure(latency_ms=100)
        full = self.export(server)
        server.evolve(server.integrations[0], share=0.01)
        runs = []
        for number in range(RUNS):
            shutil.rmtree(self.scratch / f"night-{number}", ignore_errors=True)
            shutil.copytree(self.scratch / "lake", self.scratch / f"night-{number}")
            runs.append(self.export(server, lake=f"night-{number}", fresh=False))
        share = middle(runs) / full.work
        self.row(
            "a night with 1 % changed, at 100 ms a page, against the full export",
            f"{middle(runs):.2f} s / {full.work:.1f} s = {share:.1%}",
            "<= 10 %",
            holds=share <= 0.10,
        )
        server.configure(latency_ms=0)
        merges = [Run(sys.executable, "merge", str(self.scratch / "lake"), server.integrations[0]) for _ in range(RUNS)]
        rate = statistics.median(run.said["rows"] / run.work for run in merges)
        self.row("merge of 1 % into applications", f"{rate:,.0f} rows/s", ">= 100,000 rows/s", holds=rate >= 100_000)

    def memory(self, server: DemoProcess) -> None:
        """Peak memory with five times the records, of a full export and of a night after it."""

        def both(of: DemoProcess) -> tuple[float, float]:
            full = self.export(of).peak
            of.evolve(of.integrations[0], share=0.01)
            return full, self.export(of, fresh=False).peak

        small = [statistics.median(peaks) for peaks in zip(*(both(server) for _ in range(min(RUNS, 3))), strict=True)]
        with kombo("bench5x") as larger:
            large = both(larger)
        for what, less, more in zip(("a full export", "a night with 1 % changed"), small, large, strict=True):
            self.row(
                f"peak memory of {what} with 5 x the records",
                f"{more:.0f} MB / {less:.0f} MB = {more / less:.2f} x",
                "<= 1.2 x",
                holds=more <= 1.2 * less,
            )

    def batches(self, _: DemoProcess) -> None:
        """A thousand rejections at 100 ms each, five at a time."""
        for s3, where in ((False, "a folder"), (True, "S3")):
            found = statistics.median(measure(s3=s3)["ratio"] for _ in range(min(RUNS, 3)))
            self.row(
                f"1,000 rejections against the arithmetic minimum, claims in {where}",
                f"{found:.2f} x",
                "<= 1.15 x",
                holds=found <= 1.15,
            )

    def budget(self, _: DemoProcess) -> None:
        """What a night of twenty integrations sends to Prefect, against a Hobby workspace's limits by the minute."""
        found = budget.measure(20)
        print(f"  {found}")
        for what, most, limit in (
            ("API requests", found.busiest_requests, budget.REQUESTS_A_MINUTE),
            ("events and log lines", found.busiest_lines, budget.LINES_A_MINUTE),
        ):
            self.row(
                f"{what} a minute for {found.collections} collections",
                f"{most:,}",
                f"<= {limit:,}",
                holds=most <= limit,
            )

    def table(self) -> str:
        """The results as Markdown."""
        names = ("prefect", "httpx", "isal", "msgspec", "pyarrow", "pandas", "s3fs", "duckdb")
        versions = ", ".join(f"{name} {version(name)}" for name in names)
        lines = [
            f"Python {platform.python_version()}, {os.cpu_count()} cores; {versions}; median of {RUNS}.",
            f"The peers: {', '.join(PEER_PACKAGES[:2])}.",
            "",
            "| what | measured | goal | holds |",
            "|---|---|---|---|",
            *(f"| {' | '.join(row)} |" for row in self.rows),
        ]
        return "\n".join(lines)


def main() -> None:
    """Run the benchmark."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(prefix="kombo-flows-bench-") as scratch, prefect_server() as url:
        os.environ["PREFECT_API_URL"] = url
        bench = Bench(Path(scratch))
        with kombo("bench") as server:
            os.environ["KOMBO_API_KEY"] = server.api_key
            for name in ("speed", "night", "memory", "peers", "batches", "budget"):
                if not ONLY or name in ONLY:
                    print(f"{name}:", flush=True)
                    getattr(bench, name)(server)
        print(f"\n{bench.table()}")


if __name__ == "__main__":
    main()
