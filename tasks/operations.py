"""The 30 operations as data: what each is called, what it sends, how often it may be sent, and what it takes.

The README's table, the batch writes and the ad hoc flow all read it from here, and the contract test holds it against
what the tasks really send.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from prefect import Task
from pydantic import TypeAdapter, ValidationError

from tasks import actions, applications, bodies, candidates, jobs, reference, tracking
from tasks.kombo import ids
from tasks.kombo.retries import Repeat

OperationName = Literal[
    "get_applications",
    "get_candidates",
    "get_jobs",
    "get_application_stages",
    "get_tags",
    "get_users",
    "get_roles",
    "get_offers",
    "get_rejection_reasons",
    "get_interviews",
    "get_application_attachments",
    "get_candidate_attachments",
    "get_create_candidate_action",
    "get_create_application_action",
    "get_add_application_attachment_action",
    "get_add_candidate_attachment_action",
    "move_application_to_stage",
    "reject_application",
    "add_application_note",
    "add_application_result_link",
    "add_application_attachment",
    "create_interview",
    "update_interview",
    "create_candidate",
    "create_application",
    "add_candidate_attachment",
    "add_candidate_result_link",
    "add_candidate_tag",
    "remove_candidate_tag",
    "import_tracked_application",
]

_NOT_ARGUMENTS = ("integration", "credentials")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API.

    Attributes:
        name: Its name, which is its task's function's.
        task: The Prefect task.
        method: HTTP method.
        path: Path template below the base URL.
        repeat: `read`; `safe`: a write that changes nothing the second time; `unsafe`: a write that does it twice.
        note: What to know before calling it, in one line.
    """

    name: OperationName
    task: Task[..., Any]
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    repeat: Repeat
    note: str

    @property
    def module(self) -> str:
        """Where to import the task from."""
        return str(self.task.fn.__module__)

    @property
    def writes(self) -> bool:
        """Whether it changes something in the ATS."""
        return self.repeat != "read"

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """Its arguments by name, without `integration` and `credentials`."""
        found = inspect.signature(self.task.fn).parameters
        return MappingProxyType({name: found[name] for name in found if name not in _NOT_ARGUMENTS})

    @property
    def required(self) -> tuple[str, ...]:
        """The arguments that have to be given."""
        return tuple(name for name, found in self.parameters.items() if found.default is inspect.Parameter.empty)

    def checked(self, integration: str, arguments: Mapping[str, Any] | None) -> dict[str, Any]:
        """Check arguments against the signature, sending nothing.

        Args:
            integration: Integration id.
            arguments: By the operation's own names; JSON values will do.

        Returns:
            What to call the task with, `credentials` left out.

        Raises:
            ValueError: One is unknown, missing or of the wrong type. The text lists what is allowed and does not repeat
                what was given.
        """
        ids.integration_id(integration)
        given = dict(arguments or {})
        problems = [f"{bodies.shown(name)} is not an argument" for name in given if name not in self.parameters]
        problems += [f"{name} is missing" for name in self.required if name not in given]
        hints = typing.get_type_hints(self.task.fn, include_extras=True)
        checked: dict[str, Any] = {}
        for name in self.parameters:
            if name not in given:
                continue
            try:
                checked[name] = TypeAdapter(hints[name]).validate_python(given[name])
            except ValidationError:
                problems.append(f"{name}: expected {_readable(hints[name])}")
        if problems:
            raise ValueError(f"{self.name}: {'; '.join(problems)}. {self._allowed()}")
        return {"integration": integration, **checked}

    def _allowed(self) -> str:
        optional = [name for name in self.parameters if name not in self.required]
        return (
            f"Required: {', '.join(self.required) or 'nothing'}. Optional: {', '.join(optional) or 'nothing'}. "
            f"Their meaning is in the documentation of {self.module}.{self.name}."
        )


def _readable(hint: Any) -> str:
    """Write a type as a caller would."""
    text = repr(hint) if typing.get_origin(hint) or not isinstance(hint, type) else hint.__name__
    text = re.sub(r"(typing|collections\.abc|datetime|tasks\.bodies)\.", "", text)
    return re.sub(r"Optional\[(.*)\]", r"\1 | None", text)


def _operation(
    task: Task[..., Any],
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
    path: str,
    repeat: Repeat,
    note: str,
) -> Operation:
    name: Any = task.fn.__name__
    return Operation(name, task, method, path, repeat, note)


