"""All 30 operations against the demo, an independent reading of the API: what they do, once, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from deployments.demo.errors import STATUSES
from tasks.kombo import client
from tasks.kombo.collections import NAMES as COLLECTIONS
from tasks.kombo.errors import (
    CODES,
    IntegrationRefused,
    InvalidRequest,
    KomboError,
    NotOffered,
    OutcomeUnknown,
    RequestRefused,
)
from tasks.operations import OPERATIONS, OperationName
from tests.contract.ats import FILE, NAMES, PERSON, TRACKED, WRITES, Ats, Record, arguments_of


def body_of(arguments: Record) -> Record:
    """The body that these arguments stand for."""
    at_path = ("application_id", "candidate_id", "job_id")
    times = {"end_time": "2026-12-01T10:00:00.000Z"}
    return {name: times.get(name, value) for name, value in arguments.items() if name not in at_path}


def given(whole: Any, part: Any) -> Any:
    """Of the body that the server understood, what was given; it notes what was left out as well."""
    if isinstance(part, dict):
        return {name: given(whole[name], value) for name, value in part.items()}
    return whole


@pytest.mark.parametrize("name", WRITES)
def test_a_write_arrives_once_and_whole(ats: Ats, name: OperationName) -> None:
    arguments = arguments_of(name, ats)
    ats.call(name, **arguments)
    (write,) = ats.kombo.writes
    ids = [value for key, value in arguments.items() if key in ("application_id", "candidate_id", "job_id")]
    assert (write["operation"], write["integration"], write["ids"]) == (name, ats.integration, ids)
    assert given(write["body"], body_of(arguments)) == body_of(arguments)
    assert ats.asked(OPERATIONS[name].method) == 1 or OPERATIONS[name].method == "GET"


def test_a_write_reaches_the_integration_that_was_named(ats: Ats) -> None:
    ats.integration = ats.kombo.integrations[1]
    ats.call("add_application_note", **arguments_of("add_application_note", ats))
    assert [write["integration"] for write in ats.kombo.writes] == [ats.integration]


def synced(ats: Ats, name: OperationName, **more: Any) -> tuple[Record, Any]:
    """Call a write with the usual arguments, let Kombo see it, and give arguments and result."""
    arguments = {**arguments_of(name, ats), **more}
    result = ats.call(name, **arguments)
    assert ats.kombo.sync() >= 1
    return arguments, result


def test_a_moved_application_is_in_its_new_stage(ats: Ats) -> None:
    arguments, _ = synced(ats, "move_application_to_stage")
    (found,) = ats.call("get_applications", ids=[arguments["application_id"]])
    assert found["current_stage_id"] == found["current_stage"]["id"] == arguments["stage_id"]


def test_a_rejected_application_is_declined_after_the_next_sync(ats: Ats) -> None:
    arguments = arguments_of("reject_application", ats)
    ats.call("reject_application", **arguments)
    assert ats.call("get_applications", ids=[arguments["application_id"]])[0]["outcome"] == "PENDING"
    ats.kombo.sync()
    (found,) = ats.call("get_applications", ids=[arguments["application_id"]], outcomes=["DECLINED"])
    assert found["rejection_reason_name"] == ats.one("rejection_reasons")["name"]
    assert found["rejected_at"]


@pytest.mark.parametrize("name", ["add_application_note", "add_application_result_link"])
def test_what_is_added_to_an_application_counts_as_a_change_of_it(ats: Ats, name: OperationName) -> None:
    since = datetime.fromtimestamp(ats.kombo.now() - 1, UTC)
    arguments, _ = synced(ats, name)
    found = ats.call("get_applications", updated_after=since)
    assert [one["id"] for one in found] == [arguments["application_id"]]


def test_a_result_link_counts_as_a_change_of_the_candidate(ats: Ats) -> None:
    since = datetime.fromtimestamp(ats.kombo.now() - 1, UTC)
    arguments, _ = synced(ats, "add_candidate_result_link")
    found = ats.call("get_candidates", updated_after=since)
    assert [one["id"] for one in found] == [arguments["candidate_id"]]


def test_a_created_interview_is_there(ats: Ats) -> None:
    before = {one["id"] for one in ats.held("interviews")}
    arguments, _ = synced(ats, "create_interview")
    (found,) = [one for one in ats.call("get_interviews") if one["id"] not in before]
    assert found["application_id"] == arguments["application_id"]
    assert found["title"] == "Second interview"
    assert [user["id"] for user in found["users"]] == arguments["interviewer_user_ids"]
    assert datetime.fromisoformat(found["ending_at"]) == arguments["end_time"]


def test_an_updated_interview_is_replaced(ats: Ats) -> None:
    arguments, _ = synced(ats, "update_interview")
    (found,) = ats.call("get_interviews", ids=[arguments["interview_id"]])
    assert found["title"] == "Second interview"
    assert datetime.fromisoformat(found["starting_at"]) == datetime(2026, 12, 1, 9, tzinfo=UTC)
    assert [user["id"] for user in found["users"]] == arguments["interviewer_user_ids"]


@pytest.mark.parametrize("name", ["create_candidate", "create_application"])
def test_an_applicant_is_in_the_data(ats: Ats, name: OperationName) -> None:
    _, result = synced(ats, name)
    (candidate,) = ats.call("get_candidates", email=PERSON["email_address"])
    (application,) = [one for one in ats.call("get_applications") if one["candidate_id"] == candidate["id"]]
    assert (candidate["first_name"], candidate["last_name"]) == ("Ada", "Lovelace")
    assert application["job_id"] == ats.open_job["id"]
    assert result["data"]["id"] == {"create_candidate": candidate, "create_application": application}[name]["id"]


def test_an_application_may_name_job_and_stage_and_answer_questions(ats: Ats) -> None:
    job = ats.open_job
    stage, question = job["stages"][-1]["id"], job["screening_questions"][0]["id"]
    user = ats.one("users", lambda one: one["remote_id"])["remote_id"]
    _, result = synced(
        ats,
        "create_application",
        job_id=f"remote:{job['remote_id']}",
        stage_id=stage,
        sourced_by={"user_id": f"remote:{user}"},
        screening_question_answers=[{"question_id": question, "answer": "yes"}],
        attachments=[FILE],
    )
    (found,) = ats.call("get_applications", ids=[result["data"]["id"]])
    assert (found["job_id"], found["current_stage_id"]) == (job["id"], stage)
    assert result["warnings"] == []


def test_an_answer_to_no_question_of_the_job_comes_back_as_a_warning(ats: Ats) -> None:
    answer = {"question_id": ats.one("tags")["id"], "answer": True}
    _, result = synced(ats, "create_application", screening_question_answers=[answer])
    assert len(result["warnings"]) == 1
    assert len(ats.kombo.writes) == 1


def test_a_tag_is_put_on_and_taken_off_by_name(ats: Ats) -> None:
    arguments, _ = synced(ats, "add_candidate_tag")
    found = ats.call("get_candidates", ids=[arguments["candidate_id"]])[0]
    assert "Enchantress" in [tag["name"] for tag in found["tags"]]
    assert "Enchantress" in [tag["name"] for tag in ats.call("get_tags")]
    synced(ats, "remove_candidate_tag")
    found = ats.call("get_candidates", ids=[arguments["candidate_id"]])[0]
    assert "Enchantress" not in [tag["name"] for tag in found["tags"]]


def test_a_tracked_import_answers_with_what_is_tracked(ats: Ats) -> None:
    answer = ats.call("import_tracked_application", tracked_at="2026-03-29", greenhouse=TRACKED)
    assert answer["data"]["tracked_at"] == "2026-03-29T00:00:00.000Z"
    assert json.dumps(TRACKED) in json.dumps(answer["data"]["imported_id"])


@pytest.mark.parametrize("name", [*WRITES, "get_application_attachments", "get_candidate_attachments"])
def test_warnings_are_returned_and_counted_in_the_log(
    ats: Ats, name: OperationName, caplog: pytest.LogCaptureFixture
) -> None:
    ats.kombo.settings(ats.integration, warnings={name: ["Ada was not found", "neither was Charles"]})
    answer = ats.call(name, **arguments_of(name, ats))
    warnings = answer["warnings"] if isinstance(answer, dict) else getattr(answer, "warnings", answer)
    if "interview" in name:  # the API documents no warnings for these two
        assert warnings == []
        return
    assert warnings == ["Ada was not found", "neither was Charles"]
    assert "warnings from Kombo: 2" in caplog.text
    assert "Ada" not in caplog.text


# --- refusals


def refused(ats: Ats, name: OperationName, kind: type[KomboError], **more: Any) -> KomboError:
    """Call a write that is refused, and see that nothing was done and nothing tried again."""
    with pytest.raises(kind) as caught:
        ats.call(name, **{**arguments_of(name, ats), **more})
    assert type(caught.value) is kind
    assert ats.kombo.writes == []
    assert ats.asked(OPERATIONS[name].method) == 1
    assert "Lovelace" not in str(caught.value)
    return caught.value


def test_a_closed_job_takes_no_application(ats: Ats) -> None:
    closed = ats.one("jobs", lambda job: job["status"] in ("CLOSED", "ARCHIVED"))["id"]
    assert refused(ats, "create_application", RequestRefused, job_id=closed).code == "ATS.JOB_CLOSED"


def test_a_second_application_to_a_job_is_refused(ats: Ats) -> None:
    ats.call("create_application", **arguments_of("create_application", ats))
    with pytest.raises(RequestRefused) as caught:
        ats.call("create_application", **arguments_of("create_application", ats))
    assert caught.value.code == "ATS.APPLICATION_ALREADY_EXISTS"
    assert len(ats.kombo.writes) == 1


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("code", ["INTEGRATION.ACTION_DISABLED", "INTEGRATION.ACTION_NOT_AVAILABLE"])
def test_an_action_that_is_not_offered_is_said_to_be(ats: Ats, name: OperationName, code: str) -> None:
    ats.kombo.settings(ats.integration, actions={name: code})
    with pytest.raises(NotOffered) as caught:
        ats.call(name, **arguments_of(name, ats))
    assert caught.value.code == code
    assert ats.kombo.writes == []


def test_a_stage_of_another_job_is_refused(ats: Ats) -> None:
    others = [job for job in ats.held("jobs") if job["id"] != ats.pending["job_id"]]
    mine = {stage["id"] for stage in ats.job_of(ats.pending)["stages"]}
    foreign = next(stage["id"] for job in others for stage in job["stages"] if stage["id"] not in mine)
    assert refused(ats, "move_application_to_stage", InvalidRequest, stage_id=foreign).code == "REMOTE.INPUT_INVALID"


@pytest.mark.parametrize("outcome", ["HIRED", "DECLINED"])
def test_an_application_that_is_settled_is_not_rejected(ats: Ats, outcome: str) -> None:
    settled = ats.one("applications", lambda one: one["outcome"] == outcome)["id"]
    refused(ats, "reject_application", InvalidRequest, application_id=settled)


def test_a_deleted_reason_is_refused(ats: Ats) -> None:
    gone = next(one["id"] for one in ats.held("rejection_reasons", deleted=True) if one["remote_deleted_at"])
    refused(ats, "reject_application", InvalidRequest, rejection_reason_id=gone)


def test_the_id_of_another_integration_is_refused(ats: Ats) -> None:
    foreign = ats.kombo.records(ats.kombo.integrations[1], "applications")[0]["id"]
    refused(ats, "add_application_note", InvalidRequest, application_id=foreign)


@pytest.mark.parametrize("name", NAMES)
def test_an_integration_that_is_paused_is_said_to_be(ats: Ats, name: OperationName) -> None:
    arguments = arguments_of(name, ats)
    ats.kombo.settings(ats.integration, error="INTEGRATION.INACTIVE")
    with pytest.raises(IntegrationRefused):
        ats.call(name, **arguments)
    assert len(ats.kombo.requests) == 1


def test_a_collection_that_is_not_offered_is_said_to_be(ats: Ats) -> None:
    for collection in COLLECTIONS:
        name: Any = f"get_{collection}"
        ats.kombo.settings(ats.integration, models={collection: "INTEGRATION.MODEL_DISABLED"})
        with pytest.raises(NotOffered):
            ats.call(name)


@pytest.mark.parametrize("code", [*STATUSES, "ATS.SOMETHING_NEW", "PLATFORM.SOMETHING_NEW", None])
@pytest.mark.parametrize("name", ["get_tags", "reject_application"])
def test_every_code_ends_in_the_class_that_is_meant_for_it(ats: Ats, name: OperationName, code: str | None) -> None:
    arguments = arguments_of(name, ats)
    ats.kombo.fault("error", code=code, status=STATUSES.get(code or "", 418), times=None)
    with pytest.raises(KomboError) as caught:
        ats.call(name, **arguments)
    error = caught.value
    assert error.code == code
    if isinstance(error, OutcomeUnknown):
        assert name == "reject_application"
        assert code in MAY_HAVE_RUN
    else:
        assert type(error) is (CODES[code].kind if code and code in CODES else UNLISTED.get(code, InvalidRequest))
        assert not (name == "reject_application" and code in MAY_HAVE_RUN)


MAY_HAVE_RUN = {
    "PLATFORM.UNKNOWN_ERROR",
    "PLATFORM.TASK_TIMED_OUT",
    "REMOTE.SERVICE_UNAVAILABLE",
    "REMOTE.UNKNOWN_HTTP_ERROR",
}
UNLISTED: dict[str | None, type[KomboError]] = {"ATS.SOMETHING_NEW": RequestRefused}


def test_the_demo_and_we_know_the_same_codes() -> None:
    assert set(CODES) == set(STATUSES)


# --- writes whose outcome nobody knows


@pytest.mark.parametrize("kind", ["drop", "html", "empty", "truncate", "data_null"])
@pytest.mark.parametrize("name", [name for name in WRITES if OPERATIONS[name].repeat == "unsafe"])
def test_a_write_whose_answer_is_lost_is_unknown_and_not_sent_again(ats: Ats, name: OperationName, kind: str) -> None:
    if kind == "data_null" and name not in ("create_candidate", "create_application", "import_tracked_application"):
        kind = "text"  # they answer with no data anyway
    arguments = arguments_of(name, ats)
    ats.kombo.fault(kind, method="POST", after=kind != "truncate")
    with pytest.raises(OutcomeUnknown) as caught:
        ats.call(name, **arguments)
    assert len(ats.kombo.writes) == ats.asked("POST") == 1
    error = caught.value
    ids = {key: value for key, value in arguments.items() if key in ("application_id", "candidate_id", "job_id")}
    assert (error.operation, error.integration, error.ids) == (name, ats.integration, ids)
    assert all(value in str(error) for value in (name, ats.integration, *ids.values()))
    assert f"{error.sent_at:%Y-%m-%dT%H:%M:%SZ}" in str(error)


def test_a_write_that_is_never_answered_is_unknown_and_not_sent_again(
    ats: Ats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "WRITE_TIMEOUT", 0.2)
    arguments = arguments_of("reject_application", ats)
    ats.kombo.fault("hang", method="POST", after=True)
    with pytest.raises(OutcomeUnknown):
        ats.call("reject_application", **arguments)
    ats.kombo.release()
    assert len(ats.kombo.writes) == ats.asked("POST") == 1


@pytest.mark.parametrize("name", ["move_application_to_stage", "update_interview", "remove_candidate_tag"])
def test_a_safe_write_whose_answer_is_lost_is_sent_again_until_it_is_known(ats: Ats, name: OperationName) -> None:
    method = OPERATIONS[name].method
    arguments = arguments_of(name, ats)
    ats.kombo.fault("drop", method=method, after=True)
    assert ats.call(name, **arguments) == []
    assert ats.asked(method) == 2
    ats.kombo.fault("drop", method=method, after=True, times=None)
    with pytest.raises(OutcomeUnknown):
        ats.call(name, **arguments)


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("code", ["PLATFORM.RATE_LIMIT_EXCEEDED", "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED"])
def test_a_write_that_did_not_run_is_sent_again_and_done_once(ats: Ats, name: OperationName, code: str) -> None:
    arguments = arguments_of(name, ats)
    ats.kombo.fault("error", method=OPERATIONS[name].method, code=code, status=429, times=2)
    ats.call(name, **arguments)
    assert len(ats.kombo.writes) == 1
    assert ats.asked(OPERATIONS[name].method) == 3
