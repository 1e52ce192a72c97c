"""Receive Kombo's `data-changed` webhook, and have what changed exported.

    KOMBO_WEBHOOK_SECRET=... PREFECT_API_URL=... python -m deployments.webhook

`POST /` takes what Kombo sends, `GET /health` says that it is well. It emits the event `kombo.data-changed`, which the
automation of that name turns into a run of `kombo-export/nightly`. That deployment cancels a run that starts while
another has its only slot; so events are emitted one at a time, while no export runs or is about to, and one whose run
was cancelled all the same is emitted again.

What waits is kept in memory. It is emitted when the receiver is told to end; what cannot be emitted then, or is lost in
a crash, the next nightly export brings. After a restart a repeated message is taken for a new one, which costs an
export of nothing. Put a proxy with TLS in front of it.
"""

import argparse
import asyncio
import base64
import contextlib
import datetime as dt
import hashlib
import hmac
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Iterable
from uuid import UUID

import uvicorn
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events.clients import get_events_client
from prefect.events.schemas.events import Event, Resource
from prefect.settings import PREFECT_API_URL
from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from deployments.changed import Change, Inbox, affected
from tasks.parameters import IntegrationId

EVENT = "kombo.data-changed"
DEPLOYMENT = "kombo-export/nightly"
MOST_BYTES = 64 * 1024  # of a message; Kombo's have a few hundred
MOST_SECONDS = 10  # to send it in
BEFORE_NIGHT = dt.timedelta(minutes=30)  # the nightly run is not to find the slot taken

_HAS_THE_SLOT = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
_log = logging.getLogger("deployments.webhook")


class NotStarted(RuntimeError):
    """No run came of an event, or it was cancelled because another had the slot."""


class _Message(BaseModel):
    id: str = Field(max_length=200)
    type: str = Field(max_length=200)


class _Model(BaseModel):
    name: str


class _Data(BaseModel):
    integration_id: IntegrationId
    changed_models: list[_Model]


class _DataChanged(_Message):
    data: _Data


class Nightly:
    """The deployment `kombo-export/nightly` on the server that PREFECT_API_URL names.

    Args:
        poll: Seconds between two looks at a run that has not started.
        patience: Seconds that the automation is given to make a run.
    """

    def __init__(self, poll: float = 2, patience: float = 60) -> None:
        self._poll, self._patience = poll, patience

    async def busy(self) -> bool:
        """Whether an export has the deployment's slot, or will within half an hour."""
        soon = dt.datetime.now(dt.UTC) + BEFORE_NIGHT
        running = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_HAS_THE_SLOT)))
        coming = FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
            next_scheduled_start_time=FlowRunFilterNextScheduledStartTime.model_validate({"before_": soon}),
        )
        return bool(await self._runs(running, limit=1) or await self._runs(coming, limit=1))

    async def emit(self, change: Change) -> set[UUID]:
        """Emit an event.

        Returns:
            The runs that there were before.
        """
        before = {run.id for run in await self._runs()}
        several = len(change.integrations) > 1
        named = "kombo.integrations" if several else f"kombo.integration.{change.integrations[0]}"
        event = Event(event=EVENT, resource=Resource({"prefect.resource.id": named}), payload=change.parameters())
        async with get_events_client(reconnection_attempts=0, checkpoint_every=1) as events:
            await events.emit(event)
        return before

    async def started(self, change: Change, before: set[UUID]) -> None:
        """Wait until an event's run has the slot, for as long as it waits for a worker.

        Raises:
            NotStarted: There is none, or it was cancelled for another.
        """
        wanted, until = change.parameters().items(), time.monotonic() + self._patience
        while True:
            await asyncio.sleep(self._poll)
            new = [run for run in await self._runs() if run.id not in before and wanted <= run.parameters.items()]
            if not new and time.monotonic() > until:
                raise NotStarted("no run came of the event; is the automation kombo-data-changed there, and enabled?")
            states = [run.state for run in new if run.state and run.state.type != StateType.SCHEDULED]
            if any(one.type == StateType.CANCELLED and "oncurrency" in (one.message or "") for one in states):
                raise NotStarted("another export had the slot")
            if states:
                return

    async def _runs(self, which: FlowRunFilter | None = None, limit: int = 20) -> list[FlowRun]:
        flow, deployment = DEPLOYMENT.split("/")
        async with get_client() as client:
            return await client.read_flow_runs(
                flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
                deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[deployment])),
                flow_run_filter=which,
                sort=FlowRunSort.EXPECTED_START_TIME_DESC,
                limit=limit,
            )


async def deliver(inbox: Inbox, nightly: Nightly, *, poll: float = 2, longest: float = 300) -> None:
    """Emit what waits, one change at a time, while no export runs; never ends.

    Args:
        inbox: What waits.
        nightly: Exports it.
        poll: Seconds between two looks.
        longest: Seconds between two attempts, at most, while Prefect does not answer.
    """
    pause = poll
    while True:
        await asyncio.sleep(pause)
        if not inbox:
            pause = poll
            continue
        try:
            if not await nightly.busy() and (change := inbox.take()):
                await _deliver(change, inbox, nightly)
            pause = poll
        except Exception as error:  # whatever it is, what waits goes on waiting
            pause = min(max(pause, 1) * 2, longest)
            said = str(error) if isinstance(error, NotStarted) else type(error).__name__
            _log.warning("%d integrations wait, and are tried again in %.0f s: %s", len(inbox), pause, said)


async def _deliver(change: Change, inbox: Inbox, nightly: Nightly) -> None:
    try:
        before = await nightly.emit(change)
    except BaseException:  # one that is told to end emits it once more
        inbox.put_back(change)
        raise
    try:
        await nightly.started(change, before)
    except Exception:
        inbox.put_back(change)
        raise
    _log.info("%s: an export of %d collections has started", change.integrations[0], len(change.collections))


