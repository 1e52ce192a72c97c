"""The copies of one record inside another: how each looks, and whose change makes the outer record "updated".

Kombo joins when it is asked, so what it serves is always up to date. But only some nested changes make a record
match ``updated_after``; the others leave a reader's older copy stale without a sign.
"""

from typing import Any

from deployments.demo.store import Record

# What a row's links hold, by position: an id, or a tuple of ids.
RELATIONS: dict[str, tuple[str, ...]] = {
    "applications": ("candidates", "jobs", "application_stages"),
    "candidates": ("tags",),
    "jobs": ("users", "application_stages"),
    "offers": ("applications",),
    "interviews": ("applications", "users"),
}


def _ids(items: Any) -> tuple[str, ...]:
    if not isinstance(items, list):
        return ()
    return tuple(item["id"] for item in items if isinstance(item, dict) and isinstance(item.get("id"), str))


def links(collection: str, record: Record) -> tuple[Any, ...]:
    """The ids of what a record embeds.

    Args:
        collection: The record's collection.
        record: The record.

    Returns:
        Ids in the order of ``RELATIONS[collection]``.
    """
    match collection:
        case "applications":
            return (record["candidate_id"], record["job_id"], record["current_stage_id"])
        case "candidates":
            return (_ids(record["tags"]),)
        case "jobs":
            return (_ids(record["hiring_team"]), _ids(record["stages"]))
        case "offers":
            return (record["application_id"],)
        case "interviews":
            return (record["application_id"], _ids(record["users"]))
    return ()


def _some(record: Record, *keys: str) -> Record:
    return {key: record[key] for key in keys if key in record}


def candidate(record: Record) -> Record:
    """A candidate inside an offer or an interview."""
    return _some(record, "id", "remote_id", "first_name", "last_name", "email_addresses")


def candidate_of_application(record: Record) -> Record:
    """A candidate inside an application."""
    nested = _some(record, "id", "remote_id", "first_name", "last_name", "email_addresses", "phone_numbers")
    nested |= _some(record, "social_media", "source", "remote_url")
    tags = record["tags"]
    nested["tags"] = [_some(tag, "id", "remote_id", "name") for tag in tags] if isinstance(tags, list) else tags
    return nested


def job(record: Record) -> Record:
    """A job inside an application, an offer or an interview."""
    return _some(record, "id", "remote_id", "name")


def stage(record: Record, index: int | None) -> Record:
    """A stage inside an application."""
    return _some(record, "id", "remote_id", "name") | {"index": index} | _some(record, "status", "custom_fields")


def stage_of_job(record: Record, index: int | None) -> Record:
    """A stage inside a job."""
    nested = _some(record, "id", "remote_id", "name") | {"remote_data": None, "index": index}
    return nested | _some(record, "status", "custom_fields")


def tag(record: Record) -> Record:
    """A tag inside a candidate."""
    return _some(record, "id", "name", "remote_id")


def user(record: Record) -> Record:
    """A user inside an interview."""
    return _some(record, "id", "remote_id", "first_name", "last_name", "email")


def application_of_candidate(record: Record) -> Record:
    """An application inside a candidate: without the stage's newer keys, and without ``remote_deleted_at``."""
    nested = _some(
        record, "id", "remote_id", "outcome", "rejection_reason_name", "rejected_at", "remote_url", "changed_at"
    )
    nested |= _some(record, "remote_created_at", "remote_updated_at")
    at, work = record["current_stage"], record["job"]
    nested["current_stage"] = _some(at, "id", "name", "remote_id", "index") if isinstance(at, dict) else None
    nested["job"] = _some(work, "id", "name", "remote_id") if isinstance(work, dict) else None
    return nested


def _people_of(record: Record) -> Record:
    person, work = record["candidate"], record["job"]
    return {
        "candidate": candidate(person) if isinstance(person, dict) else None,
        "job": job(work) if isinstance(work, dict) else None,
    }


def application_of_offer(record: Record) -> Record:
    """An application inside an offer: it has no id there."""
    return _people_of(record)


def application_of_interview(record: Record) -> Record:
    """An application inside an interview."""
    return _some(record, "id", "remote_id", "outcome", "rejection_reason_name") | _people_of(record)


def interview(record: Record) -> Record:
    """An interview inside an application."""
    return _some(record, "id", "remote_id", "title", "starting_at", "ending_at", "location", "canceled")


def offer(record: Record) -> Record:
    """An offer inside an application."""
    return _some(record, "id", "remote_id", "status")
