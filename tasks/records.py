"""Records of a collection, one at a time: what the ten reading tasks are made of, for callers who want them lazily."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tasks.credentials import KomboCredentials, resolve_credentials
from tasks.kombo import ids
from tasks.kombo.collections import Collection, spec
from tasks.kombo.errors import BadAnswer
from tasks.kombo.pages import PAGE_SIZE, pages


def each_record(
    collection: Collection,
    *,
    integration: str,
    filters: Mapping[str, Any] | None = None,
    limit: int | None = None,
    credentials: KomboCredentials | None = None,
) -> Iterator[dict[str, Any]]:
    """Read a collection lazily: a page is fetched when its first record is wanted, or a little before.

    A record that moves between pages while they are read, or is read again because a cursor expired, comes once.

    Args:
        collection: One of the ten, such as `applications`.
        integration: Integration id.
        filters: By API name, as Python values: lists, datetimes with a zone, booleans. None among them means not given.
        limit: Stop after so many records; no page beyond them is fetched.
        credentials: None for the default block or the environment.

    Returns:
        An iterator of records as the API sends them. Close it to stop early.

    Raises:
        ValueError: A parameter is not allowed; at once, before anything is sent.
        TypeError: A parameter has the wrong type; at once.
        KomboError: While iterating: a page failed for good. Names collection and page.
    """
    query = dict(filters or {})
    spec(collection).query(query)
    ids.integration_id(integration)
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ValueError("limit: expected a number of records from 1, or None for all")
    return _walk(collection, integration, query, limit, credentials)


def _walk(
    collection: Collection,
    integration: str,
    filters: Mapping[str, Any],
    limit: int | None,
    credentials: KomboCredentials | None,
) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    count = 0
    with resolve_credentials(credentials).get_client() as client:
        walk = pages(
            client,
            collection,
            integration=integration,
            filters=filters,
            page_size=min(limit or PAGE_SIZE, PAGE_SIZE),
            prefetch=0 if limit else 1,
        )
        for page in walk:
            for record in _records(page.records, collection, integration):
                key = record.get("id")
                if isinstance(key, str):
                    if key in seen:
                        continue
                    seen.add(key)
                yield record
                count += 1
                if count == limit:
                    return


def _records(raw: list[msgspec.Raw], collection: Collection, integration: str) -> list[dict[str, Any]]:
    try:
        found = [json.loads(bytes(record)) for record in raw]
    except ValueError:
        found = [None]
    if not all(isinstance(record, dict) for record in found):
        # Not from the decoding error, which holds the body.
        raise BadAnswer(
            detail="The answer's records cannot be read.",
            request=f"GET {spec(collection).path}",
            integration=integration,
        ) from None
    records: list[dict[str, Any]] = found
    return records
