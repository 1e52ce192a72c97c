"""How the tests of the demo talk to it: plain httpx, nothing of the product."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from deployments.demo.server import Surface


@contextmanager
def open_client(kombo: Surface, integration: str | None = None) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {kombo.api_key}", "x-integration-id": integration or kombo.integrations[0]}
    with httpx.Client(base_url=kombo.base_url, headers=headers, timeout=20, trust_env=False) as client:
        yield client


def walk_pages(client: httpx.Client, collection: str, **query: Any) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        more = {"cursor": cursor} if cursor else {}
        response = client.get(f"/ats/{collection.replace('_', '-')}", params={**query, **more})
        assert response.status_code == 200, response.text
        data = response.json()["data"]
        yield data
        cursor = data["next"]
        if cursor is None:
            return


def walk(client: httpx.Client, collection: str, **query: Any) -> list[dict[str, Any]]:
    return [record for page in walk_pages(client, collection, **query) for record in page["results"]]


def ids(records: list[dict[str, Any]]) -> list[str]:
    return [record["id"] for record in records]


def refusal(response: httpx.Response) -> tuple[int, str | None]:
    assert response.json()["status"] == "error"
    return response.status_code, response.json()["error"]["code"]
