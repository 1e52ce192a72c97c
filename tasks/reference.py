"""The collections that the others point to (stages, tags, users, roles, rejection reasons), offers and interviews."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from tasks.credentials import KomboCredentials
from tasks.policies import reads
from tasks.records import each_record

Scope = Literal["SYSTEM", "JOB"]


@reads
def get_application_stages(
    *,
    integration: str,
    updated_after: datetime | str | None = None,
    include_deleted: bool | None = None,
    ignore_unsupported_filters: bool | None = None,
    ids: list[str] | None = None,
    remote_ids: list[str] | None = None,
    limit: int | None = None,
    credentials: KomboCredentials | None = None,
) -> list[dict[str, Any]]:
    """Read all stages of all jobs, flat.

    Deprecated by Kombo: for moving an application, take a stage from its job (`tasks.jobs.get_jobs`).

    Filters narrow each other down; several values of one filter widen it. For records one at a time, see
    `tasks.records.each_record`.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        updated_after: Records that changed after this time: a datetime with a zone, or text in UTC such as
            `2026-03-29T01:00:00Z`.
        include_deleted: Also records that are gone from the ATS, with `remote_deleted_at` set. Default false.
        ignore_unsupported_filters: True drops a filter on a field that this ATS lacks, which returns more than asked
            for; by default such a filter returns nothing at all.
        ids: Kombo ids.
        remote_ids: The ATS's own ids.
        limit: Stop after so many records; None for all.
        credentials: None for the default block or the environment.

    Returns:
        The stages as the API sends them, each once.

    Raises:
        ValueError: A parameter is not allowed; nothing was sent.
        KomboError: Kombo could not be read; `NotOffered` if this integration has no stages.

    GET /ats/application-stages
    """
    return list(
        each_record(
            "application_stages",
            integration=integration,
            filters={
                "updated_after": updated_after,
                "include_deleted": include_deleted,
                "ignore_unsupported_filters": ignore_unsupported_filters,
                "ids": ids,
                "remote_ids": remote_ids,
            },
            limit=limit,
            credentials=credentials,
        )
    )


@reads
def get_tags(
    *,
    integration: str,
    updated_after: datetime | str | None = None,
    include_deleted: bool | None = None,
    ignore_unsupported_filters: bool | None = None,
    ids: list[str] | None = None,
    remote_ids: list[str] | None = None,
    limit: int | None = None,
    credentials: KomboCredentials | None = None,
) -> list[dict[str, Any]]:
    """Read the tags that candidates can have.

    Filters narrow each other down; several values of one filter widen it. For records one at a time, see
    `tasks.records.each_record`.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        updated_after: Records that changed after this time: a datetime with a zone, or text in UTC such as
            `2026-03-29T01:00:00Z`.
        include_deleted: Also records that are gone from the ATS, with `remote_deleted_at` set. Default false.
        ignore_unsupported_filters: True drops a filter on a field that this ATS lacks, which returns more than asked
            for; by default such a filter returns nothing at all.
        ids: Kombo ids.
        remote_ids: The ATS's own ids.
        limit: Stop after so many records; None for all.
        credentials: None for the default block or the environment.

    Returns:
        The tags as the API sends them, each once.

    Raises:
        ValueError: A parameter is not allowed; nothing was sent.
        KomboError: Kombo could not be read; `NotOffered` if this integration has no tags.

    GET /ats/tags
    """
    return list(
        each_record(
            "tags",
            integration=integration,
            filters={
                "updated_after": updated_after,
                "include_deleted": include_deleted,
                "ignore_unsupported_filters": ignore_unsupported_filters,
                "ids": ids,
                "remote_ids": remote_ids,
            },
            limit=limit,
            credentials=credentials,
        )
    )


@reads
def get_users(
    *,
    integration: str,
    updated_after: datetime | str | None = None,
    include_deleted: bool | None = None,
    ignore_unsupported_filters: bool | None = None,
    ids: list[str] | None = None,
    remote_ids: list[str] | None = None,
    emails: list[str] | None = None,
    limit: int | None = None,
    credentials: KomboCredentials | None = None,
) -> list[dict[str, Any]]:
    """Read the people who work with the ATS, such as recruiters.

    Filters narrow each other down; several values of one filter widen it. For records one at a time, see
    `tasks.records.each_record`.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        updated_after: Records that changed after this time, themselves or in their roles: a datetime with a
            zone, or text in UTC such as `2026-03-29T01:00:00Z`.
        include_deleted: Also records that are gone from the ATS, with `remote_deleted_at` set. Default false.
        ignore_unsupported_filters: True drops a filter on a field that this ATS lacks, which returns more than asked
            for; by default such a filter returns nothing at all.
        ids: Kombo ids.
        remote_ids: The ATS's own ids.
        emails: Who have one of these e-mail addresses, in any capitals.
        limit: Stop after so many records; None for all.
        credentials: None for the default block or the environment.

    Returns:
        The users as the API sends them, each once.

    Raises:
        ValueError: A parameter is not allowed; nothing was sent.
        KomboError: Kombo could not be read; `NotOffered` if this integration has no users.

    GET /ats/users
    """
    return list(
        each_record(
            "users",
            integration=integration,
            filters={
                "updated_after": updated_after,
                "include_deleted": include_deleted,
                "ignore_unsupported_filters": ignore_unsupported_filters,
                "ids": ids,
                "remote_ids": remote_ids,
                "emails": emails,
            },
            limit=limit,
            credentials=credentials,
        )
    )


@reads
def get_roles(
    *,
    integration: str,
    updated_after: datetime | str | None = None,
    include_deleted: bool | None = None,
    ignore_unsupported_filters: bool | None = None,
    ids: list[str] | None = None,
    remote_ids: list[str] | None = None,
    scopes: list[Scope] | None = None,
    limit: int | None = None,
    credentials: KomboCredentials | None = None,
) -> list[dict[str, Any]]:
    """Read the roles that users can have.

    Filters narrow each other down; several values of one filter widen it. For records one at a time, see
    `tasks.records.each_record`.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        updated_after: Records that changed after this time: a datetime with a zone, or text in UTC such as
            `2026-03-29T01:00:00Z`.
        include_deleted: Also records that are gone from the ATS, with `remote_deleted_at` set. Default false.
        ignore_unsupported_filters: True drops a filter on a field that this ATS lacks, which returns more than asked
            for; by default such a filter returns nothing at all.
        ids: Kombo ids.
        remote_ids: The ATS's own ids.
        scopes: `SYSTEM` for roles in the whole ATS, `JOB` for those in a single job.
        limit: Stop after so many records; None for all.
        credentials: None for the default block or the environment.

    Returns:
        The roles as the API sends them, each once.

    Raises:
        ValueError: A parameter is not allowed; nothing was sent.
        KomboError: Kombo could not be read; `NotOffered` if this integration has no roles.

    GET /ats/roles
    """
    return list(
        each_record(
            "roles",
            integration=integration,
            filters={
                "updated_after": updated_after,
                "include_deleted": include_deleted,
                "ignore_unsupported_filters": ignore_unsupported_filters,
                "ids": ids,
                "remote_ids": remote_ids,
                "scopes": scopes,
            },
            limit=limit,
            credentials=credentials,
        )
    )


@reads
def get_offers(
    *,
    integration: str,
    updated_after: datetime | str | None = None,
    include_deleted: bool | None = None,
    ignore_unsupported_filters: bool | None = None,
    ids: list[str] | None = None,
    remote_ids: list[str] | None = None,
    limit: int | None = None,
    credentials: KomboCredentials | None = None,
) -> list[dict[str, Any]]:
    """Read offers.

    Filters narrow each other down; several values of one filter widen it. For records one at a time, see
    `tasks.records.each_record`.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        updated_after: Records that changed after this time, themselves or in their application: a datetime with
            a zone, or text in UTC such as `2026-03-29T01:00:00Z`.
        include_deleted: Also records that are gone from the ATS, with `remote_deleted_at` set. Default false.
        ignore_unsupported_filters: True drops a filter on a field that this ATS lacks, which returns more than asked
            for; by default such a filter returns nothing at all.
        ids: Kombo ids.
        remote_ids: The ATS's own ids.
        limit: Stop after so many records; None for all.
        credentials: None for the default block or the environment.

    Returns:
        The offers as the API sends them, each once.

    Raises:
        ValueError: A parameter is not allowed; nothing was sent.
        KomboError: Kombo could not be read; `NotOffered` if this integration has no offers.

    GET /ats/offers
    """
    return list(
        each_record(
            "offers",
            integration=integration,
            filters={
                "updated_after": updated_after,
                "include_deleted": include_deleted,
                "ignore_unsupported_filters": ignore_unsupported_filters,
                "ids": ids,
                "remote_ids": remote_ids,
            },
            limit=limit,
            credentials=credentials,
        )
    )


@reads
def get_rejection_reasons(
    *,
    integration: str,
    updated_after: datetime | str | None = None,
    include_deleted: bool | None = None,
    ignore_unsupported_filters: bool | None = None,
    ids: list[str] | None = None,
    remote_ids: list[str] | None = None,
    limit: int | None = None,
    credentials: KomboCredentials | None = None,
) -> list[dict[str, Any]]:
    """Read the reasons that an application can be rejected for.

    A reason's id counts for its own integration only, and one with `remote_deleted_at` should not be used any more.

    Filters narrow each other down; several values of one filter widen it. For records one at a time, see
    `tasks.records.each_record`.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        updated_after: Records that changed after this time: a datetime with a zone, or text in UTC such as
            `2026-03-29T01:00:00Z`.
        include_deleted: Also records that are gone from the ATS, with `remote_deleted_at` set. Default false.
        ignore_unsupported_filters: True drops a filter on a field that this ATS lacks, which returns more than asked
            for; by default such a filter returns nothing at all.
        ids: Kombo ids.
        remote_ids: The ATS's own ids.
        limit: Stop after so many records; None for all.
        credentials: None for the default block or the environment.

    Returns:
        The rejection reasons as the API sends them, each once.

    Raises:
        ValueError: A parameter is not allowed; nothing was sent.
        KomboError: Kombo could not be read; `NotOffered` if this integration has no rejection reasons.

    GET /ats/rejection-reasons
    """
    return list(
        each_record(
            "rejection_reasons",
            integration=integration,
            filters={
                "updated_after": updated_after,
                "include_deleted": include_deleted,
                "ignore_unsupported_filters": ignore_unsupported_filters,
                "ids": ids,
                "remote_ids": remote_ids,
            },
            limit=limit,
            credentials=credentials,
        )
    )


@reads
def get_interviews(
    *,
    integration: str,
    updated_after: datetime | str | None = None,
    include_deleted: bool | None = None,
    ignore_unsupported_filters: bool | None = None,
    ids: list[str] | None = None,
    remote_ids: list[str] | None = None,
    job_ids: list[str] | None = None,
    limit: int | None = None,
    credentials: KomboCredentials | None = None,
) -> list[dict[str, Any]]:
    """Read interviews.

    Filters narrow each other down; several values of one filter widen it. For records one at a time, see
    `tasks.records.each_record`.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        updated_after: Records that changed after this time, themselves or in their interviewers or application:
            a datetime with a zone, or text in UTC such as `2026-03-29T01:00:00Z`.
        include_deleted: Also records that are gone from the ATS, with `remote_deleted_at` set. Default false.
        ignore_unsupported_filters: True drops a filter on a field that this ATS lacks, which returns more than asked
            for; by default such a filter returns nothing at all.
        ids: Kombo ids.
        remote_ids: The ATS's own ids.
        job_ids: Kombo ids of jobs; interviews of their applications.
        limit: Stop after so many records; None for all.
        credentials: None for the default block or the environment.

    Returns:
        The interviews as the API sends them, each once.

    Raises:
        ValueError: A parameter is not allowed; nothing was sent.
        KomboError: Kombo could not be read; `NotOffered` if this integration has no interviews.

    GET /ats/interviews
    """
    return list(
        each_record(
            "interviews",
            integration=integration,
            filters={
                "updated_after": updated_after,
                "include_deleted": include_deleted,
                "ignore_unsupported_filters": ignore_unsupported_filters,
                "ids": ids,
                "remote_ids": remote_ids,
                "job_ids": job_ids,
            },
            limit=limit,
            credentials=credentials,
        )
    )
