"""A Prefect server with its UI, a process worker and deployments: what a person uses, for tests that need it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import Artifact, FlowRun, State
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.processes import prefect_server, running

ROOT = Path(__file__).parents[1]
POOL = "tests"
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")

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


@dataclass
class Workshop:
    """A running server and worker.

    Attributes:
        api: The API's address.
        log: The worker's log.
        worker_env: What its runs find in their environment.
    """

    api: str
    log: Path
    worker_env: Mapping[str, str]
    deployed: dict[str, UUID] = field(default_factory=dict)

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
                work_pool_name=POOL,
                parameters=parameters,
                build=False,
                push=False,
                print_next_steps=False,
                ignore_warnings=True,
            )
            return UUID(str(made))

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

    def artifacts(self, run: UUID) -> list[Artifact]:
        with self.client() as client:
            wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
            return client.read_artifacts(artifact_filter=wanted)

    @contextmanager
    def worker(self) -> Iterator[Any]:
        """Run a process worker."""
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]
        env = {**self.worker_env, "PREFECT_API_URL": self.api, "PREFECT_WORKER_QUERY_SECONDS": "1"}
        with running(command, self.log, env=env) as process:
            yield process


@contextmanager
def workshop(folder: Path, env: Mapping[str, str]) -> Iterator[Workshop]:
    """Run a server with UI; its worker is started with `Workshop.worker`.

    Args:
        folder: For databases and logs.
        env: For the runs.
    """
    with prefect_server(folder / "server", ui=True) as api:
        quiet = {"PREFECT_HOME": str(folder / "worker"), "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
        made = Workshop(api, folder / "worker.log", {**quiet, **env})
        with made.client() as client:
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        yield made
