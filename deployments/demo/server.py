"""Run the demo: inside a test, as a process of its own, or from the command line.

``python -m deployments.demo.server --port 8790 --scale small``
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from deployments.demo.api import Api
from deployments.demo.data import SCALES
from deployments.demo.protocol import Connection
from deployments.demo.world import API_KEY, Config, World

HOST = "127.0.0.1"


class Surface:
    """What a test does with a demo server, wherever that runs.

    Attributes:
        api_key: The key that the server accepts.
        origin: Like ``http://127.0.0.1:8790``.
    """

    api_key = API_KEY
    origin = ""

    def _call(self, name: str, **arguments: Any) -> Any:
        raise NotImplementedError

    @property
    def base_url(self) -> str:
        """What goes into ``KOMBO_BASE_URL``."""
        return self.origin + "/v1"

    def now(self) -> float:
        """The server's clock, in Unix time."""
        seconds: float = self._call("info")["now"]
        return seconds

    @property
    def integrations(self) -> list[str]:
        """Ids of the integrations."""
        found: list[str] = self._call("info")["integrations"]
        return found

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The requests so far: method, path, query, integration, operation, time, status (None: unanswered)."""
        found: list[dict[str, Any]] = self._call("requests")
        return found

    @property
    def writes(self) -> list[dict[str, Any]]:
        """The writes that were carried out: operation, integration, ids of the path, body, time."""
        found: list[dict[str, Any]] = self._call("writes")
        return found

    @property
    def most_in_flight(self) -> dict[str, int]:
        """The most actions that were ever in flight at once, per integration."""
        found: dict[str, int] = self._call("stats")["most_in_flight"]
        return found

    def records(self, integration: str, collection: str, *, include_deleted: bool = True) -> list[dict[str, Any]]:
        """Exactly what the server holds, in the order in which it serves it."""
        raw = self._call("records", integration=integration, collection=collection, include_deleted=include_deleted)
        found: list[dict[str, Any]] = json.loads(raw) if isinstance(raw, bytes) else raw
        return found

    def fault(self, kind: str, **fields: Any) -> None:
        """Script a fault; see ``deployments.demo.faults.Fault`` for the fields."""
        self._call("fault", kind=kind, **fields)

    def release(self) -> None:
        """End every hang that is under way."""
        self._call("release")

    def clear_faults(self) -> None:
        """Forget the faults still to come."""
        self._call("clear_faults")

    @property
    def faults(self) -> dict[str, Any]:
        """``pending``: the faults still to come; ``applied``: the kinds of those that happened."""
        found: dict[str, Any] = self._call("faults")
        return found

    def configure(self, **fields: Any) -> None:
        """Change how the server behaves; see ``deployments.demo.world.Config``."""
        self._call("configure", **fields)

    def settings(self, integration: str, **fields: Any) -> None:
        """Change how an integration behaves; see ``deployments.demo.world.Settings``."""
        self._call("settings", integration=integration, **fields)

    def add_integration(self, integration: str, **fields: Any) -> None:
        """Connect one more integration, with settings."""
        self._call("add_integration", integration=integration, **fields)

    def evolve(self, integration: str, share: float = 0.01, **options: Any) -> dict[str, dict[str, list[str]]]:
        """Let a day pass: some records come, change, go, or come back.

        Args:
            integration: Whose.
            share: Of each collection's records; at least one of each kind.
            options: ``kinds`` (of ``deployments.demo.evolve.KINDS``; by default all), ``collections``, ``at`` (Unix
                time), and ``stale`` (also change what others hold copies of without counting as updated).

        Returns:
            Changed ids by collection and kind. Records that only embed a changed one are not listed.
        """
        found: dict[str, Any] = self._call("evolve", integration=integration, share=share, **options)
        return found

    def sync(self, integration: str | None = None) -> int:
        """Let Kombo see what writes have done in the ATS; returns how many now show."""
        shown: int = self._call("sync", integration=integration)
        return shown

    def attach(self, integration: str, owner: str, row: dict[str, Any], **options: Any) -> None:
        """Give an application or candidate one more file.

        Args:
            integration: Whose.
            owner: Id of the application or candidate.
            row: What the list says of it: ``file_name``, ``type``, ``content_type``, or anything else, true or not.
            options: ``text`` or ``size`` of the content, and the ``served_type`` and ``status`` of its link.
        """
        self._call("attach", integration=integration, owner=owner, row=row, **options)

    def reset(self, integration: str | None = None) -> None:
        """Start again: data as at first, no faults, no log, no writes; settings stay."""
        self._call("reset", integration=integration)

    def clear_log(self) -> None:
        """Forget the requests so far."""
        self._call("clear_log")

    def warm(self, integration: str | None = None, *, include_deleted: bool | None = None) -> int:
        """Prepare the pages of full walks (with tombstones, without, or both); returns their number."""
        pages: int = self._call("warm", integration=integration, include_deleted=include_deleted)
        return pages


async def _serve(api: Api, port: int, ready: Callable[[int], None], stopped: asyncio.Event) -> None:
    connections: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(api.handle, connections), HOST, port)
    ready(server.sockets[0].getsockname()[1])
    await stopped.wait()
    server.close()
    for connection in list(connections):
        if connection.transport is not None:
            connection.transport.abort()
    await asyncio.sleep(0)  # lets the aborted connections cancel what they were answering


class DemoKombo(Surface):
    """A demo server in a thread of this process, for the length of a ``with`` block.

    Args:
        scale: ``tiny``, ``small``, ``bench`` or ``bench5x``.
        seed: Equal seeds give equal data on one day.
        integrations: Ids; by default a Greenhouse and a Workday.
        odd: False leaves out the values that do not fit their documented types.
        port: 0 takes a free one.
        config: Fields of ``deployments.demo.world.Config``.
    """

    def __init__(
        self,
        scale: str = "tiny",
        seed: int = 1,
        integrations: list[str] | None = None,
        *,
        odd: bool = True,
        port: int = 0,
        **config: Any,
    ) -> None:
        self._make: Callable[[], World] = lambda: World(scale, seed, integrations, odd=odd, config=Config(**config))
        self._port = port

    def __enter__(self) -> Self:
        ready = threading.Event()

        def run() -> None:
            try:
                asyncio.run(self._run(ready))
            except (OSError, ValueError, msgspec.MsgspecError):
                traceback.print_exc()
            finally:
                ready.set()

        self._thread = threading.Thread(target=run, name="demo-kombo", daemon=True)
        self._thread.start()
        ready.wait()
        if not self.origin:
            self._thread.join()
            raise RuntimeError("the demo server did not start; the reason is on stderr")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)

    async def _run(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._api = Api(self._make())

        def started(port: int) -> None:
            self.origin = f"http://{HOST}:{port}"
            ready.set()

        await _serve(self._api, self._port, started, self._stopped)

    def _call(self, name: str, **arguments: Any) -> Any:
        async def call() -> Any:
            return self._api.control.call(name, arguments)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(600)


class DemoProcess(Surface):
    """The same in a process of its own, which survives this one's ``kill`` of others and never outlives it.

    Args:
        scale: ``tiny``, ``small``, ``bench`` or ``bench5x``.
        seed: Equal seeds give equal data on one day.
        integrations: Ids; by default a Greenhouse and a Workday.
        odd: False leaves out the values that do not fit their documented types.
        port: 0 takes a free one.
        config: Fields of ``deployments.demo.world.Config``.
    """

    def __init__(
        self,
        scale: str = "tiny",
        seed: int = 1,
        integrations: list[str] | None = None,
        *,
        odd: bool = True,
        port: int = 0,
        **config: Any,
    ) -> None:
        self._command = [sys.executable, "-m", "deployments.demo.server", "--port", str(port), "--scale", scale]
        self._command += ["--seed", str(seed), "--die-with-stdin", "--config", json.dumps(config)]
        self._command += [] if odd else ["--no-odd"]
        for integration in integrations or []:
            self._command += ["--integration", integration]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603  (our own module)
            self._command,
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line.startswith("http://"):
            self._stop()
            raise RuntimeError("the demo server did not start; the reason is on stderr")
        self.origin = line.strip().removesuffix("/v1")
        self._client = httpx.Client(base_url=self.origin, timeout=600, trust_env=False)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._client.close()
        self._stop()

    def _stop(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    def environment(self, lake: Path) -> dict[str, str]:
        """Return what `deployments.bootstrap` takes to deploy everything against this server.

        Args:
            lake: Where the lake is to be.
        """
        first = self.integrations[0]
        reason = self.records(first, "rejection_reasons", include_deleted=False)[0]
        return {
            "KOMBO_API_KEY": self.api_key,
            "KOMBO_BASE_URL": self.base_url,
            "KOMBO_LAKE": str(lake),
            "KOMBO_INTEGRATIONS": " ".join(self.integrations),
            "KOMBO_STALE_INTEGRATION": first,
            "KOMBO_STALE_REASON": reason["name"],
        }

    def _call(self, name: str, **arguments: Any) -> Any:
        response = self._client.post(f"/_demo/{name}", json=arguments)
        if response.status_code != httpx.codes.OK:
            raise ValueError(response.json()["error"])
        return response.content if name == "records" else response.json()


async def _main(options: argparse.Namespace) -> None:
    config = Config(**json.loads(options.config))
    if options.latency_ms is not None:
        config.latency_ms = options.latency_ms
    world = World(options.scale, options.seed, options.integration or None, odd=options.odd, config=config)
    api = Api(world)
    if options.warm:
        for integration in world.integrations.values():
            integration.warm()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    if options.die_with_stdin:  # the parent's end of the pipe closes however the parent dies
        loop.add_reader(sys.stdin, lambda: None if os.read(sys.stdin.fileno(), 1) else stopped.set())
    await _serve(api, options.port, lambda port: print(f"http://{HOST}:{port}/v1", flush=True), stopped)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m deployments.demo.server", description="A local stand-in for Kombo."
    )
    parser.add_argument("--port", type=int, default=8790, help="0 takes a free one")
    parser.add_argument("--scale", choices=SCALES, default="small")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--integration", action="append", help="an integration id; may be repeated")
    parser.add_argument("--latency-ms", type=float, help="added to every answer")
    parser.add_argument("--no-odd", dest="odd", action="store_false", help="no values of undocumented types")
    parser.add_argument("--warm", action="store_true", help="prepare all pages before listening")
    parser.add_argument("--config", default='{"rate_limit": 6000}', help="JSON with fields of Config")
    parser.add_argument("--die-with-stdin", action="store_true", help="stop when standard input closes")
    try:
        asyncio.run(_main(parser.parse_args()))
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.exit(f"cannot listen: {error.strerror}")


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
