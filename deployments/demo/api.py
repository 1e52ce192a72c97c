"""The API itself: from a request to an answer, through keys, limits and scripted faults."""

import asyncio
import gzip
import sys
import time
import traceback
from email.utils import formatdate
from typing import Any

import msgspec

from deployments.demo import attachments, filters, routes, writes
from deployments.demo.control import Control
from deployments.demo.errors import RefusedError
from deployments.demo.faults import STATUSES, Fault, Script, Seen
from deployments.demo.protocol import Request, Response
from deployments.demo.routes import Route
from deployments.demo.store import encode
from deployments.demo.world import API_KEY, Integration, Logged, Page, World

Headers = list[tuple[str, str]]
_JSON = ("content-type", "application/json; charset=utf-8")
_HTML = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr></body></html>"
_GZIP_FROM = 1_000  # bytes; smaller answers are not worth it


class Api:
    """Answers requests.

    Args:
        world: The data and settings.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.script = Script()
        self.requests: list[Logged] = []
        self.control = Control(world, self.script, self.requests)
        self._window = (0.0, 0)  # start of the rate window, requests in it
        self._date = (0, "")

    async def handle(self, request: Request) -> Response | None:
        """Answer a request.

        Args:
            request: The request.

        Returns:
            The answer, or None to break the connection.
        """
        try:
            if request.path.startswith("/_demo/"):
                return self._controlled(request)
            return await self._answer(request)
        except Exception:  # a fault of the demo itself must not look like one of Kombo's
            traceback.print_exc(file=sys.stderr)
            return Response(599, b"the demo server failed, see its stderr", [])

    def _controlled(self, request: Request) -> Response:
        arguments = msgspec.json.decode(request.body) if request.body else {}
        try:
            answer = self.control.call(request.path.removeprefix("/_demo/"), arguments)
        except (ValueError, TypeError, KeyError, LookupError) as error:
            return Response(400, encode({"error": f"{type(error).__name__}: {error}"}), [_JSON])
        return Response(200, answer if isinstance(answer, bytes) else encode(answer), [_JSON])

    async def _answer(self, request: Request) -> Response | None:
        path = request.path.removeprefix("/v1")
        route = routes.find(request.method, path) if path != request.path else None
        integration_id = request.headers.get("x-integration-id")
        known = self.world.integrations.get(integration_id or "")
        logged = Logged(
            request.method, path, request.query, integration_id, route.operation if route else None, self.world.now()
        )
        self.requests.append(logged)
        fault = self.script.take(self._seen(request, path, route, known)) if self.script.faults else None
        acting = known is not None and route is not None and route.kind == "action"
        limit = known.settings.concurrency_limit if known else 0
        free = acting and known is not None and known.in_flight < limit
        if free and known is not None:
            known.in_flight += 1
            known.most_in_flight = max(known.most_in_flight, known.in_flight)
        try:
            response: Response | None
            if fault and fault.kind == "hang" and not fault.after:
                await self.script.hang(fault.seconds)
            if fault and not fault.after and fault.kind in (*STATUSES, "drop", "expired_cursor"):
                response = self._broken(fault)
            else:
                headers = self._standard_headers()
                if acting and known is not None:
                    headers.append(("concurrency-limit", str(limit)))
                    headers.append(("concurrency-remaining", str(max(0, limit - known.in_flight))))
                response = self._carried_out(request, path, route, headers, fault, full=acting and not free)
                if fault and fault.after and fault.kind in (*STATUSES, "drop"):
                    response = self._broken(fault)
            await self._wait(acting)
            if fault and fault.kind == "hang" and fault.after:
                await self.script.hang(fault.seconds)
        finally:
            if free and known is not None:
                known.in_flight -= 1
        if response is not None and fault and fault.kind == "truncate":
            response.cut = len(response.body) // 2
        if response is not None and fault and fault.kind == "slow":
            response.pieces = (10, (fault.seconds or 1) / 10)
        logged.status = response.status if response else None
        return response

    async def _wait(self, acting: bool) -> None:
        config = self.world.config
        special = config.action_latency_ms if acting else None
        latency = special if special is not None else config.latency_ms
        if latency:
            await asyncio.sleep(latency / 1000)

    def _seen(self, request: Request, path: str, route: Route | None, known: Integration | None) -> Seen:
        collection = route.collection if route else None
        page = None
        if collection and known:
            try:
                page = known.position(collection, dict(request.pairs()).get("cursor"))[0]
            except RefusedError:
                page = None
        return Seen(request.method, path, request.query, collection, known.id if known else None, page)

    def _standard_headers(self) -> Headers:
        config, now = self.world.config, time.time()
        start, count = self._window
        if now - start >= config.rate_window_s:
            start, count = now, 0
        self._window = (start, count + 1)
        return [
            self._dated(),
            ("ratelimit-limit", str(config.rate_limit)),
            ("ratelimit-remaining", str(max(0, config.rate_limit - count - 1))),
            ("ratelimit-reset", str(max(1, round(start + config.rate_window_s - now)))),
        ]

    def _dated(self) -> tuple[str, str]:
        second = int(self.world.now())
        if self._date[0] != second:
            self._date = (second, formatdate(second, usegmt=True))
        return "date", self._date[1]

    def _broken(self, fault: Fault) -> Response | None:
        if fault.kind == "drop":
            return None
        headers = [self._dated()]
        if fault.retry_after is not None:
            date = formatdate(self.world.now() + fault.retry_after, usegmt=True)
            headers.append(("retry-after", date if fault.retry_after_date else f"{fault.retry_after:g}"))
        if fault.ratelimit_reset is not None:
            headers += [("ratelimit-remaining", "0"), ("ratelimit-reset", f"{fault.ratelimit_reset:g}")]
        status = fault.status or STATUSES.get(fault.kind, 400)
        if fault.kind == "expired_cursor":
            message = "The cursor is invalid or has expired."
            return Response(400, envelope("PLATFORM.INPUT_INVALID", message), [*headers, _JSON])
        if fault.kind in ("error", "status_error"):
            return Response(status, envelope(fault.code, fault.message), [*headers, _JSON])
        if fault.kind == "data_null":
            return Response(status, b'{"status":"success","data":null}', [*headers, _JSON])
        text, content_type = {
            "html": (_HTML.format(f"{status} Bad Gateway"), "text/html"),
            "text": ("upstream connect error or disconnect/reset before headers", "text/plain"),
            "empty": ("", ""),
        }.get(fault.kind, (fault.body, fault.content_type))
        return Response(status, text.encode(), [*headers, *([("content-type", content_type)] if content_type else [])])

    def _carried_out(
        self, request: Request, path: str, route: Route | None, headers: Headers, fault: Fault | None, *, full: bool
    ) -> Response:
        try:
            if path.startswith("/files/") and path == request.path:
                status, content_type, body = attachments.content(self.world, path)
                return Response(status, body, [self._dated(), ("content-type", content_type)])
            if request.headers.get("authorization") != f"Bearer {API_KEY}":
                raise RefusedError("PLATFORM.AUTHENTICATION_INVALID", "The API key is missing or not valid.")  # noqa: TRY301
            if self._window[1] > self.world.config.rate_limit:
                raise RefusedError("PLATFORM.RATE_LIMIT_EXCEEDED", "Too many requests.")  # noqa: TRY301
            if route is None:
                raise RefusedError(None, f"There is no {request.method} {path}.", 404)  # noqa: TRY301
            answer = self._operation(request, route, fault, full=full)
        except RefusedError as error:
            return Response(error.status, envelope(error.code, str(error)), [*headers, _JSON])
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        if isinstance(answer, Page):
            body = answer.zipped() if zipped else answer.plain()
        else:
            body = encode(answer)
            zipped = zipped and len(body) >= _GZIP_FROM
            body = gzip.compress(body, 1) if zipped else body
        if zipped:
            headers += [("content-encoding", "gzip"), ("vary", "accept-encoding")]
        return Response(200, body, [*headers, _JSON])

    def _operation(self, request: Request, route: Route, fault: Fault | None, *, full: bool) -> Any:
        if route.operation == "check_api_key":
            return {"status": "success", "data": {"environment_id": "demo", "customer_id": "demo"}}
        if route.operation == "get_integration":
            return {"status": "success", "data": self.control.describe(self.world.integration(route.ids[0]))}
        integration = self.world.integration(request.headers.get("x-integration-id"))
        settings = integration.settings
        code = settings.error or settings.models.get(route.collection or "") or None
        if code is None and route.kind in ("action", "limits"):
            code = settings.actions.get(route.operation)
        if code is not None:
            raise RefusedError(code, f"{route.operation} is not possible for this integration.")
        if route.collection:
            query = filters.parse(route.collection, request.pairs())
            return integration.page(route.collection, query, fault)
        if route.kind == "limits":
            return writes.limits(integration, route.operation)
        if full:
            raise RefusedError("PLATFORM.CONCURRENCY_LIMIT_EXCEEDED", "Too many actions at once for this integration.")
        host = request.headers.get("host", "127.0.0.1")
        return writes.carry_out(self.world, integration, route, request.body, f"http://{host}")


def envelope(code: str | None, message: str) -> bytes:
    """An error as the API words it.

    Args:
        code: Its code, or None.
        message: What is wrong.

    Returns:
        JSON.
    """
    title = code and code.partition(".")[2].replace("_", " ").capitalize()
    log_url = code and "https://app.kombo.example/demo/logs?interactionId=1"
    error = {"code": code, "title": title, "message": message, "log_url": log_url}
    return encode({"status": "error", "error": error})
