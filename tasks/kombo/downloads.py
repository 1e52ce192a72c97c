"""Fetching a file behind a link of Kombo's: streamed, bounded, and refused if it is not what was announced.

The link in an attachment's `data_url` leads away from the API, to storage. So the API key is not sent there, and
neither the link nor what is behind it is trusted: https only, a few redirects, a most number of bytes, the announced
content type or nothing. A link works for a short time; when it is refused, the attachments have to be listed again.
"""

from __future__ import annotations

from typing import IO

import httpx

from tasks.kombo.errors import BadAnswer, KomboError, RequestRefused, Unavailable
from tasks.kombo.transport import Single, user_agent

MOST_BYTES = 100 * 2**20
_REDIRECTS = 5
_TIMEOUT = {"connect": 10.0, "read": 60.0, "write": 60.0, "pool": 60.0}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

# How a file of a kind begins: a page with a login form is sometimes served under the type of what it stands for.
_BEGINNINGS = {
    "application/pdf": (b"%PDF-",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": (b"PK\x03\x04",),
}


def media_type(text: str | None) -> str:
    """Reduce a `Content-Type` to its type, in lower case and without parameters; empty for None."""
    return (text or "").partition(";")[0].strip().lower()


def download(url: str, into: IO[bytes], *, content_type: str, most: int = MOST_BYTES) -> int:
    """Fetch a file.

    Args:
        url: The link.
        into: Where to; on an error it holds a part.
        content_type: What was announced; anything else is refused.
        most: Bytes after which to stop and refuse.

    Returns:
        Bytes written.

    Raises:
        RequestRefused: The link is not accepted any more; list the attachments again.
        BadAnswer: It is not what was announced, is empty, or too large.
        Unavailable: The storage did not answer properly; it may work later.
        ValueError: The link is no https URL.
    """
    at = _checked(url, local=True)
    for _ in range(_REDIRECTS + 1):
        try:
            request = httpx.Request(
                "GET",
                at,
                headers={"User-Agent": user_agent(), "Accept-Encoding": "identity"},
                extensions={"timeout": _TIMEOUT},
            )
            # httpx's own client would log the link, which may hold a token or a name.
            response = Single(str(at)).handle_request(request)
            try:
                if response.status_code in (301, 302, 303, 307, 308):
                    at = _checked(str(at.join(response.headers.get("location", ""))), local=_is_local(at))
                    continue
                return _received(response, into, media_type(content_type), most)
            finally:
                response.close()
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise _problem(Unavailable, f"The file was lost on its way: {type(error).__name__}.") from None
    raise _problem(BadAnswer, "The link leads from one place to the next without end.")


def _received(response: httpx.Response, into: IO[bytes], expected: str, most: int) -> int:
    status = response.status_code
    if status == 429 or status >= 500:
        raise _problem(Unavailable, "The storage failed.", status)
    if status != 200:
        raise _problem(RequestRefused, "The link is not accepted (any more); list the attachments again.", status)
    found = media_type(response.headers.get("content-type"))
    if found != expected:
        raise _problem(BadAnswer, "The file is not of the announced content type.", status)
    size = 0
    start = b""
    for chunk in response.iter_bytes():
        size += len(chunk)
        if size > most:
            raise _problem(BadAnswer, f"The file is larger than {most} bytes.", status)
        if len(start) < 16:
            start += chunk[:16]
        into.write(chunk)
    if size == 0:
        raise _problem(BadAnswer, "The file is empty.", status)
    if expected in _BEGINNINGS and not start.startswith(_BEGINNINGS[expected]):
        raise _problem(BadAnswer, "The file does not begin like one of the announced content type.", status)
    return size


def _checked(url: str, *, local: bool) -> httpx.URL:
    # Loopback is for stand-ins; a link from elsewhere must not lead there.
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        raise ValueError("data_url: expected an https URL") from None
    if not parsed.host or parsed.userinfo or not (parsed.scheme == "https" or (local and _is_local(parsed))):
        raise ValueError("data_url: expected an https URL")
    return parsed


def _is_local(url: httpx.URL) -> bool:
    return url.scheme == "http" and url.host in _LOOPBACK


def _problem(kind: type[KomboError], detail: str, status: int | None = None) -> KomboError:
    return kind(detail=detail, status=status, request="GET data_url")
