"""What can go wrong between us and Kombo, sorted by what the caller does about it.

::

    KomboError
    ├── TryLater              wait; the client has already waited as long as is sensible
    │   ├── RateLimited       too many requests for the key, or for the ATS behind the integration
    │   ├── ConcurrencyLimited    too many actions in flight on the integration; refused before running
    │   └── Unavailable       Kombo, the ATS or the network did not answer properly
    ├── InvalidRequest        fix what was sent
    ├── AccessDenied          fix the access
    │   ├── KeyRefused        concerns every integration of the key
    │   ├── IntegrationRefused    concerns this integration: gone, paused, not set up, or its ATS login is broken
    │   └── PermissionMissing concerns one model or action of this integration
    ├── SetupPending          the integration's first sync is still running: skip it, it will be there later
    ├── NotOffered            the ATS lacks the model or action, or the customer switched it off: skip it
    ├── RequestRefused        the ATS said no to this one record
    ├── BadAnswer             an answer outside the contract: HTML, empty, not JSON, no data
    └── OutcomeUnknown        a write that was sent and may or may not have happened; never sent again by us

Branch on the class, or on `code`; never on `message`, which Kombo words differently each time. A write that raises
anything but `OutcomeUnknown` did not run.

The text of an error is made of our own words, the code, the status, the method with the path's template, the ids and
Kombo's log URL. Kombo's `message` echoes what was sent, which may be a person's data: it stays an attribute, is left
out of the text and out of pickles, and should not be logged. The same caution holds for `title`, static by contract.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,40}\.[A-Z][A-Z0-9_]{0,60}")
_LOG_URL = re.compile(r"https?://[!-~]{1,400}")


class KomboError(Exception):
    """Anything that Kombo refused or that failed on the way.

    Args:
        code: Kombo's code, such as `PLATFORM.INPUT_INVALID`; None if the answer had none.
        title: Kombo's label for the code.
        message: Kombo's words on this request. May hold personal data: never log it.
        log_url: The page of Kombo's dashboard that shows this request in full.
        status: HTTP status; None if there was no answer.
        detail: What happened in our own words, free of personal data.
        request: Method and path template, such as `GET /ats/applications`.
        integration: The integration id that the request named.

    Attributes:
        collection: Set by a walk through a collection.
        page: Number of the page, from 1, set by a walk through a collection.
    """

    def __init__(
        self,
        code: str | None = None,
        title: str | None = None,
        message: str | None = None,
        log_url: str | None = None,
        status: int | None = None,
        *,
        detail: str | None = None,
        request: str | None = None,
        integration: str | None = None,
    ) -> None:
        super().__init__()
        self.code = code
        self.title = title
        self.message = message
        self.log_url = log_url
        self.status = status
        self.detail = detail
        self.request = request
        self.integration = integration
        self.collection: str | None = None
        self.page: int | None = None

    def __str__(self) -> str:
        parts = []
        if self.collection is not None:
            parts.append(f"{self.collection}, page {self.page}:" if self.page else f"{self.collection}:")
        parts.append(self.detail or type(self).__name__)
        facts = [f"code {self.code}" if _CODE.fullmatch(self.code) else "unlisted code"] if self.code else []
        facts += [f"HTTP {self.status}"] if self.status else []
        facts += [self.request] if self.request else []
        facts += [f"integration {self.integration}"] if self.integration else []
        facts += self._facts()
        if facts:
            parts.append(f"({', '.join(facts)})")
        if self.log_url and _LOG_URL.fullmatch(self.log_url):
            parts.append(f"Log: {self.log_url}")
        return " ".join(parts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle may end in a result store or a state, so the one part that may be personal stays behind.
        return _restored, (type(self), {**self.__dict__, "message": None})

    def _facts(self) -> list[str]:
        """What a subclass adds to the text."""
        return []


def _restored(kind: type[KomboError], state: dict[str, Any]) -> KomboError:
    error = kind.__new__(kind)
    error.__dict__.update(state)
    return error


class TryLater(KomboError):
    """Nothing is wrong with the request; it may pass later.

    Attributes:
        retry_after: Seconds that the server asked us to wait, if it did.
    """

    retry_after: float | None = None


class RateLimited(TryLater):
    """Too many requests: for the key (`PLATFORM.…`) or for the ATS (`REMOTE.…`). The request did not run."""


class ConcurrencyLimited(TryLater):
    """Too many actions in flight on this integration. The request did not run."""


class Unavailable(TryLater):
    """Kombo, the ATS or the network did not answer properly.

    Attributes:
        sent: False if the request certainly never left, such as a refused connection.
    """

    sent: bool = True


class InvalidRequest(KomboError):
    """Kombo or the ATS does not accept what was sent."""


class AccessDenied(KomboError):
    """The request was understood and is not allowed."""


class KeyRefused(AccessDenied):
    """The API key or the address that we call from is refused: nothing will work with it."""


class IntegrationRefused(AccessDenied):
    """Nothing will work on this integration until somebody acts; others are not concerned."""


class PermissionMissing(AccessDenied):
    """The customer's ATS account lacks a permission for this model or action."""


class SetupPending(KomboError):
    """The integration's first sync has not finished; that takes seconds to hours."""


class NotOffered(KomboError):
    """This integration has no such model or action, or the customer switched it off."""


class RequestRefused(KomboError):
    """The ATS said no to this one record, for instance because the job is closed."""


class BadAnswer(KomboError):
    """The answer breaks the contract, so it says nothing; least of all that there are no records."""


