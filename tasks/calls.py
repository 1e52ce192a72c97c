"""How an operation that is not a walk through a collection reaches Kombo."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, TypedDict

from tasks.credentials import KomboCredentials, resolve_credentials
from tasks.kombo.answers import Answer
from tasks.kombo.errors import BadAnswer
from tasks.kombo.retries import Repeat
from tasks.logs import run_log


class Created(TypedDict):
    """What an operation answers that creates something.

    Attributes:
        data: What was created, as the API sends it.
        warnings: What went only partly right, in Kombo's words; may hold personal data.
    """

    data: dict[str, Any]
    warnings: list[str]


class Listed(list[dict[str, Any]]):
    """A list that is not paged, of plain dicts, and what Kombo had to say about it.

    Args:
        rows: As the API sends them.
        warnings: What went only partly right, in Kombo's words; may hold personal data.
    """

    def __init__(self, rows: Iterable[dict[str, Any]] = (), warnings: Iterable[str] = ()) -> None:
        super().__init__(rows)
        self.warnings = list(warnings)


def read(
    operation: str,
    path: str,
    *,
    integration: str,
    path_ids: Mapping[str, str] | None = None,
    credentials: KomboCredentials | None,
) -> dict[str, Any]:
    """Ask for something that is not paged.

    Args:
        operation: Its name.
        path: Template below the base URL.
        integration: Integration id.
        path_ids: The ids for the template's places.
        credentials: None for the default block or the environment.

    Returns:
        The answer's data.

    Raises:
        KomboError: It failed for good.
        ValueError: An id is malformed; nothing was sent.
    """
    return _read(operation, path, integration, path_ids, credentials)[0]


def listed(
    operation: str, path: str, *, integration: str, path_ids: Mapping[str, str], credentials: KomboCredentials | None
) -> Listed:
    """Ask for a list that is not paged; as `read`, and returns the results."""
    data, warnings = _read(operation, path, integration, path_ids, credentials)
    results = data.get("results")
    if not isinstance(results, list) or not all(isinstance(row, dict) for row in results):
        raise BadAnswer(
            status=200,
            detail="The answer has no list of results.",
            request=f"GET {path}",
            integration=integration,
        )
    return Listed(results, warnings)


def write(
    operation: str,
    method: Literal["POST", "PUT", "PATCH", "DELETE"],
    path: str,
    *,
    integration: str,
    repeat: Repeat,
    body: Mapping[str, Any] | bytes,
    path_ids: Mapping[str, str] | None = None,
    remote_ids: Collection[str] = (),
    credentials: KomboCredentials | None,
) -> Answer:
    """Have something changed.

    Args:
        operation: Its name.
        method: HTTP method.
        path: Template below the base URL.
        integration: Integration id.
        repeat: Whether it may be sent again after it may have run.
        body: The checked body, or its JSON.
        path_ids: The ids for the template's places.
        remote_ids: Names of those that may also be `remote:<id>`.
        credentials: None for the default block or the environment.

    Returns:
        The successful answer. Its warnings are counted in the log, not quoted: they may hold personal data.

    Raises:
        OutcomeUnknown: It was sent and may have happened.
        KomboError: It did not happen.
        ValueError: An id is malformed; nothing was sent.
    """
    return _call(operation, method, path, integration, repeat, path_ids, remote_ids, body, credentials)


def created(answer: Answer) -> Created:
    """Make the result of an operation that creates something."""
    return {"data": answer.data, "warnings": list(answer.warnings)}


def given(**fields: Any) -> dict[str, Any]:
    """Make a body of what was given, leaving out what is None."""
    return {name: value for name, value in fields.items() if value is not None}


def _read(
    operation: str,
    path: str,
    integration: str,
    path_ids: Mapping[str, str] | None,
    credentials: KomboCredentials | None,
) -> tuple[dict[str, Any], Iterable[str]]:
    answer = _call(operation, "GET", path, integration, "read", path_ids, (), None, credentials)
    if not isinstance(answer.data, dict):
        raise BadAnswer(
            status=answer.status,
            detail="The answer's data is not an object.",
            request=f"GET {path}",
            integration=integration,
        )
    return answer.data, answer.warnings


def _call(
    operation: str,
    method: str,
    path: str,
    integration: str,
    repeat: Repeat,
    path_ids: Mapping[str, str] | None,
    remote_ids: Collection[str],
    body: Mapping[str, Any] | bytes | None,
    credentials: KomboCredentials | None,
) -> Answer:
    with resolve_credentials(credentials).get_client() as client:
        answer = client.call(
            method,
            path,
            integration=integration,
            operation=operation,
            repeat=repeat,
            path_ids=path_ids,
            remote_ids=remote_ids,
            json=body,
        )
    if answer.warnings:
        whom = "".join(f", {name} {value}" for name, value in (path_ids or {}).items())
        run_log(__name__).warning(
            "%s on %s%s: warnings from Kombo: %d", operation, integration, whom, len(answer.warnings)
        )
    return answer
