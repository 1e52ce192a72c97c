"""What the tests against the demo call: an integration of it, and arguments that fit what it has."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, get_args

from deployments.demo.server import Surface
from tasks.operations import OPERATIONS, OperationName
from tests.contract.server import impatient

Record = dict[str, Any]


TRACKED = {"id_type": "application_id", "application_id": "1224042"}
PERSON = {"first_name": "Ada", "last_name": "Lovelace", "email_address": "ada@lovelace.example"}
PDF = b"%PDF-1.7 the engine weaves algebraic patterns"
FILE = {"name": "Ada.pdf", "type": "CV", "content_type": "application/pdf", "data": base64.b64encode(PDF).decode()}
NAMES: tuple[OperationName, ...] = get_args(OperationName)
WRITES = [name for name in NAMES if OPERATIONS[name].writes]
READS = [name for name in NAMES if not OPERATIONS[name].writes]


class Ats:
    """A demo server and one integration of it.

    Args:
        kombo: The server.
    """

    def __init__(self, kombo: Surface) -> None:
        self.kombo = kombo
        self.integration = kombo.integrations[0]  # a Greenhouse

    def call(self, name: OperationName, **arguments: Any) -> Any:
        """Call an operation's function."""
        credentials = impatient(self.kombo.api_key, self.kombo.base_url)
        return OPERATIONS[name].task.fn(integration=self.integration, **arguments, credentials=credentials)

    def held(self, collection: str, *, deleted: bool = False) -> list[Record]:
        """What the server holds."""
        return self.kombo.records(self.integration, collection, include_deleted=deleted)

    def one(self, collection: str, wanted: Callable[[Record], Any] = bool) -> Record:
        """The first record that fits."""
        return next(record for record in self.held(collection) if wanted(record))

    def now(self, collection: str, id_: str) -> Record:
        """A record as it is by now, by its id."""
        return self.one(collection, lambda record: record["id"] == id_)

    @property
    def pending(self) -> Record:
        """An application that may be worked on."""
        jobs = {job["id"] for job in self.held("jobs") if len(job["stages"]) > 1}
        return self.one("applications", lambda one: one["outcome"] == "PENDING" and one["job_id"] in jobs)

    @property
    def open_job(self) -> Record:
        """A job that may be applied to."""
        return self.one("jobs", lambda job: job["status"] == "OPEN" and job["screening_questions"])

    def job_of(self, application: Record) -> Record:
        """The job of an application."""
        return self.now("jobs", application["job_id"])

    def asked(self, method: str) -> int:
        """How many requests of this method came."""
        return sum(request["method"] == method for request in self.kombo.requests)


def arguments_of(name: OperationName, ats: Ats) -> Record:
    """What an operation takes, for something that the server has."""
    application = ats.pending
    by_application, by_candidate = {"application_id": application["id"]}, {"candidate_id": application["candidate_id"]}
    users = [user["id"] for user in ats.held("users")[:2]]
    interview = {
        "title": "Second interview",
        "start_time": "2026-12-01T09:00:00Z",
        "end_time": datetime(2026, 12, 1, 10, tzinfo=UTC),
        "interviewer_user_ids": users,
        "organizer_user_id": users[0],
        "location": {"type": "PHYSICAL", "address": "St James's Square 12"},
    }
    link = {"label": "Score", "url": "https://results.example/1"}
    existing = next(one for one in ats.held("interviews") if one["application_id"] and any_of(ats, one))
    arguments: dict[str, Record] = {
        "get_application_attachments": by_application,
        "get_candidate_attachments": by_candidate,
        "move_application_to_stage": {**by_application, "stage_id": other_stage(ats, application)},
        "reject_application": {
            **by_application,
            "rejection_reason_id": ats.one("rejection_reasons")["id"],
            "note": "Thank you",
        },
        "add_application_note": {**by_application, "content": "Called"},
        "add_application_result_link": {**by_application, **link},
        "add_application_attachment": {**by_application, "attachment": FILE},
        "create_interview": {**by_application, **interview},
        "update_interview": {"application_id": existing["application_id"], "interview_id": existing["id"], **interview},
        "create_candidate": {"candidate": PERSON, "application": {"job_id": ats.open_job["id"]}},
        "create_application": {"job_id": ats.open_job["id"], "candidate": PERSON},
        "add_candidate_attachment": {**by_candidate, "attachment": FILE},
        "add_candidate_result_link": {**by_candidate, **link},
        "add_candidate_tag": {**by_candidate, "tag": {"name": "Enchantress"}},
        "remove_candidate_tag": {**by_candidate, "tag": {"name": "Enchantress"}},
        "import_tracked_application": {"tracked_at": None, "greenhouse": TRACKED},
    }
    return arguments.get(name, {})


def any_of(ats: Ats, interview: Record) -> bool:
    """Whether an interview's application is still there."""
    return any(one["id"] == interview["application_id"] for one in ats.held("applications"))


def other_stage(ats: Ats, application: Record) -> str:
    """A stage of its job that an application is not in."""
    stages: list[str] = [stage["id"] for stage in ats.job_of(application)["stages"]]
    return next(id_ for id_ in stages if id_ != application["current_stage_id"])
