"""A Prefect server whose automations may be watched, and the bootstrap command as a person runs it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments import bootstrap
from deployments.processes import prefect_server

IMPATIENT = {
    "PREFECT_UI_URL": "http://ui.example",
    "PREFECT_EVENTS_EXPIRED_BUCKET_BUFFER": "PT1S",
    "PREFECT_EVENTS_PROACTIVE_GRANULARITY": "PT1S",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",  # runs are made by the tests alone
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
}


@contextmanager
def server() -> Iterator[str]:
    """Run a server that looks at its automations every second."""
    with prefect_server(ui=True, env=IMPATIENT) as api:
        yield api


@contextmanager
def connected(api: str) -> Iterator[SyncPrefectClient]:
    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        yield client


def command(api: str | None, *arguments: str, env: Mapping[str, str]) -> tuple[int, str]:
    """Run the command in this process: the exit code, and what it printed."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(printed):
        for name in list(os.environ):
            if name.startswith(("KOMBO_", "AWS_")):
                patch.delenv(name)
        for name, value in env.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["bootstrap", *arguments])
        patch.delenv("PREFECT_API_URL", raising=False)
        settings = {"updates": {PREFECT_API_URL: api}} if api else {"restore_defaults": {PREFECT_API_URL}}
        with temporary_settings(**settings):  # type: ignore[arg-type]
            try:
                bootstrap.main()
            except SystemExit as end:
                return int(end.code or 0), printed.getvalue()
    return 0, printed.getvalue()
