"""The actions: what each checks, what it records at once, and what shows in the data after the next sync."""

import base64
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET

from deployments.demo import attachments, bodies, nesting
from deployments.demo.changes import Changes
from deployments.demo.errors import RefusedError, invalid
from deployments.demo.filters import KOMBO_ID
from deployments.demo.routes import Route
from deployments.demo.store import Record
from deployments.demo.values import iso
from deployments.demo.world import Integration, World, Write

_SETTLED = ("HIRED", "DECLINED")


def carry_out(world: World, integration: Integration, route: Route, body: bytes, origin: str) -> dict[str, Any]:
    """Carry out an action.

    Args:
        world: For its clock and settings.
        integration: Whose ATS.
        route: The operation, with the ids of the path.
        body: As sent.
        origin: Scheme, host and port under which the client knows the server.

    Returns:
        The body of the answer.

    Raises:
        RefusedError: If Kombo or the ATS would refuse it.
    """
    action = Action(world, integration, route)
    warnings = [{"message": text} for text in integration.settings.warnings.get(route.operation, [])]
    if route.operation in ("get_application_attachments", "get_candidate_attachments"):
        owner = action.owner()
        rows = attachments.listed(
            integration, owner, origin, of_candidate=route.operation == "get_candidate_attachments"
        )
        return {"status": "success", "data": {"results": rows}, "warnings": warnings}
    parsed = bodies.parse(route.operation, body)
    data = getattr(action, route.operation)(parsed)
    warnings += action.warnings
    write = Write(
        operation=route.operation,
        integration=integration.id,
        ids=list(route.ids),
        body=msgspec.to_builtins(parsed),
        time=world.now(),
    )
    world.writes.append(write)
    if world.config.immediate:
        sync(integration, world.now())
    if route.operation in ("create_interview", "update_interview"):
        return {"status": "success", "data": data}  # the two that have no warnings
    return {"status": "success", "data": data, "warnings": warnings}


def limits(integration: Integration, operation: str) -> dict[str, Any]:
    """The answer of one of the four action limits.

    Args:
        integration: Whose.
        operation: The action.

    Returns:
        The body of the answer.
    """
    return {
        "status": "success",
        "data": {"attachment_restrictions": attachments.limits(integration, operation)},
    }


def sync(integration: Integration, now: float) -> int:
    """Let Kombo see what the writes so far have done in the ATS.

    Args:
        integration: Whose.
        now: Unix time that ``changed_at`` moves to.

    Returns:
        Number of writes that now show.
    """
    pending, integration.pending = integration.pending, []
    changes = Changes(integration, now)
    for effect in pending:
        effect(changes)
    integration.unseen.clear()
    return len(pending)


