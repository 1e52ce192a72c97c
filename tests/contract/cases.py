"""Calls of every operation: with everything it takes, and with what it must not take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from tasks.operations import OperationName

ID = "8Xi6iZrwusZqJmDGXs49GBmJ"
OTHER_ID = "B5DVmypWENfU6eMe6gYDyJG3"
WHEN = datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=2)))
REMOTE_FIELDS = {
    "greenhouse": {"post_headers": {"On-Behalf-Of": None}},
    "workable": {"on_behalf_of_user_remote_id": "7"},
}

_EVERY_READ: dict[str, Any] = {
    "updated_after": WHEN,
    "include_deleted": True,
    "ignore_unsupported_filters": False,
    "ids": [ID, OTHER_ID],
    "remote_ids": ["32", "a b/c"],
    "limit": 2,
}
_FILE = {"name": "Ada Lovelace CV.pdf", "type": "CV", "content_type": "application/pdf"}
_CANDIDATE = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email_address": "ada@lovelace.example",
    "additional_email_addresses": [{"type": "WORK", "email_address": "ada@engine.example"}],
    "company": "Analytical Engines",
    "title": "Enchantress of Numbers",
    "phone_number": "+44 20 7946 0018",
    "additional_phone_numbers": [{"type": "PERSONAL", "phone_number": "+44 20 7946 0019"}],
    "location": {
        "city": "London",
        "country": "GB",
        "state": "England",
        "street_1": "St James's Square 12",
        "zip_code": "SW1",
    },
    "gender": "FEMALE",
    "availability_date": WHEN,
    "salary_expectations": {"period": "YEAR", "amount": 100_000.5},
    "social_links": [{"url": "https://social.example/ada"}],
}
_ANSWERS = [
    {"question_id": ID, "answer": answer}
    for answer in (
        "because",
        True,
        4.5,
        ["a", "b"],
        datetime(1815, 12, 10, tzinfo=UTC),
        {"name": "notes.pdf", "content_type": "application/pdf", "data": "QWRh"},
        {"name": "notes.pdf", "data_url": "https://files.example/notes"},
    )
]
_REST = {
    "screening_question_answers": _ANSWERS,
    "attachments": [{**_FILE, "data": "QWRh"}, {**_FILE, "data_url": "https://files.example/ada"}],
    "source": {"name": "Acme", "unified_key": "acme", "id": "1"},
    "sourced_by": {"user_id": "remote:42"},
    "gdpr_consent": {"expires_at": "2027-01-01", "given": True},
    "remote_fields": REMOTE_FIELDS,
}
_RESULT = {
    "label": "Assessment of Ada Lovelace",
    "url": "https://results.example/ada",
    "details": {"custom_field_name_prefix": "Acme:", "attributes": [{"key": "Score", "value": "100 %"}]},
    "remote_fields": REMOTE_FIELDS,
}
_INTERVIEW = {
    "title": "Interview with Ada Lovelace",
    "start_time": WHEN,
    "end_time": WHEN + timedelta(hours=1),
    "interviewer_user_ids": [ID, OTHER_ID],
    "organizer_user_id": ID,
    "location": {"type": "PHYSICAL", "address": "St James's Square 12"},
}
_BY_ID = {"id_type": "application_id", "application_id": "1224042"}
_TRACKED: list[dict[str, Any]] = [
    {
        "erecruiter": {
            "id_type": "application_and_job_remote_ids",
            "application_remote_id": "1",
            "job_remote_id": "2",
        }
    },
    {
        "erecruiter": {
            "id_type": "application_and_candidate_remote_ids",
            "application_remote_id": "1",
            "candidate_remote_id": "2",
        }
    },
    {"successfactors": {"id_type": "application_remote_id", "application_remote_id": "1"}},
    {"recruitee": {"id_type": "placement_id", "placement_id": "1"}},
    {"greenhouse": _BY_ID},
    {"greenhousev3": _BY_ID},
    {"onlyfy": _BY_ID},
    {"smartrecruiters": {"id_type": "candidate_and_job_remote_ids", "candidate_remote_id": "1", "job_remote_id": "2"}},
]

FULL: dict[OperationName, list[dict[str, Any]]] = {
    "get_applications": [
        {
            **_EVERY_READ,
            "outcome": "PENDING",
            "outcomes": ["PENDING", "HIRED", "DECLINED"],
            "job_ids": [ID],
            "job_remote_ids": ["32"],
            "current_stage_ids": [ID],
            "remote_created_after": "2026-03-29",
        }
    ],
    "get_candidates": [
        {
            **_EVERY_READ,
            "email": "ada@lovelace.example",
            "job_ids": [ID],
            "first_name": "Ada",
            "last_name": "Lovelace",
        }
    ],
    "get_jobs": [
        {
            **_EVERY_READ,
            "job_codes": ["R-1"],
            "post_url": "https://jobs.example/1?a=b&c=d",
            "status": "OPEN",
            "statuses": ["OPEN", "CLOSED", "DRAFT", "ARCHIVED"],
            "employment_types": ["FULL_TIME", "PART_TIME", "CONTRACT", "SEASONAL", "INTERNSHIP"],
            "visibilities": ["PUBLIC", "INTERNAL", "UNLISTED", "CONFIDENTIAL"],
            "remote_created_after": WHEN,
            "name_contains": "Köchin & Koch, m/w/d",
        }
    ],
    "get_application_stages": [_EVERY_READ],
    "get_tags": [_EVERY_READ],
    "get_users": [{**_EVERY_READ, "emails": ["ada@lovelace.example"]}],
    "get_roles": [{**_EVERY_READ, "scopes": ["SYSTEM", "JOB"]}],
    "get_offers": [_EVERY_READ],
    "get_rejection_reasons": [_EVERY_READ],
    "get_interviews": [{**_EVERY_READ, "job_ids": [ID]}],
    "get_application_attachments": [{"application_id": ID}],
    "get_candidate_attachments": [{"candidate_id": ID}],
    "get_create_candidate_action": [{}],
    "get_create_application_action": [{}],
    "get_add_application_attachment_action": [{}],
    "get_add_candidate_attachment_action": [{}],
    "move_application_to_stage": [{"application_id": ID, "stage_id": OTHER_ID, "remote_fields": REMOTE_FIELDS}],
    "reject_application": [
        {
            "application_id": ID,
            "rejection_reason_id": OTHER_ID,
            "note": "Ada Lovelace lacks the hard skills",
            "remote_fields": REMOTE_FIELDS,
        }
    ],
    "add_application_note": [
        {
            "application_id": ID,
            "content": "Ada Lovelace called",
            "content_type": "PLAIN_TEXT",
            "remote_fields": REMOTE_FIELDS,
        }
    ],
    "add_application_result_link": [{"application_id": ID, **_RESULT}],
    "add_application_attachment": [
        {"application_id": ID, "attachment": {**_FILE, **source}, "remote_fields": REMOTE_FIELDS}
        for source in ({"data": "QWRh"}, {"data_url": "https://files.example/ada"})
    ],
    "create_interview": [{"application_id": ID, **_INTERVIEW}],
    "update_interview": [{"application_id": ID, "interview_id": OTHER_ID, **_INTERVIEW}],
    "create_candidate": [
        {"candidate": _CANDIDATE, "application": {"job_id": "remote:7", "stage_id": OTHER_ID}, **_REST}
    ],
    "create_application": [{"job_id": ID, "candidate": _CANDIDATE, "stage_id": OTHER_ID, **_REST}],
    "add_candidate_attachment": [
        {"candidate_id": ID, "attachment": {**_FILE, **source}, "remote_fields": REMOTE_FIELDS}
        for source in ({"data": "QWRh"}, {"data_url": "https://files.example/ada"})
    ],
    "add_candidate_result_link": [{"candidate_id": ID, **_RESULT}],
    "add_candidate_tag": [{"candidate_id": ID, "tag": {"name": "Excellent"}, "remote_fields": REMOTE_FIELDS}],
    "remove_candidate_tag": [{"candidate_id": ID, "tag": {"name": "Excellent"}, "remote_fields": REMOTE_FIELDS}],
    "import_tracked_application": [{"tracked_at": WHEN, **ats} for ats in _TRACKED]
    + [{"tracked_at": None, **_TRACKED[4]}],
}
"""For every operation the calls that together use every parameter and every documented field."""

SECRETS = (
    "kombo-key-that-nobody-may-see",
    "Ada",
    "Lovelace",
    "lovelace.example",
    "engine.example",
    "20 7946",
    "Enchantress",
    "St James",
    "files.example",
    "results.example",
    "social.example",
    "hard skills",
    "because",
    "QWRh",
    "Excellent",
)
"""What these calls carry that nobody may find afterwards; the server's errors, warnings and records echo it."""


