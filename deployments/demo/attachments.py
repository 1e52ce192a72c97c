"""Files of applications and candidates: their lists, their bytes, and what an ATS takes."""

from typing import Any

import msgspec

from deployments.demo.errors import RefusedError
from deployments.demo.store import Record
from deployments.demo.values import iso, kombo_id
from deployments.demo.world import Integration, World

_MEGABYTE = 1_000_000
_MIME_TYPES = ["application/pdf", "application/msword", "text/plain"]


class Stored(msgspec.Struct):
    """A file behind a link.

    Attributes:
        row: What the list says of it.
        content: Its bytes.
        served_type: The content type that really comes with the bytes.
        status: HTTP status of the link.
    """

    row: Record
    content: bytes
    served_type: str
    status: int = 200


def _made(integration: Integration, owner_id: str) -> list[Stored]:
    """The files of an application or candidate, made up when first asked for."""
    files = integration.files.get(owner_id)
    if files is None:
        files = integration.files[owner_id] = []
        count = sum(owner_id.encode()) % 3
        kinds = (
            ("CV", "Lebenslauf Müller.pdf", "application/pdf"),
            ("OTHER", "Zeugnis 2019 (final).txt", "text/plain"),
        )
        for type_, name, content_type in kinds[:count]:
            row: Record = {"type": type_, "file_name": name, "content_type": content_type}
            body = b"%PDF-1.4\n% a demo file\n" + b"0123456789abcdef" * 512 + b"\n%%EOF\n"
            add(integration, owner_id, row, body if type_ == "CV" else "Grüße aus dem Demo\n".encode())
    return files


def add(
    integration: Integration,
    owner_id: str,
    row: Record,
    content: bytes,
    served_type: str | None = None,
    status: int = 200,
) -> None:
    """Add a file.

    Args:
        integration: Whose.
        owner_id: Id of the application or candidate.
        row: ``file_name``, ``type`` and ``content_type`` as the list gives them; more keys are given as they are.
        content: The bytes behind its link.
        served_type: The content type that comes with them, if it is another.
        status: HTTP status of the link.
    """
    files = _made(integration, owner_id)
    remote_id = f"file-{owner_id}-{len(files)}"
    full: Record = {"type": "OTHER", "id": kombo_id(integration.id, remote_id), "remote_id": remote_id} | row
    full |= {"remote_created_at": iso(1.7e9), "remote_updated_at": None}
    files.append(Stored(full, content, served_type or str(full["content_type"]), status))
    integration.links[full["id"]] = files[-1]


def listed(integration: Integration, owner: Record, origin: str, *, of_candidate: bool) -> list[Record]:
    """The rows of an attachment list.

    Args:
        integration: Whose.
        owner: The application or candidate.
        origin: Scheme, host and port for the links.
        of_candidate: Whether the rows also name application and candidate.

    Returns:
        Rows as documented.
    """
    rows = []
    for file in _made(integration, owner["id"]):
        row: Record = {"data_url": f"{origin}/files/{file.row['id']}"} | file.row
        rows.append(row | {"application_id": None, "candidate_id": owner["id"]} if of_candidate else row)
    return rows


def content(world: World, path: str) -> tuple[int, str, bytes]:
    """What is behind a link.

    Args:
        world: All integrations.
        path: ``/files/<id>``.

    Returns:
        HTTP status, content type and bytes.

    Raises:
        RefusedError: If there is no such file.
    """
    id_ = path.removeprefix("/files/")
    for integration in world.integrations.values():
        file = integration.links.get(id_)
        if file is not None:
            return file.status, file.served_type, file.content
    raise RefusedError(None, "There is no such file.", 404)


def limits(integration: Integration, operation: str) -> dict[str, Any] | None:
    """What an action takes.

    Args:
        integration: Whose.
        operation: The action.

    Returns:
        The restrictions; None if they are unknown.
    """
    if operation in integration.settings.attachment_limits:
        return integration.settings.attachment_limits[operation]
    cv: Record = {"is_supported": True, "max_file_size_bytes": 5 * _MEGABYTE, "accepted_mime_types": _MIME_TYPES}
    letter: Record = {"is_supported": True, "max_file_size_bytes": None, "accepted_mime_types": None}
    other: Record = {"is_supported": operation != "create_candidate"}
    if other["is_supported"]:
        other |= {"max_file_size_bytes": 2 * _MEGABYTE, "accepted_mime_types": None}
    if operation not in ("create_candidate", "create_application"):
        return {"types": {"CV": cv, "COVER_LETTER": letter, "OTHER": other}}
    numbers: list[tuple[Record, int, int | None]] = [(cv, 0, 1), (letter, 0, None), (other, 0, 5)]
    for kind, least, most in numbers:
        if kind["is_supported"]:
            kind |= {"min_amount": least, "max_amount": most}
    return {"total_size_bytes": 10 * _MEGABYTE, "types": {"CV": cv, "COVER_LETTER": letter, "OTHER": other}}


def check(integration: Integration, operation: str, type_: str, content_type: object, size: int) -> None:
    """Refuse a file that the ATS would not take.

    Args:
        integration: Whose.
        operation: The action.
        type_: ``CV``, ``COVER_LETTER`` or ``OTHER``.
        content_type: Its MIME type, if given.
        size: Bytes.

    Raises:
        RefusedError: If it breaks a limit.
    """
    known = limits(integration, operation)
    allowed: Record = known["types"][type_] if known else {"is_supported": True}
    most, types = allowed.get("max_file_size_bytes"), allowed.get("accepted_mime_types")
    wrong_type = types is not None and isinstance(content_type, str) and content_type not in types
    if not allowed["is_supported"] or (most is not None and size > most) or wrong_type:
        raise RefusedError("REMOTE.INPUT_INVALID", "The ATS does not take this file.")
