"""A Kombo on loopback that answers every operation, and holds every request against the contract first."""

from __future__ import annotations

import base64
import functools
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema
from openapi_core import Config, OpenAPI
from openapi_core.testing import MockRequest

from tasks.credentials import KomboCredentials
from tasks.kombo.client import Client
from tasks.kombo.limits import Limiter
from tests.tasks.kombo.stand_ins import FakeClock

KEY = "kombo-key-that-nobody-may-see"
INTEGRATION = "workday:HWUTwvyx2wLoSUHphiWVrp28"
SPEC = Path(__file__).parents[3] / "shared" / "kombo-ats-openapi.json"
CONTRACT: dict[str, Any] = json.loads((Path(__file__).parent / "operations.json").read_text())

RECORD = {"id": "8Xi6iZrwusZqJmDGXs49GBmJ", "remote_id": "1", "first_name": "Ada", "changed_at": "2026-03-29T01:00:00Z"}
LIMITS = {
    "attachment_restrictions": {
        "total_size_bytes": None,
        "types": {
            "CV": {
                "is_supported": True,
                "min_amount": None,
                "max_amount": 2,
                "max_file_size_bytes": 1000,
                "accepted_mime_types": ["application/pdf"],
            },
            "COVER_LETTER": {"is_supported": False},
            "OTHER": {
                "is_supported": True,
                "min_amount": None,
                "max_amount": None,
                "max_file_size_bytes": None,
                "accepted_mime_types": None,
            },
        },
    }
}
WARNING = "The question of Ada Lovelace is not known"

Answer = tuple[int, bytes, str]
"""Status, body and content type."""


@functools.cache
def specification() -> OpenAPI | None:
    """The API's own OpenAPI file, where it lies beside the checkout."""
    if not SPEC.exists():
        return None
    spec = json.loads(SPEC.read_text(), object_hook=_without_discriminator)
    return OpenAPI.from_dict(spec, config=Config(spec_validator_cls=None))


def _without_discriminator(node: dict[str, Any]) -> dict[str, Any]:
    """Drop a hint that the file gives wrongly: its values are no names of schemas, and the validator looks them up."""
    node.pop("discriminator", None)
    return node


@dataclass
class Asked:
    """A request as it came.

    Attributes:
        operation: Method and path template; the path itself if the contract has none like it.
        query: By name.
        headers: By lower-case name.
        body: Decoded; None for none.
    """

    operation: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Kombo:
    """What the server has seen, and how it answers.

    Attributes:
        url: The base URL.
        asked: Every request.
        flaws: What was wrong with them.
        answers: Instead of the usual answers, by operation; `*` for all others.
        files: Bytes and content type, by path below the server's root.
        strict: Whether requests are held against the contract.
    """

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)
    answers: dict[str, Callable[[Asked], Answer]] = field(default_factory=dict)
    files: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    strict: bool = True

    @property
    def credentials(self) -> KomboCredentials:
        """Credentials for this server, whose client does not wait."""
        return impatient(KEY, self.url)

    @property
    def sent(self) -> list[Asked]:
        """The requests that are not the question for an upload's limits."""
        return [one for one in self.asked if not one.operation.startswith("GET /ats/actions/")]


class _Impatient(KomboCredentials):
    """Real credentials and a real client, with a clock that moves when somebody waits."""

    _block_type_slug = "kombo-credentials-for-tests"

    def get_client(self) -> Client:
        return Client(self.api_key.get_secret_value(), self.base_url, clock=FakeClock(), limiter=Limiter())


def impatient(api_key: str, base_url: str) -> KomboCredentials:
    """Credentials whose client is a real one that does not wait."""
    return _Impatient(api_key=api_key, base_url=base_url)  # type: ignore[arg-type]


@contextmanager
def kombo() -> Iterator[Kombo]:
    """Serve until the block ends."""
    state = Kombo()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            status, body, kind = _respond(state, self.command, self.path, dict(self.headers.items()), raw)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Not to the terminal."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            """A client that goes away is part of the game."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


