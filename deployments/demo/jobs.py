"""Jobs, with the questions, postings and people that they embed."""

from typing import Any

from deployments.demo import nesting
from deployments.demo.store import Record
from deployments.demo.values import WORDS, Dice, iso, kombo_id

DAY = 86400.0


ROLES = (
    ("Admin", "SYSTEM", "ADMIN"),
    ("Hiring Manager", "JOB", "HIRING_MANAGER"),
    ("Recruiter", "JOB", "RECRUITER"),
    ("Koordination", "JOB", "COORDINATOR"),
    ("Sourcer 🌍", "SYSTEM", "SOURCER"),
    ("Interviewer", "JOB", "INTERVIEWER"),
    ("Betriebsrat", None, None),
    (None, "SYSTEM", None),
)


class JobMaker:
    """Makes the jobs of an integration, and what every record starts from.

    Args:
        integration: Id, like ``greenhouse:HWUTwvyx2wLoSUHphiWVrp28``.
        seed: Equal seeds give equal records.
        midnight: Unix time of the start of the day that ages count back from.
    """

    def __init__(self, integration: str, seed: int, midnight: float) -> None:
        self.integration = integration
        self.midnight = midnight
        self.dice = Dice(f"{seed}/{integration}")
        self.host = f"https://app.{integration.partition(':')[0]}.example.com"
        self.users: list[Record] = []
        self.pipelines: list[list[Record]] = []

    def id(self, remote_id: str) -> str:
        """The Kombo id that belongs to a remote id."""
        return kombo_id(self.integration, remote_id)

    def age(self, days: float) -> float:
        """A time so many days ago, or up to half a day more."""
        return self.midnight - days * DAY - self.dice.number() * DAY / 2

    def base(self, remote_id: str, age: float) -> Record:
        """The fields that every record has; ``changed_at`` is still a number."""
        return {
            "id": self.id(remote_id),
            "remote_id": remote_id,
            "changed_at": self.age(age),
            "remote_deleted_at": None,
            "remote_data": None,
        }

    def role(self, nr: int) -> Record:
        """A role as it stands inside a user."""
        label, scope, unified = ROLES[nr % len(ROLES)]
        return {"remote_id": f"role-{nr % len(ROLES)}", "remote_label": label, "scope": scope, "unified_type": unified}

    def _html(self, paragraphs: int) -> str:
        return "\n".join(self.dice.pick(WORDS["paragraphs"]) for _ in range(paragraphs))

    def job(self, nr: int) -> Record:
        """Build job number ``nr``."""
        dice, remote_id = self.dice, str(400_000 + nr)
        opened = self.age(10 + nr * 7 % 700)
        base = self.base(remote_id, 2 + nr * 7 % 300)
        title = dice.pick(WORDS["titles"])
        amount = None if nr % 3 else 3000.0 + nr % 40 * 50.5
        record: Record = {
            "id": base["id"],
            "remote_id": remote_id,
            "name": title if nr % 40 != 39 else None,
            "job_code": (f"{title[:2].upper()}-{nr:04}", None, f"{nr:06}")[nr % 3],
            "description": self._html(14) if nr % 12 != 11 else None,
            "confidential": (False, True, None)[nr % 3],
            "weekly_hours": (40, 38.5, None, 0)[nr % 4],
            "employment_type": ("FULL_TIME", "PART_TIME", "INTERNSHIP", "Minijob (538 €)", None)[nr % 5],
            "status": ("OPEN", "OPEN", "CLOSED", "OPEN", "DRAFT", "ARCHIVED", "On hold", None)[nr % 8],
            "visibility": ("PUBLIC", "INTERNAL", "UNLISTED", "CONFIDENTIAL", None)[nr % 5],
            "category": ("Technical Job", None)[nr % 2],
            "department": dice.pick(WORDS["departments"]),
            "post_url": f"https://jobs.example.com/post/{remote_id}" if nr % 4 else None,
            "experience_level": ("Mid-Senior", None, "Berufseinsteiger:in")[nr % 3],
            "remote_work_status": ("REMOTE", "HYBRID", "ON_SITE", "TEMPORARY", "2 days/week", None)[nr % 6],
            "salary_amount": amount,
            "salary_amount_from": None if amount else 48000,
            "salary_amount_to": None if amount else 65000.75,
            "salary_currency": ("EUR", "€", "JPY", None)[nr % 4],
            "salary_period": ("YEAR", "MONTH", "HOUR", "pro Einsatz", None)[nr % 5],
            "location": WORDS["places"][nr % len(WORDS["places"])],
            "custom_fields": dice.custom_fields(nr),
            "integration_fields": dice.integration_fields(nr),
            "remote_url": f"{self.host}/jobs/{remote_id}",
            "opened_at": iso(-DAY * (nr + 1)) if nr % 29 == 5 else iso(opened // DAY * DAY),
            "closed_at": (None, iso(4_102_358_400.0), None, iso(opened + 90 * DAY, milliseconds=False))[nr % 4],
            "remote_created_at": iso(opened) if nr % 13 != 12 else None,
            "remote_updated_at": iso(opened + DAY / 2, milliseconds=nr % 2 == 0),
            "contact_id": self.users[nr % len(self.users)]["id"] if nr % 3 == 0 else None,
            "remote_data": None,
            "changed_at": base["changed_at"],
            "remote_deleted_at": None,
            "stages": [
                nesting.stage_of_job(stage, at if at != 4 else None)
                for at, stage in enumerate(self.pipelines[nr % len(self.pipelines)])
            ],
            "screening_questions": [self._question(nr, at) for at in range(nr % 11)],
            "job_postings": [self._posting(nr, at) for at in range((0, 1, 2)[nr % 3])],
            "hiring_team": [
                nesting.user(self.users[(nr * 3 + at) % len(self.users)])
                | {
                    "hiring_team_roles": ("RECRUITER", "HIRING_MANAGER", "COORDINATOR")[: at + nr % 2],
                    "job_roles": [self.role(at + 1)],
                }
                for at in range(nr % 4)
            ],
        }
        for key in ("employment_type", "salary_period", "location") if nr % 31 == 30 else ():
            del record[key]
        return record

    def _question(self, nr: int, at: int) -> Record:
        remote_id = f"question-{nr}-{at}"
        options = [{"id": self.id(f"{remote_id}-{x}"), "remote_id": None, "name": x} for x in ("Ja", "Nein", "多分")]
        formats: tuple[Any, ...] = (
            {"display_type": "SINGLE_LINE", "max_length": None, "type": "TEXT"},
            {"display_type": "RADIO", "options": options, "type": "SINGLE_SELECT"},
            {"options": options[:2], "type": "MULTI_SELECT"},
            {"type": "BOOLEAN"},
            {"display_type": "FIELD", "max": 50.5, "min": 0, "type": "NUMBER"},
            {"type": "DATE"},
            {"accepted_mime_types": ["application/pdf"], "max_file_size_bytes": 5_000_000, "type": "FILE"},
            {"type": "INFORMATION"},
            {"raw_question": {"kind": "matrix", "rows": [1, "two", None]}, "type": "UNKNOWN"},
            None,
        )
        question: Record = {
            "id": self.id(remote_id),
            "remote_id": remote_id if at % 3 else None,
            "title": WORDS["questions"][at % 7][1],
            "description": "<em>Bitte ankreuzen.</em>" if at % 2 else None,
            "format": formats[at % len(formats)],
            "category": (None, None, "EEO", "DEMOGRAPHIC")[at % 4],
            "index": at,
            "required": (True, False, None)[at % 3],
        }
        if at % 5 == 4:  # shown only if the question before was answered so: an option, or yes
            question["precondition_question_id"] = self.id(f"question-{nr}-{at - 1}")
            question["precondition_options"] = [True] if at % 2 == 0 else [options[0]["id"]]
        elif at % 5 == 3:
            question["precondition_question_id"] = question["precondition_options"] = None
        return question

    def _posting(self, nr: int, at: int) -> Record:
        remote_id = f"posting-{nr}-{at}"
        return {
            "id": self.id(remote_id),
            "remote_id": remote_id,
            "title": self.dice.pick(WORDS["titles"]),
            "description_html": self._html(8) if at == 0 else None,
            "status": ("ACTIVE", "INACTIVE", "DRAFT", None)[(nr + at) % 4],
            "visibility": ("PUBLIC", "INTERNAL", "UNLISTED", None)[(nr + at) % 4],
            "url": f"https://jobs.example.com/{remote_id}" if at == 0 else None,
            "remote_data": None,
        }