OPERATIONS: Mapping[OperationName, Operation] = MappingProxyType(
    {
        operation.name: operation
        for operation in (
            _operation(
                applications.get_applications,
                "GET",
                "/ats/applications",
                "read",
                "outcomes, job_ids, current_stage_ids, …",
            ),
            _operation(
                candidates.get_candidates, "GET", "/ats/candidates", "read", "email, first_name, last_name, job_ids"
            ),
            _operation(jobs.get_jobs, "GET", "/ats/jobs", "read", "with stages, questions, postings and hiring team"),
            _operation(
                reference.get_application_stages,
                "GET",
                "/ats/application-stages",
                "read",
                "deprecated: take stages from their job",
            ),
            _operation(reference.get_tags, "GET", "/ats/tags", "read", ""),
            _operation(reference.get_users, "GET", "/ats/users", "read", "emails"),
            _operation(reference.get_roles, "GET", "/ats/roles", "read", "scopes"),
            _operation(reference.get_offers, "GET", "/ats/offers", "read", ""),
            _operation(reference.get_rejection_reasons, "GET", "/ats/rejection-reasons", "read", "needed to reject"),
            _operation(reference.get_interviews, "GET", "/ats/interviews", "read", "job_ids"),
            _operation(
                applications.get_application_attachments,
                "GET",
                "/ats/applications/{application_id}/attachments",
                "read",
                "asks the ATS; short-lived links",
            ),
            _operation(
                candidates.get_candidate_attachments,
                "GET",
                "/ats/candidates/{candidate_id}/attachments",
                "read",
                "asks the ATS; short-lived links",
            ),
            _operation(
                actions.get_create_candidate_action,
                "GET",
                "/ats/actions/ats_create_candidate",
                "read",
                "limits of attachments",
            ),
            _operation(
                actions.get_create_application_action,
                "GET",
                "/ats/actions/ats_create_application",
                "read",
                "limits of attachments",
            ),
            _operation(
                actions.get_add_application_attachment_action,
                "GET",
                "/ats/actions/ats_add_application_attachment",
                "read",
                "limits of attachments",
            ),
            _operation(
                actions.get_add_candidate_attachment_action,
                "GET",
                "/ats/actions/ats_add_candidate_attachment",
                "read",
                "limits of attachments",
            ),
            _operation(
                applications.move_application_to_stage,
                "PUT",
                "/ats/applications/{application_id}/stage",
                "safe",
                "the ATS may react, e.g. by mail",
            ),
            _operation(
                applications.reject_application,
                "POST",
                "/ats/applications/{application_id}/reject",
                "unsafe",
                "no way back; may start the customer's rejection e-mail",
            ),
            _operation(
                applications.add_application_note, "POST", "/ats/applications/{application_id}/notes", "unsafe", ""
            ),
            _operation(
                applications.add_application_result_link,
                "POST",
                "/ats/applications/{application_id}/result-links",
                "unsafe",
                "",
            ),
            _operation(
                applications.add_application_attachment,
                "POST",
                "/ats/applications/{application_id}/attachments",
                "unsafe",
                "checked against the ATS's limits first",
            ),
            _operation(
                applications.create_interview,
                "POST",
                "/ats/applications/{application_id}/interviews",
                "unsafe",
                "closed beta",
            ),
            _operation(
                applications.update_interview,
                "PATCH",
                "/ats/applications/{application_id}/interviews",
                "safe",
                "closed beta; replaces everything",
            ),
            _operation(
                candidates.create_candidate, "POST", "/ats/candidates", "unsafe", "superseded by create_application"
            ),
            _operation(
                jobs.create_application, "POST", "/ats/jobs/{job_id}/applications", "unsafe", "may mail the candidate"
            ),
            _operation(
                candidates.add_candidate_attachment,
                "POST",
                "/ats/candidates/{candidate_id}/attachments",
                "unsafe",
                "Kombo prefers add_application_attachment",
            ),
            _operation(
                candidates.add_candidate_result_link,
                "POST",
                "/ats/candidates/{candidate_id}/result-links",
                "unsafe",
                "Kombo prefers add_application_result_link",
            ),
            _operation(
                candidates.add_candidate_tag,
                "POST",
                "/ats/candidates/{candidate_id}/tags",
                "unsafe",
                "by name; creates the tag if need be",
            ),
            _operation(
                candidates.remove_candidate_tag,
                "DELETE",
                "/ats/candidates/{candidate_id}/tags",
                "safe",
                "by name; a body on a DELETE",
            ),
            _operation(
                tracking.import_tracked_application,
                "POST",
                "/ats/import-tracked-application",
                "unsafe",
                "the data comes with the next sync",
            ),
        )
    }
)


def table() -> str:
    """Write the operations as a Markdown table, for the README.

    Returns:
        The table, with a line break at its end.
    """
    lines = ["| operation | in | request | class | note |", "|---|---|---|---|---|"]
    lines += [
        f"| `{one.name}` | `{one.module}` | `{one.method} {one.path}` | {one.repeat} | {one.note} |"
        for one in OPERATIONS.values()
    ]
    return "\n".join(lines) + "\n"
