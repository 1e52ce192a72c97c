"""Files in both directions: checked and packed into a request's body, or fetched into the lake.

Before anything is uploaded, its type, size and MIME type are held against what the ATS takes (the matching action of
`tasks.actions`). What an action leaves null is unknown, which is not unlimited: where the largest size is unknown, a
file may have `UNKNOWN_MOST` bytes. A file given by `data_url` is fetched by Kombo, so its size cannot be checked here.
"""

from __future__ import annotations

import io
import mimetypes
import re
import secrets
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from tasks import bodies, calls
from tasks.credentials import KomboCredentials, KomboLake, resolve_lake
from tasks.kombo import ids
from tasks.kombo.downloads import MOST_BYTES, download, media_type
from tasks.lake import files
from tasks.policies import reads

Action = Literal[
    "ats_create_candidate", "ats_create_application", "ats_add_application_attachment", "ats_add_candidate_attachment"
]

UNKNOWN_MOST = 10_000_000
"""Bytes; what Kombo recommends as the most for all files of an application together."""


class Content:
    """A file whose content takes its place in the body when that is encoded.

    No dataclass: msgspec would write it down as it is, path and all, instead of asking what to do with it.

    Args:
        path: A path or fsspec URL.
        size: Bytes, as checked.
    """

    def __init__(self, path: str, size: int) -> None:
        self.path = path
        self.size = size


@reads
def download_attachment(
    *, integration: str, attachment: Mapping[str, Any], lake: KomboLake | str | None = None, max_bytes: int = MOST_BYTES
) -> str:
    """Fetch one attachment into the lake, as `attachments/integration=<slug>/<attachment id>.<ending>`.

    The link in the row works for a short time, so call this right after listing. The file's own name is not used. The
    API key is not sent to where the link leads.

    Args:
        integration: Integration id that the row is from.
        attachment: A row of `get_application_attachments` or `get_candidate_attachments`: its `id`, `data_url` and
            `content_type`.
        lake: The lake, its URL or path, or a stored block's name; None for the default block or the environment.
        max_bytes: A larger file is refused.

    Returns:
        Where the file is now.

    Raises:
        RequestRefused: The link is no longer accepted; list the attachments again.
        BadAnswer: The file is not of the announced content type, empty, or too large.
        Unavailable: The storage did not answer properly.
        LakeError: The lake did not take it.
        ValueError: The row lacks one of the three, or the link is no https URL.

    GET on the row's `data_url`
    """
    ids.integration_id(integration)
    row = {key: attachment.get(key) for key in ("id", "data_url", "content_type")}
    for key, value in row.items():
        if not isinstance(value, str) or not value:
            raise ValueError(f"attachment: the row has no {key}")
    kind = media_type(row["content_type"])
    key = files.attachment_key(integration, str(row["id"]), kind)
    with tempfile.TemporaryFile() as file:
        download(str(row["data_url"]), file, content_type=kind, most=max_bytes)
        url, options = resolve_lake(lake).location()
        return files.store_file(url, key, file, options)


def attachment_body(
    action: Action,
    attachment: bodies.Attachment | Mapping[str, Any],
    remote_fields: Mapping[str, Any] | None,
    *,
    integration: str,
    path_ids: Mapping[str, str],
    credentials: KomboCredentials | None,
) -> bytes:
    """Make the body that uploads one file, after checking everything about it.

    Args:
        action: Whose limits count.
        attachment: The file.
        remote_fields: Passed on as given.
        integration: Integration id.
        path_ids: The ids of the operation, so that a wrong one is noticed before the limits are asked for.
        credentials: None for the default block or the environment.

    Returns:
        The body's JSON.

    Raises:
        ValueError: The file is not allowed; the text does not repeat its name.
        LakeError: The file cannot be read.
        KomboError: The limits could not be read.
    """
    for name, value in path_ids.items():
        ids.kombo_id(value, name)
    passed = bodies.passed_on(remote_fields)
    file = packed_file(bodies.checked(bodies.Attachment, attachment, "attachment"), "attachment")
    check([file], limits(action, integration=integration, credentials=credentials), "attachment")
    return encoded(calls.given(attachment=file, remote_fields=passed))


def application_body(
    action: Action,
    fields: dict[str, Any],
    screening_question_answers: Iterable[bodies.ScreeningAnswer | Mapping[str, Any]] | None,
    attachments: Iterable[bodies.Attachment | Mapping[str, Any]] | None,
    source: bodies.Source | Mapping[str, Any] | None,
    sourced_by: bodies.SourcedBy | Mapping[str, Any] | None,
    gdpr_consent: bodies.GdprConsent | Mapping[str, Any] | None,
    remote_fields: Mapping[str, Any] | None,
    *,
    integration: str,
    credentials: KomboCredentials | None,
) -> bytes:
    """Make the body of an application, after checking everything about it.

    Args:
        action: Whose limits count for the attachments.
        fields: What the operation has of its own, checked.
        screening_question_answers: Answers.
        attachments: Files.
        source: Where the candidate came from.
        sourced_by: Who found the candidate.
        gdpr_consent: The candidate's consent.
        remote_fields: Passed on as given.
        integration: Integration id.
        credentials: None for the default block or the environment.

    Returns:
        The body's JSON.

    Raises:
        ValueError: Something is not allowed; the text does not repeat it.
        LakeError: A file cannot be read.
        KomboError: The limits could not be read.
    """
    body = dict(fields)
    if screening_question_answers is not None:
        answers = bodies.checked_list(bodies.ScreeningAnswer, screening_question_answers, "screening_question_answers")
        for answer in answers:
            if isinstance(answer["answer"], dict):
                answer["answer"] = packed_file(answer["answer"], "screening_question_answers")
        body["screening_question_answers"] = answers
    parts: tuple[tuple[str, type[bodies.Body], Any], ...] = (
        ("source", bodies.Source, source),
        ("sourced_by", bodies.SourcedBy, sourced_by),
        ("gdpr_consent", bodies.GdprConsent, gdpr_consent),
    )
    body |= {name: bodies.checked(kind, value, name) for name, kind, value in parts if value is not None}
    body |= calls.given(remote_fields=bodies.passed_on(remote_fields))
    if attachments is not None:
        checked = bodies.checked_list(bodies.Attachment, attachments, "attachments")
        body["attachments"] = [packed_file(file, "attachments") for file in checked]
        if checked:
            check(body["attachments"], limits(action, integration=integration, credentials=credentials))
    return encoded(body)


