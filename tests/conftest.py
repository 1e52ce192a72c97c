"""What every test may use: a clean environment, a Prefect server, an S3 server, a folder for a lake."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.image import Installed
    from tests.servers import Bucket, Forks

os.environ.update(  # before Prefect is imported
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_LOGGING_TO_API_ENABLED="false",
    PREFECT_SERVER_ALLOW_EPHEMERAL_MODE="false",
    DO_NOT_TRACK="1",
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds the credentials, the lake or the cloud of whoever runs it."""
    for name in list(os.environ):
        if name.startswith(("KOMBO_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """The API of a real Prefect server with a database of its own, for the tests that run flows; started once."""
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from deployments.processes import prefect_server as server

    with server() as url, temporary_settings({PREFECT_API_URL: url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield url


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """An empty folder for a lake."""
    return tmp_path / "lake"


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """A bucket of a real S3 server; started once."""
    from tests.servers import seaweedfs

    with seaweedfs(tmp_path_factory.mktemp("s3")) as made:
        yield made


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Processes that run functions of the tests and may be killed."""
    from tests.servers import Forks

    with Forks(tmp_path_factory.mktemp("forks")) as made:
        yield made


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """What the image has, installed by its own steps; once, and removed afterwards, for it is large."""
    from tests.image import install

    folder = tmp_path_factory.mktemp("image")
    yield install(folder)
    shutil.rmtree(folder)
