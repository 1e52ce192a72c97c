"""The automations in the YAML files beside this module, with the ids that a server has for what they name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound
from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from deployments import manifest

FOLDER = Path(__file__).parent
ALERTS_BLOCK = "kombo-alerts"
ALERTS = f"custom-webhook/{ALERTS_BLOCK}"
"""Whoever is told, as the files name it."""


class InvalidAutomation(ValueError):
    """A file has something that is no automation; the text says which and why."""


class NotYet(LookupError):
    """The server does not have what an automation refers to; the text is its name."""


def read(folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """Read every automation of a folder.

    Args:
        folder: Each `*.yaml` in it is an automation or a list of them, as `prefect automation create --from-file` takes
            them, except that names stand where Prefect wants ids: `flow/deployment` and `block-type/block`.

    Returns:
        By name, as they are written.

    Raises:
        InvalidAutomation: A file has something else, or a name twice.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            document = YAML(typ="safe").load(path)
        except YAMLError as error:
            raise InvalidAutomation(f"{path.name} is not YAML: {error}") from None
        several = document.get("automations", [document]) if isinstance(document, dict) else document
        for one in several:
            if not isinstance(one, dict) or not {"name", "trigger", "actions"} <= one.keys():
                raise InvalidAutomation(
                    f"{path.name} has something without name, trigger and actions, so no automation"
                )
            if one["name"] in found:
                raise InvalidAutomation(f"{path.name}: there is another automation {one['name']}")
            found[one["name"]] = one
    return found


def build(client: SyncPrefectClient, automation: Mapping[str, Any], *, within: float | None = None) -> AutomationCore:
    """Make what a server takes out of what is written.

    Args:
        client: Of the server, to look up ids.
        automation: One of `read()`.
        within: Seconds, instead of those that are written.

    Raises:
        NotYet: It refers to a deployment or block that is not there.
        InvalidAutomation: Prefect does not take it.
    """
    trigger = dict(automation["trigger"]) if within is None else {**automation["trigger"], "within": within}
    actions = [_with_ids(client, action) for action in automation["actions"]]
    try:
        return AutomationCore.model_validate(
            {**automation, "trigger": trigger, "actions": actions, "tags": [manifest.TAG]}
        )
    except ValidationError as error:
        said = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise InvalidAutomation(f"automation {automation['name']}: {'; '.join(said)}") from None


def _with_ids(client: SyncPrefectClient, action: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(action)
    try:
        if name := action.get("deployment_id"):
            found["deployment_id"] = str(client.read_deployment_by_name(name).id)
        if name := action.get("block_document_id"):
            kind, block = name.split("/")
            found["block_document_id"] = str(client.read_block_document_by_name(block, kind, include_secrets=False).id)
    except ObjectNotFound:
        raise NotYet(name) from None
    return found


def same(one: AutomationCore, other: AutomationCore) -> bool:
    """Whether two automations do the same; whether they are switched on is the operator's."""
    return bool(_plain(one) == _plain(other))


def _plain(automation: AutomationCore) -> Any:
    kept = set(AutomationCore.model_fields) - {"owner_resource", "enabled"}
    return _ordered(automation.model_dump(mode="json", include=kept))


def _ordered(value: Any) -> Any:
    """Sets come back from a server in any order, and a single label as a list of one or as itself."""
    if isinstance(value, dict):
        return {key: _ordered(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        several = sorted((_ordered(one) for one in value), key=repr)
        return several[0] if len(several) == 1 else several
    return value
