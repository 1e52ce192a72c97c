"""Jobs: reading them, and applying to one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from tasks import attachments as files
from tasks import bodies, calls
from tasks.credentials import KomboCredentials
from tasks.kombo import ids as checks
from tasks.policies import reads, unsafe_writes
from tasks.records import each_record

Status = Literal["OPEN", "CLOSED", "DRAFT", "ARCHIVED"]
EmploymentType = Literal["FULL_TIME", "PART_TIME", "CONTRACT", "SEASONAL", "INTERNSHIP"]
Visibility = Literal["PUBLIC", "INTERNAL", "UNLISTED", "CONFIDENTIAL"]


@reads
def get_jobs(
    *,
    integration: str,
    updated_after: datetime | str | None = None,
    include_deleted: bool | None = None,
    ignore_unsupported_filters: bool | None = None,
    ids: list[str] | None = None,
    remote_ids: list[str] | None = None,
    job_codes: list[str] | None = None,
    post_url: str | None = None,
    status: Status | None = None,
    statuses: list[Status] | None = None,
    employment_types: list[EmploymentType] | None = None,
    visibilities: list[Visibility] | None = None,
    remote_created_after: datetime | str | None = None,
    name_contains: str | None = None,
    limit: int | None = None,
    credentials: KomboCredentials | None = None,
) -> list[dict[str, Any]]:
    """Read jobs, with their stages, screening questions, postings and hiring team.

    Filters narrow each other down; several values of one filter widen it. For records one at a time, see
    `tasks.records.each_record`.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        updated_after: Records that changed after this time, themselves or in their stages, questions, postings
            or hiring team: a datetime with a zone, or text in UTC such as `2026-03-29T01:00:00Z`.
        include_deleted: Also records that are gone from the ATS, with `remote_deleted_at` set. Default false.
        ignore_unsupported_filters: True drops a filter on a field that this ATS lacks, which returns more than asked
            for; by default such a filter returns nothing at all.
        ids: Kombo ids.
        remote_ids: The ATS's own ids.
        job_codes: Job codes, such as requisition numbers.
        post_url: The job with this public posting URL.
        status: Deprecated by Kombo, use `statuses`: one status.
        statuses: `OPEN`, `CLOSED`, `DRAFT`, `ARCHIVED`.
        employment_types: `FULL_TIME`, `PART_TIME`, `CONTRACT`, `SEASONAL`, `INTERNSHIP`.
        visibilities: `PUBLIC`, `INTERNAL`, `UNLISTED`, `CONFIDENTIAL`.
        remote_created_after: Created on or after this day, by the ATS's account; a time of day has no effect.
        name_contains: Words in the job's name.
        limit: Stop after so many records; None for all.
        credentials: None for the default block or the environment.

    Returns:
        The jobs as the API sends them, each once.

    Raises:
        ValueError: A parameter is not allowed; nothing was sent.
        KomboError: Kombo could not be read; `NotOffered` if this integration has no jobs.

    GET /ats/jobs
    """
    return list(
        each_record(
            "jobs",
            integration=integration,
            filters={
                "updated_after": updated_after,
                "include_deleted": include_deleted,
                "ignore_unsupported_filters": ignore_unsupported_filters,
                "ids": ids,
                "remote_ids": remote_ids,
                "job_codes": job_codes,
                "post_url": post_url,
                "status": status,
                "statuses": statuses,
                "employment_types": employment_types,
                "visibilities": visibilities,
                "remote_created_after": remote_created_after,
                "name_contains": name_contains,
            },
            limit=limit,
            credentials=credentials,
        )
    )


@unsafe_writes
def create_application(
    *,
    integration: str,
    job_id: str,
    candidate: bodies.NewCandidate | Mapping[str, Any],
    stage_id: str | None = None,
    screening_question_answers: list[bodies.ScreeningAnswer | Mapping[str, Any]] | None = None,
    attachments: list[bodies.Attachment | Mapping[str, Any]] | None = None,
    source: bodies.Source | Mapping[str, Any] | None = None,
    sourced_by: bodies.SourcedBy | Mapping[str, Any] | None = None,
    gdpr_consent: bodies.GdprConsent | Mapping[str, Any] | None = None,
    remote_fields: Mapping[str, Any] | None = None,
    credentials: KomboCredentials | None = None,
) -> calls.Created:
    """Apply to a job for a candidate; a second call may do it twice. May start e-mails to the candidate.

    An ATS that notices an application of the same candidate to the same job refuses it (`RequestRefused`).

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        job_id: Kombo id of the job, or `remote:<id>` with the ATS's own.
        candidate: Names, e-mail address and more; the ATS may recognise somebody it knows and reuse the record.
        stage_id: Kombo id of the stage to start in, one of the job's; None for its default.
        screening_question_answers: `question_id` and `answer` each; one to a question that the job does not have is
            dropped with a warning.
        attachments: Files as for `add_application_attachment`; the first CV becomes the résumé.
        source: Deprecated by Kombo, which attributes the source itself: `name`, `unified_key`, `id`.
        sourced_by: `user_id` of who found the candidate, a Kombo id or `remote:<id>`.
        gdpr_consent: `given` and `expires_at`, where the country requires it.
        remote_fields: What one ATS takes beyond this, by the ATS's name; passed on as given.
        credentials: None for the default block or the environment.

    Returns:
        `data`, the application with its candidate, and `warnings`; both hold personal data.

    Raises:
        OutcomeUnknown: It was sent and may have happened; look in the ATS before doing it again.
        KomboError: It did not happen.
        ValueError: A parameter is not allowed; nothing was sent.
        LakeError: A file cannot be read; nothing was sent.

    POST /ats/jobs/{job_id}/applications
    """
    checks.kombo_or_remote_id(job_id, "job_id")
    fields = {"candidate": bodies.checked(bodies.NewCandidate, candidate, "candidate")}
    body = files.application_body(
        "ats_create_application",
        fields if stage_id is None else {"stage_id": checks.kombo_id(stage_id, "stage_id"), **fields},
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
            "create_application",
            "POST",
            "/ats/jobs/{job_id}/applications",
            integration=integration,
            repeat="unsafe",
            body=body,
            path_ids={"job_id": job_id},
            remote_ids=["job_id"],
            credentials=credentials,
        )
    )
