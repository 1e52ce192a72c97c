"""The demo server starts, serves and stops, in this process and in one of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.demo.control import Control
from deployments.demo.server import DemoKombo, DemoProcess, Surface
from deployments.demo.store import COLLECTIONS
from tests.deployments.demo_client import open_client, walk

ROOT = Path(__file__).parents[2]


def is_gone(origin: str) -> bool:
    try:
        httpx.get(origin, trust_env=False)
    except httpx.ConnectError:
        return True
    return False


@pytest.mark.parametrize("make", [DemoKombo, DemoProcess])
def test_both_ways_to_run_offer_the_same(make: Callable[..., Any]) -> None:
    with make(seed=3, integrations=["greenhouse:one", "workday:two"], odd=False, latency_ms=1) as kombo:
        name = "workday:two"
        assert kombo.integrations == ["greenhouse:one", name]
        with open_client(kombo, name) as client:
            assert walk(client, "users", include_deleted="true") == kombo.records(name, "users")
            kombo.fault("error", collection="jobs")
            assert client.get("/ats/jobs").status_code == 500
        kombo.settings(name, concurrency_limit=3)
        kombo.configure(rate_limit=9)
        kombo.add_integration("lever:three", drift=False)
        done = kombo.evolve(name, kinds=["update"], collections=["tags"])
        assert list(done) == ["tags"]
        assert (kombo.sync(), kombo.writes, kombo.most_in_flight[name]) == (0, [], 0)
        assert kombo.warm("lever:three") == 2 * len(COLLECTIONS)
        assert [one["operation"] for one in kombo.requests] == ["get_users", "get_jobs"]
        kombo.clear_log()
        assert kombo.requests == []
        kombo.reset()


@pytest.mark.parametrize("make", [DemoKombo, DemoProcess])
def test_equal_seeds_give_equal_data_wherever_it_runs(make: Callable[..., Any]) -> None:
    with DemoKombo(seed=5) as here, make(seed=5) as there:
        name = here.integrations[0]
        assert here.records(name, "jobs") == there.records(name, "jobs")


@pytest.mark.parametrize("make", [DemoKombo, DemoProcess])
def test_a_wrong_command_is_an_error_with_its_reason(make: Callable[..., Any]) -> None:
    with make() as kombo, pytest.raises(ValueError, match="colour"):
        kombo.configure(colour="blue")


@pytest.mark.parametrize("make", [DemoKombo, DemoProcess])
def test_nothing_listens_any_more_after_the_block(make: Callable[..., Any]) -> None:
    with make() as kombo:
        origin = kombo.origin
        assert not is_gone(origin)
    assert is_gone(origin)


@pytest.mark.parametrize("make", [DemoKombo, DemoProcess])
def test_a_port_in_use_is_an_error_at_once(make: Callable[..., Any]) -> None:
    with DemoKombo() as kombo:
        port = int(kombo.origin.rsplit(":", 1)[1])
        with pytest.raises(RuntimeError, match="did not start"), make(port=port):
            pass


def test_a_server_stops_though_a_client_hangs() -> None:
    with DemoKombo() as kombo:
        kombo.fault("hang")
        with open_client(kombo) as client, pytest.raises(httpx.ReadTimeout):
            client.get("/ats/tags", timeout=0.05)
    assert is_gone(kombo.origin)


def test_a_server_dies_with_the_process_that_started_it() -> None:
    code = (
        "import os, signal\nfrom deployments.demo.server import DemoProcess\n"
        "with DemoProcess() as kombo:\n    print(kombo.origin, flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  (our own code)
    assert any(is_gone(done.stdout.strip()) for _ in range(1000))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_interrupted(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "deployments.demo.server", "--port", "0", "--scale", "tiny"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:  # noqa: S603  (our own code)
        assert process.stdout
        assert process.stderr
        address = process.stdout.readline().strip()
        answer = httpx.get(
            address + "/check-api-key", headers={"authorization": f"Bearer {Surface.api_key}"}, trust_env=False
        )
        assert answer.headers["ratelimit-limit"] == "6000"
        os.kill(process.pid, number)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


def test_every_command_of_the_server_can_be_given_by_a_test() -> None:
    commands = {name for name in vars(Control) if not name.startswith("_")} - {"call", "info", "describe", "stats"}
    assert commands <= set(dir(Surface))


def test_the_demo_is_a_second_reading_of_the_api() -> None:
    code = "import sys, deployments.demo.server\nprint([name for name in sys.modules if name.split('.')[0] == 'tasks'])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603  (our own code)
    assert done.stdout.strip() == "[]"
