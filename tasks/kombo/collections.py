"""The ten ATS collections: where each is read and by what it can be filtered. They are data, so this is a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

from tasks.kombo import ids

Collection = Literal[
    "applications",
    "candidates",
    "jobs",
    "application_stages",
    "tags",
    "users",
    "roles",
    "offers",
    "rejection_reasons",
    "interviews",
]

Kind = Literal["ids", "texts", "choices", "choice", "text", "time", "flag"]


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter of a collection.

    Attributes:
        kind: What it takes: a list of Kombo ids, of texts or of choices, one choice, one text, a point in time, or
            True/False.
        choices: The values allowed, for choices.
        deprecated: Name of the filter that replaces it, or None.
    """

    kind: Kind
    choices: tuple[str, ...] = ()
    deprecated: str | None = None

    def encode(self, value: Any, name: str) -> str:
        """Check a value and write it as the API takes it.

        Args:
            value: What the caller gave.
            name: The filter's API name, for the error's text.

        Returns:
            The text for the query, not yet percent-encoded.

        Raises:
            ValueError: The value is not allowed; the text names the filter and not the value.
            TypeError: The value has the wrong type.
        """
        if self.kind == "flag":
            return ids.api_bool(value, name)
        if self.kind == "time":
            return ids.api_time(value, name)
        if self.kind in ("text", "choice"):
            if not isinstance(value, str):
                raise TypeError(f"{name}: expected one text")
            if not value.strip():
                raise ValueError(f"{name}: an empty text would mean no filter at all; leave the parameter out for that")
            self._check_choice(value, name)
            return value
        joined = ids.api_list(value, name)
        for item in joined.split(","):
            if self.kind == "ids":
                ids.kombo_id(item, name)
            self._check_choice(item, name)
        return joined

    def _check_choice(self, value: str, name: str) -> None:
        if self.choices and value not in self.choices:
            raise ValueError(f"{name}: expected one of {', '.join(self.choices)}")


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """Where a collection is read and by what it can be filtered.

    Attributes:
        name: Our name of the collection, which is also the lake's.
        path: Path below the base URL.
        filters: By API name; `cursor` and `page_size` are the walk's own and not among them.
        deprecated: True if Kombo advises against the endpoint.
    """

    name: Collection
    path: str
    filters: Mapping[str, Filter]
    deprecated: bool = False

    def query(self, filters: Mapping[str, Any] | None) -> dict[str, str]:
        """Check filters and write them as the API takes them.

        Args:
            filters: By API name; a value of None is left out.

        Returns:
            Parameters for the query, not yet percent-encoded.

        Raises:
            ValueError: A filter that this collection does not have, or a value that is not allowed.
            TypeError: A value of the wrong type.
        """
        encoded = {}
        for name, value in (filters or {}).items():
            if value is None:
                continue
            if name not in self.filters:
                raise ValueError(f"{self.name} has no filter of that name; it has {', '.join(self.filters)}")
            encoded[name] = self.filters[name].encode(value, name)
        return encoded


_OUTCOMES = ("PENDING", "HIRED", "DECLINED")
_STATUSES = ("OPEN", "CLOSED", "DRAFT", "ARCHIVED")

# Every collection has these.
_SHARED: dict[str, Filter] = {
    "updated_after": Filter("time"),
    "include_deleted": Filter("flag"),
    "ignore_unsupported_filters": Filter("flag"),
    "ids": Filter("ids"),
    "remote_ids": Filter("texts"),
}


def _spec(name: Collection, path: str, *, deprecated: bool = False, **own: Filter) -> CollectionSpec:
    return CollectionSpec(name, path, MappingProxyType({**_SHARED, **own}), deprecated)


COLLECTIONS: Mapping[Collection, CollectionSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            _spec(
                "applications",
                "/ats/applications",
                outcome=Filter("choice", _OUTCOMES, deprecated="outcomes"),
                outcomes=Filter("choices", _OUTCOMES),
                job_ids=Filter("ids"),
                job_remote_ids=Filter("texts"),
                current_stage_ids=Filter("ids"),
                remote_created_after=Filter("time"),
            ),
            _spec(
                "candidates",
                "/ats/candidates",
                email=Filter("text"),
                job_ids=Filter("ids"),
                first_name=Filter("text"),
                last_name=Filter("text"),
            ),
            _spec(
                "jobs",
                "/ats/jobs",
                job_codes=Filter("texts"),
                post_url=Filter("text"),
                status=Filter("choice", _STATUSES, deprecated="statuses"),
                statuses=Filter("choices", _STATUSES),
                employment_types=Filter("choices", ("FULL_TIME", "PART_TIME", "CONTRACT", "SEASONAL", "INTERNSHIP")),
                visibilities=Filter("choices", ("PUBLIC", "INTERNAL", "UNLISTED", "CONFIDENTIAL")),
                remote_created_after=Filter("time"),
                name_contains=Filter("text"),
            ),
            _spec("application_stages", "/ats/application-stages", deprecated=True),
            _spec("tags", "/ats/tags"),
            _spec("users", "/ats/users", emails=Filter("texts")),
            _spec("roles", "/ats/roles", scopes=Filter("choices", ("SYSTEM", "JOB"))),
            _spec("offers", "/ats/offers"),
            _spec("rejection_reasons", "/ats/rejection-reasons"),
            _spec("interviews", "/ats/interviews", job_ids=Filter("ids")),
        )
    }
)

NAMES: tuple[Collection, ...] = get_args(Collection)


def spec(name: str) -> CollectionSpec:
    """Look a collection up.

    Args:
        name: One of the ten names.

    Returns:
        Its row of the table.

    Raises:
        ValueError: There is no such collection; the text lists those there are.
    """
    for known, found in COLLECTIONS.items():
        if known == name:
            return found
    raise ValueError(f"unknown collection; expected one of {', '.join(NAMES)}")
