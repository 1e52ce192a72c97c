"""All 30 operations against the contract: what they send, and what they refuse to send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from tasks.operations import OPERATIONS, OperationName, table
from tests.contract.cases import FULL, ID, OTHER_ID, WRONG
from tests.contract.reduction import operations
from tests.contract.server import CONTRACT, INTEGRATION, SPEC, Kombo

NAMES: tuple[OperationName, ...] = get_args(OperationName)
CALLS = [pytest.param(name, call, id=f"{name}-{n}") for name in NAMES for n, call in enumerate(FULL[name])]
NEWER_THAN_THE_SPECIFICATION = ("POST /ats/import-tracked-application", "greenhousev3")


def call(contract: Kombo, name: OperationName, arguments: dict[str, Any]) -> Any:
    """Call an operation's function on the contract's server."""
    return OPERATIONS[name].task.fn(integration=INTEGRATION, **arguments, credentials=contract.credentials)


def fields(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Give every documented field of a body by its dotted name."""
    for option in schema.get("anyOf", []):
        yield from fields(option, path)
    if "items" in schema:
        yield from fields(schema["items"], path)
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from fields(child, f"{path}.{name}")


def used(value: Any, path: str = "") -> Iterator[str]:
    """Give every field that a body has."""
    for item in value if isinstance(value, list) else []:
        yield from used(item, path)
    for name, child in value.items() if isinstance(value, dict) else []:
        yield f"{path}.{name}"
        yield from used(child, f"{path}.{name}")


def test_there_are_the_30_operations_of_the_contract() -> None:
    assert sorted(f"{one.method} {one.path}" for one in OPERATIONS.values()) == sorted(CONTRACT)
    assert tuple(OPERATIONS) == NAMES
    assert len(NAMES) == 30


@pytest.mark.parametrize("name", NAMES)
def test_the_calls_use_every_parameter(name: OperationName) -> None:
    assert {argument for arguments in FULL[name] for argument in arguments} == set(OPERATIONS[name].parameters)


@pytest.mark.parametrize(("name", "arguments"), CALLS)
def test_what_is_sent_keeps_to_the_contract(contract: Kombo, name: OperationName, arguments: dict[str, Any]) -> None:
    call(contract, name, arguments)
    assert contract.flaws == []
    assert contract.sent or "_action" in name


@pytest.mark.parametrize("name", NAMES)
def test_an_operation_sends_its_own_method_and_path(contract: Kombo, name: OperationName) -> None:
    call(contract, name, FULL[name][0])
    assert contract.asked[-1].operation == f"{OPERATIONS[name].method} {OPERATIONS[name].path}"


@pytest.mark.parametrize("name", NAMES)
def test_together_the_calls_send_everything_that_is_documented(contract: Kombo, name: OperationName) -> None:
    for arguments in FULL[name]:
        call(contract, name, arguments)
    entry = CONTRACT[contract.asked[-1].operation]
    queried = {parameter for asked in contract.sent for parameter in asked.query}
    assert queried == set(entry["query"]["properties"])
    sent = {path for asked in contract.sent for path in used(asked.body) if not path.startswith(".remote_fields.")}
    assert sent == set(fields(entry.get("body", {})))


@pytest.mark.parametrize(
    ("name", "arguments"), [pytest.param(name, arguments, id=f"{name}: {why}") for name, why, arguments in WRONG]
)
def test_a_wrong_call_is_refused_before_anything_is_sent(
    contract: Kombo, name: OperationName, arguments: dict[str, Any]
) -> None:
    with pytest.raises((ValueError, TypeError)) as refused:
        call(contract, name, arguments)
    assert contract.asked == []
    assert "expected" in str(refused.value) or ":" in str(refused.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_integration_id_is_refused_before_anything_is_sent(contract: Kombo, name: OperationName) -> None:
    with pytest.raises(ValueError, match="integration"):
        OPERATIONS[name].task.fn(integration="workday", **FULL[name][0], credentials=contract.credentials)
    assert contract.asked == []


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_cannot_be_given_by_position(name: OperationName) -> None:
    found = OPERATIONS[name].task.fn.__kwdefaults__ or {}
    assert OPERATIONS[name].task.fn.__code__.co_argcount == 0
    assert "credentials" in found


@pytest.mark.parametrize("name", NAMES)
def test_a_docstring_explains_every_parameter_and_ends_with_the_request(name: OperationName) -> None:
    one = OPERATIONS[name]
    text = one.task.fn.__doc__ or ""
    explained = text.partition("Args:")[2].partition("Returns:")[0]
    for parameter in ("integration", *one.parameters, "credentials"):
        assert f"\n        {parameter}: " in explained
    assert text.strip().splitlines()[-1].strip() == f"{one.method} {one.path}"


@pytest.mark.parametrize("name", NAMES)
def test_the_class_of_an_operation_is_the_one_that_its_task_was_made_with(name: OperationName) -> None:
    one = OPERATIONS[name]
    kind = "kombo:read" if one.repeat == "read" else "kombo:write"
    assert kind in one.task.tags
    assert one.task.retries == {"read": 2, "safe": 1, "unsafe": 0}[one.repeat]


def test_only_a_put_a_patch_and_a_delete_are_safe_to_repeat() -> None:
    safe = {one.name for one in OPERATIONS.values() if one.repeat == "safe"}
    assert safe == {"move_application_to_stage", "update_interview", "remove_candidate_tag"}
    assert all(one.repeat == "unsafe" for one in OPERATIONS.values() if one.method == "POST")
    assert all(one.repeat == "read" for one in OPERATIONS.values() if one.method == "GET")


def test_filters_go_with_every_page(contract: Kombo) -> None:
    call(contract, "get_applications", {"outcomes": ["PENDING"], "job_ids": [ID]})
    first, second = contract.asked
    assert second.query == {**first.query, "cursor": "cursor-2"}


def test_a_walk_returns_the_records_of_all_pages_as_plain_dicts(contract: Kombo) -> None:
    found = call(contract, "get_tags", {})
    assert [record["id"] for record in found] == [ID, OTHER_ID]
    assert {type(record) for record in found} == {dict}


def test_our_reduced_contract_is_the_specification() -> None:
    if not SPEC.exists():
        pytest.skip(f"needs the API's OpenAPI file as {SPEC.parent.name}/{SPEC.name} beside the checkout")
    ours = json.loads((Path(__file__).parent / "operations.json").read_text())
    operation, newer = NEWER_THAN_THE_SPECIFICATION
    del ours[operation]["body"]["properties"][newer]
    assert ours == operations(json.loads(SPEC.read_text()))


def test_the_readme_has_the_table_of_the_operations() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    start, end = "<!-- operations:start -->\n", "<!-- operations:end -->"
    assert readme.partition(start)[2].partition(end)[0].strip() == table().strip()
