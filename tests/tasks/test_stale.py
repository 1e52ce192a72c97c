"""Which applications are stale: one rule a test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks import stale
from tasks.stale import Rule, excluded, idle_since, seen, select

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
RULE = Rule(NOW, 90)
ID = "FDUnFHR1VbK83MSaj1G8xUBs"


def at(days: float) -> str:
    """A time so many days before now."""
    return f"{(NOW - timedelta(days=days)).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def application(**fields: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "outcome": "PENDING",
        "remote_deleted_at": None,
        "remote_created_at": at(200),
        "remote_updated_at": at(150),
        "changed_at": at(1),
        "current_stage_id": "stage-id",
        "current_stage": {"id": "stage-id", "name": "Phone Screen"},
        "job_id": "job-id",
        "job": {"id": "job-id", "name": "Engineer"},
        "candidate": {"first_name": "Ada"},
        "interviews": [],
        "offers": [],
        **fields,
    }


def interview(start: float | None, end: float | None = None, canceled: bool | None = False) -> dict[str, Any]:
    return {
        "id": "i",
        "canceled": canceled,
        "starting_at": None if start is None else at(start),
        "ending_at": None if end is None else at(end),
    }


def test_an_application_that_nothing_happened_to_is_stale() -> None:
    assert excluded(application(), RULE) is None


@pytest.mark.parametrize("outcome", ["HIRED", "DECLINED", None, "WITHDRAWN"])
def test_only_what_is_pending_by_its_own_row(outcome: str | None) -> None:
    assert excluded(application(outcome=outcome), RULE) == stale.NOT_PENDING


def test_not_what_is_deleted() -> None:
    assert excluded(application(remote_deleted_at=at(3)), RULE) == stale.DELETED


def test_not_what_has_no_usable_id() -> None:
    assert excluded(application(id="../x"), RULE) == stale.NO_ID


@pytest.mark.parametrize("status", ["SENT", "APPROVED", "DRAFT", "ACCEPTED", None, "NEW STATUS"])
def test_not_what_has_an_offer(status: str | None) -> None:
    assert excluded(application(offers=[{"id": "o", "status": status}]), RULE) == stale.OFFER


@pytest.mark.parametrize("status", ["DECLINED", "ABANDONED"])
def test_an_offer_that_is_over_does_not_count(status: str) -> None:
    assert excluded(application(offers=[{"id": "o", "status": status}]), RULE) is None


@pytest.mark.parametrize("offers", [None, {}, ["x"]])
def test_offers_that_cannot_be_read_are_offers(offers: Any) -> None:
    assert excluded(application(offers=offers), RULE) == stale.OFFER


@pytest.mark.parametrize("one", [interview(-1), interview(1, -0.1), interview(None), interview(-1, canceled=None)])
def test_not_with_an_interview_to_come_or_at_an_unknown_time(one: dict[str, Any]) -> None:
    assert excluded(application(interviews=[one]), RULE) == stale.UPCOMING


@pytest.mark.parametrize(
    "one", [interview(-1, canceled=True), interview(None, canceled=True), interview(1, canceled=True)]
)
def test_a_cancelled_interview_does_not_count(one: dict[str, Any]) -> None:
    assert excluded(application(interviews=[one]), RULE) is None


def test_the_end_of_an_interview_counts() -> None:
    assert excluded(application(interviews=[interview(100, 80)]), RULE) == stale.RECENT


@pytest.mark.parametrize("fields", [{"remote_created_at": at(5)}, {"remote_updated_at": at(5)}])
def test_creation_and_update_count(fields: dict[str, Any]) -> None:
    assert excluded(application(**fields), RULE) == stale.RECENT


@pytest.mark.parametrize(
    "fields",
    [
        {"remote_created_at": None, "remote_updated_at": None},
        {"remote_created_at": "soon"},
        {"remote_updated_at": "soon"},
        {"remote_created_at": None, "remote_updated_at": None, "interviews": [interview(100, 99)]},
    ],
)
def test_not_what_is_of_unknown_age(fields: dict[str, Any]) -> None:
    assert excluded(application(**fields), RULE) == stale.UNKNOWN_AGE


def test_one_of_the_two_times_is_enough() -> None:
    assert idle_since(application(remote_updated_at=None)) == NOW - timedelta(days=200)


def test_exactly_so_many_days_is_stale_and_a_little_less_is_not() -> None:
    assert excluded(application(remote_updated_at=at(90)), RULE) is None
    assert excluded(application(remote_updated_at=at(89.99)), RULE) == stale.RECENT


@pytest.mark.parametrize("wanted", ["stage-id", "Phone Screen"])
def test_stages_by_id_or_exact_name(wanted: str) -> None:
    assert excluded(application(), Rule(NOW, 90, stages=[wanted])) is None
    assert excluded(application(), Rule(NOW, 90, stages=[wanted.lower() + "x"])) == stale.OTHER_STAGE


@pytest.mark.parametrize("wanted", ["job-id", "Engineer"])
def test_jobs_by_id_or_exact_name(wanted: str) -> None:
    assert excluded(application(), Rule(NOW, 90, jobs=[wanted])) is None
    assert excluded(application(), Rule(NOW, 90, jobs=[wanted[:-1]])) == stale.OTHER_JOB


def numbered(number: int, **fields: Any) -> dict[str, Any]:
    return application(id=f"{'A' * 23}{number}", **fields)


def test_the_oldest_come_first_and_the_rest_is_counted() -> None:
    found = select([numbered(n, remote_updated_at=at(100 + n)) for n in range(1, 6)], RULE, set(), limit=2)
    assert [row.days_idle for row in found.chosen] == [105, 104]
    assert found.remaining == 3


def test_every_application_is_either_chosen_or_counted_with_its_reason() -> None:
    given = [numbered(1), numbered(2, outcome="HIRED"), numbered(3, offers=[{"status": "SENT"}]), numbered(4)]
    found = select(given, RULE, {given[3]["id"]}, limit=10)
    assert [row.key for row in found.chosen] == [given[0]["id"]]
    assert found.excluded == {stale.NOT_PENDING: 1, stale.OFFER: 1, stale.SENT: 1}


def test_what_was_asked_for_and_not_found_is_told() -> None:
    found = select([application()], Rule(NOW, 90, stages=["Phone Screen", "Fone Screen"]), set(), limit=10)
    assert found.unmatched == ["Fone Screen"]


def test_a_plan_has_no_people() -> None:
    (row,) = select([application()], RULE, set(), limit=1).chosen
    assert "Ada" not in str(row)


@pytest.mark.parametrize(
    "fields",
    [
        {"outcome": "HIRED"},
        {"changed_at": at(0)},
        {"remote_updated_at": at(0)},
        {"current_stage_id": "other"},
        {"interviews": [interview(5, 4)]},
        {"offers": [{"id": "o", "status": "SENT"}]},
    ],
)
def test_what_matters_shows_in_what_was_seen(fields: dict[str, Any]) -> None:
    assert seen(application()) == seen(application(candidate={"first_name": "Grace"}))
    assert seen(application(**fields)) != seen(application())


def test_an_odd_job_or_stage_is_no_reason_to_fail() -> None:
    found = select([application(job="?", current_stage=["?"])], RULE, set(), limit=1)
    assert (found.chosen[0].job, found.chosen[0].stage) == (None, None)


@pytest.mark.parametrize("address", [None, 7, "Ada Lovelace", "javascript:alert(1)", "mailto:ada@x.example"])
def test_a_link_is_an_address_that_a_browser_may_open(address: Any) -> None:
    assert stale.link(application(remote_url="https://ats.example/7")) == "https://ats.example/7"
    assert stale.link(application(remote_url=address)) is None