class OutcomeUnknown(KomboError):
    """A write was sent and we cannot know whether it happened. Look in the ATS before doing it again.

    Attributes:
        operation: Name of the operation, such as `reject_application`.
        ids: The ids in the request's path, by name.
        sent_at: When it was sent, in UTC by our clock; for repeated tries, the first that may have run.
    """

    def __init__(self, *, operation: str, ids: Mapping[str, str], sent_at: datetime, cause: KomboError) -> None:
        super().__init__(
            cause.code,
            cause.title,
            cause.message,
            cause.log_url,
            cause.status,
            detail=f"Outcome unknown: {operation} was sent and may have happened. {cause.detail or ''}".rstrip(),
            request=cause.request,
            integration=cause.integration,
        )
        self.operation = operation
        self.ids = dict(ids)
        self.sent_at = sent_at

    def _facts(self) -> list[str]:
        return [*(f"{name} {value}" for name, value in self.ids.items()), f"sent {self.sent_at:%Y-%m-%dT%H:%M:%SZ}"]


class Meaning(NamedTuple):
    """What a code means to us: its class, and the sentence that an operator reads."""

    kind: type[KomboError]
    sentence: str


CODES: Mapping[str, Meaning] = {
    "PLATFORM.RATE_LIMIT_EXCEEDED": Meaning(RateLimited, "Kombo's request limit is used up."),
    "REMOTE.RATE_LIMIT_EXCEEDED": Meaning(RateLimited, "The ATS's own request limit is used up."),
    "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED": Meaning(
        ConcurrencyLimited, "Too many actions are in flight on this integration."
    ),
    "REMOTE.SERVICE_UNAVAILABLE": Meaning(Unavailable, "The ATS is not reachable."),
    "PLATFORM.TASK_TIMED_OUT": Meaning(Unavailable, "Kombo stopped waiting for the ATS."),
    "PLATFORM.UNKNOWN_ERROR": Meaning(Unavailable, "Kombo had an error of its own."),
    "PLATFORM.INPUT_INVALID": Meaning(InvalidRequest, "Kombo does not accept the request's parameters or body."),
    "REMOTE.INPUT_INVALID": Meaning(InvalidRequest, "The ATS does not accept what was sent."),
    "PLATFORM.AUTHENTICATION_INVALID": Meaning(
        KeyRefused, "The API key is not valid here: check the key, its environment and the region."
    ),
    "PLATFORM.IP_NOT_WHITELISTED": Meaning(
        KeyRefused, "The key may not be used from this address: add it to the key's allow-list in Kombo."
    ),
    "PLATFORM.INTEGRATION_NOT_FOUND": Meaning(
        IntegrationRefused, "There is no such integration: check the id, the key's environment and the region."
    ),
    "INTEGRATION.AUTHENTICATION_INVALID": Meaning(
        IntegrationRefused, "The ATS refuses the customer's login: the customer has to reconnect."
    ),
    "INTEGRATION.INACTIVE": Meaning(IntegrationRefused, "The integration is paused: reactivate it in Kombo."),
    "INTEGRATION.SETUP_INCOMPLETE": Meaning(
        IntegrationRefused, "The integration's setup is not complete: finish it in Kombo."
    ),
    "INTEGRATION.QA_FAILED": Meaning(IntegrationRefused, "The integration did not pass Kombo's checks: ask Kombo."),
    "INTEGRATION.PERMISSION_MISSING": Meaning(
        PermissionMissing, "The customer's ATS account lacks the permission for this."
    ),
    "INTEGRATION.SETUP_SYNC_PENDING": Meaning(SetupPending, "The integration's first sync is still running."),
    "INTEGRATION.MODEL_NOT_AVAILABLE": Meaning(NotOffered, "Kombo does not offer this model for this ATS."),
    "INTEGRATION.MODEL_DISABLED": Meaning(NotOffered, "This model is switched off in the integration's scope."),
    "INTEGRATION.ACTION_NOT_AVAILABLE": Meaning(NotOffered, "Kombo does not offer this action for this ATS."),
    "INTEGRATION.ACTION_DISABLED": Meaning(NotOffered, "This action is switched off in the integration's scope."),
    "REMOTE.UNKNOWN_HTTP_ERROR": Meaning(RequestRefused, "The ATS answered with an error that Kombo does not know."),
    "ATS.JOB_CLOSED": Meaning(RequestRefused, "The job takes no applications any more."),
    "ATS.APPLICATION_ALREADY_EXISTS": Meaning(RequestRefused, "This candidate has already applied to this job."),
}

_BY_STATUS: Mapping[int, Meaning] = {
    401: Meaning(KeyRefused, "The API key is refused."),
    403: Meaning(AccessDenied, "The request is not allowed."),
    404: Meaning(InvalidRequest, "There is nothing at this address: check the base URL and the ids."),
    408: Meaning(Unavailable, "The server stopped waiting for the request."),
    409: Meaning(RequestRefused, "The request conflicts with the present state."),
    425: Meaning(RateLimited, "The server asks to come back later."),
    429: Meaning(RateLimited, "Too many requests."),
}


def meaning(code: str | None, status: int) -> Meaning:
    """Say what an error answer means: by its code where that is known, else by its HTTP status.

    Args:
        code: Kombo's code, or None.
        status: HTTP status of the answer; codes are obeyed whatever the status, which may change without notice.

    Returns:
        The class to raise and a sentence for the operator.
    """
    if code is not None and code in CODES:
        return CODES[code]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return Meaning(Unavailable, "The server failed.")
    if 400 <= status < 500:
        if code is not None and code.startswith("ATS."):
            return Meaning(RequestRefused, "The ATS said no to this record.")
        return Meaning(InvalidRequest, "The request is not accepted.")
    return Meaning(BadAnswer, "The answer is not one that Kombo documents.")
