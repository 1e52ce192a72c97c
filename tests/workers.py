"""A Prefect server with its UI, process workers and deployments: what a person uses, for tests that need it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pyarrow.parquet as pq
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import Artifact, FlowRun, State
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.demo.server import Surface
from deployments.processes import ROOT, free_port, prefect_server, running
from tasks.lake import paths
from tasks.lake.store import open_store, read_bytes
from tests.tasks.lake.comparison import assert_same

POOL = "tests"
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
SERVER = {
    # Where a restart of the server does not lose which run has its deployment's slot.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT1S",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",
}

T = TypeVar("T")


def until(found: Callable[[], T | None], what: str, within: float = 90) -> T:
    """Ask until there is an answer."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        answer = found()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {within:.0f} s")


def is_as_served(kombo: Surface, lake: Path, integration: str, collection: str) -> bool:
    """Compare the lake with the server; raises what differs."""
    content = read_bytes(open_store(str(lake)), paths.current(collection, integration))
    assert content is not None, f"no {collection} of {integration}"
    assert_same(pq.read_table(io.BytesIO(content)).to_pylist(), kombo.records(integration, collection), collection)
    return True


def alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process at once, and nothing that it started."""
    process.kill()
    process.wait()


@dataclass
class Workshop:
    """A running server and its workers.

    Attributes:
        api: The API's address.
        log: The workers' log.
        worker_env: What workers and their runs find in their environment.
        pool: The work pool.
        server: Ends the server when it is closed.
        again: Starts the server again.
    """

    api: str
    log: Path
    worker_env: Mapping[str, str]
    pool: str
    server: ExitStack
    again: Callable[[], AbstractContextManager[str]]

    @property
    def ui(self) -> str:
        return self.api.removesuffix("/api")

    @contextmanager
    def client(self) -> Iterator[SyncPrefectClient]:
        with temporary_settings({PREFECT_API_URL: self.api}), get_client(sync_client=True) as client:
            yield client

    def deploy(self, flow: Flow[Any, Any], **parameters: Any) -> UUID:
        """Deploy a flow of this repository."""
        # In a thread: beside an event loop, such as the browser's, Prefect would answer with coroutines.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self._deploy, flow, parameters).result()

    def _deploy(self, flow: Flow[Any, Any], parameters: dict[str, Any]) -> UUID:
        with temporary_settings({PREFECT_API_URL: self.api}):
            path = Path(sys.modules[flow.fn.__module__].__file__ or "").relative_to(ROOT)
            source: Any = flow.from_source(str(ROOT), f"{path}:{flow.fn.__name__}")
            made: Any = source.deploy(
                "tests",
                work_pool_name=self.pool,
                parameters=parameters,
                build=False,
                push=False,
                print_next_steps=False,
                ignore_warnings=True,
            )
            return UUID(str(made))

    def command(self, command: Sequence[str], **env: str) -> str:
        """Run a command against the server; returns what it says."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("KOMBO_", "AWS_"))}
        given = {**clean, "PREFECT_API_URL": self.api, **env}
        done = subprocess.run(  # noqa: S603 - our own commands
            command, cwd=ROOT, env=given, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def prefect(self, *arguments: str) -> str:
        """Run a `prefect` command against the server; returns what it says."""
        return self.command([sys.executable, "-m", "prefect", "--no-prompt", *arguments])

    def shell(self, script: str, **env: str) -> str:
        """Run a script as an operator does, with this Python's programs; returns what it says."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return self.command(["/bin/sh", "-euc", script], PATH=path, **env)

    def named(self, name: str) -> UUID:
        """The deployment of a name such as `kombo-export/nightly`."""
        with self.client() as client:
            return client.read_deployment_by_name(name).id

    def start(self, deployment: UUID, **parameters: Any) -> UUID:
        with self.client() as client:
            return client.create_flow_run_from_deployment(deployment, parameters=parameters).id

    def run(self, run: UUID) -> FlowRun:
        with self.client() as client:
            return client.read_flow_run(run)

    def state(self, run: UUID, *kinds: str, within: float = 90) -> State[Any]:
        """Wait until a run is in one of these states."""

        def found() -> State[Any] | None:
            state = self.run(run).state
            return state if state and state.type.value in kinds else None

        try:
            return until(found, f"{kinds}", within)
        except AssertionError as error:
            raise AssertionError(f"{error}; is {self.run(run).state}; {self.log.read_text()[-3000:]}") from None

    def pid(self, run: UUID) -> int:
        """The process that a run is in."""
        place = until(lambda: self.run(run).infrastructure_pid, "the run has a process")
        return int(place.rpartition(":")[2])

    def artifacts(self, run: UUID) -> list[Artifact]:
        with self.client() as client:
            wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
            return client.read_artifacts(artifact_filter=wanted)

    def logs(self, run: UUID) -> list[str]:
        """What a run and its tasks said, oldest first."""
        found: list[Any] = []
        with self.client() as client:
            wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run]))
            while page := client.read_logs(wanted, limit=200, offset=len(found)):
                found += page
        return [one.message for one in sorted(found, key=lambda one: one.timestamp)]

    @contextmanager
    def worker(self, command: Sequence[str] = (), **env: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a process worker.

        Args:
            command: What starts it, if not this Python.
            env: More for its environment and its runs'.
        """
        own = [sys.executable, "-m", "prefect", "worker", "start", "--pool", self.pool, "--type", "process"]
        given = {**self.worker_env, "PREFECT_API_URL": self.api, "PREFECT_WORKER_QUERY_SECONDS": "1", **env}
        with running(command or own, self.log, env=given) as process:
            yield process

    @contextmanager
    def outage(self) -> Iterator[None]:
        """The server is down within; afterwards it is at the same address, with the same database."""
        self.server.close()
        yield
        self.server.enter_context(self.again())


@contextmanager
def workshop(folder: Path, env: Mapping[str, str], pool: str = POOL) -> Iterator[Workshop]:
    """Run a server with UI; its workers are started with `Workshop.worker`.

    Args:
        folder: For databases and logs.
        env: For the workers and their runs.
        pool: Name of the work pool; any but the tests' is made by whoever needs it.
    """
    port = free_port()
    quiet = {"PREFECT_HOME": str(folder / "worker"), "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    with ExitStack() as server:
        start = partial(prefect_server, folder / "server", port=port, ui=True, env=SERVER)
        api = server.enter_context(start())
        made = Workshop(api, folder / "worker.log", {**quiet, **env}, pool, server, start)
        if pool == POOL:
            with made.client() as client:
                client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        yield made


def lose(worker: subprocess.Popen[bytes], run: int) -> None:
    """Lose a machine: its worker and its run's process end at once, and neither says so."""
    worker.kill()
    os.kill(run, signal.SIGKILL)
    worker.wait()
