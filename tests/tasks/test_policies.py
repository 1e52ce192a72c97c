"""Which tasks Prefect repeats, and that nothing of them is kept."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest
from prefect import flow
from prefect.cache_policies import NO_CACHE
from prefect.states import Failed

from tasks.kombo.errors import (
    BadAnswer,
    ConcurrencyLimited,
    InvalidRequest,
    KeyRefused,
    NotOffered,
    OutcomeUnknown,
    RateLimited,
    SetupPending,
    Unavailable,
)
from tasks.lake.errors import LakeUnavailable, Moved
from tasks.policies import Policy, may_pass, reads, safe_writes, unsafe_writes

ALL = [reads, safe_writes, unsafe_writes]
UNKNOWN = OutcomeUnknown(operation="x", ids={}, sent_at=datetime(2026, 1, 1, tzinfo=UTC), cause=Unavailable())


def do_something(*, integration: str, count: int = 1) -> str:
    """Do something to somebody.

    Args:
        integration: Whom.
        count: How often.
    """
    return integration * count


@pytest.mark.parametrize("policy", ALL)
def test_a_task_runs_as_a_plain_function_without_a_server(policy: Policy) -> None:
    assert policy(do_something).fn(integration="ab", count=2) == "abab"


@pytest.mark.parametrize("policy", ALL)
def test_nothing_is_cached_or_kept(policy: Policy) -> None:
    made = policy(do_something)
    assert made.cache_policy is NO_CACHE
    assert made.persist_result is False
    assert made.log_prints is False


@pytest.mark.parametrize("policy", ALL)
def test_a_task_is_named_after_its_function(policy: Policy) -> None:
    made = policy(task_run_name="do it in {integration}")(do_something)
    assert made.name == "kombo-do-something"
    assert made.task_run_name == "do it in {integration}"
    assert made.__doc__ == do_something.__doc__


@pytest.mark.parametrize(
    ("policy", "retries", "tag"),
    [(reads, 2, "kombo:read"), (safe_writes, 1, "kombo:write"), (unsafe_writes, 0, "kombo:write")],
)
def test_a_policy_says_how_often_and_shows_what_it_is(policy: Policy, retries: int, tag: str) -> None:
    made = policy(do_something)
    assert made.retries == retries
    assert made.tags == {"kombo", tag}


@pytest.mark.parametrize(
    "error",
    [RateLimited(), ConcurrencyLimited(), Unavailable(), LakeUnavailable("down"), Moved("by another")],
    ids=repr,
)
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    assert may_pass(reads(do_something), None, Failed(data=error))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error",
    [
        UNKNOWN,
        BadAnswer(),
        InvalidRequest(),
        KeyRefused(),
        NotOffered(),
        SetupPending(),
        ValueError("a wrong parameter"),
        RuntimeError("a fault of our own"),
    ],
    ids=repr,
)
def test_what_will_not_pass_or_may_have_happened_is_not(error: Exception) -> None:
    assert not may_pass(reads(do_something), None, Failed(data=error))  # type: ignore[arg-type]


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize(
    ("policy", "error", "calls"),
    [
        (reads, Unavailable(), 3),
        (reads, KeyRefused(), 1),
        (safe_writes, Unavailable(), 2),
        (safe_writes, UNKNOWN, 1),
        (unsafe_writes, Unavailable(), 1),
        (unsafe_writes, UNKNOWN, 1),
    ],
    ids=repr,
)
def test_prefect_repeats_what_the_policy_says(policy: Policy, error: Exception, calls: int) -> None:
    called = []

    def fail() -> None:
        called.append(1)
        raise error

    step = policy(fail).with_options(retry_delay_seconds=0, retry_jitter_factor=None)

    @flow
    def run() -> None:
        step()

    with pytest.raises(type(error)):
        run()
    assert len(called) == calls


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("policy", ALL)
def test_two_equal_calls_in_a_run_both_happen(policy: Policy) -> None:
    called = []

    def write(*, integration: str) -> None:
        called.append(integration)

    step = policy(write)

    @flow(persist_result=True)
    def run() -> None:
        step(integration="a:b")
        step.submit(integration="a:b").result()

    run()
    assert called == ["a:b", "a:b"]


@pytest.mark.usefixtures("prefect_server")
def test_a_result_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def read() -> list[str]:
        return ["Ada Lovelace"]

    step = reads(read)

    @flow
    def run() -> int:
        return len(step())

    assert run() == 1
    assert "Lovelace" not in caplog.text
