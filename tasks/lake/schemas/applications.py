"""Columns of the collection applications."""

from __future__ import annotations

import pyarrow as pa

from tasks.lake.schemas import parts
from tasks.lake.schemas.columns import integer, json_text, record, records, text

APPLICATIONS: pa.Schema = parts.collection(
    parts.remote_id("application"),
    parts.outcome(),
    parts.rejection_reason_name(),
    parts.rejected_at(),
    text("current_stage_id", "Kombo's id of the stage that the application is in; null if none or unknown."),
    text("job_id", "Kombo's id of the job applied to; null if unknown."),
    text("candidate_id", "Kombo's id of the candidate; null if unknown."),
    records(
        "screening_question_answers",
        "What the candidate answered to the job's screening questions; uploaded files are not included; personal data.",
        record(
            "question",
            "The question that was answered.",
            parts.remote_id("question"),
            text("title", "The question as the candidate read it."),
            text(
                "type",
                "Kind of the question, which decides the answer's shape: TEXT, SINGLE_SELECT, MULTI_SELECT, BOOLEAN, "
                "NUMBER, DATE, or UNKNOWN where Kombo has no reading of it yet.",
            ),
        ),
        json_text(
            "answer",
            "JSON object with one key by kind of question: content, choice, choices, checked, number, date or raw.",
        ),
        personal=True,
    ),
    parts.custom_fields("application"),
    parts.integration_fields("application"),
    text(
        "remote_url",
        "URL of the application in the ATS, for people who may log in there; personal data if the URL carries a name.",
        personal=True,
    ),
    parts.changed_at(),
    parts.remote_deleted_at(),
    parts.remote_created_at(),
    parts.remote_updated_at(),
    parts.remote_data(),
    parts.candidate(
        parts.phone_numbers(),
        parts.social_media(),
        parts.source(),
        text("remote_url", "URL of the candidate's profile in the ATS; treat as personal data.", personal=True),
        parts.tags(),
    ),
    record(
        "current_stage",
        "The stage that the application is in.",
        parts.nested_id("stage"),
        parts.remote_id("stage"),
        parts.stage_name(),
        parts.stage_status(),
        parts.custom_fields("stage"),
        integer("index", "Position of the stage in the job's process, counting up; null where the ATS has no order."),
    ),
    parts.job(),
    records(
        "interviews",
        "The application's interviews, in short; the collection interviews has more.",
        parts.nested_id("interview"),
        parts.remote_id("interview"),
        parts.interview_title(),
        parts.starting_at(),
        parts.ending_at(),
        parts.location("Where the interview takes place", personal=True),
        parts.canceled(),
    ),
    records(
        "offers",
        "The application's offers, in short; the collection offers has more.",
        parts.nested_id("offer"),
        parts.remote_id("offer"),
        parts.offer_status(),
    ),
)
