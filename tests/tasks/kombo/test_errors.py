"""Every answer that is no success becomes one of the few errors, and none of them tells a person's data."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tasks.kombo import answers, errors
from tasks.kombo.answers import Reply
from tasks.kombo.errors import (
    AccessDenied,
    BadAnswer,
    ConcurrencyLimited,
    IntegrationRefused,
    InvalidRequest,
    KeyRefused,
    KomboError,
    NotOffered,
    OutcomeUnknown,
    PermissionMissing,
    RateLimited,
    RequestRefused,
    SetupPending,
    TryLater,
    Unavailable,
)
from tests.tasks.kombo.stand_ins import APPLICATION, INTEGRATION, error, success

DOCUMENTED = {
    "PLATFORM.RATE_LIMIT_EXCEEDED": RateLimited,
    "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED": ConcurrencyLimited,
    "PLATFORM.INTEGRATION_NOT_FOUND": IntegrationRefused,
    "PLATFORM.INPUT_INVALID": InvalidRequest,
    "PLATFORM.UNKNOWN_ERROR": Unavailable,
    "PLATFORM.IP_NOT_WHITELISTED": KeyRefused,
    "PLATFORM.AUTHENTICATION_INVALID": KeyRefused,
    "PLATFORM.TASK_TIMED_OUT": Unavailable,
    "INTEGRATION.PERMISSION_MISSING": PermissionMissing,
    "INTEGRATION.AUTHENTICATION_INVALID": IntegrationRefused,
    "INTEGRATION.QA_FAILED": IntegrationRefused,
    "INTEGRATION.SETUP_SYNC_PENDING": SetupPending,
    "INTEGRATION.SETUP_INCOMPLETE": IntegrationRefused,
    "INTEGRATION.INACTIVE": IntegrationRefused,
    "INTEGRATION.MODEL_NOT_AVAILABLE": NotOffered,
    "INTEGRATION.MODEL_DISABLED": NotOffered,
    "INTEGRATION.ACTION_NOT_AVAILABLE": NotOffered,
    "INTEGRATION.ACTION_DISABLED": NotOffered,
    "REMOTE.SERVICE_UNAVAILABLE": Unavailable,
    "REMOTE.RATE_LIMIT_EXCEEDED": RateLimited,
    "REMOTE.INPUT_INVALID": InvalidRequest,
    "REMOTE.UNKNOWN_HTTP_ERROR": RequestRefused,
    "ATS.JOB_CLOSED": RequestRefused,
    "ATS.APPLICATION_ALREADY_EXISTS": RequestRefused,
}


def reply(status: int, content: Any, **headers: str) -> Reply:
    response = (
        httpx.Response(status, content=content) if isinstance(content, bytes) else httpx.Response(status, json=content)
    )
    named = httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()})
    local = datetime(2026, 1, 1, tzinfo=UTC)
    return Reply(status, named, response.content, "GET /ats/jobs", INTEGRATION, local, elapsed=0.5)


@pytest.mark.parametrize(("code", "kind"), DOCUMENTED.items())
@pytest.mark.parametrize("status", [200, 400, 409, 429, 503])
def test_a_documented_code_decides_whatever_the_status(code: str, kind: type[KomboError], status: int) -> None:
    assert type(answers.problem(reply(status, error(code)))) is kind


def test_the_table_has_the_documented_codes_and_no_others() -> None:
    assert set(errors.CODES) == set(DOCUMENTED)


@pytest.mark.parametrize(
    "content",
    [
        error(None),
        error("PLATFORM.NEVER_HEARD_OF"),
        {"status": "error", "error": {"message": "old form, without a code"}},
        {"status": "error", "error": "a text"},
        {"error": {"code": 7}},
        {"message": "of another server"},
        [],
        b"<html><body>Bad gateway</body></html>",
        b"upstream connect error",
        b"",
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, BadAnswer),
        (204, BadAnswer),
        (302, BadAnswer),
        (400, InvalidRequest),
        (401, KeyRefused),
        (403, AccessDenied),
        (404, InvalidRequest),
        (408, Unavailable),
        (409, RequestRefused),
        (413, InvalidRequest),
        (418, InvalidRequest),
        (422, InvalidRequest),
        (429, RateLimited),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (504, Unavailable),
    ],
)
def test_without_a_known_code_the_status_decides(content: Any, status: int, kind: type[KomboError]) -> None:
    assert type(answers.problem(reply(status, content))) is kind


def test_an_unknown_code_of_the_ats_concerns_the_one_record() -> None:
    assert type(answers.problem(reply(422, error("ATS.CANDIDATE_ON_THE_MOON")))) is RequestRefused


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"<!doctype html><p>Ada Lovelace", "HTML"),
        (b"Ada Lovelace", "not valid JSON"),
        (b'{"status":"success","data":{"results":[', "not valid JSON"),
        (b"7", "no object"),
        (success(None), "no data"),
        ({"status": "success"}, "no data"),
        ({"status": "pending", "data": {}}, "not report success"),
        (error(None), "reports an error"),
    ],
)
def test_a_broken_success_says_how_it_is_broken(content: Any, said: str) -> None:
    with pytest.raises(BadAnswer, match=said) as caught:
        answers.answer(reply(200, content))
    assert "Lovelace" not in str(caught.value)


@pytest.mark.parametrize("code", [*DOCUMENTED, None, "Ada Lovelace"])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_the_text_has_no_word_of_the_message_or_title(code: str | None, status: int) -> None:
    problem = answers.problem(reply(status, error(code, message="Ada Lovelace, ada@example.org")))
    assert problem.message == "Ada Lovelace, ada@example.org"
    for text in (str(problem), repr(problem)):
        assert "Ada" not in text
        assert "A title" not in text


def test_the_text_has_code_status_request_integration_and_log_url() -> None:
    problem = answers.problem(reply(400, error("PLATFORM.INPUT_INVALID")))
    problem.collection, problem.page = "jobs", 7
    assert str(problem) == (
        "jobs, page 7: Kombo does not accept the request's parameters or body. "
        f"(code PLATFORM.INPUT_INVALID, HTTP 400, GET /ats/jobs, integration {INTEGRATION}) "
        "Log: https://app.kombo.dev/x/logs?id=7"
    )


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://x/a b", "https://x/\nFAKE LOG LINE", "https://x/ä"])
def test_a_log_url_that_is_none_is_not_shown(url: str) -> None:
    assert url not in str(KomboError(log_url=url))


def every_class() -> list[type[KomboError]]:
    found, todo = [], [KomboError]
    while todo:
        kind = todo.pop()
        found.append(kind)
        todo += kind.__subclasses__()
    return found


@pytest.mark.parametrize("kind", [kind for kind in every_class() if kind is not OutcomeUnknown])
def test_an_error_survives_pickling_without_its_message(kind: type[KomboError]) -> None:
    before = kind("A.B", "title", "Ada Lovelace", "https://x/7", 400, detail="d", request="GET /x", integration="a:b")
    before.page = 3
    pickled = pickle.dumps(before)
    after = pickle.loads(pickled)  # noqa: S301
    assert type(after) is kind
    assert after.__dict__ == {**before.__dict__, "message": None}
    assert b"Lovelace" not in pickled


def test_an_unknown_outcome_survives_pickling() -> None:
    before = unknown()
    after = pickle.loads(pickle.dumps(before))  # noqa: S301
    assert str(after) == str(before)
    assert (after.operation, after.ids, after.sent_at) == (before.operation, before.ids, before.sent_at)


def unknown() -> OutcomeUnknown:
    cause = Unavailable(detail="The answer was lost: ReadTimeout.", request="POST /x", integration=INTEGRATION)
    sent_at = datetime(2026, 3, 29, 1, 2, 3, tzinfo=UTC)
    ids = {"application_id": APPLICATION}
    return OutcomeUnknown(operation="reject_application", ids=ids, sent_at=sent_at, cause=cause)


def test_an_unknown_outcome_says_what_was_sent_to_whom_and_when() -> None:
    text = str(unknown())
    for part in ("reject_application", APPLICATION, INTEGRATION, "2026-03-29T01:02:03Z", "ReadTimeout"):
        assert part in text


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"ratelimit_reset": "57"}, 57),
        ({"retry_after": "12"}, 12),
        ({"retry_after": "2.5"}, 2.5),
        ({"retry_after": "Thu, 01 Jan 2026 00:00:30 GMT"}, 30),
        ({"retry_after": "Thu, 01 Jan 2026 10:00:30 GMT", "date": "Thu, 01 Jan 2026 10:00:00 GMT"}, 30),
        ({"retry_after": "Wed, 31 Dec 2025 00:00:30 GMT"}, 0),
        ({"retry_after": "Thu, 01 Jan 2026 00:00:30 GMT", "ratelimit_reset": "57"}, 57),
        ({"retry_after": "60", "ratelimit_reset": "57"}, 60),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": "nan"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read_from_seconds_or_a_date(headers: dict[str, str], told: float | None) -> None:
    problem = answers.problem(reply(429, error("PLATFORM.RATE_LIMIT_EXCEEDED"), **headers))
    assert isinstance(problem, TryLater)
    assert problem.retry_after == told


@pytest.mark.parametrize(
    "code", ["PLATFORM.CONCURRENCY_LIMIT_EXCEEDED", "REMOTE.RATE_LIMIT_EXCEEDED", "REMOTE.SERVICE_UNAVAILABLE"]
)
def test_the_reset_of_the_keys_budget_says_nothing_about_other_limits(code: str) -> None:
    problem = answers.problem(reply(429, error(code), ratelimit_reset="57"))
    assert isinstance(problem, TryLater)
    assert problem.retry_after is None
