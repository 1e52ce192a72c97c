"""What tests, benchmarks and the demo may ask of the server besides the API: faults, settings, and what it saw."""

from typing import Any

import msgspec

from deployments.demo.faults import Fault, Script
from deployments.demo.store import COLLECTIONS
from deployments.demo.world import Integration, Logged, World


class Control:
    """The control surface, the same in the process and over ``POST /_demo/<name>`` with JSON arguments.

    Args:
        world: The data and settings.
        script: The faults.
        requests: Log of requests.
    """

    def __init__(self, world: World, script: Script, requests: list[Logged]) -> None:
        self._world = world
        self._script = script
        self._requests = requests

    def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """Carry out a command.

        Args:
            name: Name of a public method of this class.
            arguments: Its keyword arguments.

        Returns:
            Its answer: something that JSON can hold, or JSON itself as bytes.

        Raises:
            LookupError: If there is no such command.
        """
        method = getattr(self, name, None)
        if name.startswith("_") or name == "call" or not callable(method):
            raise LookupError(f"no command {name!r}")
        return method(**arguments)

    def info(self) -> dict[str, Any]:
        """The integrations, and how each behaves."""
        return {
            "integrations": list(self._world.integrations),
            "config": msgspec.to_builtins(self._world.config),
            "settings": {id_: msgspec.to_builtins(one.settings) for id_, one in self._world.integrations.items()},
        }

    def describe(self, integration: Integration | str) -> dict[str, Any]:
        """Answer of ``GET /integrations/{id}``."""
        one = self._world.integration(integration) if isinstance(integration, str) else integration
        error = one.settings.error or ""
        pending = error.startswith("INTEGRATION.SETUP_")
        return {
            "id": one.id,
            "tool": {"id": one.id.partition(":")[0], "label": one.id.partition(":")[0].title()},
            "category": "ATS",
            "status": {"INTEGRATION.INACTIVE": "INACTIVE", "INTEGRATION.AUTHENTICATION_INVALID": "INVALID"}.get(
                error, "ACTIVE"
            ),
            "setup_status": "FINAL_SYNC_PENDING" if pending else "COMPLETED",
            "data_expired_at": None,
            "read_models": [
                {"id": f"ats_{name}", "is_available": name not in one.settings.models} for name in COLLECTIONS
            ],
            "write_actions": [],
        }

    def fault(self, **fields: Any) -> None:
        """Script a fault; the fields are those of ``Fault``."""
        self._script.faults.append(msgspec.convert(fields, Fault))

    def release(self) -> None:
        """End every hang that is under way."""
        self._script.release()

    def clear_faults(self) -> None:
        """Forget the faults still to come."""
        self._script.clear()

    def faults(self) -> dict[str, Any]:
        """The faults still to come, and the kinds that were applied."""
        return {"pending": msgspec.to_builtins(self._script.faults), "applied": list(self._script.applied)}

    def configure(self, **fields: Any) -> None:
        """Change how the server behaves; the fields are those of ``Config``."""
        self._world.config = _changed(self._world.config, fields)

    def settings(self, integration: str, **fields: Any) -> None:
        """Change how an integration behaves; the fields are those of ``Settings``."""
        one = self._one(integration)
        one.settings = _changed(one.settings, fields)

    def add_integration(self, integration: str, **fields: Any) -> None:
        """Connect an integration, with settings."""
        self._world.add(integration)
        self.settings(integration, **fields)

    def records(self, integration: str, collection: str, include_deleted: bool = True) -> bytes:
        """What the server holds, exactly as it serves it."""
        return b"[" + b",".join(self._one(integration).records(collection, include_deleted=include_deleted)) + b"]"

    def requests(self) -> list[dict[str, Any]]:
        """The requests so far."""
        found: list[dict[str, Any]] = msgspec.to_builtins(self._requests)
        return found

    def clear_log(self) -> None:
        """Forget the requests so far."""
        self._requests.clear()

    def warm(self, integration: str | None = None) -> int:
        """Prepare the pages of full walks, so that serving them costs next to nothing; returns their number."""
        chosen = [self._one(integration)] if integration else self._world.integrations.values()
        return sum(one.warm() for one in chosen)

    def _one(self, integration: str) -> Integration:
        return self._world.integrations[integration]


def _changed(current: Any, fields: dict[str, Any]) -> Any:
    return msgspec.convert(msgspec.to_builtins(current) | fields, type(current))
