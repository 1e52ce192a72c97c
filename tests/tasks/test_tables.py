"""What may be shown in Prefect: nothing about people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tasks import tables
from tasks.calls import Listed
from tasks.kombo.errors import InvalidRequest, NotOffered, OutcomeUnknown, Unavailable
from tasks.lake.errors import LakeRefused
from tasks.lake.schemas import SCHEMAS, is_json, is_personal
from tasks.operations import OPERATIONS, OperationName
from tests.contract.cases import ID, OTHER_ID
from tests.contract.server import INTEGRATION, LIMITS

READS = [one.name for one in OPERATIONS.values() if not one.writes]
COLLECTIONS = [name for name in READS if name.removeprefix("get_") in SCHEMAS]


@pytest.mark.parametrize("name", COLLECTIONS)
def test_a_shown_column_is_in_the_schema_and_is_not_personal(name: OperationName) -> None:
    schema = SCHEMAS[name.removeprefix("get_")]
    for column in tables.COLUMNS[name]:
        field = schema.field(column)
        assert not is_personal(field)
        assert not is_json(field)
        assert column != "remote_id"


def test_all_collections_have_columns_to_show() -> None:
    assert len(COLLECTIONS) == len(SCHEMAS)


@pytest.mark.parametrize("name", ["get_application_attachments", "get_candidate_attachments"])
def test_of_an_attachment_neither_name_nor_link_is_shown(name: OperationName) -> None:
    assert not {"file_name", "data_url", "remote_id"} & set(tables.COLUMNS[name])


def test_a_table_has_as_many_rows_as_allowed_and_the_same_columns_in_each() -> None:
    records = [{"id": ID, "first_name": "Ada"}, {"id": OTHER_ID, "status": "ACTIVE"}, {"id": "x"}]
    assert tables.rows(OPERATIONS["get_users"], records, 2) == [
        {"id": ID, "status": None, "changed_at": None, "remote_deleted_at": None},
        {"id": OTHER_ID, "status": "ACTIVE", "changed_at": None, "remote_deleted_at": None},
    ]


@pytest.mark.parametrize("odd", [{"name": "Ada"}, [{"name": "Ada"}]])
def test_a_column_that_holds_something_nested_shows_nothing_of_it(odd: Any) -> None:
    assert "Ada" not in str(tables.rows(OPERATIONS["get_users"], [{"status": odd}], 1))


def test_long_texts_are_cut() -> None:
    assert len(tables.rows(OPERATIONS["get_tags"], [{"name": "x" * 1000}], 1)[0]["name"]) == 200


def test_the_limits_of_an_action_are_a_row_for_each_type() -> None:
    found = tables.rows(OPERATIONS["get_create_application_action"], LIMITS, 100)
    assert [row["type"] for row in found] == ["CV", "COVER_LETTER", "OTHER"]
    assert found[0]["accepted_mime_types"] == "application/pdf"


@pytest.mark.parametrize("answer", [{}, {"attachment_restrictions": None}])
def test_unknown_limits_are_a_row_of_nothing(answer: dict[str, Any]) -> None:
    found = tables.rows(OPERATIONS["get_create_application_action"], answer, 100)
    assert len(found) == 1
    assert set(found[0].values()) == {None}


def test_a_write_shows_its_ids_and_counts_its_warnings() -> None:
    arguments = {"integration": INTEGRATION, "application_id": ID, "rejection_reason_id": OTHER_ID, "note": "Ada"}
    assert tables.done(OPERATIONS["reject_application"], INTEGRATION, arguments, ["about Ada"]) == {
        "operation": "reject_application",
        "integration": INTEGRATION,
        "application_id": ID,
        "rejection_reason_id": OTHER_ID,
        "outcome": "done",
        "warnings": 1,
    }


def test_what_was_created_is_shown_by_its_id() -> None:
    answer = {"data": {"id": OTHER_ID, "first_name": "Ada"}, "warnings": []}
    row = tables.done(OPERATIONS["create_application"], INTEGRATION, {"job_id": ID, "candidate": {}}, answer)
    assert row["created_id"] == OTHER_ID
    assert "Ada" not in str(row)


def test_what_is_no_id_is_not_shown_as_one() -> None:
    row = tables.failed(
        OPERATIONS["reject_application"], INTEGRATION, {"application_id": "Ada Lovelace"}, ValueError("application_id")
    )
    assert row["outcome"] == "not done"
    assert "Ada" not in str(row)


def test_an_unknown_outcome_is_told_from_one_that_did_not_happen() -> None:
    unknown = OutcomeUnknown(operation="x", ids={}, sent_at=datetime(2026, 3, 29, tzinfo=UTC), cause=Unavailable())
    operation = OPERATIONS["reject_application"]
    assert tables.failed(operation, INTEGRATION, {}, unknown)["outcome"] == "unknown"
    assert tables.failed(operation, INTEGRATION, {}, unknown)["sent_at"] == "2026-03-29T00:00:00Z"
    assert tables.failed(operation, INTEGRATION, {}, InvalidRequest())["outcome"] == "not done"


def test_only_a_refusal_says_that_a_write_was_not_done() -> None:
    operation = OPERATIONS["reject_application"]
    for refusal in (ValueError("x"), TypeError("x"), NotOffered(), LakeRefused("x")):
        assert tables.failed(operation, INTEGRATION, {}, refusal)["outcome"] == "not done"
    for foreign in (ConnectionError("Ada"), RuntimeError("Ada"), UnicodeError("Ada")):  # Prefect's own, perhaps
        assert tables.failed(operation, INTEGRATION, {}, foreign)["outcome"] == "unknown"
        assert tables.failed(operation, INTEGRATION, {}, foreign)["error"] == type(foreign).__name__


def test_an_error_of_kombos_is_shown_with_its_log_and_without_its_message() -> None:
    error = InvalidRequest("REMOTE.INPUT_INVALID", "T", "about Ada", "https://app.kombo.dev/l", 400)
    shown = tables.failed(OPERATIONS["reject_application"], INTEGRATION, {}, error)["error"]
    assert shown.startswith("InvalidRequest: ")
    assert "https://app.kombo.dev/l" in shown
    assert "Ada" not in shown


@pytest.mark.parametrize(
    ("outcome", "says"),
    [("done", "was carried out"), ("not done", "was not carried out"), ("unknown", "look in the ATS before")],
)
def test_a_sentence_says_what_became_of_a_write(outcome: str, says: str) -> None:
    assert says in tables.sentence({"operation": "reject_application", "outcome": outcome})


@pytest.mark.parametrize(
    ("count", "limit", "shown", "says"),
    [(2, 3, 2, ": 2 rows."), (3, 3, 3, "the first 3 rows; there may be more"), (5, 9, 3, "the first 3 rows; there")],
)
def test_a_caption_says_whether_there_may_be_more(count: int, limit: int, shown: int, says: str) -> None:
    answer, rows = [{"id": ID}] * count, [{"id": ID}] * shown
    assert says in tables.caption(OPERATIONS["get_tags"], INTEGRATION, {"limit": limit}, answer, rows)


def test_a_caption_counts_warnings() -> None:
    listed = Listed([{"id": ID}], ["about Ada"])
    text = tables.caption(OPERATIONS["get_application_attachments"], INTEGRATION, {}, listed, [{"id": ID}])
    assert text.endswith("1 rows. Warnings from Kombo: 1.")


def test_a_done_write_does_not_fail_because_its_artifact_does(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(tables, "create_table_artifact", fail)
    with caplog.at_level("INFO"):
        tables.publish({"outcome": "done"}, "key", "text")
    assert "'outcome': 'done'" in caplog.text
    assert "ConnectionError" in caplog.text
