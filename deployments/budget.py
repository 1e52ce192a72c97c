"""What a nightly run costs a Prefect workspace, counted by a server and held against the limits of Prefect Cloud.

`python -m deployments.budget` runs the real flow over a stand-in for Kombo, in a process of its own as a work pool
starts it. Workspaces are limited by the minute, so what counts is the busiest one; with next to no data the whole run
is in it, which is the worst case.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.demo.server import DemoProcess
from deployments.processes import ROOT, prefect_server
from tasks.exports import COLLECTIONS

REQUESTS_A_MINUTE = 625
"""What a Hobby workspace, the smallest, may send to the API."""

LINES_A_MINUTE = 2_000
"""What a Hobby workspace may send in events and log lines together."""

_REQUEST = re.compile(r'^(\S+) \| .*uvicorn\.access.* - "(?:GET|POST|PUT|PATCH|DELETE) ', re.MULTILINE)
_QUIET_SECONDS = 4.0  # within which nothing arrives any more


@dataclass(frozen=True)
class Budget:
    """What one run sent.

    Attributes:
        collections: Collections of integrations that it exported.
        requests: When each API request was answered, Unix time.
        events: When each event happened.
        lines: When each log line was written.
    """

    collections: int
    requests: Sequence[float]
    events: Sequence[float]
    lines: Sequence[float]

    @property
    def busiest_requests(self) -> int:
        """Requests in the busiest minute."""
        return busiest(self.requests)

    @property
    def busiest_lines(self) -> int:
        """Events and log lines in the busiest minute."""
        return busiest([*self.events, *self.lines])

    @property
    def fits(self) -> bool:
        """Whether a Hobby workspace takes it."""
        return self.busiest_requests <= REQUESTS_A_MINUTE and self.busiest_lines <= LINES_A_MINUTE

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"{self.collections} collections: {len(self.requests)} API requests, {len(self.events)} events and "
            f"{len(self.lines)} log lines; in the busiest minute {self.busiest_requests} of {REQUESTS_A_MINUTE} API "
            f"requests and {self.busiest_lines:,} of {LINES_A_MINUTE:,} events and log lines"
        )


def busiest(times: Iterable[float], seconds: float = 60) -> int:
    """Return how many instants there are at most within so many seconds.

    Args:
        times: In seconds, in any order.
        seconds: Length of the window.
    """
    ordered = sorted(times)
    first = most = 0
    for last, instant in enumerate(ordered):
        while instant - ordered[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def measure(integrations: int = 20) -> Budget:
    """Run the nightly export once and count what the server saw of it.

    Args:
        integrations: How many, with ten collections each.

    Raises:
        RuntimeError: The run failed.
    """
    names = [f"greenhouse:Budget{number:02d}1111111111111111" for number in range(1, integrations + 1)]
    said = {
        "PREFECT_LOGGING_SERVER_LEVEL": "INFO",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",
        "PREFECT_LOGGING_FORMATTERS_STANDARD_DATEFMT": "%Y-%m-%dT%H:%M:%S",
        "TZ": "UTC",
    }
    with (
        tempfile.TemporaryDirectory(prefix="kombo-flows-budget-") as scratch,
        DemoProcess("tiny", odd=False, integrations=names) as kombo,
        prefect_server(Path(scratch), ui=True, env=said) as api,
    ):
        run = _scheduled(api, names)
        log = Path(scratch) / "server.log"
        before = log.stat().st_size
        began = datetime.now(UTC)
        env = {
            **os.environ,
            "PREFECT_API_URL": api,
            "PREFECT_HOME": f"{scratch}/run",
            "PREFECT_LOGGING_TO_API_ENABLED": "true",
            "PREFECT_LOGGING_EXTRA_LOGGERS": "tasks",
            "KOMBO_API_KEY": kombo.api_key,
            "KOMBO_BASE_URL": kombo.base_url,
            "KOMBO_LAKE": f"{scratch}/lake",
        }
        command = [sys.executable, "-m", "prefect", "flow-run", "execute", str(run)]
        done = subprocess.run(command, env=env, cwd=scratch, capture_output=True, text=True, check=False)  # noqa: S603
        seen = log.read_bytes()[before:].decode(errors="replace")
        with httpx.Client(base_url=api, timeout=30, trust_env=False) as client:
            if done.returncode or client.get(f"/flow_runs/{run}").json()["state"]["type"] != "COMPLETED":
                raise RuntimeError(f"the run failed:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
            return Budget(
                collections=len(names) * len(COLLECTIONS),
                requests=[_seconds(match[1]) for match in _REQUEST.finditer(seen)],
                events=_events(client, began),
                lines=[_seconds(line["timestamp"]) for line in _lines(client)],
            )


def _scheduled(api: str, integrations: Sequence[str]) -> UUID:
    """Deploy the export without a pool and ask for a run."""
    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        deployment = client.create_deployment(
            flow_id=client.create_flow_from_name("kombo-export"),
            name="budget",
            entrypoint="flows/export.py:export",
            pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}],
            parameters={"integrations": list(integrations)},
            enforce_parameter_schema=False,
        )
        return client.create_flow_run_from_deployment(deployment).id


def _events(client: httpx.Client, began: datetime) -> list[float]:
    """Ask until no more arrive."""
    wanted = {"limit": 50, "filter": {"occurred": {"since": began.isoformat()}}}
    count, since = -1, time.monotonic()
    while time.monotonic() - since < _QUIET_SECONDS:
        page = client.post("/events/filter", json=wanted).json()
        if page["total"] != count:
            count, since = page["total"], time.monotonic()
        time.sleep(0.5)
    found = page["events"]
    while page["next_page"]:
        page = client.get(page["next_page"]).json()
        found += page["events"]
    return [_seconds(event["occurred"]) for event in found]


def _lines(client: httpx.Client) -> Iterator[dict[str, Any]]:
    offset = 0
    while page := client.post("/logs/filter", json={"limit": 200, "offset": offset}).json():
        yield from page
        offset += len(page)


def _seconds(instant: str) -> float:
    found = datetime.fromisoformat(instant)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def main() -> None:
    """Measure, print, and exit with 1 if it does not fit."""
    parser = argparse.ArgumentParser(prog="python -m deployments.budget", description=__doc__)
    parser.add_argument("--integrations", type=int, default=20, help="with ten collections each")
    budget = measure(parser.parse_args().integrations)
    print(budget)
    if not budget.fits:
        sys.exit(1)


if __name__ == "__main__":
    main()
