"""What an integration's ATS takes in the way of attachments, by the action that would upload them.

Not in Kombo's SDK and hardly documented, so it may change. Null is "not known" at every level, and not "unlimited".
"""

from __future__ import annotations

from typing import Any

from tasks import attachments
from tasks.credentials import KomboCredentials
from tasks.policies import reads


@reads
def get_create_candidate_action(*, integration: str, credentials: KomboCredentials | None = None) -> dict[str, Any]:
    """Ask what the ATS takes as attachments when creating a candidate.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        credentials: None for the default block or the environment.

    Returns:
        `attachment_restrictions`, null or with `types`, by `CV`, `COVER_LETTER` and `OTHER`: `is_supported`,
        `max_file_size_bytes`, `accepted_mime_types`, and `total_size_bytes`; a type has
        `min_amount` and `max_amount`.

    Raises:
        KomboError: It could not be asked; `NotOffered` if this integration has no such action.
        ValueError: The integration id is malformed; nothing was sent.

    GET /ats/actions/ats_create_candidate
    """
    return attachments.limits("ats_create_candidate", integration=integration, credentials=credentials)


@reads
def get_create_application_action(*, integration: str, credentials: KomboCredentials | None = None) -> dict[str, Any]:
    """Ask what the ATS takes as attachments when creating an application.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        credentials: None for the default block or the environment.

    Returns:
        `attachment_restrictions`, null or with `types`, by `CV`, `COVER_LETTER` and `OTHER`: `is_supported`,
        `max_file_size_bytes`, `accepted_mime_types`, and `total_size_bytes`; a type has
        `min_amount` and `max_amount`.

    Raises:
        KomboError: It could not be asked; `NotOffered` if this integration has no such action.
        ValueError: The integration id is malformed; nothing was sent.

    GET /ats/actions/ats_create_application
    """
    return attachments.limits("ats_create_application", integration=integration, credentials=credentials)


@reads
def get_add_application_attachment_action(
    *, integration: str, credentials: KomboCredentials | None = None
) -> dict[str, Any]:
    """Ask what the ATS takes as attachments when attaching a file to an application.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        credentials: None for the default block or the environment.

    Returns:
        `attachment_restrictions`, null or with `types`, by `CV`, `COVER_LETTER` and `OTHER`: `is_supported`,
        `max_file_size_bytes`, `accepted_mime_types`.

    Raises:
        KomboError: It could not be asked; `NotOffered` if this integration has no such action.
        ValueError: The integration id is malformed; nothing was sent.

    GET /ats/actions/ats_add_application_attachment
    """
    return attachments.limits("ats_add_application_attachment", integration=integration, credentials=credentials)


@reads
def get_add_candidate_attachment_action(
    *, integration: str, credentials: KomboCredentials | None = None
) -> dict[str, Any]:
    """Ask what the ATS takes as attachments when attaching a file to a candidate.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        credentials: None for the default block or the environment.

    Returns:
        `attachment_restrictions`, null or with `types`, by `CV`, `COVER_LETTER` and `OTHER`: `is_supported`,
        `max_file_size_bytes`, `accepted_mime_types`.

    Raises:
        KomboError: It could not be asked; `NotOffered` if this integration has no such action.
        ValueError: The integration id is malformed; nothing was sent.

    GET /ats/actions/ats_add_candidate_attachment
    """
    return attachments.limits("ats_add_candidate_attachment", integration=integration, credentials=credentials)
