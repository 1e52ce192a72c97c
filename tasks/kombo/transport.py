"""How bytes get to Kombo: TLS, proxy, connections, and which base URLs are accepted."""

from __future__ import annotations

import functools
import ssl
import urllib.request
from importlib import metadata

import httpx

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def checked_base_url(text: str) -> str:
    """Check a base URL and cut a trailing slash off.

    Args:
        text: Such as `https://api.kombo.dev/v1`.

    Returns:
        The same, normalised.

    Raises:
        ValueError: It is no plain https URL; http is for loopback only.
    """
    try:
        url = httpx.URL(text.strip())
    except (httpx.InvalidURL, AttributeError, TypeError):
        raise ValueError("the Kombo base URL is not a URL") from None
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        raise ValueError("the Kombo base URL has to look like https://api.kombo.dev/v1")
    if url.scheme == "http" and url.host not in _LOOPBACK:
        raise ValueError("the Kombo base URL has to be https, or the key would travel in clear")
    return str(url).rstrip("/")


@functools.cache
def user_agent() -> str:
    """Name and version of this program."""
    try:
        return f"kombo-flows/{metadata.version('kombo-flows')}"
    except metadata.PackageNotFoundError:
        return "kombo-flows"


@functools.cache
def _tls() -> ssl.SSLContext:
    """The process's TLS settings; reading the certificates takes 30 ms, so once."""
    return httpx.create_ssl_context()


def pooled(base_url: str) -> httpx.HTTPTransport:
    """Make a pool of connections that serve one request after another.

    Args:
        base_url: A checked base URL; tells whether TLS and a proxy from the environment are needed.

    Returns:
        httpx's transport, which connects when first used.
    """
    return _transport(base_url, kept=64)


class Single(httpx.BaseTransport):
    """Opens a connection for each request, and closes it after the answer.

    For what must not be sent twice: a kept connection may be one that Kombo has just closed, and then nobody knows
    whether the request arrived. One pool that keeps none is not enough: while a thread ends its request, httpcore 1.0
    may hand its connection to another and close it under that one's (encode/httpcore#1110), once in some 300,000.

    Args:
        base_url: As for `pooled`.
    """

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; to close the response closes the connection."""
        return _transport(self._base_url, kept=0).handle_request(request)


def _transport(base_url: str, kept: int) -> httpx.HTTPTransport:
    url = httpx.URL(base_url)
    proxy = None
    if url.host not in _LOOPBACK and not urllib.request.proxy_bypass(url.host):
        proxies = urllib.request.getproxies()
        proxy = proxies.get(url.scheme) or proxies.get("all")
    return httpx.HTTPTransport(
        # Without TLS, a context that trusts nobody saves the time.
        verify=_tls() if url.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=kept, keepalive_expiry=20.0),
        proxy=proxy,
    )
