"""The operations as data, and the check of their arguments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.operations import OPERATIONS, OperationName, table
from tests.contract.cases import FULL, ID, OTHER_ID
from tests.contract.server import INTEGRATION, Kombo


def refused(name: OperationName, **arguments: Any) -> str:
    """Have arguments refused, and say with which words."""
    with pytest.raises(ValueError, match=f"^{name}: ") as error:
        OPERATIONS[name].checked(INTEGRATION, arguments)
    return str(error.value)


@pytest.mark.parametrize("name", list(FULL))
def test_checked_arguments_send_the_same_as_unchecked_ones(contract: Kombo, name: OperationName) -> None:
    one = OPERATIONS[name]
    for arguments in FULL[name]:
        one.task.fn(integration=INTEGRATION, **arguments, credentials=contract.credentials)
        once = contract.asked.copy()
        contract.asked.clear()
        one.task.fn(**one.checked(INTEGRATION, arguments), credentials=contract.credentials)
        assert [(asked.path, asked.query, asked.body) for asked in contract.asked] == [
            (asked.path, asked.query, asked.body) for asked in once
        ]
        contract.asked.clear()


def test_an_unknown_argument_is_refused_with_a_list_of_those_allowed() -> None:
    text = refused("reject_application", application_id=ID, rejection_reason_id=OTHER_ID, reason="x")
    assert "reason is not an argument" in text
    assert "Required: application_id, rejection_reason_id. Optional: note, remote_fields." in text


def test_a_missing_argument_is_named() -> None:
    assert "rejection_reason_id is missing" in refused("reject_application", application_id=ID)


def test_all_flaws_are_named_at_once() -> None:
    text = refused("get_applications", outcome="REJECTED", outcomes=["REJECTED"], limit="many", stage="x")
    assert "stage is not an argument" in text
    assert "outcome: expected Literal['PENDING', 'HIRED', 'DECLINED'] | None" in text
    assert "outcomes: expected list[Literal['PENDING', 'HIRED', 'DECLINED']] | None" in text
    assert "limit: expected int | None" in text


@pytest.mark.parametrize("name", ["integration", "credentials"])
def test_what_the_flow_gives_itself_is_no_argument(name: str) -> None:
    assert f"{name} is not an argument" in refused("get_tags", **{name: "x"})


def test_an_error_does_not_repeat_what_was_given() -> None:
    text = refused("create_application", job_id=ID, candidate="Ada Lovelace", **{"ada@lovelace.example": 1})
    assert "Ada" not in text
    assert "lovelace" not in text


def test_a_wrong_integration_is_refused() -> None:
    with pytest.raises(ValueError, match="integration"):
        OPERATIONS["get_tags"].checked("workday", {})


def test_times_may_be_text_or_datetimes() -> None:
    when = datetime(2026, 3, 29, tzinfo=UTC)
    for value in (when, "2026-03-29T00:00:00Z"):
        assert OPERATIONS["get_tags"].checked(INTEGRATION, {"updated_after": value})["updated_after"] == value


def test_no_arguments_are_no_filters() -> None:
    assert OPERATIONS["get_tags"].checked(INTEGRATION, None) == {"integration": INTEGRATION}


def test_a_task_is_found_where_the_table_says() -> None:
    for one in OPERATIONS.values():
        assert getattr(__import__(one.module, fromlist=["x"]), one.name) is one.task


def test_the_table_has_a_line_for_each_operation() -> None:
    lines = table().splitlines()
    assert len(lines) == 2 + len(OPERATIONS)
    assert (
        "| `reject_application` | `tasks.applications` | `POST /ats/applications/{application_id}/reject` |" in table()
    )
