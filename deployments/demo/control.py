"""What tests, benchmarks and the demo may ask of the server besides the API: faults, settings, and what it saw."""

from typing import Any

import msgspec

from deployments.demo import attachments, writes
from deployments.demo.evolve import KINDS, Evolution
from deployments.demo.faults import Fault, Script
from deployments.demo.routes import WRITES
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
            "now": self._world.now(),
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
            "write_actions": [{"id": name, "is_available": name not in one.settings.actions} for name in WRITES],
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

    def sync(self, integration: str | None = None) -> int:
        """Let Kombo see what writes have done; returns how many now show."""
        chosen = [self._one(integration)] if integration else self._world.integrations.values()
        return sum(writes.sync(one, self._world.now()) for one in chosen)

    def writes(self) -> list[dict[str, Any]]:
        """The writes that were carried out."""
        found: list[dict[str, Any]] = msgspec.to_builtins(self._world.writes)
        return found

    def stats(self) -> dict[str, Any]:
        """The most actions that were ever in flight at once, per integration."""
        return {"most_in_flight": {one.id: one.most_in_flight for one in self._world.integrations.values()}}

    def attach(
        self,
        integration: str,
        owner: str,
        row: dict[str, Any],
        text: str = "a demo file",
        size: int | None = None,
        served_type: str | None = None,
        status: int = 200,
    ) -> None:
        """Give an application or candidate one more file; ``row`` may lie about it."""
        content = text.encode() if size is None else (text.encode() + b"\n" * size)[:size]
        whole = {"file_name": "file.txt", "content_type": "text/plain"} | row
        attachments.add(self._one(integration), owner, whole, content, served_type, status)

    def reset(self, integration: str | None = None) -> None:
        """Start again: data as at first, no faults, no log, no writes, and settings untouched."""
        for id_ in [integration] if integration else list(self._world.integrations):
            settings = self._one(id_).settings
            self._world.add(id_).settings = settings
        self._script.clear()
        self._requests.clear()
        self._world.writes.clear()

    def evolve(
        self,
        integration: str,
        share: float = 0.01,
        kinds: list[str] | None = None,
        collections: list[str] | None = None,
        stale: bool = False,
        at: float | None = None,
    ) -> dict[str, dict[str, list[str]]]:
        """Let a day pass; returns the changed ids by collection and kind."""
        unknown = set(kinds or ()) - set(KINDS) | set(collections or ()) - set(COLLECTIONS)
        if unknown:
            raise ValueError(f"unknown: {sorted(unknown)}")
        one = self._one(integration)
        one.rounds += 1
        round_ = Evolution(one, self._world.now() if at is None else at, one.rounds, stale=stale)
        return round_.run(share, tuple(kinds or KINDS), tuple(collections or COLLECTIONS))

    def warm(self, integration: str | None = None, include_deleted: bool | None = None) -> int:
        """Prepare the pages of full walks, so that serving them costs next to nothing; returns their number."""
        chosen = [self._one(integration)] if integration else self._world.integrations.values()
        return sum(one.warm(include_deleted=include_deleted) for one in chosen)

    def _one(self, integration: str) -> Integration:
        return self._world.integrations[integration]


def _changed(current: Any, fields: dict[str, Any]) -> Any:
    return msgspec.convert(msgspec.to_builtins(current) | fields, type(current))
