"""Bringing applications that exist in the ATS already under Kombo's eyes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tasks import bodies, calls
from tasks.credentials import KomboCredentials
from tasks.kombo import ids as checks
from tasks.policies import unsafe_writes


@unsafe_writes
def import_tracked_application(
    *,
    integration: str,
    tracked_at: datetime | str | None,
    erecruiter: bodies.ErecruiterApplication | Mapping[str, Any] | None = None,
    successfactors: bodies.SuccessfactorsApplication | Mapping[str, Any] | None = None,
    recruitee: bodies.RecruiteeApplication | Mapping[str, Any] | None = None,
    greenhouse: bodies.ApplicationById | Mapping[str, Any] | None = None,
    greenhousev3: bodies.ApplicationById | Mapping[str, Any] | None = None,
    onlyfy: bodies.ApplicationById | Mapping[str, Any] | None = None,
    smartrecruiters: bodies.SmartrecruitersApplication | Mapping[str, Any] | None = None,
    credentials: KomboCredentials | None = None,
) -> calls.Created:
    """Have Kombo track an application that was made before it was connected; its data comes with the next sync.

    For integrations that sync only what was created through Kombo, which is the default. Give the application's ids for
    exactly one ATS, the integration's.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        tracked_at: When the application was created through you: a datetime with a zone, text in UTC, or None if
            unknown.
        erecruiter: `id_type` `application_and_job_remote_ids` or `application_and_candidate_remote_ids`, and these ids.
        successfactors: `id_type` `application_remote_id`, and this id.
        recruitee: `id_type` `placement_id`, and this id.
        greenhouse: `id_type` `application_id`, and this id.
        greenhousev3: The same for the newer connector.
        onlyfy: `id_type` `application_id`, and this id.
        smartrecruiters: `id_type` `candidate_and_job_remote_ids`, and these ids.
        credentials: None for the default block or the environment.

    Returns:
        `data` with `id`, `tracked_at` and `imported_id`, and `warnings`.

    Raises:
        OutcomeUnknown: It was sent and may have happened; look in the ATS before doing it again.
        KomboError: It did not happen.
        ValueError: A parameter is not allowed; nothing was sent.

    POST /ats/import-tracked-application
    """
    kinds: dict[str, tuple[type[bodies.Body], Any]] = {
        "erecruiter": (bodies.ErecruiterApplication, erecruiter),
        "successfactors": (bodies.SuccessfactorsApplication, successfactors),
        "recruitee": (bodies.RecruiteeApplication, recruitee),
        "greenhouse": (bodies.ApplicationById, greenhouse),
        "greenhousev3": (bodies.ApplicationById, greenhousev3),
        "onlyfy": (bodies.ApplicationById, onlyfy),
        "smartrecruiters": (bodies.SmartrecruitersApplication, smartrecruiters),
    }
    given = {ats: bodies.checked(kind, value, ats) for ats, (kind, value) in kinds.items() if value is not None}
    if len(given) != 1:
        raise ValueError(f"give the application's ids for exactly one ATS: {', '.join(kinds)}")
    at = None if tracked_at is None else checks.api_time(tracked_at, "tracked_at")
    return calls.created(
        calls.write(
            "import_tracked_application",
            "POST",
            "/ats/import-tracked-application",
            integration=integration,
            repeat="unsafe",
            body={"tracked_at": at, **given},
            credentials=credentials,
        )
    )
