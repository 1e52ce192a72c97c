"""Candidates: reading and creating them, and what can be added to one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tasks import attachments as files
from tasks import bodies, calls
from tasks.credentials import KomboCredentials
from tasks.policies import reads, safe_writes, unsafe_writes
from tasks.records import each_record


@reads
def get_candidates(
    *,
    integration: str,
    updated_after: datetime | str | None = None,
    include_deleted: bool | None = None,
    ignore_unsupported_filters: bool | None = None,
    ids: list[str] | None = None,
    remote_ids: list[str] | None = None,
    email: str | None = None,
    job_ids: list[str] | None = None,
    first_name: str | None = None,
    last_name: str | None = None,
    limit: int | None = None,
    credentials: KomboCredentials | None = None,
) -> list[dict[str, Any]]:
    """Read candidates.

    Filters narrow each other down; several values of one filter widen it. For records one at a time, see
    `tasks.records.each_record`.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        updated_after: Records that changed after this time, themselves or in their applications or tags: a
            datetime with a zone, or text in UTC such as `2026-03-29T01:00:00Z`.
        include_deleted: Also records that are gone from the ATS, with `remote_deleted_at` set. Default false.
        ignore_unsupported_filters: True drops a filter on a field that this ATS lacks, which returns more than asked
            for; by default such a filter returns nothing at all.
        ids: Kombo ids.
        remote_ids: The ATS's own ids.
        email: Who have this e-mail address, in any capitals.
        job_ids: Kombo ids of jobs; who applied to any of them.
        first_name: Exactly this given name, in any capitals.
        last_name: Exactly this family name, in any capitals.
        limit: Stop after so many records; None for all.
        credentials: None for the default block or the environment.

    Returns:
        The candidates as the API sends them, each once.

    Raises:
        ValueError: A parameter is not allowed; nothing was sent.
        KomboError: Kombo could not be read; `NotOffered` if this integration has no candidates.

    GET /ats/candidates
    """
    return list(
        each_record(
            "candidates",
            integration=integration,
            filters={
                "updated_after": updated_after,
                "include_deleted": include_deleted,
                "ignore_unsupported_filters": ignore_unsupported_filters,
                "ids": ids,
                "remote_ids": remote_ids,
                "email": email,
                "job_ids": job_ids,
                "first_name": first_name,
                "last_name": last_name,
            },
            limit=limit,
            credentials=credentials,
        )
    )


@reads
def get_candidate_attachments(
    *, integration: str, candidate_id: str, credentials: KomboCredentials | None = None
) -> calls.Listed:
    """List a candidate's files, straight from the ATS, those of their applications included.

    The rows have links (`data_url`) and not the files; a link works for a short time, so use it at once
    (`tasks.attachments.download_attachment`).

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        candidate_id: Kombo id of the candidate.
        credentials: None for the default block or the environment.

    Returns:
        A list of rows with `id`, `application_id`, `candidate_id`, `type`, `remote_id`, `file_name`, `content_type`,
        `data_url` and two dates; its attribute `warnings` has Kombo's warnings, which may hold personal data.

    Raises:
        KomboError: The ATS could not be asked.
        ValueError: An id is malformed; nothing was sent.

    GET /ats/candidates/{candidate_id}/attachments
    """
    return calls.listed(
        "get_candidate_attachments",
        "/ats/candidates/{candidate_id}/attachments",
        integration=integration,
        path_ids={"candidate_id": candidate_id},
        credentials=credentials,
    )


@unsafe_writes
def create_candidate(
    *,
    integration: str,
    candidate: bodies.NewCandidate | Mapping[str, Any],
    application: bodies.NewApplication | Mapping[str, Any],
    screening_question_answers: list[bodies.ScreeningAnswer | Mapping[str, Any]] | None = None,
    attachments: list[bodies.Attachment | Mapping[str, Any]] | None = None,
    source: bodies.Source | Mapping[str, Any] | None = None,
    sourced_by: bodies.SourcedBy | Mapping[str, Any] | None = None,
    gdpr_consent: bodies.GdprConsent | Mapping[str, Any] | None = None,
    remote_fields: Mapping[str, Any] | None = None,
    credentials: KomboCredentials | None = None,
) -> calls.Created:
    """Create a candidate with an application; a second call may do it twice. May start e-mails to the candidate.

    Superseded by `tasks.jobs.create_application`, which Kombo recommends and which answers with the application.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        candidate: Names, e-mail address and more; the ATS may recognise somebody it knows and reuse the record.
        application: `job_id`, a Kombo id or `remote:<id>`, and perhaps `stage_id`.
        screening_question_answers: `question_id` and `answer` each; one to a question that the job does not have is
            dropped with a warning.
        attachments: Files as for `add_application_attachment`; the first CV becomes the résumé.
        source: Deprecated by Kombo, which attributes the source itself: `name`, `unified_key`, `id`.
        sourced_by: `user_id` of who found the candidate, a Kombo id or `remote:<id>`.
        gdpr_consent: `given` and `expires_at`, where the country requires it.
        remote_fields: What one ATS takes beyond this, by the ATS's name; passed on as given.
        credentials: None for the default block or the environment.

    Returns:
        `data`, the candidate, and `warnings`; both hold personal data.

    Raises:
        OutcomeUnknown: It was sent and may have happened; look in the ATS before doing it again.
        KomboError: It did not happen.
        ValueError: A parameter is not allowed; nothing was sent.
        LakeError: A file cannot be read; nothing was sent.

    POST /ats/candidates
    """
    body = files.application_body(
        "ats_create_candidate",
        {
            "candidate": bodies.checked(bodies.NewCandidate, candidate, "candidate"),
            "application": bodies.checked(bodies.NewApplication, application, "application"),
        },
        screening_question_answers,
        attachments,
        source,
        sourced_by,
        gdpr_consent,
        remote_fields,
        integration=integration,
        credentials=credentials,
    )
    return calls.created(
        calls.write(
            "create_candidate",
            "POST",
            "/ats/candidates",
            integration=integration,
            repeat="unsafe",
            body=body,
            credentials=credentials,
        )
    )


@unsafe_writes
def add_candidate_attachment(
    *,
    integration: str,
    candidate_id: str,
    attachment: bodies.Attachment | Mapping[str, Any],
    remote_fields: Mapping[str, Any] | None = None,
    credentials: KomboCredentials | None = None,
) -> list[str]:
    """Attach a file to a candidate; a second call attaches it twice.

    Kombo recommends `tasks.applications.add_application_attachment` instead. The file is first held against what the
    ATS takes.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        candidate_id: Kombo id of the candidate.
        attachment: `name` with an extension, `type` (`CV`, `COVER_LETTER`, `OTHER`), `content_type`, and exactly one of
            `data_url`, `data` (base64) and `path` (a path or fsspec URL, read by us).
        remote_fields: What one ATS takes beyond this, by the ATS's name; passed on as given.
        credentials: None for the default block or the environment.

    Returns:
        Kombo's warnings about what went only partly right; may hold personal data.

    Raises:
        OutcomeUnknown: It was sent and may have happened; look in the ATS before doing it again.
        KomboError: It did not happen.
        ValueError: A parameter is not allowed; nothing was sent.
        LakeError: The file cannot be read; nothing was sent.

    POST /ats/candidates/{candidate_id}/attachments
    """
    answer = calls.write(
        "add_candidate_attachment",
        "POST",
        "/ats/candidates/{candidate_id}/attachments",
        integration=integration,
        repeat="unsafe",
        body=files.attachment_body(
            "ats_add_candidate_attachment",
            attachment,
            remote_fields,
            integration=integration,
            path_ids={"candidate_id": candidate_id},
            credentials=credentials,
        ),
        path_ids={"candidate_id": candidate_id},
        credentials=credentials,
    )
    return list(answer.warnings)


@unsafe_writes
def add_candidate_result_link(
    *,
    integration: str,
    candidate_id: str,
    label: str,
    url: str,
    details: bodies.ResultDetails | Mapping[str, Any] | None = None,
    remote_fields: Mapping[str, Any] | None = None,
    credentials: KomboCredentials | None = None,
) -> list[str]:
    """Add a link to a result, such as an assessment's, to a candidate; a second call may add a second one.

    Kombo recommends `tasks.applications.add_application_result_link` instead.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        candidate_id: Kombo id of the candidate.
        label: What the link is called.
        url: Absolute http or https URL.
        details: Short lines to show with it: `custom_field_name_prefix` and `attributes`, a list of `key` and `value`.
        remote_fields: What one ATS takes beyond this, by the ATS's name; passed on as given.
        credentials: None for the default block or the environment.

    Returns:
        Kombo's warnings about what went only partly right; may hold personal data.

    Raises:
        OutcomeUnknown: It was sent and may have happened; look in the ATS before doing it again.
        KomboError: It did not happen.
        ValueError: A parameter is not allowed; nothing was sent.

    POST /ats/candidates/{candidate_id}/result-links
    """
    answer = calls.write(
        "add_candidate_result_link",
        "POST",
        "/ats/candidates/{candidate_id}/result-links",
        integration=integration,
        repeat="unsafe",
        body=bodies.result_link(label, url, details, remote_fields),
        path_ids={"candidate_id": candidate_id},
        credentials=credentials,
    )
    return list(answer.warnings)


@unsafe_writes
def add_candidate_tag(
    *,
    integration: str,
    candidate_id: str,
    tag: bodies.Tag | Mapping[str, Any],
    remote_fields: Mapping[str, Any] | None = None,
    credentials: KomboCredentials | None = None,
) -> list[str]:
    """Put a tag on a candidate. A tag of a new name is created in the ATS.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        candidate_id: Kombo id of the candidate.
        tag: `name` of the tag; tags go by name here, not by id.
        remote_fields: What one ATS takes beyond this, by the ATS's name; passed on as given.
        credentials: None for the default block or the environment.

    Returns:
        Kombo's warnings about what went only partly right; may hold personal data.

    Raises:
        OutcomeUnknown: It was sent and may have happened; look in the ATS before doing it again.
        KomboError: It did not happen.
        ValueError: A parameter is not allowed; nothing was sent.

    POST /ats/candidates/{candidate_id}/tags
    """
    answer = calls.write(
        "add_candidate_tag",
        "POST",
        "/ats/candidates/{candidate_id}/tags",
        integration=integration,
        repeat="unsafe",
        body=calls.given(
            tag=bodies.checked(bodies.Tag, tag, "tag"),
            remote_fields=bodies.passed_on(remote_fields),
        ),
        path_ids={"candidate_id": candidate_id},
        credentials=credentials,
    )
    return list(answer.warnings)


@safe_writes
def remove_candidate_tag(
    *,
    integration: str,
    candidate_id: str,
    tag: bodies.Tag | Mapping[str, Any],
    remote_fields: Mapping[str, Any] | None = None,
    credentials: KomboCredentials | None = None,
) -> list[str]:
    """Take a tag off a candidate; succeeds also where it is not on. The tag itself stays in the ATS.

    The tag travels in a body, which is unusual for a DELETE: a proxy on the way may drop it.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        candidate_id: Kombo id of the candidate.
        tag: `name` of the tag; tags go by name here, not by id.
        remote_fields: What one ATS takes beyond this, by the ATS's name; passed on as given.
        credentials: None for the default block or the environment.

    Returns:
        Kombo's warnings about what went only partly right; may hold personal data.

    Raises:
        OutcomeUnknown: It was sent and may have happened; look in the ATS before doing it again.
        KomboError: It did not happen.
        ValueError: A parameter is not allowed; nothing was sent.

    DELETE /ats/candidates/{candidate_id}/tags
    """
    answer = calls.write(
        "remove_candidate_tag",
        "DELETE",
        "/ats/candidates/{candidate_id}/tags",
        integration=integration,
        repeat="safe",
        body=calls.given(
            tag=bodies.checked(bodies.Tag, tag, "tag"),
            remote_fields=bodies.passed_on(remote_fields),
        ),
        path_ids={"candidate_id": candidate_id},
        credentials=credentials,
    )
    return list(answer.warnings)