def _respond(state: Kombo, method: str, target: str, headers: dict[str, str], raw: bytes) -> Answer:
    parts = urlsplit(target)
    if parts.path in state.files:
        content, kind = state.files[parts.path]
        state.asked.append(Asked("GET file", parts.path, {}, {k.lower(): v for k, v in headers.items()}, None))
        return 200, content, kind
    path = parts.path.removeprefix("/v1")
    asked = Asked(
        operation=_template(method, path) or f"{method} {path}",
        path=path,
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        headers={name.lower(): value for name, value in headers.items()},
        body=json.loads(raw) if raw else None,
    )
    state.asked.append(asked)
    if state.strict:
        state.flaws += [f"{asked.operation}: {flaw}" for flaw in _flaws(asked, method, raw)]
    answer = state.answers.get(asked.operation) or state.answers.get("*")
    return answer(asked) if answer else usual(asked)


def usual(asked: Asked) -> Answer:
    """Answer as Kombo does when all is well; a collection has two pages."""
    if asked.operation.startswith("GET /ats/actions/"):
        return success(LIMITS)
    if asked.operation.endswith("/attachments") and asked.operation.startswith("GET"):
        return success({"results": [{**RECORD, "data_url": "https://x", "content_type": "application/pdf"}]}, [WARNING])
    if asked.operation.startswith("GET"):
        last = "cursor" in asked.query
        record = {**RECORD, "id": "B5DVmypWENfU6eMe6gYDyJG3"} if last else RECORD
        return success({"results": [record], "next": None if last else "cursor-2"})
    return success({"id": RECORD["id"], "imported_id": "i", "first_name": "Ada"}, [WARNING])


def success(data: Any, warnings: list[str] | None = None) -> Answer:
    """Make a successful answer."""
    body = {"status": "success", "data": data, "warnings": [{"message": text} for text in warnings or []]}
    return 200, json.dumps(body).encode(), "application/json"


def failure(code: str | None, status: int, asked: Asked) -> Answer:
    """Make an error that echoes what was sent, as Kombo's messages do."""
    error = {
        "code": code,
        "title": "T",
        "message": f"odd: {asked.body} {asked.query}",
        "log_url": "https://app.kombo.dev/l",
    }
    return status, json.dumps({"status": "error", "error": error}).encode(), "application/json"


def _template(method: str, path: str) -> str | None:
    for known in CONTRACT:
        template = known.removeprefix(f"{method} ")
        if template != known and re.fullmatch(re.sub(r"\{[a-z_]+\}", "[^/]+", template), path):
            return known
    return None


def _flaws(asked: Asked, method: str, raw: bytes) -> list[str]:
    flaws = []
    contract = CONTRACT.get(asked.operation)
    if contract is None:
        return ["there is no such method and path"]
    if asked.headers.get("authorization") != f"Bearer {KEY}":
        flaws.append("no bearer token")
    if asked.headers.get("x-integration-id") != INTEGRATION:
        flaws.append("no integration id")
    flaws += _schema_flaws(asked.query, contract["query"], "query")
    if ("body" in contract) != bool(raw):
        flaws.append("a body that does not belong, or none")
    elif raw:
        flaws += _schema_flaws(asked.body, contract["body"], "body")
        if asked.headers.get("content-type") != "application/json":
            flaws.append("not declared as JSON")
    if (api := specification()) is not None:
        request = MockRequest(
            "https://api.kombo.dev",
            method.lower(),
            f"/v1{asked.path}",
            args=asked.query,
            headers={"X-Integration-Id": asked.headers.get("x-integration-id", ""), "Authorization": "Bearer x"},
            data=raw or None,
            content_type="application/json",
        )
        flaws += [f"OpenAPI: {error!r} {error.__cause__!r}" for error in api.iter_request_errors(request)]
    return flaws


def _schema_flaws(value: Any, schema: dict[str, Any], where: str) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema)
    return [f"{where}{error.json_path[1:]}: {error.message}" for error in validator.iter_errors(value)]


def content_of(asked: Asked) -> bytes:
    """Decode an uploaded attachment."""
    return base64.b64decode(asked.body["attachment"]["data"], validate=True)
