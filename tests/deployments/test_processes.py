"""Processes that run beside the flows end with whoever started them, at whatever moment that is killed."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deployments.processes import DidNotStart, free_port, running
from tests.workers import until

STARTER = """
import os, signal, subprocess, sys
from pathlib import Path
from deployments import processes

class Popen(subprocess.Popen):
    def __init__(self, command, **options):
        if {killed_before_guard} and processes._GUARD in command:
            os.kill(os.getpid(), signal.SIGKILL)
        super().__init__(command, **options)

subprocess.Popen = Popen
with processes.running([sys.executable, "-c", sys.argv[2]], Path(sys.argv[1]) / "log"):
    signal.pause()
"""
"""Starts a command in a folder, and is killed."""

COMMAND = """
import pathlib, time
while True:
    pathlib.Path({mark!r}).write_text(str(time.time()))
    time.sleep(0.05)
"""
"""Shows that it lives."""


def start(folder: Path, *, killed_before_guard: bool) -> subprocess.Popen[bytes]:
    starter = STARTER.format(killed_before_guard=killed_before_guard)
    command = COMMAND.format(mark=str(folder / "mark"))
    return subprocess.Popen([sys.executable, "-c", starter, str(folder), command])  # noqa: S603 - our own command


def test_what_was_started_ends_with_its_starter(tmp_path: Path) -> None:
    starter = start(tmp_path, killed_before_guard=False)
    mark = tmp_path / "mark"
    until(mark.exists, "it lives")
    starter.kill()
    starter.wait()

    def still() -> bool:
        before = mark.read_text()
        time.sleep(0.5)
        return mark.read_text() == before

    until(still, "it has ended")


def test_nothing_runs_before_there_is_somebody_to_end_it(tmp_path: Path) -> None:
    starter = start(tmp_path, killed_before_guard=True)
    assert starter.wait() == -signal.SIGKILL
    assert (tmp_path / "log").exists()
    time.sleep(0.5)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("code", "said"), [("print('no such database'); raise SystemExit(3)", "no such database"), ("input()", "EOFError")]
)
def test_what_ends_before_it_is_ready_is_said_with_its_log(tmp_path: Path, code: str, said: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with (
        pytest.raises(DidNotStart, match=f"was not ready within 90 s(?s:.*){said}"),
        running([sys.executable, "-c", code], tmp_path / "log", ready=url),
    ):
        pass


def test_what_does_not_get_ready_is_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", COMMAND.format(mark=str(tmp_path / "mark"))]
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(DidNotStart), running(command, tmp_path / "log", ready=url, within=1):
        pass
    (tmp_path / "mark").unlink(missing_ok=True)
    time.sleep(0.3)
    assert not (tmp_path / "mark").exists()
