"""The query parameters of the ten collections: which there are, what they accept, and what they match."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from deployments.demo.errors import invalid
from deployments.demo.store import Record
from deployments.demo.values import unix

TIME = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+)?)?Z?")  # no offsets: only Z, or nothing
KOMBO_ID = re.compile(r"[1-9A-HJ-NP-Za-km-z]{24}")

Test = Callable[[Record], bool]


@dataclass(frozen=True)
class Query:
    """A parsed query of a collection.

    Attributes:
        cursor: As the client sent it.
        page_size: 1 to 250.
        updated_after: Unix time, or None.
        include_deleted: Whether tombstones are wanted.
        ignore_unsupported: Whether filters that the ATS lacks are left out instead of matching nothing.
        filters: The remaining filters, name and value.
    """

    cursor: str | None = None
    page_size: int = 100
    updated_after: float | None = None
    include_deleted: bool = False
    ignore_unsupported: bool = False
    filters: tuple[tuple[str, str], ...] = ()
    tests: tuple[tuple[str, Test], ...] = field(default=(), compare=False)

    @property
    def key(self) -> tuple[Any, ...]:
        """What decides which records match."""
        return (self.updated_after, self.include_deleted, self.ignore_unsupported, self.filters)


def parse_time(name: str, text: str) -> float:
    """Read a time in one of the accepted forms.

    Args:
        name: What to call it in the error.
        text: The value.

    Returns:
        Unix time.

    Raises:
        RefusedError: If it has another form, or is no date that exists.
    """
    if not TIME.fullmatch(text):
        raise invalid(f"{name} must look like 2026-05-02T08:15:00.000Z")
    try:
        return unix(text)
    except ValueError:
        raise invalid(f"{name} is not a date that exists") from None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _ids_of(value: Any) -> set[Any]:
    return {item.get("id") for item in value if isinstance(item, dict)} if isinstance(value, list) else set()


def _one_of(key: str) -> Callable[[str], Test]:
    """A comma-separated list of values of a field."""

    def build(value: str) -> Test:
        wanted = set(value.split(","))
        return lambda record: _text(record.get(key)) in wanted

    return build


def _ids(get: Callable[[Record], Iterable[Any]]) -> Callable[[str], Test]:
    """A comma-separated list of Kombo ids."""

    def build(value: str) -> Test:
        wanted = set(value.split(","))
        if not all(KOMBO_ID.fullmatch(part) for part in wanted):
            raise invalid("expected a comma-separated list of ids of 24 base58 characters")
        return lambda record: any(_text(found) in wanted for found in get(record))

    return build


def _enum(key: str, *choices: str, many: bool = True) -> Callable[[str], Test]:
    """A list of documented values; blank means all of them."""

    def build(value: str) -> Test:
        if value == "" and many:
            return lambda _: True
        wanted = set(value.split(",")) if many else {value}
        if not wanted <= set(choices):
            raise invalid(f"expected {', '.join(choices)}")
        return lambda record: _text(record.get(key)) in wanted

    return build


def _exact(key: str) -> Callable[[str], Test]:
    return lambda value: lambda record: record.get(key) == value


def _any_case(key: str) -> Callable[[str], Test]:
    return lambda value: lambda record: (_text(record.get(key)) or "").casefold() == value.casefold()


def _contains(key: str) -> Callable[[str], Test]:
    return lambda value: lambda record: value.casefold() in (_text(record.get(key)) or "").casefold()


def _email(value: str) -> Test:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
        raise invalid("expected an e-mail address")

    def test(record: Record) -> bool:
        found = record.get("email_addresses")
        addresses = (
            [item.get("email_address") for item in found if isinstance(item, dict)] if isinstance(found, list) else []
        )
        return value.casefold() in ((_text(address) or "").casefold() for address in addresses)

    return test


def _emails(value: str) -> Test:
    wanted = {part.casefold() for part in value.split(",")}
    return lambda record: (_text(record.get("email")) or "").casefold() in wanted


def _created_after(value: str) -> Test:
    """Works by day: the day itself counts."""
    day = parse_time("remote_created_after", value) // 86400 * 86400

    def test(record: Record) -> bool:
        text = _text(record.get("remote_created_at"))
        return text is not None and TIME.fullmatch(text) is not None and unix(text) >= day

    return test


def _job_remote_ids(value: str) -> Test:
    wanted = set(value.split(","))
    return lambda record: isinstance(record.get("job"), dict) and _text(record["job"].get("remote_id")) in wanted


def _job_of_interview(record: Record) -> Iterable[Any]:
    application = record.get("application")
    job = application.get("job") if isinstance(application, dict) else None
    return [job.get("id")] if isinstance(job, dict) else []


def _jobs_of_candidate(record: Record) -> Iterable[Any]:
    applications = record.get("applications")
    found = applications if isinstance(applications, list) else []
    return [item["job"].get("id") for item in found if isinstance(item, dict) and isinstance(item.get("job"), dict)]


_OUTCOMES = ("PENDING", "HIRED", "DECLINED")
_STATUSES = ("OPEN", "CLOSED", "DRAFT", "ARCHIVED")
_EVERYWHERE: dict[str, Callable[[str], Test]] = {
    "ids": _ids(lambda record: [record["id"]]),
    "remote_ids": _one_of("remote_id"),
}
FILTERS: dict[str, dict[str, Callable[[str], Test]]] = {
    "applications": {
        **_EVERYWHERE,
        "outcome": _enum("outcome", *_OUTCOMES, many=False),
        "outcomes": _enum("outcome", *_OUTCOMES),
        "job_ids": _ids(lambda record: [record.get("job_id")]),
        "job_remote_ids": _job_remote_ids,
        "current_stage_ids": _ids(lambda record: [record.get("current_stage_id")]),
        "remote_created_after": _created_after,
    },
    "candidates": {
        **_EVERYWHERE,
        "email": _email,
        "job_ids": _ids(_jobs_of_candidate),
        "first_name": _any_case("first_name"),
        "last_name": _any_case("last_name"),
    },
    "jobs": {
        **_EVERYWHERE,
        "job_codes": _one_of("job_code"),
        "post_url": _exact("post_url"),
        "status": _enum("status", *_STATUSES, many=False),
        "statuses": _enum("status", *_STATUSES),
        "employment_types": _enum("employment_type", "FULL_TIME", "PART_TIME", "CONTRACT", "SEASONAL", "INTERNSHIP"),
        "visibilities": _enum("visibility", "PUBLIC", "INTERNAL", "UNLISTED", "CONFIDENTIAL"),
        "remote_created_after": _created_after,
        "name_contains": _contains("name"),
    },
    "application_stages": _EVERYWHERE,
    "tags": _EVERYWHERE,
    "users": {**_EVERYWHERE, "emails": _emails},
    "roles": {**_EVERYWHERE, "scopes": _enum("scope", "SYSTEM", "JOB")},
    "offers": _EVERYWHERE,
    "rejection_reasons": _EVERYWHERE,
    "interviews": {**_EVERYWHERE, "job_ids": _ids(_job_of_interview)},
}


def _boolean(name: str, value: str) -> bool:
    if value not in ("true", "false"):
        raise invalid(f"{name} must be true or false")
    return value == "true"


def parse(collection: str, pairs: list[tuple[str, str]]) -> Query:
    """Check the query of a collection.

    Args:
        collection: Its name.
        pairs: The query parameters as sent.

    Returns:
        The parsed query.

    Raises:
        RefusedError: If a parameter is unknown, given twice, or has a value that the API does not accept. (Kombo may be
            more lenient with unknown names; a client that misspells one should find out here.)
    """
    given = dict(pairs)
    if len(given) != len(pairs):
        raise invalid("a query parameter is given twice")
    known = FILTERS[collection]
    cursor = given.pop("cursor", None)
    size = given.pop("page_size", "100")
    if not re.fullmatch(r"[0-9]{1,9}", size) or not 1 <= int(size) <= 250:
        raise invalid("page_size must be an integer from 1 to 250")
    after = given.pop("updated_after", None)
    deleted = _boolean("include_deleted", given.pop("include_deleted", "false"))
    ignore = _boolean("ignore_unsupported_filters", given.pop("ignore_unsupported_filters", "false"))
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise invalid(f"unknown query parameters: {', '.join(unknown)}")
    return Query(
        cursor=cursor,
        page_size=int(size),
        updated_after=None if after is None else parse_time("updated_after", after),
        include_deleted=deleted,
        ignore_unsupported=ignore,
        filters=tuple(sorted(given.items())),
        tests=tuple((name, known[name](value)) for name, value in sorted(given.items())),
    )
