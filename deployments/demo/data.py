"""The records of one integration: believable, connected, and the same for the same seed, scale and day."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from deployments.demo import blemishes, nesting
from deployments.demo.jobs import DAY, ROLES, JobMaker
from deployments.demo.store import COLLECTIONS, Record, Store, encode
from deployments.demo.values import WORDS, iso


@dataclass(frozen=True)
class Scale:
    """How many records of each kind one integration has; stages come in pipelines that jobs share."""

    applications: int
    candidates: int
    jobs: int
    interviews: int
    offers: int
    tags: int
    users: int
    pipelines: int


SCALES = {
    "tiny": Scale(60, 40, 6, 20, 12, 10, 8, 2),
    "small": Scale(2_000, 1_200, 60, 400, 150, 40, 40, 5),
    "bench": Scale(100_000, 60_000, 2_000, 4_000, 1_500, 200, 300, 40),
    "bench5x": Scale(500_000, 300_000, 10_000, 20_000, 7_500, 500, 1_000, 80),
}


INTERVIEW_KINDS = ("past", "past", "future", "past canceled", "future canceled", "no end", "no times")
OFFER_STATUSES = ("SENT", "DRAFT", "DECLINED", "APPROVED", "ACCEPTED", "ABANDONED", None)


class Builder(JobMaker):
    """Builds every collection of an integration.

    Args:
        integration: Id, like ``greenhouse:HWUTwvyx2wLoSUHphiWVrp28``.
        scale: How many records.
        seed: Equal seeds give equal records.
        midnight: Unix time of the start of the day that ages count back from.
        odd: Whether a few records hold values that the API does not document.
        drift: Whether stages have the keys that newer versions of the API send.
    """

    def __init__(self, integration: str, scale: Scale, seed: int, midnight: float, *, odd: bool, drift: bool) -> None:
        super().__init__(integration, seed, midnight)
        self.scale = scale
        self.odd = odd
        self.drift = drift
        self.stores = {name: Store() for name in COLLECTIONS}
        self._sizes = {
            "applications": scale.applications,
            "candidates": scale.candidates,
            "jobs": scale.jobs,
            "interviews": scale.interviews,
            "offers": scale.offers,
            "tags": scale.tags,
            "users": scale.users,
            "roles": len(ROLES),
            "rejection_reasons": len(WORDS["reasons"]),
            "application_stages": scale.pipelines * 6,
        }
        self.jobs: list[Record] = []
        self.tags: list[Record] = []

    def build(self) -> dict[str, Store]:
        """Build everything.

        Returns:
            A store per collection.
        """
        self._simple()
        self._users()
        self._stages()
        self._jobs()
        candidates = [self.candidate(nr) for nr in range(self.scale.candidates)]
        for nr in range(self.scale.applications):
            self._application(nr, candidates)
        for nr, record in enumerate(candidates):
            self._emit("candidates", nr, record)
        return self.stores

    def _emit(self, collection: str, nr: int, record: Record) -> bool:
        """Store a record, now and then as a tombstone, with an unknown key, or with an odd value.

        Returns:
            False if it is a tombstone.
        """
        size = self._sizes[collection]
        changed: float = record["changed_at"]
        links = nesting.links(collection, record)
        blemishes.add_unknown_key(collection, nr, size, record)
        if self.odd:
            blemishes.add_odd_value(collection, nr, size, record)
        age = blemishes.tombstone_age(nr, size)
        if age is not None:
            changed = self.age(age)
            record["remote_deleted_at"] = iso(changed)
        record["changed_at"] = iso(changed)
        if blemishes.is_anonymised(nr, size):
            blemishes.anonymise(record, empty_lists=nr % 2 == 0)
        self.stores[collection].add(record, changed, links)
        return age is None

    def _simple(self) -> None:
        # Tags count like candidates do, so the two share ids: one is no key without its model.
        for nr in range(self.scale.tags):
            words = WORDS["tag_names"]
            name = words[nr % len(words)] + ("" if nr < len(words) else f" {nr}")
            record = self.base(str(1000 + nr), 3 + nr % 300) | {"name": name if nr % 17 != 16 else None}
            self.tags.append(record)
            self._emit("tags", nr, dict(record))
        for nr, name in enumerate(WORDS["reasons"]):
            self._emit("rejection_reasons", nr, self.base(f"reason-{nr}", 30 + nr) | {"name": name})
        for nr, (label, scope, unified) in enumerate(ROLES):
            role = {"remote_label": label, "scope": scope, "unified_type": unified}
            self._emit("roles", nr, self.base(f"role-{nr}", 40 + nr) | role)

    def _users(self) -> None:
        for nr in range(self.scale.users):
            record = self.base(str(70_000 + nr), 5 + nr % 200)
            record["first_name"] = self.dice.pick(WORDS["first_names"]) if nr % 9 != 8 else None
            record["last_name"] = self.dice.pick(WORDS["last_names"])
            record["email"] = f"user.{nr}@corp.example.com" if nr % 6 != 5 else None
            if nr % 11 == 10:
                del record["email"]
            record["status"] = ("ACTIVE", "ACTIVE", "INACTIVE", None)[nr % 4]
            record["system_roles"] = [self.role(nr + at) for at in range(nr % 3)]
            self.users.append(record)
            self._emit("users", nr, dict(record))

    def _stages(self) -> None:
        nr = 0
        for pipeline in range(self.scale.pipelines):
            stages = []
            for at in range(6 + (pipeline == 0)):
                record = self.base(f"stage-{pipeline}-{at}", 20 + nr % 300)
                record["name"] = WORDS["stage_names"][(at + pipeline % 2) % 8] if nr % 23 != 22 else None
                if self.drift:
                    record["status"] = ("ACTIVE", "ACTIVE", "INACTIVE", None)[nr % 4 if nr % 5 == 0 else 0]
                    record["custom_fields"] = (None, {}, {"sla_days": 5}, {"sla_days": "five"})[nr % 4]
                if self._emit("application_stages", nr, dict(record)):
                    stages.append(record)
                nr += 1
            self.pipelines.append(stages)

    def _jobs(self) -> None:
        for nr in range(self.scale.jobs):
            record = self.job(nr)
            self.jobs.append(nesting.job(record) | {"stages": record["stages"]})
            self._emit("jobs", nr, record)

    def candidate(self, nr: int, *, age: float | None = None) -> Record:
        """Build candidate number ``nr``; its ``changed_at`` is still a number, and it has no applications yet."""
        dice, remote_id = self.dice, str(1000 + nr)
        created = self.age(age if age is not None else 20 + nr * 11 % 900)
        changed = min(created + dice.number() * (self.midnight - created), self.midnight - DAY / 2)
        tags = dice.sample(self.tags, nr % 4) if nr % 2 else []
        record: Record = {
            "id": self.id(remote_id),
            "remote_id": remote_id,
            "first_name": dice.pick(WORDS["first_names"]) if nr % 50 != 49 else None,
            "last_name": dice.pick(WORDS["last_names"]),
            "company": dice.pick(WORDS["companies"]),
            "title": dice.pick(WORDS["titles"]) if nr % 3 else None,
            "confidential": (False, None, True)[nr % 3],
            "source": dice.pick(WORDS["sources"]),
            "phone_numbers": [{"phone_number": f"+49 30 23125 {nr % 1000:03}", "type": "HOME"}] if nr % 3 else None,
            "email_addresses": dice.emails(nr),
            "social_media": [{"link": f"https://social.example/in/{nr}", "type": "LINKEDIN", "username": None}]
            if nr % 4 == 0
            else [],
            "location": dice.pick(WORDS["places"]),
            "custom_fields": dice.custom_fields(nr) if nr % 4 else {},
            "integration_fields": dice.integration_fields(nr),
            "remote_url": f"{self.host}/people/{remote_id}" if nr % 6 else None,
            "remote_created_at": iso(created // DAY * DAY),
            "remote_updated_at": iso(created + 3600, milliseconds=nr % 2 == 0) if nr % 7 else None,
            "remote_data": {f"people/{remote_id}": {"headline": dice.text(2), "score": nr % 100 / 7}}
            if nr % 8 == 1
            else None,
            "changed_at": changed,
            "remote_deleted_at": None,
            "applications": [],
            "tags": [nesting.tag(tag) for tag in tags],
        }
        for key in ("phone_numbers", "social_media", "location") if nr % 37 == 36 else ():
            del record[key]
        return record

    def _application(self, nr: int, candidates: list[Record]) -> None:
        person = candidates[nr % len(candidates) if nr < len(candidates) else self.dice.below(len(candidates))]
        record = self.application(nr, person, self.jobs[self.dice.below(len(self.jobs))])
        for collection, at, inner in self._events(nr, record):
            nested = nesting.interview if collection == "interviews" else nesting.offer
            if self._emit(collection, at, inner):
                record[collection].append(nested(inner))
        copy = nesting.application_of_candidate(record)
        copy["changed_at"] = iso(copy["changed_at"])
        if nr % 200 == 7:
            copy["pronouns"] = "they/them"
        if self._emit("applications", nr, record) and record["candidate_id"]:
            person["applications"].append(msgspec.Raw(encode(copy)))  # a dict would take six times the memory

    def application(self, nr: int, person: Record, work: Record, *, age: float | None = None) -> Record:
        """Build application number ``nr``; its ``changed_at`` is still a number."""
        dice, remote_id = self.dice, str(5_000_000 + nr)
        roll = nr * 7919 % 100
        outcome = "PENDING" if roll < 58 else "DECLINED" if roll < 90 else "HIRED" if roll < 97 else None
        created = self.age(age if age is not None else 1 + nr * 37 % 400)
        updated = created + dice.number() ** 3 * (self.midnight - DAY / 2 - created)
        changed = updated + dice.number() * (self.midnight - DAY / 2 - updated)
        at = dice.below(len(work["stages"])) if work["stages"] else None
        stage = work["stages"][at] if at is not None and nr % 80 != 79 else None
        declined = outcome == "DECLINED"
        homeless = nr % 90 == 89  # neither job nor candidate is certain
        return {
            "id": self.id(remote_id),
            "remote_id": remote_id if nr % 70 != 69 else None,
            "outcome": outcome,
            "rejection_reason_name": dice.pick(WORDS["reasons"]) if declined and nr % 5 else None,
            "rejected_at": iso(updated) if declined and nr % 3 else None,
            "current_stage_id": stage["id"] if stage else None,
            "job_id": None if homeless else work["id"],
            "candidate_id": None if homeless and nr % 180 == 89 else person["id"],
            "screening_question_answers": dice.answers(nr),
            "custom_fields": dice.custom_fields(nr + 5),
            "integration_fields": dice.integration_fields(nr + 1),
            "remote_url": f"{self.host}/applications/{remote_id}" if nr % 8 else None,
            "changed_at": changed,
            "remote_deleted_at": None,
            "remote_created_at": iso(created, milliseconds=nr % 3 != 0) if nr % 60 != 59 else None,
            "remote_updated_at": iso(updated) if nr % 10 != 9 else None,
            "remote_data": {f"applications/{remote_id}": {"prospect": False, "x": [nr]}} if nr % 33 == 0 else None,
            "candidate": None if homeless and nr % 180 == 89 else nesting.candidate_of_application(person),
            "current_stage": nesting.stage(stage, stage["index"]) if stage else None,
            "job": None if homeless else nesting.job(work),
            "interviews": [],
            "offers": [],
        }

    def _events(self, nr: int, application: Record) -> Iterator[tuple[str, int, Record]]:
        every = max(1, self.scale.applications // self.scale.interviews)
        if nr % every == 0:
            yield "interviews", nr // every, self.interview(nr // every, application)
        every = max(1, self.scale.applications // self.scale.offers)
        if nr % every == 1 % every:
            yield "offers", nr // every, self.offer(nr // every, application)

    def interview(self, nr: int, application: Record) -> Record:
        """Build interview number ``nr`` of an application."""
        kind = INTERVIEW_KINDS[nr % len(INTERVIEW_KINDS)]
        base = self.base(f"interview-{nr}", 1 + nr % 60)
        starting = self.midnight + (1 + nr % 30) * DAY + 36_000 if "future" in kind else self.age(1 + nr * 13 % 200)
        starting -= starting % 900
        base |= {
            "title": f"Interview: {self.dice.pick(WORDS['titles'])}" if nr % 10 else None,
            "starting_at": None if kind == "no times" else iso(starting),
            "ending_at": None if kind.startswith("no ") else iso(starting + 3600),
            "location": WORDS["places"][nr % len(WORDS["places"])],
            "video_conferencing_url": f"https://meet.example.com/{nr}" if nr % 2 else None,
            "application_id": application["id"],
            "stage_id": application["current_stage_id"],
            "canceled": True if "canceled" in kind else (False, None)[nr % 2],
            "remote_created_at": iso(min(starting, base["changed_at"]) - 9 * DAY),
            "remote_updated_at": None,
            "users": [nesting.user(user) for user in self.dice.sample(self.users, nr % 3)],
            "application": nesting.application_of_interview(application),
        }
        if nr % 19 == 18:
            del base["location"]
        return base

    def offer(self, nr: int, application: Record) -> Record:
        """Build offer number ``nr`` of an application."""
        base = self.base(f"offer-{nr}", 1 + nr % 60)
        return base | {
            "status": "ACCEPTED" if application["outcome"] == "HIRED" else OFFER_STATUSES[nr % len(OFFER_STATUSES)],
            "employment_start_date": iso(self.midnight + (30 + nr % 90) * DAY) if nr % 4 else None,
            "application_id": application["id"],
            "custom_fields": self.dice.custom_fields(nr),
            "integration_fields": self.dice.integration_fields(nr),
            "remote_created_at": iso(base["changed_at"] - DAY),
            "remote_updated_at": None,
            "application": nesting.application_of_offer(application),
        }
