"""What `prefect.yaml` may say. Prefect ignores keys that it does not know; here they are errors."""

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

ROOT = Path(__file__).parents[1]
FILE = ROOT / "prefect.yaml"
POOL = "kombo"
TAG = "kombo"
"""Every deployment has it, so its runs do; the automations go by it."""

FLOW_PREFIX = "kombo-"
"""Every flow's name begins with it: a workspace is shared."""

PLACEHOLDER = re.compile(r"\{\{\s*([^}]*?)\s*\}\}")
VARIABLE = re.compile(r"prefect\.variables\.([a-z0-9_]+)")

Step = dict[str, dict[str, Any]]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Schedule(_Strict):
    """When a deployment runs by itself. A deploy knows it by its slug, and so remembers whether it is switched off."""

    slug: str = Field(pattern=r"^[a-z0-9-]+$")
    cron: str | None = None
    interval: float | None = Field(default=None, gt=0)
    rrule: str | None = None
    timezone: str
    day_or: bool | None = None
    anchor_date: str | None = None
    active: bool | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    replaces: str | None = None


class Limit(_Strict):
    """How many runs of a deployment at a time, and what becomes of one more."""

    limit: int = Field(ge=1)
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"]
    grace_period_seconds: int | None = Field(default=None, ge=60)


class Pool(_Strict):
    """Which work pool runs it, and how that differs from the pool's own settings."""

    name: str = Field(min_length=1)
    work_queue_name: str | None = None
    job_variables: dict[str, Any] = Field(default_factory=dict)


class Deployment(_Strict):
    """One deployment."""

    name: str = Field(min_length=1)
    flow_name: str = Field(min_length=1)
    version: str | None = None
    version_type: str | None = None
    tags: list[str] = Field(min_length=1)
    description: str = Field(min_length=1)
    entrypoint: str = Field(pattern=r"^[a-z_/]+\.py:[a-z_]+$")
    parameters: dict[str, Any] = Field(default_factory=dict)
    enforce_parameter_schema: Literal[True] = True
    paused: bool | None = None
    concurrency_limit: Limit | None = None
    schedules: list[Schedule] = Field(default_factory=list)
    work_pool: Pool
    triggers: list[dict[str, Any]] = Field(default_factory=list)
    build: list[Step] | None = None
    push: list[Step] | None = None
    pull: list[Step] | None = None

    @property
    def full_name(self) -> str:
        """The flow's name and its own, as Prefect shows them."""
        return f"{self.flow_name}/{self.name}"


class Manifest(_Strict):
    """All of `prefect.yaml`."""

    name: str
    prefect_version: str = Field(alias="prefect-version")
    build: list[Step]
    push: list[Step]
    pull: list[Step] = Field(min_length=1)
    deployments: list[Deployment] = Field(min_length=1)


class InvalidManifest(ValueError):
    """The file is not what it has to be; the text has a line for each problem."""


def load(path: Path = FILE) -> Manifest:
    """Read the list of deployments.

    Args:
        path: The file.

    Returns:
        What it says, placeholders as they are.

    Raises:
        InvalidManifest: It is not YAML, or has keys or values that it may not have.
    """
    try:
        raw = YAML(typ="safe").load(path)  # refuses a key that is given twice
        return TypeAdapter(Manifest).validate_python(raw)
    except YAMLError as error:
        raise InvalidManifest(f"{path.name} is not YAML: {error}") from error
    except ValidationError as error:
        raise InvalidManifest("\n".join(_said(raw, one["loc"], one["msg"]) for one in error.errors())) from error


def _said(raw: Any, location: tuple[int | str, ...], message: str) -> str:
    """Name the deployment that a problem is in, as people know it."""
    where = [str(part) for part in location]
    match location:
        case ("deployments", int(number), *rest):
            found = raw["deployments"][number]
            name = f"{found.get('flow_name')}/{found.get('name')}" if isinstance(found, dict) else str(number)
            where = [name, *(str(part) for part in rest)]
        case _:
            pass
    return f"{'.'.join(where)}: {message}"


def fill(value: Any, variables: dict[str, Any]) -> Any:
    """Put the values of Prefect variables in place of `{{ prefect.variables.x }}`, as a deploy does.

    Args:
        value: Anything of YAML; not changed.
        variables: By name; one that is missing leaves the placeholder.

    Returns:
        A copy.
    """
    if isinstance(value, dict):
        return {key: fill(one, variables) for key, one in value.items()}
    if isinstance(value, list):
        return [fill(one, variables) for one in value]
    if not isinstance(value, str):
        return value
    whole = PLACEHOLDER.fullmatch(value.strip())
    if whole and (found := VARIABLE.fullmatch(whole[1])) and found[1] in variables:
        return variables[found[1]]
    return PLACEHOLDER.sub(lambda match: _text(match, variables), value)


def _text(match: re.Match[str], variables: dict[str, Any]) -> str:
    found = VARIABLE.fullmatch(match[1])
    return str(variables[found[1]]) if found and found[1] in variables else match[0]


def texts(value: Any) -> list[str]:
    """Return every text in a value, however deep, keys left out."""
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [value] if isinstance(value, str) else []