def limits(action: Action, *, integration: str, credentials: KomboCredentials | None) -> dict[str, Any]:
    """Ask what an action takes; see `tasks.actions`."""
    return calls.read(
        f"get_{action.removeprefix('ats_')}_action",
        f"/ats/actions/{action}",
        integration=integration,
        credentials=credentials,
    )


def packed_file(file: dict[str, Any], name: str) -> dict[str, Any]:
    """Turn our `path` into the API's `data`, to be filled in later, and guess the content type if need be."""
    packed = dict(file)
    path = packed.pop("path", None)
    if path is not None:
        packed.setdefault("content_type", mimetypes.guess_type(packed["name"])[0])
        if packed["content_type"] is None:
            raise ValueError(f"{name}: the name does not tell the content_type; give it")
        packed["data"] = Content(path, files.size(path))
    return packed


def check(attachments: list[dict[str, Any]], action: Mapping[str, Any], name: str = "attachments") -> None:
    """Hold files against what the ATS takes.

    Args:
        attachments: As `packed_file` leaves them.
        action: Data of the matching action.
        name: The parameter, for the error's text.

    Raises:
        ValueError: One is not allowed; the text names its position and the limit.
    """
    restrictions = action.get("attachment_restrictions") or {}
    types = restrictions.get("types") or {}
    for position, file in enumerate(attachments):
        _check_one(file, types.get(file["type"]) or {}, f"{name}[{position}]")
    for kind, rule in types.items():
        rule = rule or {}
        amount = sum(file["type"] == kind for file in attachments)
        most, least = rule.get("max_amount"), rule.get("min_amount")
        if most is not None and amount > most:
            raise ValueError(f"{name}: the ATS takes at most {most:.0f} of type {kind}, there are {amount}")
        if least is not None and amount < least:
            raise ValueError(f"{name}: the ATS wants at least {least:.0f} of type {kind}, there are {amount}")
    total = restrictions.get("total_size_bytes")
    sizes = sum(_size(file) or 0 for file in attachments)
    if total is not None and sizes > total:
        raise ValueError(f"{name}: the ATS takes {total:.0f} bytes in all, there are {sizes}")


def _check_one(file: Mapping[str, Any], rule: Mapping[str, Any], name: str) -> None:
    if rule.get("is_supported") is False:
        raise ValueError(f"{name}: the ATS takes no attachments of type {file['type']} here")
    accepted = rule.get("accepted_mime_types")
    content_type = file.get("content_type") or mimetypes.guess_type(file["name"])[0]
    if accepted is not None and content_type is not None and not _matches(content_type, accepted):
        raise ValueError(f"{name}: the ATS does not take this content type, only {', '.join(map(str, accepted))}")
    size = _size(file)
    if size is None:
        return
    if size == 0:
        raise ValueError(f"{name}: the file is empty")
    most = rule.get("max_file_size_bytes")
    if most is not None and size > most:
        raise ValueError(f"{name}: the ATS takes {most:.0f} bytes a file, this one has {size}")
    if most is None and size > UNKNOWN_MOST:
        raise ValueError(
            f"{name}: it is not known how large a file the ATS takes; {size} bytes are more than the {UNKNOWN_MOST} "
            "that Kombo recommends at most. Give a data_url to let Kombo decide"
        )


def _matches(content_type: str, accepted: Iterable[str]) -> bool:
    found = content_type.lower()
    family = f"{found.partition('/')[0]}/*"
    return any(str(one).lower() in (found, family, "*/*") for one in accepted)


def _size(file: Mapping[str, Any]) -> int | None:
    data = file.get("data")
    if isinstance(data, Content):
        return data.size
    return None if data is None else len(data) // 4 * 3 - data.count("=", -2)


def encoded(body: Mapping[str, Any]) -> bytes:
    """Encode a body, and every `Content` in it as base64 straight from its file: the body is in memory once.

    Args:
        body: JSON, with `Content` in places.

    Returns:
        The JSON.

    Raises:
        LakeError: A file cannot be read, or has changed since it was checked.
        TypeError: There is something in it that is not JSON.
    """
    contents: dict[bytes, Content] = {}

    def mark(value: Any) -> str:
        if not isinstance(value, Content):
            raise TypeError(f"a {type(value).__name__} cannot be sent as JSON")
        token = secrets.token_hex(16)
        contents[token.encode()] = value
        return token

    text = msgspec.json.encode(body, enc_hook=mark)
    if not contents:
        return text
    out = io.BytesIO()
    for piece in re.split(b"(" + b"|".join(contents) + b")", text):
        if piece in contents:
            files.copy_base64(contents[piece].path, out, contents[piece].size)
        else:
            out.write(piece)
    return out.getvalue()  # without another copy: CPython hands the buffer over
