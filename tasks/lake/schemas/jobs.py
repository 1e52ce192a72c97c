"""Columns of the collection jobs."""

from __future__ import annotations

import pyarrow as pa

from tasks.lake.schemas import parts
from tasks.lake.schemas.columns import flag, instant, integer, json_text, number, records, text, texts

_OTHERWISE = "or the ATS's own wording where none of these fits"

JOBS: pa.Schema = parts.collection(
    parts.remote_id("job"),
    text("name", "Title of the job."),
    text("job_code", "The code people know the job by, such as a requisition number."),
    text("description", "Description of the job, usually HTML."),
    flag("confidential", "Deprecated by Kombo in favour of visibility: true if the job is confidential."),
    number("weekly_hours", "Working time in hours per week."),
    text("employment_type", f"Type of contract: FULL_TIME, PART_TIME, CONTRACT, SEASONAL or INTERNSHIP, {_OTHERWISE}."),
    text(
        "status",
        f"OPEN, CLOSED, DRAFT or ARCHIVED, {_OTHERWISE}; whether people can apply depends on visibility as well.",
    ),
    text(
        "visibility",
        "Who can see the job and apply: PUBLIC (everyone), INTERNAL (employees), UNLISTED (whoever has the link) or "
        f"CONFIDENTIAL (nobody but those invited in the ATS), {_OTHERWISE}.",
    ),
    text("category", "Category, often the industry, in the ATS's words."),
    text("department", "Department or team, in the ATS's words."),
    text("post_url", "URL of the public job posting on the ATS's own career page."),
    text("experience_level", "Seniority or experience asked for, in the ATS's words."),
    text("remote_work_status", f"REMOTE, HYBRID, TEMPORARY or ON_SITE, {_OTHERWISE}."),
    number("salary_amount", "Salary in salary_currency per salary_period, where the ATS has a single amount."),
    number("salary_amount_from", "Lower end of the salary range, in salary_currency per salary_period."),
    number("salary_amount_to", "Upper end of the salary range, in salary_currency per salary_period."),
    text("salary_currency", "Currency of the salary, usually an ISO 4217 code."),
    text(
        "salary_period",
        f"What the salary amounts are paid for: YEAR, MONTH, TWO_WEEKS, WEEK, DAY or HOUR, {_OTHERWISE}; not how "
        "often it is paid out.",
    ),
    parts.location("Where the job is", personal=False),
    parts.custom_fields("job"),
    parts.integration_fields("job"),
    text("remote_url", "URL of the job in the ATS."),
    instant("opened_at", "When the job was opened, in UTC; a plain date arrives as midnight UTC."),
    instant(
        "closed_at",
        "When the job was or will be closed, in UTC; a time in the future means that people can apply until then; a "
        "plain date arrives as midnight UTC.",
    ),
    parts.remote_created_at(),
    parts.remote_updated_at(),
    text(
        "contact_id", "Deprecated by Kombo in favour of hiring_team: Kombo's id of the user who is the job's contact."
    ),
    parts.remote_data(),
    parts.changed_at(),
    parts.remote_deleted_at(),
    records(
        "stages",
        "The stages of this job's hiring process; take a stage id for moving an application from here.",
        parts.nested_id("stage"),
        parts.remote_id("stage"),
        parts.stage_name(),
        parts.stage_status(),
        parts.custom_fields("stage"),
        parts.remote_data(),
        integer("index", "Position of the stage in the job's process, counting up; null where the ATS has no order."),
    ),
    records(
        "screening_questions",
        "What an applicant is asked.",
        parts.nested_id("question"),
        parts.remote_id("question"),
        text("title", "The question."),
        text("description", "Instructions or background to the question; may be long and may contain HTML."),
        json_text(
            "format",
            "JSON object that says how the question is answered: type is TEXT, NUMBER, FILE, SINGLE_SELECT, "
            "MULTI_SELECT, BOOLEAN, DATE, INFORMATION (nothing to answer) or UNKNOWN, the other keys depend on it "
            "(limits, options).",
        ),
        text("category", "EEO (equal opportunity in employment) or DEMOGRAPHIC; null for an ordinary question."),
        integer("index", "Position of the question in the form, counting up."),
        flag("required", "True if the question must be answered; null if unknown."),
        text(
            "precondition_question_id",
            "Kombo's id of another question that decides whether this one is asked; null if it always is.",
        ),
        json_text(
            "precondition_options",
            "JSON array of the answers to that other question that bring this one up: option ids, or true and false.",
        ),
    ),
    records(
        "job_postings",
        "Where and how the job is advertised.",
        parts.nested_id("posting"),
        parts.remote_id("posting"),
        text("title", "Title of the posting."),
        text("description_html", "Text of the posting as HTML."),
        text("status", "ACTIVE, INACTIVE or DRAFT; null if unknown."),
        text("visibility", "PUBLIC, INTERNAL or UNLISTED; null if unknown."),
        text("url", "Public URL of the posting."),
        parts.remote_data(),
    ),
    records(
        "hiring_team",
        "The users who work on this job; a copy that may be older than the collection users; contains personal data.",
        parts.nested_id("user"),
        parts.remote_id("user"),
        parts.first_name("user"),
        parts.last_name("user"),
        parts.user_email(),
        texts(
            "hiring_team_roles",
            "Deprecated by Kombo in favour of job_roles: RECRUITER, HIRING_MANAGER, COORDINATOR, SOURCER, INTERVIEWER.",
        ),
        records(
            "job_roles",
            "The user's roles in this job.",
            parts.remote_id("role"),
            *parts.role(),
        ),
    ),
)
