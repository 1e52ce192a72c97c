"""The lake's schemas: every field that the API documents, described, and the same in every file."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.lake.schemas import SCHEMAS, children, description, is_json, is_personal

SPEC = Path(__file__).parents[4] / "shared" / "kombo-ats-openapi.json"

ADDED = ("integration_id", "_fetched_at", "_run_id", "_extra")

# Delivered since after the snapshot of the specification was taken.
NEWER_THAN_THE_SPECIFICATION = {
    "applications.current_stage.status",
    "applications.current_stage.custom_fields",
    "application_stages.status",
    "application_stages.custom_fields",
    "jobs.stages.status",
    "jobs.stages.custom_fields",
}

# What the specification spells out and the lake keeps as JSON text, because the shape depends on the row.
FREE_FORM = {
    "applications.screening_question_answers.answer",
    "jobs.screening_questions.format",
    "jobs.screening_questions.precondition_options",
}


def walk(schema: pa.Schema, collection: str) -> dict[str, pa.Field]:
    """Give every field at every level by its dotted name."""
    found = {}

    def visit(path: str, field: pa.Field) -> None:
        found[path] = field
        for child in children(field):
            visit(f"{path}.{child.name}", child)

    for field in schema:
        visit(f"{collection}.{field.name}", field)
    return found


FIELDS = {path: field for name, schema in SCHEMAS.items() for path, field in walk(schema, name).items()}


def kind(field: pa.Field) -> str:
    """Name a column's type as the specification would."""
    if is_json(field):
        return "json"
    if pa.types.is_list(field.type):
        return "records" if children(field) else "texts"
    if pa.types.is_struct(field.type):
        return "record"
    return {"string": "text", "int64": "integer", "double": "number", "bool": "flag"}.get(str(field.type), "instant")


@pytest.mark.parametrize("path", FIELDS)
def test_every_field_is_explained_in_a_sentence(path: str) -> None:
    meaning = description(FIELDS[path])
    assert len(meaning.split()) >= 2
    assert meaning.endswith(".")
    assert meaning[0].isupper()


def test_only_types_that_every_reader_understands_are_used() -> None:
    scalars = {pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.timestamp("us", tz="UTC")}

    def allowed(kind: pa.DataType) -> bool:
        if pa.types.is_struct(kind):
            return kind.num_fields > 0 and all(allowed(field.type) for field in kind.fields)
        if pa.types.is_list(kind):
            return allowed(kind.value_type)
        return kind in scalars

    assert [path for path, field in FIELDS.items() if not allowed(field.type)] == []


def test_json_is_text() -> None:
    assert {str(field.type) for field in FIELDS.values() if is_json(field)} == {"string"}


def test_only_the_key_and_the_origin_of_a_row_are_never_null() -> None:
    never_null = {path.partition(".")[2] for path, field in FIELDS.items() if not field.nullable}
    assert never_null == {"integration_id", "id", "_fetched_at", "_run_id"}


@pytest.mark.parametrize("collection", SCHEMAS)
def test_the_key_comes_first_and_the_origin_last(collection: str) -> None:
    names = SCHEMAS[collection].names
    assert names[:2] == ["integration_id", "id"]
    assert names[-3:] == ["_fetched_at", "_run_id", "_extra"]
    assert len(set(names)) == len(names)


def test_what_names_or_reaches_a_person_is_marked() -> None:
    telling = {
        "first_name",
        "last_name",
        "email",
        "email_addresses",
        "phone_numbers",
        "social_media",
        "location",
        "custom_fields",
        "remote_data",
        "integration_fields",
        "screening_question_answers",
        "_extra",
    }
    unmarked = [
        path
        for path, field in FIELDS.items()
        if path.rpartition(".")[2] in telling and not path.startswith("jobs.location") and not is_personal(field)
    ]
    assert unmarked == []


def test_ids_and_dates_are_not_marked_as_personal() -> None:
    assert not any(is_personal(FIELDS[f"applications.{name}"]) for name in ("id", "job_id", "outcome", "rejected_at"))


def test_a_record_with_a_person_inside_is_personal() -> None:
    assert is_personal(FIELDS["interviews.application"])


@pytest.mark.parametrize("collection", SCHEMAS)
@pytest.mark.parametrize("rows", [0, 3])
def test_a_file_without_rows_or_values_has_the_same_schema(collection: str, rows: int) -> None:
    schema = SCHEMAS[collection]
    values = {pa.string(): "x", pa.timestamp("us", tz="UTC"): 0}
    table = pa.table(
        [pa.array([None if field.nullable else values[field.type]] * rows, field.type) for field in schema],
        schema=schema,
    )
    file = io.BytesIO()
    pq.write_table(table, file)
    assert pq.read_schema(file).equals(schema, check_metadata=True)


def resolve(node: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    """Follow references."""
    while "$ref" in node:
        target: Any = spec
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def documented(spec: dict[str, Any], path: str, node: dict[str, Any]) -> dict[str, str]:
    """Give the kind of every documented property at every level by its dotted name."""
    found: dict[str, str] = {}
    for name, raw in node.get("properties", {}).items():
        child, here = resolve(raw, spec), f"{path}.{name}"
        options = [resolve(option, spec) for option in child.get("anyOf", [child])]
        types = (
            {
                t
                for option in options
                for t in ([option["type"]] if isinstance(option.get("type"), str) else option["type"])
            }
            - {"null"}
            if all("type" in option for option in options)
            else set()
        )
        if here in FREE_FORM:
            found[here] = "json"
        elif types == {"string"}:
            found[here] = "instant" if child.get("format") == "date-time" else "text"
        elif types == {"integer"} or types == {"number"} or types == {"boolean"}:
            found[here] = {"integer": "integer", "number": "number", "boolean": "flag"}[types.pop()]
        elif types == {"object"} and "properties" in child:
            found[here] = "record"
            found |= documented(spec, here, child)
        elif types == {"array"}:
            items = resolve(child["items"], spec)
            inner = [resolve(option, spec) for option in items.get("anyOf", [items])]
            found[here] = "records" if "properties" in inner[0] else "texts"
            for option in inner:
                found |= documented(spec, here, option)
        else:
            found[here] = "json"
    return found


def test_the_columns_are_the_documented_properties() -> None:
    if not SPEC.exists():
        pytest.skip(f"needs the API's OpenAPI file as {SPEC.parent.name}/{SPEC.name} beside the checkout")
    spec = json.loads(SPEC.read_text())
    expected: dict[str, str] = {}
    for collection in SCHEMAS:
        operation = spec["paths"][f"/ats/{collection.replace('_', '-')}"]["get"]
        body = resolve(operation["responses"]["200"]["content"]["application/json"]["schema"], spec)
        results = resolve(resolve(body["properties"]["data"], spec)["properties"]["results"], spec)
        expected |= documented(spec, collection, resolve(results["items"], spec))
    ours = {
        path: kind(field)
        for path, field in FIELDS.items()
        if path not in NEWER_THAN_THE_SPECIFICATION and path.partition(".")[2] not in ADDED
    }
    assert ours == expected
