"""The lake's columns: one explicit Arrow schema a collection, the same whatever the data.

A file's schema must not depend on what a night brought: a column of nulls has its type, an empty object can be written,
and files of any two nights read as one dataset. Nested objects are struct and list columns; what the API leaves
free-form is JSON text. Changing a schema means raising `SCHEMA_VERSION`, which makes the next export a full one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pyarrow as pa

from tasks.lake.schemas.applications import APPLICATIONS
from tasks.lake.schemas.appointments import INTERVIEWS, OFFERS
from tasks.lake.schemas.candidates import CANDIDATES
from tasks.lake.schemas.columns import INSTANT, children, description, is_json, is_personal
from tasks.lake.schemas.jobs import JOBS
from tasks.lake.schemas.reference import APPLICATION_STAGES, REJECTION_REASONS, ROLES, TAGS, USERS

__all__ = ["INSTANT", "SCHEMAS", "SCHEMA_VERSION", "children", "description", "is_json", "is_personal"]

SCHEMA_VERSION = "1"

SCHEMAS: Mapping[str, pa.Schema] = MappingProxyType(
    {
        "applications": APPLICATIONS,
        "candidates": CANDIDATES,
        "jobs": JOBS,
        "application_stages": APPLICATION_STAGES,
        "tags": TAGS,
        "users": USERS,
        "roles": ROLES,
        "offers": OFFERS,
        "rejection_reasons": REJECTION_REASONS,
        "interviews": INTERVIEWS,
    }
)
