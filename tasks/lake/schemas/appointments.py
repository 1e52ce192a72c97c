"""Columns of the collections that follow an application: interviews and offers."""

from __future__ import annotations

import pyarrow as pa

from tasks.lake.schemas import parts
from tasks.lake.schemas.columns import instant, record, records, text

OFFERS: pa.Schema = parts.collection(
    parts.remote_id("offer"),
    parts.offer_status(),
    instant(
        "employment_start_date",
        "The day that the employment starts, as midnight UTC: a date without a time, not to be shifted to a time zone.",
    ),
    text("application_id", "Kombo's id of the application that the offer belongs to; null if unknown."),
    parts.custom_fields("offer"),
    parts.integration_fields("offer"),
    parts.changed_at(),
    parts.remote_deleted_at(),
    parts.remote_created_at(),
    parts.remote_updated_at(),
    parts.remote_data(),
    record(
        "application",
        "Who the offer is for and which job; its id is in application_id.",
        parts.candidate(),
        parts.job(),
    ),
)

INTERVIEWS: pa.Schema = parts.collection(
    parts.remote_id("interview"),
    parts.interview_title(),
    parts.starting_at(),
    parts.ending_at(),
    parts.location("Where the interview takes place", personal=True),
    text(
        "video_conferencing_url",
        "URL of the video call; whoever has it may be able to join, so treat as personal data.",
        personal=True,
    ),
    text("application_id", "Kombo's id of the application that the interview belongs to; null if unknown."),
    text("stage_id", "Kombo's id of the stage that the interview belongs to; null where the ATS does not say."),
    parts.canceled(),
    parts.remote_created_at(),
    parts.remote_updated_at(),
    parts.remote_data(),
    parts.changed_at(),
    parts.remote_deleted_at(),
    records(
        "users",
        "The interviewers; a copy that may be older than the collection users; contains personal data.",
        parts.nested_id("user"),
        parts.remote_id("user"),
        parts.first_name("user"),
        parts.last_name("user"),
        parts.user_email(),
    ),
    record(
        "application",
        "The application that the interview belongs to, in short.",
        parts.nested_id("application"),
        parts.remote_id("application"),
        parts.outcome(),
        parts.rejection_reason_name(),
        parts.candidate(),
        parts.job(),
    ),
)
