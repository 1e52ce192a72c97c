"""What is done to applications, and what becomes of it when something goes wrong."""

from __future__ import annotations

import json
import pickle
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tasks.applications import (
    add_application_note,
    create_interview,
    get_application_attachments,
    get_applications,
    move_application_to_stage,
    reject_application,
    update_interview,
)
from tasks.bodies import InterviewLocation
from tasks.kombo.errors import BadAnswer, InvalidRequest, OutcomeUnknown
from tests.contract.cases import FULL, ID, OTHER_ID, REMOTE_FIELDS
from tests.contract.server import INTEGRATION, WARNING, Answer, Asked, Kombo, failure, success, usual


def reject(contract: Kombo, **more: Any) -> list[str]:
    """Reject an application."""
    return reject_application.fn(
        integration=INTEGRATION,
        application_id=ID,
        rejection_reason_id=OTHER_ID,
        credentials=contract.credentials,
        **more,
    )


def move(contract: Kombo) -> list[str]:
    """Move an application."""
    return move_application_to_stage.fn(
        integration=INTEGRATION, application_id=ID, stage_id=OTHER_ID, credentials=contract.credentials
    )


def once(contract: Kombo, first: Answer) -> None:
    """Answer the first request so, and the others as usual."""
    contract.answers["*"] = lambda asked: first if len(contract.asked) == 1 else usual(asked)


def test_a_rejection_without_a_note_sends_none(contract: Kombo) -> None:
    reject(contract)
    assert contract.asked[0].body == {"rejection_reason_id": OTHER_ID}


def test_warnings_are_returned_and_counted_in_the_log_but_not_quoted_there(
    contract: Kombo, caplog: pytest.LogCaptureFixture
) -> None:
    assert reject(contract) == [WARNING]
    assert f"reject_application on {INTEGRATION}, application_id {ID}: warnings from Kombo: 1" in caplog.text
    assert "Ada" not in caplog.text


def test_a_rejection_of_unknown_outcome_is_sent_once(contract: Kombo) -> None:
    contract.answers["*"] = lambda _: (502, b"<html>Bad gateway", "text/html")
    with pytest.raises(OutcomeUnknown) as unknown:
        reject(contract, note="about Ada Lovelace")
    assert len(contract.asked) == 1
    assert unknown.value.operation == "reject_application"
    assert unknown.value.ids == {"application_id": ID}
    assert unknown.value.integration == INTEGRATION
    assert f"{unknown.value.sent_at:%Y-%m-%dT%H:%M:%SZ}" in str(unknown.value)
    assert "Ada" not in str(unknown.value)


def test_an_unknown_outcome_survives_a_pickle(contract: Kombo) -> None:
    contract.answers["*"] = lambda asked: failure(None, 500, asked)
    with pytest.raises(OutcomeUnknown) as unknown:
        reject(contract, note="about Ada Lovelace")
    pickled = pickle.dumps(unknown.value)
    assert b"Ada" not in pickled
    assert pickle.loads(pickled).ids == {"application_id": ID}  # noqa: S301 - our own


def test_a_rejection_that_certainly_did_not_run_is_sent_again(contract: Kombo) -> None:
    once(
        contract,
        (429, b'{"status":"error","error":{"code":"PLATFORM.CONCURRENCY_LIMIT_EXCEEDED"}}', "application/json"),
    )
    assert reject(contract) == [WARNING]
    assert len(contract.asked) == 2


def test_a_refused_rejection_did_not_happen_and_is_not_sent_again(contract: Kombo) -> None:
    contract.answers["*"] = lambda asked: failure("REMOTE.INPUT_INVALID", 400, asked)
    with pytest.raises(InvalidRequest):
        reject(contract)
    assert len(contract.asked) == 1


def test_a_stage_move_is_sent_again_after_a_server_error(contract: Kombo) -> None:
    once(contract, (503, b"", "text/plain"))
    assert move(contract) == [WARNING]
    assert len(contract.asked) == 2


def test_what_one_ats_takes_is_passed_on_as_given_nulls_included(contract: Kombo) -> None:
    reject(contract, remote_fields=REMOTE_FIELDS)
    assert contract.asked[0].body["remote_fields"] == REMOTE_FIELDS


def test_a_note_is_plain_text_without_saying_so(contract: Kombo) -> None:
    add_application_note.fn(integration=INTEGRATION, application_id=ID, content="Hi", credentials=contract.credentials)
    assert contract.asked[0].body == {"content": "Hi", "content_type": "PLAIN_TEXT"}


def test_the_attachments_are_rows(contract: Kombo) -> None:
    found = get_application_attachments.fn(integration=INTEGRATION, application_id=ID, credentials=contract.credentials)
    assert [row["content_type"] for row in found] == ["application/pdf"]


@pytest.mark.parametrize("data", [{}, {"results": None}, {"results": ["Ada"]}, []])
def test_an_answer_without_attachments_is_no_empty_list(contract: Kombo, data: Any) -> None:
    contract.answers["*"] = lambda _: success(data)
    with pytest.raises(BadAnswer) as odd:
        get_application_attachments.fn(integration=INTEGRATION, application_id=ID, credentials=contract.credentials)
    assert "Ada" not in str(odd.value)


def test_an_interview_in_the_hour_that_a_country_has_twice_is_at_the_right_time(contract: Kombo) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    arguments = {
        **FULL["create_interview"][0],
        "start_time": datetime(2026, 10, 25, 2, 30, tzinfo=berlin),
        "end_time": datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=berlin),
    }
    create_interview.fn(integration=INTEGRATION, **arguments, credentials=contract.credentials)
    body = contract.asked[0].body
    assert (body["start_time"], body["end_time"]) == ("2026-10-25T00:30:00.000Z", "2026-10-25T01:30:00.000Z")


def test_an_update_replaces_what_a_creation_says(contract: Kombo) -> None:
    create_interview.fn(integration=INTEGRATION, **FULL["create_interview"][0], credentials=contract.credentials)
    update_interview.fn(integration=INTEGRATION, **FULL["update_interview"][0], credentials=contract.credentials)
    created, updated = (asked.body for asked in contract.asked)
    assert updated == {"interview_id": OTHER_ID, **created}


def test_a_model_sends_the_same_as_a_mapping(contract: Kombo) -> None:
    arguments = {**FULL["create_interview"][0], "location": {"type": "VIRTUAL"}}
    for location in ({"type": "VIRTUAL"}, InterviewLocation(type="VIRTUAL")):
        arguments["location"] = location
        create_interview.fn(integration=INTEGRATION, **arguments, credentials=contract.credentials)
    assert contract.asked[0].body == contract.asked[1].body
    assert contract.asked[0].body["location"] == {"type": "VIRTUAL"}


def test_the_key_may_come_from_the_environment(contract: Kombo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOMBO_API_KEY", contract.credentials.api_key.get_secret_value())
    monkeypatch.setenv("KOMBO_BASE_URL", contract.url)
    assert len(get_applications.fn(integration=INTEGRATION)) == 2
    assert contract.flaws == []


def test_a_message_that_echoes_the_body_stays_out_of_the_text(contract: Kombo) -> None:
    def echo(asked: Asked) -> Answer:
        return failure("PLATFORM.INPUT_INVALID", 400, asked)

    contract.answers["*"] = echo
    with pytest.raises(InvalidRequest) as refused:
        reject(contract, note="about Ada Lovelace")
    assert "Ada" in json.dumps(refused.value.message)
    assert "Ada" not in str(refused.value)
