"""What the writing operations send: models that say what is allowed, and refuse the rest before it is sent.

Every operation that takes a model takes a plain mapping with the same keys as well. An error names the field and the
rule; it never repeats the value, which may be a person's data and would end in a log. A key that the API does not
document is refused, because the API would drop it in silence; what one ATS takes beyond the unified fields goes into
`remote_fields`, which is passed on as given.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from tasks.checks import Base64, Country, Email, Filled, KomboId, KomboOrRemoteId, MimeType, Time, Url, filled, url
from tasks.kombo import ids

B = TypeVar("B", bound=BaseModel)


class Body(BaseModel):
    """What all have in common: unknown keys are refused, and errors do not quote what was given."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class File(Body):
    """A file to upload, from exactly one of three sources."""

    name: Filled = Field(description="File name with an extension, which people may see in the ATS.")
    content_type: MimeType | None = Field(
        None, description="MIME type. Required with data, guessed from the name with path."
    )
    data_url: Url | None = Field(
        None, description="URL that Kombo fetches at once and without authentication; Kombo's preferred way."
    )
    data: Base64 | None = Field(None, description="The file itself, in base64.")
    path: Filled | None = Field(
        None, description="Ours, not the API's: a path or fsspec URL that is read and sent as data."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(source is not None for source in (self.data, self.data_url, self.path)) != 1:
            raise ValueError("give exactly one of data_url, data and path")
        if self.data is not None and self.content_type is None:
            raise ValueError("content_type is required with data")
        return self


class Attachment(File):
    """A file to attach, and what it is."""

    type: Literal["CV", "COVER_LETTER", "OTHER"] = Field(description="Decides where the ATS shows it.")


class TypedEmailAddress(Body):
    """One more e-mail address."""

    type: Literal["PERSONAL", "WORK", "OTHER"]
    email_address: Email


class TypedPhoneNumber(Body):
    """One more phone number."""

    type: Literal["PERSONAL", "WORK", "OTHER"]
    phone_number: Filled


class CandidateLocation(Body):
    """Where a candidate lives."""

    city: str | None = None
    country: Country = Field(description="ISO 3166-1 alpha-2 code in capitals.")
    state: str | None = None
    street_1: str | None = None
    zip_code: str | None = None


class SalaryExpectations(Body):
    """What a candidate would like to earn."""

    period: Literal["MONTH", "YEAR"]
    amount: float = Field(allow_inf_nan=False, description="In the ATS's own currency.")


class SocialLink(Body):
    """A candidate's page elsewhere."""

    url: Url


class NewCandidate(Body):
    """A candidate to create, or to recognise if the ATS already has the e-mail address."""

    first_name: Filled
    last_name: Filled
    email_address: Email = Field(description="The primary address.")
    additional_email_addresses: list[TypedEmailAddress] | None = None
    company: str | None = Field(None, description="Present employer.")
    title: str | None = Field(None, description="Present job title.")
    phone_number: str | None = None
    additional_phone_numbers: list[TypedPhoneNumber] | None = None
    location: CandidateLocation | None = None
    gender: Literal["MALE", "FEMALE", "OTHER"] | None = None
    availability_date: Time | None = Field(None, description="From when the candidate can work.")
    salary_expectations: SalaryExpectations | None = None
    social_links: list[SocialLink] | None = None


class NewApplication(Body):
    """The application that a new candidate comes with."""

    job_id: KomboOrRemoteId = Field(description="Kombo's id, or the ATS's own after `remote:`.")
    stage_id: KomboId | None = Field(None, description="Stage to start in; without it the job's default.")


def _answer(value: Any) -> Any:
    """Say what an answer can be in one sentence; a union's own errors would list every alternative."""
    if isinstance(value, datetime):
        return ids.api_time(value, "answer")
    if isinstance(value, Mapping):
        return checked(File, value, "file")
    texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
    finite = isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))
    if not (texts or finite or isinstance(value, str | File)):
        raise ValueError("expected a text, true or false, a number, a list of option ids, or a file")
    return value


class ScreeningAnswer(Body):
    """An answer to one of the job's screening questions."""

    question_id: KomboId = Field(description="From the job's screening_questions.")
    answer: Annotated[
        StrictStr | StrictBool | StrictInt | StrictFloat | list[StrictStr] | File, BeforeValidator(_answer)
    ] = Field(
        description="By the question's format: a text, an option's id, a list of option ids, true or false, a number, "
        "a date such as 2026-03-29, or a file."
    )


class Source(Body):
    """Deprecated by Kombo, which attributes the source itself: where the candidate came from."""

    name: str | None = None
    unified_key: str | None = None
    id: str | None = None


class SourcedBy(Body):
    """The user who found the candidate."""

    user_id: KomboOrRemoteId = Field(description="Kombo's id, or the ATS's own after `remote:`.")


class GdprConsent(Body):
    """A candidate's consent, which some countries require."""

    expires_at: Time | None = None
    given: StrictBool | None = None


class ResultAttribute(Body):
    """A line of a result, such as Score: 100 %."""

    key: Filled
    value: str


class ResultDetails(Body):
    """What to show with a result link."""

    custom_field_name_prefix: str = Field(description="Put before the attributes' names, such as `Acme:`.")
    attributes: list[ResultAttribute]


class Tag(Body):
    """A tag by its name."""

    name: Filled


class InterviewLocation(Body):
    """Where an interview takes place."""

    type: Literal["PHYSICAL", "VIRTUAL"]
    address: str | None = None