def without(arguments: dict[str, Any], *path: Any) -> dict[str, Any]:
    """Take a field out of a call, however deep."""
    return changed(arguments, path, None, remove=True)


def put(arguments: dict[str, Any], *path_and_value: Any) -> dict[str, Any]:
    """Put a value into a call, however deep."""
    return changed(arguments, path_and_value[:-1], path_and_value[-1])


def changed(whole: Any, path: tuple[Any, ...], value: Any, *, remove: bool = False) -> Any:
    """Copy a structure with one place of it changed."""
    copy = list(whole) if isinstance(whole, list) else dict(whole)
    if len(path) > 1:
        copy[path[0]] = changed(copy[path[0]], path[1:], value, remove=remove)
    elif remove:
        del copy[path[0]]
    else:
        copy[path[0]] = value
    return copy


def _wrong() -> list[tuple[OperationName, str, dict[str, Any]]]:
    def of(name: OperationName, number: int = 0) -> dict[str, Any]:
        return FULL[name][number]

    create = of("create_application")
    attach = of("add_application_attachment")
    wrong: list[tuple[OperationName, str, dict[str, Any]]] = [
        ("get_applications", "unknown outcome", put(of("get_applications"), "outcomes", ["REJECTED"])),
        ("get_applications", "empty list", put(of("get_applications"), "job_ids", [])),
        ("get_applications", "text for a list", put(of("get_applications"), "job_ids", ID)),
        ("get_applications", "no Kombo id", put(of("get_applications"), "ids", ["remote:32"])),
        ("get_applications", "comma in a list", put(of("get_applications"), "remote_ids", ["a,b"])),
        (
            "get_applications",
            "time without a zone",
            put(of("get_applications"), "updated_after", WHEN.replace(tzinfo=None)),
        ),
        ("get_applications", "no time", put(of("get_applications"), "updated_after", "yesterday")),
        ("get_applications", "no boolean", put(of("get_applications"), "include_deleted", "yes")),
        ("get_applications", "no records", put(of("get_applications"), "limit", 0)),
        ("get_candidates", "empty text", put(of("get_candidates"), "email", "")),
        ("get_jobs", "unknown status", put(of("get_jobs"), "status", "FILLED")),
        ("get_roles", "unknown scope", put(of("get_roles"), "scopes", ["TEAM"])),
        ("get_application_attachments", "path in an id", {"application_id": "a/../b?x"}),
        ("move_application_to_stage", "remote id", put(of("move_application_to_stage"), "application_id", "remote:1")),
        ("move_application_to_stage", "no Kombo id", put(of("move_application_to_stage"), "stage_id", "screening")),
        ("move_application_to_stage", "no object", put(of("move_application_to_stage"), "remote_fields", "x")),
        ("reject_application", "empty reason", put(of("reject_application"), "rejection_reason_id", "")),
        ("reject_application", "remote reason", put(of("reject_application"), "rejection_reason_id", "remote:1")),
        ("reject_application", "empty note", put(of("reject_application"), "note", " ")),
        ("add_application_note", "empty", put(of("add_application_note"), "content", "")),
        ("add_application_note", "HTML", put(of("add_application_note"), "content_type", "HTML")),
        ("add_application_result_link", "no URL", put(of("add_application_result_link"), "url", "results/1")),
        ("add_application_result_link", "no label", put(of("add_application_result_link"), "label", "")),
        (
            "add_candidate_result_link",
            "no prefix",
            without(of("add_candidate_result_link"), "details", "custom_field_name_prefix"),
        ),
        (
            "add_candidate_result_link",
            "no value",
            without(of("add_candidate_result_link"), "details", "attributes", 0, "value"),
        ),
        ("add_application_attachment", "two sources", put(attach, "attachment", "data_url", "https://x.example")),
        ("add_application_attachment", "no source", without(attach, "attachment", "data")),
        ("add_application_attachment", "no type", without(attach, "attachment", "type")),
        ("add_application_attachment", "unknown type", put(attach, "attachment", "type", "RESUME")),
        ("add_application_attachment", "data without content_type", without(attach, "attachment", "content_type")),
        ("add_application_attachment", "no MIME type", put(attach, "attachment", "content_type", "pdf")),
        ("add_application_attachment", "no base64", put(attach, "attachment", "data", "not base64!")),
        (
            "add_application_attachment",
            "no URL",
            put(of("add_application_attachment", 1), "attachment", "data_url", "s3://b/k"),
        ),
        ("add_candidate_attachment", "unknown key", put(of("add_candidate_attachment"), "attachment", "content", "x")),
        ("create_interview", "ends before it starts", put(of("create_interview"), "end_time", WHEN)),
        ("create_interview", "nobody interviews", put(of("create_interview"), "interviewer_user_ids", [])),
        ("create_interview", "remote user", put(of("create_interview"), "organizer_user_id", "remote:1")),
        ("create_interview", "unknown location", put(of("create_interview"), "location", {"type": "MOON"})),
        ("update_interview", "no interview", put(of("update_interview"), "interview_id", "")),
        ("create_application", "no first name", without(create, "candidate", "first_name")),
        ("create_application", "no e-mail address", put(create, "candidate", "email_address", "ada at lovelace")),
        ("create_application", "lower-case country", put(create, "candidate", "location", "country", "gb")),
        ("create_application", "unknown country", put(create, "candidate", "location", "country", "UK")),
        ("create_application", "no country", without(create, "candidate", "location", "country")),
        ("create_application", "unknown gender", put(create, "candidate", "gender", "F")),
        ("create_application", "unknown period", put(create, "candidate", "salary_expectations", "period", "WEEK")),
        (
            "create_application",
            "infinite amount",
            put(create, "candidate", "salary_expectations", "amount", float("inf")),
        ),
        ("create_application", "no URL", put(create, "candidate", "social_links", [{"url": "@ada"}])),
        ("create_application", "unknown key", put(create, "candidate", "birthday", "1815-12-10")),
        ("create_application", "no job", put(create, "job_id", "remote:")),
        ("create_application", "remote stage", put(create, "stage_id", "remote:1")),
        (
            "create_application",
            "answer of no kind",
            put(create, "screening_question_answers", [{"question_id": ID, "answer": None}]),
        ),
        ("create_application", "answer without question", put(create, "screening_question_answers", [{"answer": "x"}])),
        ("create_application", "no list", put(create, "attachments", {**_FILE, "data": "QWRh"})),
        ("create_application", "no user", put(create, "sourced_by", {"user_id": "ada@lovelace.example"})),
        ("create_candidate", "no job", put(of("create_candidate"), "application", {"stage_id": ID})),
        ("create_candidate", "unknown key", put(of("create_candidate"), "gdpr_consent", {"until": "2027-01-01"})),
        ("add_candidate_tag", "empty tag", put(of("add_candidate_tag"), "tag", {"name": ""})),
        ("remove_candidate_tag", "tag by id", put(of("remove_candidate_tag"), "tag", {"id": ID})),
        ("import_tracked_application", "no ATS", {"tracked_at": None}),
        ("import_tracked_application", "two ATSs", {"tracked_at": None, "onlyfy": _BY_ID, "greenhouse": _BY_ID}),
        ("import_tracked_application", "wrong id_type", {"tracked_at": None, "recruitee": _BY_ID}),
        (
            "import_tracked_application",
            "wrong ids",
            put(of("import_tracked_application"), "erecruiter", "id_type", "application_and_candidate_remote_ids"),
        ),
        ("import_tracked_application", "no time", {"tracked_at": "soon", "onlyfy": _BY_ID}),
    ]
    return wrong


WRONG = _wrong()
"""Calls that must be refused before anything is sent: operation, what is wrong, arguments."""
