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


def transport(base_url: str, *, keep_alive: bool) -> httpx.HTTPTransport:
    """Make a connection pool.

    Args:
        base_url: A checked base URL; tells whether TLS and a proxy from the environment are needed.
        keep_alive: Whether connections serve more than one request.

    Returns:
        httpx's transport, which connects when first used.
    """
    url = httpx.URL(base_url)
    proxy = None
    if url.host not in _LOOPBACK and not urllib.request.proxy_bypass(url.host):
        proxies = urllib.request.getproxies()
        proxy = proxies.get(url.scheme) or proxies.get("all")
    return httpx.HTTPTransport(
        # Without TLS, a context that trusts nobody saves the time.
        verify=_tls() if url.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        limits=httpx.Limits(
            max_connections=None, max_keepalive_connections=64 if keep_alive else 0, keepalive_expiry=20.0
        ),
        proxy=proxy,
    )
