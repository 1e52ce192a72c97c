"""When a request is sent again, and after how long."""

from __future__ import annotations

import pytest

from tasks.kombo.errors import (
    AccessDenied,
    BadAnswer,
    ConcurrencyLimited,
    IntegrationRefused,
    InvalidRequest,
    KeyRefused,
    KomboError,
    NotOffered,
    PermissionMissing,
    RateLimited,
    RequestRefused,
    SetupPending,
    TryLater,
    Unavailable,
)
from tasks.kombo.retries import CAP, Patience, pause

PATIENCE = Patience(tries=6, total=300)


def longest(error: KomboError, tries: int = 1) -> float | None:
    return pause(error, tries, PATIENCE, jitter=lambda upper: upper)


@pytest.mark.parametrize(
    "kind",
    [
        InvalidRequest,
        AccessDenied,
        KeyRefused,
        IntegrationRefused,
        PermissionMissing,
        SetupPending,
        NotOffered,
        RequestRefused,
    ],
)
def test_what_will_not_pass_is_not_sent_again(kind: type[KomboError]) -> None:
    assert longest(kind()) is None


@pytest.mark.parametrize("kind", [RateLimited, ConcurrencyLimited, Unavailable, BadAnswer])
def test_what_may_pass_is_sent_again(kind: type[KomboError]) -> None:
    assert longest(kind()) is not None


def test_the_wait_doubles_up_to_a_cap() -> None:
    patient = Patience(tries=20, total=0)
    waits = [pause(Unavailable(), tries, patience=patient, jitter=lambda upper: upper) for tries in range(1, 10)]
    assert waits == [1, 2, 4, 8, 16, 32, CAP, CAP, CAP]


def test_the_jitter_is_full() -> None:
    assert pause(Unavailable(), 5, PATIENCE, jitter=lambda upper: 0.0) == 0


@pytest.mark.parametrize("kind", [RateLimited, ConcurrencyLimited, Unavailable])
def test_a_wait_as_told_is_never_shorter_than_told(kind: type[TryLater]) -> None:
    error = kind()
    error.retry_after = 57
    assert pause(error, 1, PATIENCE, jitter=lambda upper: 0.0) == 57
    assert longest(error) == 58


def test_tries_are_bounded() -> None:
    assert longest(Unavailable(), tries=5) is not None
    assert longest(Unavailable(), tries=6) is None


def test_an_error_of_kombos_own_is_tried_once_more() -> None:
    assert longest(Unavailable("PLATFORM.UNKNOWN_ERROR"), tries=1) is not None
    assert longest(Unavailable("PLATFORM.UNKNOWN_ERROR"), tries=2) is None


def test_a_broken_answer_is_tried_twice_more() -> None:
    assert longest(BadAnswer(), tries=2) is not None
    assert longest(BadAnswer(), tries=3) is None
