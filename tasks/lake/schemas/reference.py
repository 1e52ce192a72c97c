"""Columns of the collections that the others point to: stages, tags, users, roles and rejection reasons."""

from __future__ import annotations

import pyarrow as pa

from tasks.lake.schemas import parts
from tasks.lake.schemas.columns import records, text

APPLICATION_STAGES: pa.Schema = parts.collection(
    parts.remote_id("stage"),
    parts.stage_name(),
    parts.stage_status(),
    parts.custom_fields("stage"),
    parts.remote_data(),
    parts.changed_at(),
    parts.remote_deleted_at(),
)

TAGS: pa.Schema = parts.collection(
    parts.remote_id("tag"),
    text("name", "The tag's name."),
    parts.remote_data(),
    parts.changed_at(),
    parts.remote_deleted_at(),
)

USERS: pa.Schema = parts.collection(
    parts.remote_id("user"),
    parts.first_name("user"),
    parts.last_name("user"),
    parts.user_email(),
    text("status", "ACTIVE, or INACTIVE for somebody who should no longer have access; null if unknown."),
    parts.remote_data(),
    parts.changed_at(),
    parts.remote_deleted_at(),
    records(
        "system_roles",
        "The user's roles in the whole ATS; those in a single job are in jobs.hiring_team.",
        parts.remote_id("role"),
        *parts.role(),
    ),
)

ROLES: pa.Schema = parts.collection(
    parts.remote_id("role"),
    *parts.role(),
    parts.remote_data(),
    parts.changed_at(),
    parts.remote_deleted_at(),
)

REJECTION_REASONS: pa.Schema = parts.collection(
    parts.remote_id("rejection reason"),
    text("name", "The reason, as users of the ATS choose it."),
    parts.changed_at(),
    parts.remote_deleted_at(),
    parts.remote_data(),
)
