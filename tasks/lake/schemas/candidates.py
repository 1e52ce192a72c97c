"""Columns of the collection candidates."""

from __future__ import annotations

import pyarrow as pa

from tasks.lake.schemas import parts
from tasks.lake.schemas.columns import flag, integer, record, records, text

CANDIDATES: pa.Schema = parts.collection(
    parts.remote_id("candidate"),
    parts.first_name("candidate"),
    parts.last_name("candidate"),
    text("company", "The candidate's present employer; personal data.", personal=True),
    text("title", "The candidate's present job title; personal data.", personal=True),
    flag("confidential", "True if the profile is confidential in the ATS; null if unknown."),
    parts.source(),
    parts.phone_numbers(),
    parts.email_addresses(),
    parts.social_media(),
    parts.location("Where the candidate lives", personal=True),
    parts.custom_fields("candidate"),
    parts.integration_fields("candidate"),
    text("remote_url", "URL of the candidate's profile in the ATS; treat as personal data.", personal=True),
    parts.remote_created_at(),
    parts.remote_updated_at(),
    parts.remote_data(),
    parts.changed_at(),
    parts.remote_deleted_at(),
    records(
        "applications",
        "The candidate's applications, in short and without a mark for deleted ones; the collection applications has "
        "more.",
        parts.nested_id("application"),
        parts.remote_id("application"),
        parts.outcome(),
        parts.rejection_reason_name(),
        parts.rejected_at(),
        text("remote_url", "URL of the application in the ATS; treat as personal data.", personal=True),
        parts.changed_at(),
        parts.remote_created_at(),
        parts.remote_updated_at(),
        record(
            "current_stage",
            "The stage that the application is in; a copy that may be older than the application's own.",
            parts.nested_id("stage"),
            parts.stage_name(),
            parts.remote_id("stage"),
            integer("index", "Position of the stage in the job's process, counting up; null where there is no order."),
        ),
        record(
            "job",
            "The job applied to, in short; a copy that may be older than the collection jobs.",
            parts.nested_id("job"),
            text("name", "Title of the job."),
            parts.remote_id("job"),
        ),
    ),
    records(
        "tags",
        "The candidate's tags; a renamed tag shows here only once the candidate is read again.",
        parts.nested_id("tag"),
        text("name", "The tag's name."),
        parts.remote_id("tag"),
    ),
)