async def flush(inbox: Inbox, nightly: Nightly, within: float = 4) -> None:
    """Emit everything that waits as one event, since there is no time for one after another.

    Args:
        inbox: What waits.
        nightly: Exports it.
        within: Seconds.
    """
    change = inbox.take_all()
    if not change:
        return
    said = "an export runs"
    try:
        async with asyncio.timeout(within):
            if not await nightly.busy():
                await nightly.emit(change)
                _log.info("the last event is of %d integrations", len(change.integrations))
                return
    except Exception as error:  # the process ends in any case
        said = type(error).__name__
    _log.error("left to the nightly export (%s): %s", said, ", ".join(change.integrations[:100]))


def signed(secret: str, body: bytes, signatures: list[str]) -> bool:
    """Whether a message is Kombo's: HMAC-SHA256 of the body as received, base64url without padding.

    Args:
        secret: The webhook's secret, from Kombo's dashboard.
        body: As received; parsed and written again it would be another.
        signatures: The values of `X-Kombo-Signature`, of which there has to be one.
    """
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    expected = base64.urlsafe_b64encode(digest).rstrip(b"=")
    given = signatures[0].encode() if len(signatures) == 1 else b""
    return hmac.compare_digest(expected, given)


def application(
    secret: str, inbox: Inbox, nightly: Nightly, *, integrations: Iterable[str] = (), poll: float = 2
) -> Starlette:
    """Make the ASGI application.

    Args:
        secret: The webhook's secret.
        inbox: Takes what changed.
        nightly: Exports it.
        integrations: Those to export; none for all.
        poll: Seconds between two looks at what waits.

    Raises:
        ValueError: The secret is empty.
    """
    if not secret:
        raise ValueError("KOMBO_WEBHOOK_SECRET is not set; without it anybody could start exports")
    allowed = frozenset(integrations)
    at_work: list[asyncio.Task[None]] = []

    async def receive(request: Request) -> Response:
        """Answer 2xx to whatever is Kombo's, known here or not: it is no error of Kombo's."""
        body = bytearray()
        try:
            async with asyncio.timeout(MOST_SECONDS):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > MOST_BYTES:
                        return PlainTextResponse("too large", 413)
        except (TimeoutError, ClientDisconnect):
            return PlainTextResponse("incomplete", 408)
        if not signed(secret, bytes(body), request.headers.getlist("x-kombo-signature")):
            _log.warning("refused: the signature is wrong or missing")
            return PlainTextResponse("wrong signature", 401)
        try:
            message = _Message.model_validate_json(body)
            if message.type != "data-changed":
                _log.info("ignored: another type of message")
                return PlainTextResponse("ignored")
            return take(_DataChanged.model_validate_json(body))
        except ValidationError as error:
            _log.warning("refused: signed, but not as documented in %d places", error.error_count())
            return PlainTextResponse("not as documented", 400)

    def take(message: _DataChanged) -> Response:
        integration, models = message.data.integration_id, [one.name for one in message.data.changed_models]
        collections = affected(models)
        if not collections:
            _log.info("%s: ignored: none of %d changed models is of a collection", integration, len(models))
            return PlainTextResponse("ignored")
        if allowed and integration not in allowed:
            _log.info("%s: ignored: not one of those to export", integration)
            return PlainTextResponse("ignored")
        if inbox.seen(message.id):
            return PlainTextResponse("seen before")
        if not inbox.add(message.id, integration, collections):
            _log.error("%s: refused: too many integrations wait", integration)
            return PlainTextResponse("no room", 503)
        return PlainTextResponse("accepted", 202)

    async def health(_: Request) -> Response:
        well = bool(at_work) and not at_work[0].done()
        return PlainTextResponse(f"{len(inbox)} integrations wait", 200 if well else 503)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        at_work.append(asyncio.create_task(deliver(inbox, nightly, poll=poll)))
        yield
        at_work[0].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await at_work[0]
        await flush(inbox, nightly)

    return Starlette(routes=[Route("/", receive, methods=["POST"]), Route("/health", health)], lifespan=lifespan)


def main() -> None:
    """Serve until told to end."""
    env = os.environ.get
    parser = argparse.ArgumentParser(
        prog="python -m deployments.webhook",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Each has a variable too: KOMBO_WEBHOOK_HOST and so on. The secret has only its variable.",
    )
    parser.add_argument("--host", default=env("KOMBO_WEBHOOK_HOST", "127.0.0.1"), help="0.0.0.0 in a container")
    parser.add_argument("--port", type=int, default=env("KOMBO_WEBHOOK_PORT", "8080"))
    parser.add_argument(
        "--integrations",
        default=env("KOMBO_WEBHOOK_INTEGRATIONS", ""),
        help="ids of those to export, separated by commas; empty for all",
    )
    parser.add_argument(
        "--quiet",
        type=float,
        default=env("KOMBO_WEBHOOK_QUIET", "20"),
        help="seconds without news of an integration after which its burst is over",
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("deployments").setLevel(logging.INFO)
    if not PREFECT_API_URL.value():
        sys.exit("PREFECT_API_URL is not set: there is nobody to tell")
    integrations = [one.strip() for one in options.integrations.split(",") if one.strip()]
    try:
        app = application(env("KOMBO_WEBHOOK_SECRET", ""), Inbox(options.quiet), Nightly(), integrations=integrations)
    except ValueError as error:
        sys.exit(str(error))
    uvicorn.run(
        app,
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        limit_concurrency=100,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
