"""Kombo's answers: what is a success, and which error an answer is when it is none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from tasks.kombo.errors import BadAnswer, KomboError, RateLimited, TryLater, Unavailable, meaning


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, read to its end.

    Attributes:
        status: HTTP status.
        headers: By name, any case.
        body: Decoded from its content encoding.
        request: Method and path template of the request, for errors.
        integration: The integration that it concerned.
        local: When the headers arrived, UTC by our clock.
        elapsed: Seconds from sending to the headers' arrival.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    request: str
    integration: str
    local: datetime
    elapsed: float

    @property
    def date(self) -> datetime | None:
        """When the server answered by its own `Date` header, whole seconds in UTC; None without a usable one."""
        return http_date(self.headers.get("date"))

    @property
    def received_at(self) -> datetime:
        """When the answer came: the server's `Date` where present, else our clock."""
        return self.date or self.local

    @property
    def sent_at(self) -> datetime:
        """When the request was sent, on the same clock as `received_at`: that, less the time the answer took."""
        return self.received_at - timedelta(seconds=self.elapsed)

    @property
    def skew(self) -> float | None:
        """Seconds by which our clock is ahead of the server's, good to about a second; None without a `Date`."""
        date = self.date
        # `Date` is cut to whole seconds, so it stands for half a second later on average.
        return None if date is None else (self.local - date).total_seconds() - 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer to an operation.

    Attributes:
        data: The decoded `data`.
        warnings: What went only partly right, in Kombo's words; may hold personal data.
        status: HTTP status.
        headers: By name, any case.
        sent_at: When the request was sent, in UTC by the server's clock where it tells.
    """

    data: Any
    warnings: tuple[str, ...]
    status: int
    headers: Mapping[str, str]
    sent_at: datetime


class _Warning(msgspec.Struct):
    message: str | None = None


class _Success(msgspec.Struct):
    status: str
    data: msgspec.Raw
    warnings: list[_Warning] | None = None


class _PageData(msgspec.Struct):
    results: list[msgspec.Raw]
    next: str | None


class _PageEnvelope(msgspec.Struct):
    status: str
    data: _PageData


_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_success = msgspec.json.Decoder(_Success)
_page = msgspec.json.Decoder(_PageEnvelope)


def body(reply: Reply) -> bytes:
    """Return the body of a successful answer.

    Args:
        reply: The answer.

    Returns:
        The JSON as it came.

    Raises:
        KomboError: It is an error or breaks the contract.
    """
    _checked(reply)
    return reply.body


def answer(reply: Reply) -> Answer:
    """Decode a successful answer to an operation.

    Args:
        reply: The answer.

    Returns:
        Its data and warnings.

    Raises:
        KomboError: It is an error or breaks the contract.
    """
    success = _checked(reply)
    try:
        data = msgspec.json.decode(success.data)
    except _UNREADABLE:
        raise problem(reply, "Its data is not valid JSON.") from None
    warnings = tuple(warning.message for warning in success.warnings or () if warning.message)
    return Answer(data, warnings, reply.status, reply.headers, reply.sent_at)


def page(reply: Reply) -> tuple[list[msgspec.Raw], str | None]:
    """Split a page of a collection.

    Args:
        reply: The answer.

    Returns:
        The records, each as its JSON, not looked into, and the next cursor, None after the last page.

    Raises:
        KomboError: It is an error or breaks the contract.
    """
    if reply.status == 200:
        try:
            envelope = _envelope(reply.body)
        except _UNREADABLE:
            _checked(reply)
            raise problem(reply, "Its data has no list of results, or does not say whether a page follows.") from None
        if envelope.status == "success" and envelope.data.next != "":
            return envelope.data.results, envelope.data.next
    raise problem(reply)


_ESCAPES = re.compile(
    rb"\\(?:u(d[89ab][0-9a-f]{2})(?:\\u(d[c-f][0-9a-f]{2}))?|u(d[c-f][0-9a-f]{2})|.)", re.IGNORECASE | re.DOTALL
)


def mended(body: bytes) -> bytes:
    """Return JSON in which all text can be decoded: what is no character becomes U+FFFD, the replacement character.

    An ATS may hold half of a character, cut off by a field's length: valid as JSON, but not as text. One such name must
    not fail the page that it is on.

    Args:
        body: JSON; most has nothing to mend and is returned as it is.
    """
    if b"\\ud" in body or b"\\uD" in body:
        body = _ESCAPES.sub(_whole_or_replaced, body)
    try:
        body.decode()
    except UnicodeDecodeError:
        return body.decode(errors="replace").encode()
    return body


def _envelope(body: bytes) -> _PageEnvelope:
    try:
        return _page.decode(body)
    except _UNREADABLE:
        return _page.decode(mended(body))


def _whole_or_replaced(escape: re.Match[bytes]) -> bytes:
    high, low, alone = escape.groups()
    return b"\\ufffd" if alone or (high and not low) else escape[0]


def _checked(reply: Reply) -> _Success:
    """Decode the envelope of a success, or raise what the answer is instead."""
    if 200 <= reply.status < 300:
        try:
            success = _success.decode(reply.body)
        except _UNREADABLE:
            raise problem(reply) from None
        if success.status == "success" and bytes(success.data) != b"null":
            return success
    raise problem(reply)


def problem(reply: Reply, flaw: str | None = None) -> KomboError:
    """Make the error that an answer is.

    Args:
        reply: An answer that is no success.
        flaw: What is wrong with it, if the caller knows.

    Returns:
        The error, not raised, with what the server said about waiting.
    """
    fields, seen = _error_fields(reply.body)
    code = fields.get("code")
    kind, sentence = meaning(code, reply.status)
    if kind is BadAnswer:
        sentence = f"The answer is not one that Kombo documents. {flaw or seen}"
    error = kind(
        code,
        fields.get("title"),
        fields.get("message"),
        fields.get("log_url"),
        reply.status,
        detail=sentence,
        request=reply.request,
        integration=reply.integration,
    )
    if isinstance(error, TryLater):
        error.retry_after = _told(error, reply)
    return error


def may_have_run(error: KomboError) -> bool:
    """Whether a request that ended so may have had its effect all the same.

    A coded refusal and every 4xx say that it had none. A 5xx says nothing, even with the codes for "the ATS did not
    answer" and "Kombo stopped waiting": the ATS may have got it. So does the code for an answer of the ATS that Kombo
    does not know, which may be an error after the fact.
    """
    lost = isinstance(error, BadAnswer) or (isinstance(error, Unavailable) and error.sent)
    return lost or error.code == "REMOTE.UNKNOWN_HTTP_ERROR"


def http_date(text: str | None) -> datetime | None:
    """Parse an HTTP date; None if there is none or it is none."""
    if not text:
        return None
    try:
        parsed = parsedate_to_datetime(text)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def seconds(text: str | None) -> float | None:
    """Parse a header's number of seconds; None if there is none or it makes no sense."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _told(error: TryLater, reply: Reply) -> float | None:
    """How many seconds the server asks to wait, by `Retry-After` and, for Kombo's own request limit, its reset."""
    text = reply.headers.get("retry-after")
    told = seconds(text)
    if told is None and (until := http_date(text)) is not None:
        told = max(0.0, (until - reply.received_at).total_seconds())
    if isinstance(error, RateLimited) and error.code != "REMOTE.RATE_LIMIT_EXCEEDED":
        # The other limits are not the key's, and its reset says nothing about them.
        reset = seconds(reply.headers.get("ratelimit-reset"))
        told = reset if told is None else max(told, reset or 0.0)
    return told


def _error_fields(raw: bytes) -> tuple[dict[str, str], str]:
    """Read the error envelope as leniently as possible: its text fields, and what the body looks like."""
    if not raw.strip():
        return {}, "It is empty."
    try:
        decoded = msgspec.json.decode(raw)
    except _UNREADABLE:
        return {}, "It is HTML." if raw.lstrip()[:1] == b"<" else "It is not valid JSON."
    if not isinstance(decoded, dict):
        return {}, "It is JSON, but no object."
    error = decoded.get("error")
    if isinstance(error, dict):
        return {key: value for key, value in error.items() if isinstance(value, str)}, "It reports an error."
    if decoded.get("status") != "success":
        return {}, "It does not report success."
    return {}, "It has no data." if decoded.get("data") is None else "Its data is not what was asked for."