class ErecruiterApplication(Body):
    """An application in eRecruiter, by the job's or by the candidate's id."""

    id_type: Literal["application_and_job_remote_ids", "application_and_candidate_remote_ids"]
    application_remote_id: Filled
    job_remote_id: Filled | None = None
    candidate_remote_id: Filled | None = None

    @model_validator(mode="after")
    def _matching_id(self) -> Self:
        by_job = self.id_type == "application_and_job_remote_ids"
        wanted, other = ("job_remote_id", "candidate_remote_id") if by_job else ("candidate_remote_id", "job_remote_id")
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            raise ValueError(f"this id_type takes {wanted} and not {other}")
        return self


class SuccessfactorsApplication(Body):
    """An application in SAP SuccessFactors."""

    id_type: Literal["application_remote_id"]
    application_remote_id: Filled


class RecruiteeApplication(Body):
    """An application in Recruitee."""

    id_type: Literal["placement_id"]
    placement_id: Filled


class ApplicationById(Body):
    """An application in an ATS that knows it by one id: Greenhouse and onlyfy."""

    id_type: Literal["application_id"]
    application_id: Filled


class SmartrecruitersApplication(Body):
    """An application in SmartRecruiters."""

    id_type: Literal["candidate_and_job_remote_ids"]
    candidate_remote_id: Filled
    job_remote_id: Filled


def checked(kind: type[B], value: B | Mapping[str, Any], name: str) -> dict[str, Any]:
    """Check one part of a body.

    Args:
        kind: The model that says what is allowed.
        value: An instance of it, or a mapping with its keys.
        name: The parameter, for the error's text.

    Returns:
        The part as the API takes it, without what was not given.

    Raises:
        ValueError: It does not fit; the text says where and what is expected, not what was given.
    """
    given = value.model_dump(exclude_none=True) if isinstance(value, BaseModel) else value
    try:
        return kind.model_validate(given).model_dump(exclude_none=True)
    except ValidationError as error:
        raise ValueError(explained(error, kind, name)) from None


def checked_list(kind: type[B], values: Iterable[B | Mapping[str, Any]], name: str) -> list[dict[str, Any]]:
    """Check a list of parts of a body; see `checked`."""
    if isinstance(values, str | Mapping | BaseModel) or not isinstance(values, Iterable):
        raise TypeError(f"{name}: expected a list")
    return [checked(kind, value, f"{name}[{position}]") for position, value in enumerate(values)]


def passed_on(value: Mapping[str, Any] | None, name: str = "remote_fields") -> dict[str, Any] | None:
    """Check that what is passed on as given is an object; None stays None."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}: expected an object, with the ATS's name as its key")
    return dict(value)


def result_link(
    label: str,
    link: str,
    details: ResultDetails | Mapping[str, Any] | None,
    remote_fields: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Make the body of a result link; raises `ValueError` or `TypeError` where it is not allowed."""
    body: dict[str, Any] = {"label": filled(label, "label"), "url": url(link)}
    if details is not None:
        body["details"] = checked(ResultDetails, details, "details")
    if (passed := passed_on(remote_fields)) is not None:
        body["remote_fields"] = passed
    return body


def interview(
    title: str,
    start_time: datetime | str,
    end_time: datetime | str,
    interviewer_user_ids: list[str],
    organizer_user_id: str,
    location: InterviewLocation | Mapping[str, Any],
) -> dict[str, Any]:
    """Make the body of an interview; raises `ValueError` or `TypeError` where it is not allowed."""
    start, end = ids.api_time(start_time, "start_time"), ids.api_time(end_time, "end_time")
    if _moment(end) <= _moment(start):
        raise ValueError("end_time: has to be after start_time")
    if not isinstance(interviewer_user_ids, list) or not interviewer_user_ids:
        raise ValueError("interviewer_user_ids: expected a list with at least one Kombo id")
    return {
        "title": filled(title, "title"),
        "start_time": start,
        "end_time": end,
        "interviewer_user_ids": [ids.kombo_id(user, "interviewer_user_ids") for user in interviewer_user_ids],
        "organizer_user_id": ids.kombo_id(organizer_user_id, "organizer_user_id"),
        "location": checked(InterviewLocation, location, "location"),
    }


def _moment(text: str) -> datetime:
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def explained(error: ValidationError, kind: type[BaseModel], name: str) -> str:
    """Say what is wrong without repeating anything that was given.

    Args:
        error: What pydantic found.
        kind: The model that was not met.
        name: The parameter.

    Returns:
        All problems in one line, each with its place.
    """
    problems = []
    for flaw in error.errors(include_url=False, include_input=False, include_context=False):
        place = ".".join(shown(part) for part in flaw["loc"])
        text = re.sub(r"^(Value error, )?(id: |time: |url: )?", "", flaw["msg"])
        if flaw["type"] == "extra_forbidden":
            allowed = kind.model_fields if len(flaw["loc"]) == 1 else ()
            text = "not a field" + (f"; allowed: {', '.join(allowed)}" if allowed else " here")
        problems.append(f"{name}.{place}: {text}" if place and name else f"{name or place}: {text}")
    return "; ".join(problems)


def shown(part: str | int) -> str:
    """Show a key, unless somebody put data where a key belongs."""
    text = str(part)
    return text if re.fullmatch(r"[A-Za-z0-9_-]{1,40}", text) else "(a key)"
