"""Applications: reading them, and everything that can be done to one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from tasks import attachments, bodies, calls
from tasks.checks import filled
from tasks.credentials import KomboCredentials
from tasks.kombo import ids as checks
from tasks.policies import reads, safe_writes, unsafe_writes
from tasks.records import each_record

Outcome = Literal["PENDING", "HIRED", "DECLINED"]


@reads
def get_applications(
    *,
    integration: str,
    updated_after: datetime | str | None = None,
    include_deleted: bool | None = None,
    ignore_unsupported_filters: bool | None = None,
    ids: list[str] | None = None,
    remote_ids: list[str] | None = None,
    outcome: Outcome | None = None,
    outcomes: list[Outcome] | None = None,
    job_ids: list[str] | None = None,
    job_remote_ids: list[str] | None = None,
    current_stage_ids: list[str] | None = None,
    remote_created_after: datetime | str | None = None,
    limit: int | None = None,
    credentials: KomboCredentials | None = None,
) -> list[dict[str, Any]]:
    """Read applications.

    Filters narrow each other down; several values of one filter widen it. For records one at a time, see
    `tasks.records.each_record`.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        updated_after: Records that changed after this time, themselves or in their candidate, current stage,
            interviews or offers: a datetime with a zone, or text in UTC such as `2026-03-29T01:00:00Z`.
        include_deleted: Also records that are gone from the ATS, with `remote_deleted_at` set. Default false.
        ignore_unsupported_filters: True drops a filter on a field that this ATS lacks, which returns more than asked
            for; by default such a filter returns nothing at all.
        ids: Kombo ids.
        remote_ids: The ATS's own ids.
        outcome: Deprecated by Kombo, use `outcomes`: one outcome.
        outcomes: How they stand: `PENDING`, `HIRED`, `DECLINED` (by either side). Applications without a known outcome
            match none.
        job_ids: Kombo ids of jobs applied to.
        job_remote_ids: The ATS's own ids of jobs applied to.
        current_stage_ids: Kombo ids of stages that they are in.
        remote_created_after: Created on or after this day, by the ATS's account; a time of day has no effect.
        limit: Stop after so many records; None for all.
        credentials: None for the default block or the environment.

    Returns:
        The applications as the API sends them, each once.

    Raises:
        ValueError: A parameter is not allowed; nothing was sent.
        KomboError: Kombo could not be read; `NotOffered` if this integration has no applications.

    GET /ats/applications
    """
    return list(
        each_record(
            "applications",
            integration=integration,
            filters={
                "updated_after": updated_after,
                "include_deleted": include_deleted,
                "ignore_unsupported_filters": ignore_unsupported_filters,
                "ids": ids,
                "remote_ids": remote_ids,
                "outcome": outcome,
                "outcomes": outcomes,
                "job_ids": job_ids,
                "job_remote_ids": job_remote_ids,
                "current_stage_ids": current_stage_ids,
                "remote_created_after": remote_created_after,
            },
            limit=limit,
            credentials=credentials,
        )
    )


@reads
def get_application_attachments(
    *, integration: str, application_id: str, credentials: KomboCredentials | None = None
) -> calls.Listed:
    """List an application's files, straight from the ATS.

    The rows have links (`data_url`) and not the files; a link works for a short time, so use it at once
    (`tasks.attachments.download_attachment`). Some ATSs list the candidate's files here. For an archived or deleted
    application, list those of the candidate instead.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        application_id: Kombo id of the application.
        credentials: None for the default block or the environment.

    Returns:
        A list of rows with `id`, `type`, `remote_id`, `file_name`, `content_type`, `data_url` and two dates; its
        attribute `warnings` has Kombo's warnings, which may hold personal data.

    Raises:
        KomboError: The ATS could not be asked.
        ValueError: An id is malformed; nothing was sent.

    GET /ats/applications/{application_id}/attachments
    """
    return calls.listed(
        "get_application_attachments",
        "/ats/applications/{application_id}/attachments",
        integration=integration,
        path_ids={"application_id": application_id},
        credentials=credentials,
    )


@safe_writes
def move_application_to_stage(
    *,
    integration: str,
    application_id: str,
    stage_id: str,
    remote_fields: Mapping[str, Any] | None = None,
    credentials: KomboCredentials | None = None,
) -> list[str]:
    """Move an application to another stage of its job's process.

    The customer's ATS may react to the move, for instance by mailing the candidate. Moving an application to where it
    is already changes nothing.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        application_id: Kombo id of the application.
        stage_id: Kombo id of one of its job's `stages` (`tasks.jobs.get_jobs`); one from the flat list of
            `get_application_stages` may be refused.
        remote_fields: What one ATS takes beyond this, by the ATS's name; passed on as given.
        credentials: None for the default block or the environment.

    Returns:
        Kombo's warnings about what went only partly right; may hold personal data.

    Raises:
        OutcomeUnknown: It was sent and may have happened; look in the ATS before doing it again.
        KomboError: It did not happen.
        ValueError: A parameter is not allowed; nothing was sent.

    PUT /ats/applications/{application_id}/stage
    """
    body = calls.given(
        stage_id=checks.kombo_id(stage_id, "stage_id"),
        remote_fields=bodies.passed_on(remote_fields),
    )
    answer = calls.write(
        "move_application_to_stage",
        "PUT",
        "/ats/applications/{application_id}/stage",
        integration=integration,
        repeat="safe",
        body=body,
        path_ids={"application_id": application_id},
        credentials=credentials,
    )
    return list(answer.warnings)


@unsafe_writes
def reject_application(
    *,
    integration: str,
    application_id: str,
    rejection_reason_id: str,
    note: str | None = None,
    remote_fields: Mapping[str, Any] | None = None,
    credentials: KomboCredentials | None = None,
) -> list[str]:
    """Reject an application. This cannot be undone, and may start the customer's automated rejection e-mail.

    There is no switch against that e-mail. The result shows in the data only after the next sync, minutes to hours
    later.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        application_id: Kombo id of the application. Read its `outcome` before: how an ATS takes a second rejection,
            or that of somebody hired, differs.
        rejection_reason_id: Kombo id of a reason of the same integration (`tasks.reference.get_rejection_reasons`)
            that is not deleted.
        note: Passed on where the ATS has a place for it, where people may see it.
        remote_fields: What one ATS takes beyond this, by the ATS's name; passed on as given.
        credentials: None for the default block or the environment.

    Returns:
        Kombo's warnings about what went only partly right; may hold personal data.

    Raises:
        OutcomeUnknown: It was sent and may have happened; look in the ATS before doing it again.
        KomboError: It did not happen.
        ValueError: A parameter is not allowed; nothing was sent.

    POST /ats/applications/{application_id}/reject
    """
    body = calls.given(
        rejection_reason_id=checks.kombo_id(rejection_reason_id, "rejection_reason_id"),
        note=None if note is None else filled(note, "note"),
        remote_fields=bodies.passed_on(remote_fields),
    )
    answer = calls.write(
        "reject_application",
        "POST",
        "/ats/applications/{application_id}/reject",
        integration=integration,
        repeat="unsafe",
        body=body,
        path_ids={"application_id": application_id},
        credentials=credentials,
    )
    return list(answer.warnings)


@unsafe_writes
def add_application_note(
    *,
    integration: str,
    application_id: str,
    content: str,
    content_type: Literal["PLAIN_TEXT"] = "PLAIN_TEXT",
    remote_fields: Mapping[str, Any] | None = None,
    credentials: KomboCredentials | None = None,
) -> list[str]:
    """Add a note to an application; a second call adds a second note.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        application_id: Kombo id of the application.
        content: Text of the note.
        content_type: The only one there is.
        remote_fields: What one ATS takes beyond this, by the ATS's name; passed on as given.
        credentials: None for the default block or the environment.

    Returns:
        Kombo's warnings about what went only partly right; may hold personal data.

    Raises:
        OutcomeUnknown: It was sent and may have happened; look in the ATS before doing it again.
        KomboError: It did not happen.
        ValueError: A parameter is not allowed; nothing was sent.

    POST /ats/applications/{application_id}/notes
    """
    if content_type != "PLAIN_TEXT":
        raise ValueError("content_type: expected PLAIN_TEXT")
    body = calls.given(
        content=filled(content, "content"),
        content_type=content_type,
        remote_fields=bodies.passed_on(remote_fields),
    )
    answer = calls.write(
        "add_application_note",
        "POST",
        "/ats/applications/{application_id}/notes",
        integration=integration,
        repeat="unsafe",
        body=body,
        path_ids={"application_id": application_id},
        credentials=credentials,
    )
    return list(answer.warnings)


@unsafe_writes
def add_application_result_link(
    *,
    integration: str,
    application_id: str,
    label: str,
    url: str,
    details: bodies.ResultDetails | Mapping[str, Any] | None = None,
    remote_fields: Mapping[str, Any] | None = None,
    credentials: KomboCredentials | None = None,
) -> list[str]:
    """Add a link to a result, such as an assessment's, to an application; a second call may add a second one.

    An ATS without a place for result links shows it in another field.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        application_id: Kombo id of the application.
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

    POST /ats/applications/{application_id}/result-links
    """
    answer = calls.write(
        "add_application_result_link",
        "POST",
        "/ats/applications/{application_id}/result-links",
        integration=integration,
        repeat="unsafe",
        body=bodies.result_link(label, url, details, remote_fields),
        path_ids={"application_id": application_id},
        credentials=credentials,
    )
    return list(answer.warnings)


@unsafe_writes
def add_application_attachment(
    *,
    integration: str,
    application_id: str,
    attachment: bodies.Attachment | Mapping[str, Any],
    remote_fields: Mapping[str, Any] | None = None,
    credentials: KomboCredentials | None = None,
) -> list[str]:
    """Attach a file to an application; a second call attaches it twice.

    The file is first held against what the ATS takes. Where the ATS knows files of candidates only, it ends there.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        application_id: Kombo id of the application.
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

    POST /ats/applications/{application_id}/attachments
    """
    answer = calls.write(
        "add_application_attachment",
        "POST",
        "/ats/applications/{application_id}/attachments",
        integration=integration,
        repeat="unsafe",
        body=attachments.attachment_body(
            "ats_add_application_attachment",
            attachment,
            remote_fields,
            integration=integration,
            path_ids={"application_id": application_id},
            credentials=credentials,
        ),
        path_ids={"application_id": application_id},
        credentials=credentials,
    )
    return list(answer.warnings)


@unsafe_writes
def create_interview(
    *,
    integration: str,
    application_id: str,
    title: str,
    start_time: datetime | str,
    end_time: datetime | str,
    interviewer_user_ids: list[str],
    organizer_user_id: str,
    location: bodies.InterviewLocation | Mapping[str, Any],
    credentials: KomboCredentials | None = None,
) -> list[str]:
    """Schedule an interview; a second call schedules a second one. Closed beta: few keys may call it.

    The answer does not have the new interview's id. The ATS may invite everybody concerned.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        application_id: Kombo id of the application.
        title: Title of the interview.
        start_time: When it starts: a datetime with a zone, or text in UTC such as `2026-03-29T01:00:00Z`.
        end_time: When it ends; after the start.
        interviewer_user_ids: Kombo ids of the users who interview; at least one.
        organizer_user_id: Kombo id of the user who organises it.
        location: `type` (`PHYSICAL` or `VIRTUAL`) and perhaps `address`.
        credentials: None for the default block or the environment.

    Returns:
        Kombo's warnings about what went only partly right; may hold personal data.

    Raises:
        OutcomeUnknown: It was sent and may have happened; look in the ATS before doing it again.
        KomboError: It did not happen.
        ValueError: A parameter is not allowed; nothing was sent.

    POST /ats/applications/{application_id}/interviews
    """
    answer = calls.write(
        "create_interview",
        "POST",
        "/ats/applications/{application_id}/interviews",
        integration=integration,
        repeat="unsafe",
        body=bodies.interview(title, start_time, end_time, interviewer_user_ids, organizer_user_id, location),
        path_ids={"application_id": application_id},
        credentials=credentials,
    )
    return list(answer.warnings)


@safe_writes
def update_interview(
    *,
    integration: str,
    application_id: str,
    interview_id: str,
    title: str,
    start_time: datetime | str,
    end_time: datetime | str,
    interviewer_user_ids: list[str],
    organizer_user_id: str,
    location: bodies.InterviewLocation | Mapping[str, Any],
    credentials: KomboCredentials | None = None,
) -> list[str]:
    """Replace everything about an interview; there is no partial change. Closed beta: few keys may call it.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        application_id: Kombo id of the application.
        interview_id: Kombo id of the interview.
        title: Title of the interview.
        start_time: When it starts: a datetime with a zone, or text in UTC such as `2026-03-29T01:00:00Z`.
        end_time: When it ends; after the start.
        interviewer_user_ids: Kombo ids of the users who interview; at least one.
        organizer_user_id: Kombo id of the user who organises it.
        location: `type` (`PHYSICAL` or `VIRTUAL`) and perhaps `address`.
        credentials: None for the default block or the environment.

    Returns:
        Kombo's warnings about what went only partly right; may hold personal data.

    Raises:
        OutcomeUnknown: It was sent and may have happened; look in the ATS before doing it again.
        KomboError: It did not happen.
        ValueError: A parameter is not allowed; nothing was sent.

    PATCH /ats/applications/{application_id}/interviews
    """
    answer = calls.write(
        "update_interview",
        "PATCH",
        "/ats/applications/{application_id}/interviews",
        integration=integration,
        repeat="safe",
        body={
            "interview_id": checks.kombo_id(interview_id, "interview_id"),
            **bodies.interview(title, start_time, end_time, interviewer_user_ids, organizer_user_id, location),
        },
        path_ids={"application_id": application_id},
        credentials=credentials,
    )
    return list(answer.warnings)
