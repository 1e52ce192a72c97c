"""Which operation a method and a path mean."""

import re
from typing import Literal

import msgspec

from deployments.demo.store import COLLECTIONS

Kind = Literal["platform", "collection", "action", "limits"]


class Route(msgspec.Struct, frozen=True):
    """An operation of the API.

    Attributes:
        operation: Its name.
        kind: ``action`` calls the ATS and counts against the concurrency limit; ``collection`` is paged.
        collection: The collection that it reads.
        ids: The ids in the path, in order.
    """

    operation: str
    kind: Kind
    collection: str | None = None
    ids: tuple[str, ...] = ()


_TABLE: list[tuple[str, str, str, Kind]] = [
    ("GET", "/check-api-key", "check_api_key", "platform"),
    ("GET", "/integrations/*", "get_integration", "platform"),
    ("PUT", "/ats/applications/*/stage", "move_application_to_stage", "action"),
    ("POST", "/ats/applications/*/result-links", "add_application_result_link", "action"),
    ("POST", "/ats/applications/*/notes", "add_application_note", "action"),
    ("GET", "/ats/applications/*/attachments", "get_application_attachments", "action"),
    ("POST", "/ats/applications/*/attachments", "add_application_attachment", "action"),
    ("POST", "/ats/applications/*/reject", "reject_application", "action"),
    ("POST", "/ats/applications/*/interviews", "create_interview", "action"),
    ("PATCH", "/ats/applications/*/interviews", "update_interview", "action"),
    ("POST", "/ats/candidates", "create_candidate", "action"),
    ("GET", "/ats/candidates/*/attachments", "get_candidate_attachments", "action"),
    ("POST", "/ats/candidates/*/attachments", "add_candidate_attachment", "action"),
    ("POST", "/ats/candidates/*/result-links", "add_candidate_result_link", "action"),
    ("POST", "/ats/candidates/*/tags", "add_candidate_tag", "action"),
    ("DELETE", "/ats/candidates/*/tags", "remove_candidate_tag", "action"),
    ("POST", "/ats/jobs/*/applications", "create_application", "action"),
    ("POST", "/ats/import-tracked-application", "import_tracked_application", "action"),
    ("GET", "/ats/actions/ats_create_candidate", "create_candidate", "limits"),
    ("GET", "/ats/actions/ats_create_application", "create_application", "limits"),
    ("GET", "/ats/actions/ats_add_application_attachment", "add_application_attachment", "limits"),
    ("GET", "/ats/actions/ats_add_candidate_attachment", "add_candidate_attachment", "limits"),
]
_COLLECTIONS = {"/ats/" + name.replace("_", "-"): name for name in COLLECTIONS}
_PATTERNS = [
    (method, re.compile(path.replace("*", "([^/]+)")), operation, kind) for method, path, operation, kind in _TABLE
]
WRITES = tuple(operation for method, _, operation, kind in _TABLE if kind == "action" and method != "GET")


def find(method: str, path: str) -> Route | None:
    """Find the operation of a request.

    Args:
        method: HTTP method.
        path: Path below ``/v1``, percent-decoded.

    Returns:
        The operation, or None if there is none there.
    """
    if method == "GET" and path in _COLLECTIONS:
        collection = _COLLECTIONS[path]
        return Route(f"get_{collection}", "collection", collection)
    for wanted, pattern, operation, kind in _PATTERNS:
        match = pattern.fullmatch(path) if wanted == method else None
        if match:
            return Route(operation, kind, None, match.groups())
    return None
