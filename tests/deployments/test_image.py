"""The image: its Dockerfile linted, and its own install steps run in a clean folder."""

import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from docker.utils import exclude_paths
from packaging.requirements import Requirement

from deployments.processes import free_port, running
from tests.image import DOCKERFILE, ROOT, Installed, instructions

STEPS = instructions()
LAST = [step for step in STEPS if step.stage == STEPS[-1].stage]
HEALTH = json.loads(next(step.value for step in LAST if step.name == "HEALTHCHECK").split("CMD ", 1)[1])
COMMAND = json.loads(next(step.value for step in LAST if step.name == "CMD"))


def in_image(installed: Installed, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a container of the image would."""
    return subprocess.run(  # noqa: S603 - our own commands
        installed.command(*command, **env), capture_output=True, text=True, check=False
    )


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server on loopback that answers everything with one status; yields its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def healthy(installed: Installed, port: int, **env: str) -> bool:
    """Run the image's health check against another port than its own."""
    return in_image(installed, *[part.replace("8080", str(port)) for part in HEALTH], **env).returncode == 0


def test_the_linter_has_nothing_to_say() -> None:
    done = subprocess.run(  # noqa: S603 - the linter of this environment
        [Path(sys.executable).with_name("hadolint"), "--no-color", DOCKERFILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_stage_has_the_same_base_of_a_full_version() -> None:
    base = next(step.value for step in STEPS if step.name == "ARG")
    assert re.fullmatch(r"PYTHON=3\.1[123]\.\d+-slim-[a-z]+", base)
    assert {step.value.split()[0] for step in STEPS if step.name == "FROM"} == {"python:${PYTHON}"}


def test_it_does_not_run_as_root() -> None:
    user = [step.value for step in LAST if step.name == "USER"][-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert f"--uid {user.split(':')[0]} " in next(step.value for step in LAST if step.name == "RUN")


def test_a_pool_s_own_command_is_run_as_it_is() -> None:
    assert not [step for step in STEPS if step.name in {"ENTRYPOINT", "SHELL"}]


def test_another_line_of_code_installs_nothing_again() -> None:
    build = [step for step in STEPS if step.stage == 0]
    first = next(number for number, step in enumerate(build) if step.name == "RUN")
    copied = [step.value for step in build[:first] if step.name == "COPY"]
    assert copied == ["pyproject.toml deployments/constraints.txt ./"]


def test_nothing_is_compiled_which_the_base_could_not() -> None:
    installs = [step.value for step in STEPS if "uv pip install" in step.value]
    assert len(installs) == 1
    assert "--only-binary :all:" in installs[0]


def test_it_is_told_no_secret() -> None:
    given = [step.value for step in STEPS if step.name in {"ENV", "ARG"}]
    assert not re.search(r"key|secret|token|passw|_url=", " ".join(given), re.IGNORECASE)


@pytest.mark.parametrize(
    "name",
    [".env", "flows/.env.local", "lake/runs/x.json", ".git/config", "tests/x.py", "tasks/__pycache__/x.pyc", "key"],
)
def test_what_lies_about_does_not_get_into_it(tmp_path: Path, name: str) -> None:
    for path in (name, "flows/export.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    kept = {one for one in exclude_paths(str(tmp_path), patterns) if (tmp_path / one).is_file()}
    assert kept == {"flows/export.py"}


def test_everything_installed_is_pinned(installed: Installed) -> None:
    done = in_image(
        installed,
        "python",
        "-c",
        "import importlib.metadata as m, json; print(json.dumps([[d.name, d.version] for d in m.distributions()]))",
    )
    pins = (ROOT / "deployments/constraints.txt").read_text().splitlines()
    wanted = [Requirement(line) for line in pins if not line.startswith("#")]
    # The environment's Python is this one, so the markers mean the same.
    pinned = {_plain(one.name): str(one.specifier) for one in wanted if not one.marker or one.marker.evaluate()}
    assert {_plain(name): f"=={version}" for name, version in json.loads(done.stdout)}.items() <= pinned.items()


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", ["pip", "uv", "setuptools", "wheel", "pytest", "mypy", "ruff", "playwright", "polars"])
def test_nothing_is_in_it_that_only_builds_or_tests(installed: Installed, name: str) -> None:
    assert not [path for path in installed.python.parent.parent.rglob(name) if "_vendor" not in path.parts]


def test_every_flow_loads_in_it(installed: Installed) -> None:
    flows = [f"flows.{path.stem}" for path in (ROOT / "flows").glob("[!_]*.py")]
    done = in_image(installed, "python", "-c", f"import {', '.join(flows)}")
    assert done.returncode == 0, done.stderr


def test_the_deployments_are_right_in_it(installed: Installed) -> None:
    done = in_image(installed, "python", "-m", "deployments.check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_prefect_is_the_pinned_one(installed: Installed) -> None:
    version = in_image(installed, "prefect", "--version").stdout.strip()
    assert f"prefect=={version}" in (ROOT / "deployments/constraints.txt").read_text().splitlines()


def test_a_run_finds_the_checkout_and_its_loggers(installed: Installed) -> None:
    assert installed.env["KOMBO_FLOWS_HOME"] == str(installed.checkout)
    assert (installed.checkout / "flows/export.py").is_file()
    assert installed.env["PREFECT_LOGGING_EXTRA_LOGGERS"] == "tasks"


def test_a_worker_that_answers_is_healthy(installed: Installed) -> None:
    with answering(200) as port:
        assert healthy(installed, port)


def test_a_worker_that_stopped_polling_is_not_healthy(installed: Installed) -> None:
    with answering(503) as port:
        assert not healthy(installed, port)


def test_a_worker_that_does_not_answer_is_not_healthy(installed: Installed) -> None:
    assert not healthy(installed, free_port())


def test_a_run_s_container_is_not_called_sick_for_not_being_a_worker(installed: Installed) -> None:
    assert healthy(installed, free_port(), PREFECT__FLOW_RUN_ID="a run")


def test_its_command_starts_a_worker_that_is_healthy(installed: Installed, prefect_server: str, tmp_path: Path) -> None:
    port = free_port()
    command = installed.command(*COMMAND, PREFECT_API_URL=prefect_server, PREFECT_WORKER_WEBSERVER_PORT=str(port))
    with running(command, tmp_path / "log", ready=f"http://127.0.0.1:{port}/health"):
        assert healthy(installed, port)
