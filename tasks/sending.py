"""Send one claimed row, and say what became of it."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from traceback import format_tb
from typing import Any

from pydantic import PrivateAttr

from tasks.credentials import KomboCredentials
from tasks.kombo.client import Client
from tasks.kombo.clock import Clock
from tasks.kombo.errors import (
    AccessDenied,
    InvalidRequest,
    KomboError,
    NotOffered,
    OutcomeUnknown,
    RequestRefused,
    SetupPending,
)
from tasks.kombo.exchange import Stopped
from tasks.lake.claims import After, Kind, Outcome
from tasks.lake.errors import LakeError
from tasks.lake.plans import PlanRow
from tasks.operations import OPERATIONS

# What Kombo sends in these places is shown only if it looks as it should: nobody else's words in an artifact.
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,40}\.[A-Z][A-Z0-9_]{0,60}")
_LOG_URL = re.compile(r"https?://[!-~]{1,400}")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    """How a request ended.

    Attributes:
        mark: What to leave beside the claim.
        outcome: Of the row.
        fatal: Why no more rows should be sent; None if they may be.
    """

    mark: After
    outcome: Outcome
    fatal: str | None = None


class Sender(KomboCredentials):
    """Credentials with one client for all rows, which stops waiting for a turn when the batch is cancelled."""

    _block_type_slug = "kombo-sending"
    _halt: threading.Event = PrivateAttr(default_factory=threading.Event)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _client: _Kept | None = PrivateAttr(None)

    def get_client(self) -> Client:
        """Return the client, which is made when it is first wanted; leaving its `with` does not close it."""
        with self._lock:
            if self._client is None:
                key = self.api_key.get_secret_value().strip()
                self._client = _Kept(key, self.base_url, clock=_Halting(self._halt))
            return self._client

    def halt(self) -> None:
        """Wait for no more turns; requests in flight are not disturbed."""
        self._halt.set()

    def close(self) -> None:
        """Close the client; nothing may be in flight any more."""
        self.halt()
        if self._client is not None:
            self._client.close()


class _Kept(Client):
    """A client that each operation uses in a `with`, as if it were its own, and that outlives it."""

    def __exit__(self, *_: object) -> None:
        """Leave it open for the next row: making one takes longer than using it."""


class _Halting(Clock):
    """A clock whose waits end with `Stopped` once the batch is cancelled."""

    def __init__(self, halt: threading.Event) -> None:
        self._halt = halt

    def wait(self, seconds: float, stop: threading.Event | None = None) -> None:  # noqa: ARG002 - ours instead
        if seconds > 0 and self._halt.wait(seconds):
            raise Stopped


def send(row: PlanRow, integration: str, run_id: str, sender: Sender) -> Sent:
    """Send a claimed row.

    Args:
        row: The row.
        integration: Integration id.
        run_id: The flow run.
        sender: Credentials.

    Returns:
        How it ended; nothing is raised but what ends the process.
    """
    known: dict[str, Any] = {"run_id": run_id, "sent_at": datetime.now(UTC)}
    try:
        warnings, created = _request(row, integration, sender)
    except OutcomeUnknown as error:
        return Sent("unknown", _failed(row, "unknown", error, known))
    except Stopped:
        # The client waits only after a try that did not run, or for a write that may be repeated.
        why = "cancelled while waiting for a turn"
        if OPERATIONS[row.operation].repeat == "unsafe":  # type: ignore[index]
            return Sent("unsent", Outcome(row.key, "refused", "cancelled", why, **known), why)
        return Sent("unknown", Outcome(row.key, "unknown", "cancelled", why, **known), why)
    except KomboError as error:
        final = isinstance(error, InvalidRequest | RequestRefused)
        denied = isinstance(error, NotOffered | AccessDenied | SetupPending)
        return Sent(
            "refused" if final else "unsent",
            _failed(row, "refused", error, known),
            f"not allowed here: {error}" if denied else None,
        )
    except (ValueError, TypeError, LakeError) as error:
        why = f"{type(error).__name__}: its arguments were not accepted"
        return Sent("refused", Outcome(row.key, "refused", type(error).__name__, why, **known))
    except Exception as error:
        # Where it happened, without its text, which may quote anything.
        logger.error(  # noqa: TRY400
            "A row met a %s that nobody foresaw:\n%s", type(error).__name__, "".join(format_tb(error.__traceback__))
        )
        why = f"{type(error).__name__}: see the log"
        return Sent("unknown", Outcome(row.key, "unknown", type(error).__name__, why, **known), why)
    known |= {"ended_at": datetime.now(UTC), "warnings": warnings, "created": created}
    return Sent("done", Outcome(row.key, "done", **known))


def _request(row: PlanRow, integration: str, sender: Sender) -> tuple[list[str], dict[str, str]]:
    operation = OPERATIONS[row.operation]  # type: ignore[index]
    arguments = operation.checked(integration, json.loads(row.arguments))
    answer = operation.task.fn(**arguments, credentials=sender)
    if isinstance(answer, Mapping):
        data = answer.get("data") or {}
        created = {name: data[name] for name in ("id", "imported_id") if isinstance(data.get(name), str)}
        return list(answer.get("warnings") or ()), created
    return list(answer or ()), {}


def _failed(row: PlanRow, kind: Kind, error: KomboError, known: dict[str, Any]) -> Outcome:
    code = type(error).__name__
    if error.code:
        code = error.code if _CODE.fullmatch(error.code) else f"{code}, unlisted code"
    log_url = error.log_url if error.log_url and _LOG_URL.fullmatch(error.log_url) else None
    return Outcome(row.key, kind, code=code, why=error.detail, log_url=log_url, ended_at=datetime.now(UTC), **known)
