"""Start and stop what runs beside the flows on one machine: for the demo, the local UI, the benchmark and the tests."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]

_QUIET = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1", "PREFECT_LOGGING_SERVER_LEVEL": "WARNING"}

# Becomes the command at a word, and ends without one: so the command never runs before it has its guard.
_ONCE_GUARDED = 'read -r _ && exec "$0" "$@" </dev/null'

# Outlives whoever started the process, however that ends, and then ends the process and its children. A worker passes
# the first signal on to its runs, which are in sessions of their own.
_GUARD = 'read -r _; kill -TERM -"$0"; for _ in 1 2 3 4 5; do kill -0 -"$0" && sleep 1; done; kill -KILL -"$0"'


class DidNotStart(RuntimeError):
    """A process ended, or said nothing, before it was ready; the text has the end of its log."""


def free_port() -> int:
    """Return a port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    ready: str | None = None,
    within: float = 90,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process beside this one, in a session of its own, and end it and its children on leaving.

    They end too if this process is killed.

    Args:
        command: Program and arguments.
        log: Gets its output.
        env: Added to the environment.
        ready: A URL that answers 2xx once it is ready; None not to wait.
        within: Seconds to wait for that.

    Raises:
        DidNotStart: It was not ready in time.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own commands
            ["/bin/sh", "-c", _ONCE_GUARDED, *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    guard = subprocess.Popen(  # noqa: S603 - our own command
        ["/bin/sh", "-c", _GUARD, str(process.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        with process.stdin as word:
            word.write(b"go\n")
        if ready:
            _wait(process, command, ready, within, log)
        yield process
    finally:
        stop(process)
        guard.kill()
        guard.communicate()


def _wait(process: subprocess.Popen[bytes], command: Sequence[str], url: str, within: float, log: Path) -> None:
    end = time.monotonic() + within
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - loopback
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    tail = log.read_text(errors="replace")[-2000:]
    raise DidNotStart(f"{' '.join(command)} was not ready within {within:.0f} s:\n{tail}")


def stop(process: subprocess.Popen[bytes], within: float = 15) -> None:
    """Ask a process to end, then make it and its children."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):  # it and whatever it started are killed next
            process.wait(within)
    with suppress(ProcessLookupError):  # nothing was left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def prefect_server(
    home: Path | None = None, *, port: int | None = None, ui: bool = False, env: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run a Prefect server with a database of its own and yield the address of its API.

    Args:
        home: Keeps its database and log; None for a folder that is removed afterwards.
        port: None for a free one.
        ui: Serve the UI and run the scheduler too.
        env: Added to its environment.
    """
    port = port or free_port()
    with tempfile.TemporaryDirectory(prefix="kombo-flows-prefect-") as temporary:
        folder = home or Path(temporary)
        options = [] if ui else ["--no-ui", "--no-services"]
        command = [
            sys.executable,
            "-m",
            "prefect",
            "server",
            "start",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            *options,
        ]
        own = {"PREFECT_HOME": str(folder), "PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{port}/api"}
        given = {**_QUIET, **own, **(env or {})}
        with running(command, folder / "server.log", env=given, ready=f"http://127.0.0.1:{port}/api/health"):
            yield f"http://127.0.0.1:{port}/api"


@contextmanager
def prefect_worker(
    api: str, home: Path, *, pool: str = "kombo", env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process worker, which runs flows from this checkout.

    Args:
        api: Address of the server's API.
        home: Keeps its log and Prefect's state.
        pool: Work pool; made if there is none of the name.
        env: Added to its environment and its runs'.
    """
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    own = {
        "PREFECT_API_URL": api,
        "PREFECT_HOME": str(home),
        "PREFECT_LOGGING_EXTRA_LOGGERS": "tasks",  # what the tasks say is shown with their run
        "KOMBO_FLOWS_HOME": str(ROOT),
    }
    with running(command, home / "worker.log", env={**_QUIET, **own, **(env or {})}) as process:
        yield process
