"""What `deployments/Dockerfile` installs, for tests: its own steps, run in a folder instead of an image."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker.utils import exclude_paths

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "deployments/Dockerfile"

_UNREACHABLE = re.compile(
    r"error sending request|dns error|tcp connect error|NewConnectionError|Max retries exceeded", re.IGNORECASE
)


@dataclass(frozen=True)
class Instruction:
    """One instruction, its lines joined. Stages are counted from 0."""

    stage: int
    name: str
    value: str


def instructions(path: Path = DOCKERFILE) -> list[Instruction]:
    """Read a Dockerfile."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", "")
    found: list[Instruction] = []
    stage = -1
    for line in filter(str.strip, text.splitlines()):
        name, value = line.split(maxsplit=1)
        stage += name == "FROM"
        found.append(Instruction(stage, name, re.sub(r"\s{2,}", " ", value.strip())))
    return found


def sent() -> list[Path]:
    """The files that a build may copy, relative to the root: those that `.dockerignore` leaves."""
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    kept = exclude_paths(str(ROOT), [line for line in patterns if line and not line.startswith("#")])
    return sorted(Path(one) for one in kept if (ROOT / one).is_file() and one != ".dockerignore")


@dataclass(frozen=True)
class Installed:
    """What the image would have.

    Attributes:
        python: The interpreter of its environment.
        checkout: Its copy of the flows, tasks and deployments.
        env: What the image sets, and nothing of whoever runs the tests.
    """

    python: Path
    checkout: Path
    env: dict[str, str]

    def command(self, *command: str, **env: str) -> list[str]:
        """Return what runs a command as a container of the image would: there, and in no environment but its own.

        Args:
            command: Program and arguments.
            env: What the container is given.
        """
        given = [f"{name}={value}" for name, value in {**self.env, **env}.items()]
        return ["/usr/bin/env", "-i", f"--chdir={self.checkout}", *given, *command]


def install(folder: Path) -> Installed:
    """Run the Dockerfile's own steps in a folder; its `/opt` becomes the folder's.

    The steps of the last stage are left out: they change the base image, here the machine.
    """

    def here(text: str) -> str:
        return text.replace("/opt/", f"{folder}/opt/")

    python = folder / "bin/python"  # a script, so that its environments link the interpreter itself
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(str(Path(sys.base_prefix) / "bin/python3"))} "$@"\n')
    python.chmod(0o755)
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("KOMBO_", "AWS_", "PREFECT_"))}
    ours = {name: value for name, value in ours.items() if name not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}}
    ours["PATH"] = f"{python.parent}:{os.environ['PATH']}"
    steps, image, workdir = instructions(), {"PATH": "/usr/bin:/bin", "HOME": str(folder / "home")}, folder
    (folder / "home").mkdir()
    for step in steps:
        match step.name:
            case "WORKDIR":
                workdir = Path(here(step.value))
                workdir.mkdir(parents=True)
            case "COPY" if not step.value.startswith("--from"):
                *sources, target = step.value.split()
                for source in sources:
                    _copy(source, workdir / target)
            case "ENV":
                image |= {name: here(value.replace("$PATH", image["PATH"])) for name, value in _pairs(step.value)}
            case "RUN" if step.stage < steps[-1].stage:
                _run(here(step.value), workdir, ours)
            case _:
                pass
    return Installed(folder / "opt/venv/bin/python", workdir, image)


def _pairs(value: str) -> list[tuple[str, str]]:
    return [(name, text) for name, _, text in (part.partition("=") for part in shlex.split(value))]


def _copy(source: str, target: Path) -> None:
    """Copy what a build would: a file into a folder, or the content of a folder."""
    chosen = [path for path in sent() if path == Path(source) or Path(source) in path.parents]
    assert chosen, f"nothing to COPY: .dockerignore leaves out {source}"
    for path in chosen:
        inside = target / (path.name if (ROOT / source).is_file() else path.relative_to(source))
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, inside)


def _run(command: str, workdir: Path, env: dict[str, str]) -> None:
    done = subprocess.run(["/bin/sh", "-c", command], cwd=workdir, env=env, capture_output=True, text=True, check=False)  # noqa: S603 - the Dockerfile's
    if done.returncode and _UNREACHABLE.search(done.stderr):
        pytest.skip("the image's packages cannot be installed: the package registry is unreachable")
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
