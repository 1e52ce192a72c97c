"""The actions: placeholders until they are written."""

from typing import Any

from deployments.demo.errors import RefusedError
from deployments.demo.routes import Route
from deployments.demo.world import Integration, World


def carry_out(world: World, integration: Integration, route: Route, body: bytes, origin: str) -> dict[str, Any]:
    """Not there yet."""
    raise RefusedError("INTEGRATION.ACTION_NOT_AVAILABLE", f"{world}{integration}{route}{body!r}{origin}")


def file(world: World, path: str) -> tuple[int, str, bytes]:
    """Not there yet."""
    raise RefusedError(None, f"{world} {path}", 404)
