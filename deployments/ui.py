"""`make ui`: a Prefect server, a worker, a local stand-in for Kombo and all deployments, to click through.

It uses neither your Prefect profile nor your variables, and nothing leaves the machine. What ran is forgotten when it
is taken down; the lake stays in `lake/ui` until the next time.
"""

import argparse
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.demo.__main__ import OURS
from deployments.demo.server import DemoProcess
from deployments.processes import ROOT, DidNotStart, free_port, prefect_server, prefect_worker

PORT = 4200

_AT_ONCE = {"PREFECT_WORKER_QUERY_SECONDS": "1"}  # a click is followed by a run, not by ten seconds of waiting


class NotPrepared(RuntimeError):
    """The server could not be filled; the text has what was said."""


@dataclass(frozen=True)
class Place:
    """Where one `make ui` keeps its things.

    Attributes:
        home: For Prefect's state and the logs; removed at the end.
        lake: For the lake; kept.
        port: Of the Prefect server.
    """

    home: Path
    lake: Path
    port: int


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """Take the first place that no living `make ui` has, and clear away what an earlier one has left there.

    Args:
        folder: Gets the places, in `.ui` and `lake`.
    """
    state = folder / ".ui"
    state.mkdir(exist_ok=True)
    number = 0
    while True:
        number += 1
        lock = (state / f"{number}.lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # given back when this process ends, however it does
            break
        except BlockingIOError:
            lock.close()
    root = folder / OURS.parent
    if not root.exists():
        root.mkdir()
        (folder / OURS).touch()  # `make demo` may have it too
    lake = root / ("ui" if number == 1 else f"ui-{number}")
    for left in (lake, *state.glob(f"{number}-*")):  # the stand-in starts afresh, and so does what was made of it
        shutil.rmtree(left, ignore_errors=True)
    home = Path(tempfile.mkdtemp(prefix=f"{number}-", dir=state))
    try:
        yield Place(home, lake, PORT if number == 1 and not _taken(PORT) else free_port())
    finally:
        shutil.rmtree(home, ignore_errors=True)
        lock.close()


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def forget_the_environment(home: Path, api: str) -> None:
    """Let no profile, key, database or lake of whoever runs this be used, by this process and those that it starts.

    Args:
        home: For Prefect's state.
        api: Address of the API.
    """
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "KOMBO_", "AWS_"))]:
        del os.environ[name]
    os.environ |= {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": api,
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home}/prefect.db",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    }


@contextmanager
def stack(here: Place) -> Iterator[DemoProcess]:
    """Run everything, with all deployments.

    Args:
        here: Where.

    Raises:
        DidNotStart: A part did not start.
        NotPrepared: The server could not be filled.
    """
    forget_the_environment(here.home, f"http://127.0.0.1:{here.port}/api")
    with (
        DemoProcess("small", immediate=True) as demo,
        prefect_server(here.home, port=here.port, ui=True) as api,
    ):
        given = demo.environment(here.lake)
        _bootstrap(given)
        with prefect_worker(api, here.home, env=_AT_ONCE):
            _deploy()
            _bootstrap(given)
            _switch_schedules_off()
            yield demo


# Prefect reads the environment when it is imported: not before it is clean.
def _client() -> Any:
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True)


def _bootstrap(given: Mapping[str, str]) -> None:
    from deployments.bootstrap import bootstrap

    with _client() as client:
        missing = [step.what for step in bootstrap(client, given) if step.kind == "missing"]
    if missing:
        raise NotPrepared("\n".join(missing))


def _deploy() -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotPrepared(f"prefect deploy failed:\n{done.stdout}{done.stderr}")


def _switch_schedules_off() -> None:
    """What runs is what was clicked."""
    with _client() as client:
        for deployment in client.read_deployments():
            for schedule in deployment.schedules:
                client.update_deployment_schedule(deployment.id, schedule.id, active=False)


def _has_screen() -> bool:
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def _stop(*_: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # impatience would leave something running
    raise KeyboardInterrupt


def run(folder: Path, *, browse: bool) -> None:
    """Bring everything up and wait for a signal, then take it down.

    Args:
        folder: Gets `.ui` and `lake`.
        browse: Whether to open a browser, where there is a screen.

    Raises:
        KeyboardInterrupt: Everything is down.
        DidNotStart: A part did not start.
        NotPrepared: The server could not be filled.
    """
    print("Starting a Prefect server, a worker and a stand-in for Kombo, in about half a minute ...", flush=True)
    with place(folder) as here, stack(here) as demo:
        address = f"http://127.0.0.1:{here.port}/deployments"
        print(
            f"""
  {address}

In the menu of nightly, "Quick run" exports into {here.lake.relative_to(folder)}/. The others have forms to fill.
The stand-in for Kombo is {demo.base_url}, with {" and ".join(demo.integrations)}.
Schedules are switched off here. Ctrl-C takes everything down.
""",
            flush=True,
        )
        if browse and _has_screen():
            webbrowser.open(address)
        while signal.getsignal(signal.SIGINT) is _stop:
            signal.pause()


def main() -> None:
    """Run until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m deployments.ui", description=__doc__)
    parser.add_argument("--no-open", dest="open", action="store_false", help="only print the address")
    parser.add_argument("--folder", type=Path, default=ROOT, help="gets `.ui` and `lake`; by default the checkout")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        with suppress(KeyboardInterrupt):
            run(options.folder.resolve(), browse=options.open)
    except (DidNotStart, NotPrepared) as error:
        sys.exit(f"{error}\n\nNothing is left running.")
    print("\nEverything is down; nothing is left running.", flush=True)


if __name__ == "__main__":
    main()
