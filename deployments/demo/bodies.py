"""The bodies of the 14 writes, as documented; unknown keys are refused, so that a misspelt one shows."""

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from deployments.demo.errors import invalid

Text = str | UnsetType
Uri = Annotated[str, Meta(pattern=r"^[a-zA-Z][a-zA-Z0-9+.-]*://\S+$")]
Email = Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Mime = Annotated[str, Meta(pattern=r"^[\w.-]+/[\w.-]+$")]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
Moment = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+)?)?Z?$")]
FileType = Literal["CV", "COVER_LETTER", "OTHER"]
AddressType = Literal["PERSONAL", "WORK", "OTHER"]
Fields = dict[str, Any]


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Any body, or part of one."""


class Stage(Body):
    """Body of a move to a stage."""

    stage_id: str
    remote_fields: Fields | UnsetType = UNSET


class Reject(Body):
    """Body of a rejection."""

    rejection_reason_id: str
    note: Text = UNSET
    remote_fields: Fields | UnsetType = UNSET


class Note(Body):
    """Body of a note."""

    content: str
    content_type: Literal["PLAIN_TEXT"]
    remote_fields: Fields | UnsetType = UNSET


class Attribute(Body):
    """A fact beside a result link."""

    key: str
    value: str


class Details(Body):
    """Facts beside a result link."""

    custom_field_name_prefix: str
    attributes: list[Attribute]


class ResultLink(Body):
    """Body of a result link."""

    label: str
    url: Uri
    details: Details | UnsetType = UNSET
    remote_fields: Fields | UnsetType = UNSET


class File(Body):
    """A file in a body."""

    name: str
    content_type: Mime | UnsetType = UNSET
    data_url: Uri | UnsetType = UNSET
    data: Text = UNSET


class TypedFile(File, kw_only=True):
    """A file of an application or a candidate."""

    type: FileType


class Attachment(Body):
    """Body of an upload."""

    attachment: TypedFile
    remote_fields: Fields | UnsetType = UNSET


class Location(Body):
    """Where an interview is."""

    type: Literal["PHYSICAL", "VIRTUAL"]
    address: Text = UNSET


class Interview(Body):
    """Body of a new interview."""

    title: str
    start_time: str
    end_time: str
    interviewer_user_ids: list[str]
    organizer_user_id: str
    location: Location


class InterviewUpdate(Interview):
    """Body of a changed interview: everything is given again."""

    interview_id: str


class Tag(Body):
    """A tag by name."""

    name: Annotated[str, Meta(min_length=1)]


class TagBody(Body):
    """Body of adding or removing a tag."""

    tag: Tag
    remote_fields: Fields | UnsetType = UNSET


class TypedEmail(Body):
    """One more e-mail address."""

    type: AddressType
    email_address: Email


class TypedPhone(Body):
    """One more telephone number."""

    type: AddressType
    phone_number: str


class Home(Body):
    """Where a candidate lives."""

    country: Country
    city: Text = UNSET
    state: Text = UNSET
    street_1: Text = UNSET
    zip_code: Text = UNSET


class Salary(Body):
    """What a candidate expects."""

    period: Literal["MONTH", "YEAR"]
    amount: float


class SocialLink(Body):
    """A profile of a candidate."""

    url: Uri


class Candidate(Body):
    """A new candidate."""

    first_name: str
    last_name: str
    email_address: Email
    additional_email_addresses: list[TypedEmail] | UnsetType = UNSET
    company: Text = UNSET
    title: Text = UNSET
    phone_number: Text = UNSET
    additional_phone_numbers: list[TypedPhone] | UnsetType = UNSET
    location: Home | UnsetType = UNSET
    gender: Literal["MALE", "FEMALE", "OTHER"] | UnsetType = UNSET
    availability_date: Moment | UnsetType = UNSET
    salary_expectations: Salary | UnsetType = UNSET
    social_links: list[SocialLink] = []


class Answer(Body):
    """An answer to a screening question: a string, boolean, number, list of strings, or a file."""

    question_id: str
    answer: str | bool | float | list[str] | File


class Source(Body):
    """Where the candidate came from (deprecated)."""

    name: Text = UNSET
    unified_key: Text = UNSET
    id: Text = UNSET


class SourcedBy(Body):
    """Who found the candidate."""

    user_id: str


class Consent(Body):
    """What the candidate agreed to."""

    expires_at: Moment | UnsetType = UNSET
    given: bool | UnsetType = UNSET


class Apply(Body):
    """Body of a new application."""

    candidate: Candidate
    stage_id: Text = UNSET
    attachments: list[TypedFile] = []
    source: Source | UnsetType = UNSET
    sourced_by: SourcedBy | UnsetType = UNSET
    gdpr_consent: Consent | UnsetType = UNSET
    remote_fields: Fields | UnsetType = UNSET
    screening_question_answers: list[Answer] | UnsetType = UNSET


class JobChoice(Body):
    """Which job a new candidate applies for."""

    job_id: str
    stage_id: Text = UNSET


class CreateCandidate(Body):
    """Body of a new candidate."""

    candidate: Candidate
    application: JobChoice
    screening_question_answers: list[Answer] | UnsetType = UNSET
    attachments: list[TypedFile] = []
    source: Source | UnsetType = UNSET
    sourced_by: SourcedBy | UnsetType = UNSET
    gdpr_consent: Consent | UnsetType = UNSET
    remote_fields: Fields | UnsetType = UNSET


class Track(Body):
    """Body of a tracked import: a time, and the ids of exactly one tool."""

    tracked_at: Moment | None
    erecruiter: Fields | UnsetType = UNSET
    successfactors: Fields | UnsetType = UNSET
    recruitee: Fields | UnsetType = UNSET
    greenhouse: Fields | UnsetType = UNSET
    onlyfy: Fields | UnsetType = UNSET
    smartrecruiters: Fields | UnsetType = UNSET


_TRACKED_BY = {
    ("erecruiter", "application_and_job_remote_ids"): {"application_remote_id", "job_remote_id"},
    ("erecruiter", "application_and_candidate_remote_ids"): {"application_remote_id", "candidate_remote_id"},
    ("successfactors", "application_remote_id"): {"application_remote_id"},
    ("recruitee", "placement_id"): {"placement_id"},
    ("greenhouse", "application_id"): {"application_id"},
    ("onlyfy", "application_id"): {"application_id"},
    ("smartrecruiters", "candidate_and_job_remote_ids"): {"candidate_remote_id", "job_remote_id"},
}
BODIES: dict[str, type[Body]] = {
    "move_application_to_stage": Stage,
    "reject_application": Reject,
    "add_application_note": Note,
    "add_application_result_link": ResultLink,
    "add_candidate_result_link": ResultLink,
    "add_application_attachment": Attachment,
    "add_candidate_attachment": Attachment,
    "create_interview": Interview,
    "update_interview": InterviewUpdate,
    "create_candidate": CreateCandidate,
    "create_application": Apply,
    "add_candidate_tag": TagBody,
    "remove_candidate_tag": TagBody,
    "import_tracked_application": Track,
}
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def parse(operation: str, body: bytes) -> Any:
    """Check the body of a write.

    Args:
        operation: Name of the operation.
        body: The body as sent.

    Returns:
        The body, as its struct.

    Raises:
        RefusedError: If it is not JSON, or not what the operation takes.
    """
    try:
        parsed = msgspec.json.decode(body, type=BODIES[operation])
    except msgspec.DecodeError as error:
        raise invalid(f"body: {error}") from None
    match parsed:
        case Attachment():
            _check_file(parsed.attachment)
        case Apply() | CreateCandidate():
            for file in parsed.attachments:
                _check_file(file)
            for answer in parsed.screening_question_answers or ():
                if isinstance(answer.answer, File):
                    _check_file(answer.answer)
        case Track():
            _check_tracked(parsed)
    return parsed


def tracked_by(body: Track) -> dict[str, Fields]:
    """The tools that a tracked import names, with their ids."""
    named = msgspec.to_builtins(body)
    return {tool: named[tool] for tool, _ in _TRACKED_BY if tool in named}


def _check_file(file: File) -> None:
    if (file.data is UNSET) == (file.data_url is UNSET):
        raise invalid("exactly one of data and data_url must be given")
    if isinstance(file.data, str):
        if file.content_type is UNSET:
            raise invalid("content_type is required with data")
        if not _BASE64.fullmatch(file.data):
            raise invalid("data is not base64")


def _check_tracked(body: Track) -> None:
    named = tracked_by(body)
    if len(named) != 1:
        raise invalid("exactly one tool must be given")
    ((tool, ids),) = named.items()
    wanted = _TRACKED_BY.get((tool, ids.get("id_type", "")))
    if wanted is None or set(ids) != wanted | {"id_type"} or not all(isinstance(value, str) for value in ids.values()):
        raise invalid(f"these are not ids of {tool}")
