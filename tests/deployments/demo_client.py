"""How the tests of the demo talk to it: plain httpx, nothing of the product."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.demo.server import Surface

OPENAPI = Path(__file__).parents[3] / "shared" / "kombo-ats-openapi.json"
ANYTHING = (("integration_fields", "value"), ("answer", "raw"))  # documented as always null, and really anything
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


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


def read_openapi() -> dict[str, Any]:
    if not OPENAPI.exists():
        pytest.skip("the OpenAPI file is not beside this checkout")
    document: dict[str, Any] = json.loads(OPENAPI.read_text())
    return document


def answer_schema(document: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    answer = document["paths"][path][method.lower()]["responses"]["200"]
    while "$ref" in answer:
        answer = document["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
    schema: dict[str, Any] = answer["content"]["application/json"]["schema"]
    return schema


def misfits(document: dict[str, Any], schema: dict[str, Any], value: Any, path: tuple[str, ...] = ()) -> list[str]:
    """What of a value does not fit a schema: types, required keys, enums; unknown keys are allowed."""
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    if path[-2:] in ANYTHING:
        return []
    for word in ("anyOf", "oneOf"):
        if word in schema:
            tries = [misfits(document, choice, value, path) for choice in schema[word]]
            return min(tries, key=len)
    wanted = schema.get("type", [])
    names = [wanted] if isinstance(wanted, str) else wanted
    if names and not any(
        isinstance(value, TYPES[name]) and (not isinstance(value, bool) or name == "boolean") for name in names
    ):
        return [f"{path}: {type(value).__name__} is not {wanted}"]
    wrong = []
    if value is not None and "enum" in schema and value not in schema["enum"]:
        wrong.append(f"{path}: {value!r} is none of {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        wrong.append(f"{path}: {value!r} is not {schema['const']!r}")
    if schema.get("format") == "date-time" and isinstance(value, str) and not re.fullmatch(r"\S+T\S+Z", value):
        wrong.append(f"{path}: {value!r} is no date-time")
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        wrong.append(f"{path}: {value!r} does not match {schema['pattern']}")
    if isinstance(value, dict):
        wrong += [f"{path}: {key} is missing" for key in schema.get("required", []) if key not in value]
        for key, inner in schema.get("properties", {}).items():
            if key in value:
                wrong += misfits(document, inner, value[key], (*path, key))
    if isinstance(value, list) and "items" in schema:
        for item in value:
            wrong += misfits(document, schema["items"], item, path)
    return wrong