class Action:
    """One call of an action; a method for each write, named after it, takes the checked body and returns the data.

    Args:
        world: For its clock.
        integration: Whose ATS.
        route: The operation, with the ids of the path.
    """

    def __init__(self, world: World, integration: Integration, route: Route) -> None:
        self._now = world.now()
        self._integration = integration
        self._route = route
        self.warnings: list[dict[str, str]] = []

    def owner(self) -> Record:
        """The application or candidate that the path names.

        Returns:
            Its record.

        Raises:
            RefusedError: If the id is not one of this integration's.
        """
        collection = "candidates" if "candidate" in self._route.operation else "applications"
        return self._known(collection, self._route.ids[0])

    def _known(self, collection: str, id_: str) -> Record:
        if not KOMBO_ID.fullmatch(id_):
            raise invalid(f"this is not an id of {collection}")
        found = self._integration.record(collection, id_) or self._integration.unseen.get((collection, id_))
        if found is None:
            raise RefusedError("PLATFORM.INPUT_INVALID", f"there is no such record in {collection}", 404)
        return found

    def _job(self, id_: str) -> Record:
        """A job by Kombo id, or by the ATS's own after ``remote:``."""
        if not id_.startswith("remote:"):
            return self._known("jobs", id_)
        return self._known("jobs", self._integration.builder.id(id_.removeprefix("remote:")))

    def _later(self, collection: str, id_: str, **fields: Any) -> None:
        """Change a record at the next sync."""

        def effect(changes: Changes) -> None:
            row = self._integration.stores[collection].by_id.get(id_)
            if row is not None and not row.deleted:
                changes.update(collection, row, {**fields, "remote_updated_at": iso(self._now)})

        self._integration.pending.append(effect)

    def _outcome(self, application: Record) -> Any:
        """As the ATS knows it, which is ahead of what Kombo has copied."""
        return self._integration.settled.get(application["id"], application["outcome"])

    def _stage_of(self, job_id: Any, stage_id: str) -> Record:
        job = self._integration.record("jobs", job_id) if isinstance(job_id, str) else None
        for stage in job["stages"] if job else []:
            if stage["id"] == stage_id:
                found: Record = stage
                return found
        raise RefusedError("REMOTE.INPUT_INVALID", "Stage not found: it is not one of that application's job.")

    def move_application_to_stage(self, body: bodies.Stage) -> Record:
        """PUT /ats/applications/{application_id}/stage."""
        application = self.owner()
        stage = self._stage_of(application["job_id"], body.stage_id)
        at = nesting.stage(stage, stage.get("index"))
        self._later("applications", application["id"], current_stage_id=stage["id"], current_stage=at)
        return {}

    def reject_application(self, body: bodies.Reject) -> Record:
        """POST /ats/applications/{application_id}/reject."""
        application = self.owner()
        reason = self._known("rejection_reasons", body.rejection_reason_id)
        if self._outcome(application) in _SETTLED:
            if self._integration.settings.refuse_settled:
                raise RefusedError("REMOTE.INPUT_INVALID", "The application is no longer active.")
            return {}
        self._integration.settled[application["id"]] = "DECLINED"
        fields = {"outcome": "DECLINED", "rejected_at": iso(self._now), "rejection_reason_name": reason["name"]}
        self._later("applications", application["id"], **fields)
        return {}

    def add_application_note(self, _: bodies.Note) -> Record:
        """POST /ats/applications/{application_id}/notes."""
        self._later("applications", self.owner()["id"])
        return {}

    def add_application_result_link(self, _: bodies.ResultLink) -> Record:
        """POST /ats/applications/{application_id}/result-links."""
        self._later("applications", self.owner()["id"])
        return {}

    def add_candidate_result_link(self, _: bodies.ResultLink) -> Record:
        """POST /ats/candidates/{candidate_id}/result-links."""
        self._later("candidates", self.owner()["id"])
        return {}

    def add_application_attachment(self, body: bodies.Attachment) -> Record:
        """POST /ats/applications/{application_id}/attachments."""
        return self._attach(body.attachment)

    def add_candidate_attachment(self, body: bodies.Attachment) -> Record:
        """POST /ats/candidates/{candidate_id}/attachments."""
        return self._attach(body.attachment)

    def _attach(self, file: bodies.TypedFile) -> Record:
        owner = self.owner()
        content = base64.b64decode(file.data) if isinstance(file.data, str) else b"fetched from data_url"
        attachments.check(self._integration, self._route.operation, file.type, file.content_type, len(content))
        attachments.add(
            self._integration,
            owner["id"],
            {"file_name": file.name, "type": file.type, "content_type": file.content_type or "application/pdf"},
            content,
        )
        return {}

    def create_interview(self, body: bodies.Interview) -> Record:
        """POST /ats/applications/{application_id}/interviews."""
        application, fields = self.owner(), self._interview(body)
        record = self._integration.builder.interview(self._nr(), application) | fields
        self._integration.unseen["interviews", record["id"]] = record
        self._integration.pending.append(lambda changes: changes.insert("interviews", record) and None)
        return {}

    def update_interview(self, body: bodies.InterviewUpdate) -> Record:
        """PATCH /ats/applications/{application_id}/interviews."""
        application, interview = self.owner(), self._known("interviews", body.interview_id)
        if interview["application_id"] != application["id"]:
            raise invalid("the interview is not one of this application")
        self._later("interviews", interview["id"], **self._interview(body))
        return {}

    def _interview(self, body: bodies.Interview) -> Record:
        users = [self._known("users", id_) for id_ in body.interviewer_user_ids]
        self._known("users", body.organizer_user_id)
        try:
            start, end = (datetime.fromisoformat(text) for text in (body.start_time, body.end_time))
            ordered = start < end
        except (ValueError, TypeError):
            raise invalid("start_time and end_time must be ISO date-times") from None
        if not ordered:
            raise invalid("an interview ends after it starts")
        return {
            "title": body.title,
            "starting_at": iso(start.timestamp()),
            "ending_at": iso(end.timestamp()),
            "location": None if body.location.address is UNSET else {"raw": body.location.address},
            "canceled": False,
            "users": [nesting.user(user) for user in users],
        }

    def add_candidate_tag(self, body: bodies.TagBody) -> Record:
        """POST /ats/candidates/{candidate_id}/tags."""
        owner, name = self.owner(), body.tag.name

        def effect(changes: Changes) -> None:
            row = self._integration.stores["candidates"].by_id[owner["id"]]
            tag = self._tag(changes, name)
            tags = row.record()["tags"]
            if isinstance(tags, list) and all(known["id"] != tag["id"] for known in tags):
                changes.update("candidates", row, {"tags": [*tags, nesting.tag(tag)]})

        self._integration.pending.append(effect)
        return {}

    def _tag(self, changes: Changes, name: str) -> Record:
        """The tag of that name, made if it is missing."""
        store = self._integration.stores["tags"]
        for row in store:
            record = row.record()
            if record.get("name") == name and not row.deleted:
                return record
        return changes.insert(
            "tags", self._integration.builder.base(f"tag-{len(store.rows)}", 1) | {"name": name}
        ).record()

    def remove_candidate_tag(self, body: bodies.TagBody) -> Record:
        """DELETE /ats/candidates/{candidate_id}/tags."""
        owner, name = self.owner(), body.tag.name

        def effect(changes: Changes) -> None:
            row = self._integration.stores["candidates"].by_id[owner["id"]]
            tags = row.record()["tags"]
            left = [tag for tag in tags if tag["name"] != name] if isinstance(tags, list) else tags
            if left != tags:
                changes.update("candidates", row, {"tags": left})

        self._integration.pending.append(effect)
        return {}

    def create_candidate(self, body: bodies.CreateCandidate) -> Record:
        """POST /ats/candidates."""
        application = self._apply(body, self._job(body.application.job_id), body.application.stage_id)
        return self._known("candidates", application["candidate_id"])

    def create_application(self, body: bodies.Apply) -> Record:
        """POST /ats/jobs/{job_id}/applications."""
        application = self._apply(body, self._job(self._route.ids[0]), body.stage_id)
        return application | {"candidate": self._known("candidates", application["candidate_id"])}

    def _apply(self, body: bodies.Apply | bodies.CreateCandidate, job: Record, stage_id: Any) -> Record:
        one, builder = self._integration, self._integration.builder
        if job["status"] in ("CLOSED", "ARCHIVED"):
            raise RefusedError("ATS.JOB_CLOSED", "The job does not take applications any more.")
        stage = None if stage_id is UNSET else self._stage_of(job["id"], stage_id)
        by = UNSET if body.sourced_by is UNSET else body.sourced_by.user_id
        if isinstance(by, str):
            self._known("users", builder.id(by.removeprefix("remote:")) if by.startswith("remote:") else by)
        questions = job["screening_questions"]
        known = {question["id"] for question in questions} if isinstance(questions, list) else set()
        for answer in body.screening_question_answers or ():
            if answer.question_id not in known:
                self.warnings.append({"message": f"The question {answer.question_id} is not one of the job."})
        # An ATS matches by address when somebody applies, and makes a second candidate when told to make one.
        person = self._by_email(body.candidate.email_address) if isinstance(body, bodies.Apply) else None
        if person is None:
            person = self._candidate(body.candidate, self._nr())
            one.unseen["candidates", person["id"]] = person
            one.pending.append(lambda changes: changes.insert("candidates", person) and None)
        elif (person["id"], job["id"]) in one.applied or _has_applied(person, job["id"]):
            raise RefusedError("ATS.APPLICATION_ALREADY_EXISTS", "The candidate has applied for this job before.")
        one.applied.add((person["id"], job["id"]))
        record = builder.application(self._nr(), person, job, age=0.5) | {
            "outcome": "PENDING",
            "rejection_reason_name": None,
            "rejected_at": None,
            "remote_created_at": iso(self._now),
            "remote_updated_at": iso(self._now),
            "changed_at": iso(self._now),
            "screening_question_answers": [],
            "job_id": job["id"],
            "job": nesting.job(job),
            "candidate_id": person["id"],
            "candidate": nesting.candidate_of_application(person),
        }
        if stage:
            record |= {"current_stage_id": stage["id"], "current_stage": nesting.stage(stage, stage.get("index"))}
        one.unseen["applications", record["id"]] = record
        one.pending.append(lambda changes: changes.insert("applications", record) and None)
        return record

    def _nr(self) -> int:
        """A number that no record has, far above those of the data."""
        self._integration.created += 1
        return 10_000_000 + self._integration.created

    def _by_email(self, address: str) -> Record | None:
        one, wanted = self._integration, f'"{address.casefold()}"'.encode()
        unseen = [record for (collection, _), record in one.unseen.items() if collection == "candidates"]
        seen = (row.record() for row in one.stores["candidates"] if not row.deleted and wanted in row.raw.lower())
        for record in (*unseen, *seen):
            addresses = record["email_addresses"]
            for item in addresses if isinstance(addresses, list) else ():
                if isinstance(item, dict) and (item.get("email_address") or "").casefold() == address.casefold():
                    return record
        return None

    def _candidate(self, body: bodies.Candidate, nr: int) -> Record:
        return self._integration.builder.candidate(nr, age=0.5) | {
            "first_name": body.first_name,
            "last_name": body.last_name,
            "company": body.company or None,
            "title": body.title or None,
            "email_addresses": [{"email_address": body.email_address, "type": None}],
            "phone_numbers": [{"phone_number": body.phone_number, "type": None}] if body.phone_number else [],
            "social_media": [{"link": link.url, "type": None, "username": None} for link in body.social_links],
            "location": None if body.location is UNSET else msgspec.to_builtins(body.location),
            "remote_created_at": iso(self._now),
            "remote_updated_at": iso(self._now),
            "changed_at": iso(self._now),
            "custom_fields": {},
            "integration_fields": [],
            "remote_data": None,
            "tags": [],
        }

    def import_tracked_application(self, body: bodies.Track) -> Record:
        """POST /ats/import-tracked-application."""
        named = bodies.tracked_by(body)
        ((tool, ids),) = named.items()
        if tool != self._integration.id.partition(":")[0]:
            raise invalid(f"this integration is not {tool}")
        remote_id = ids.get("application_remote_id") or ids.get("application_id") or "/".join(sorted(ids.values()))
        id_ = self._integration.builder.id(remote_id)
        return {"id": id_, "tracked_at": body.tracked_at, "imported_id": named}


def _has_applied(person: Record, job_id: str) -> bool:
    applications = person["applications"]
    return any(isinstance(one["job"], dict) and one["job"]["id"] == job_id for one in applications)
