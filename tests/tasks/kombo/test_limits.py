"""The limiter: free while there is plenty, spread out when it gets short, and everybody waits after a 429."""

from __future__ import annotations

import threading

import pytest

from tasks.kombo.limits import BUSY_PAUSE, Limiter, shared_limiter


def told(remaining: int, reset: float = 50, limit: int = 300) -> dict[str, str]:
    return {"ratelimit-limit": str(limit), "ratelimit-remaining": str(remaining), "ratelimit-reset": str(reset)}


def after(remaining: int, reset: float = 50) -> Limiter:
    limiter = Limiter()
    limiter.take(0)
    limiter.give_back(0, told(remaining, reset))
    return limiter


def test_before_the_first_answer_nobody_waits() -> None:
    limiter = Limiter()
    assert [limiter.take(0) for _ in range(100)] == [0] * 100


@pytest.mark.parametrize("remaining", [299, 150, 61])
def test_while_there_is_plenty_nobody_waits(remaining: int) -> None:
    assert after(remaining).take(0) == 0


def test_a_short_budget_is_spread_over_the_rest_of_the_window() -> None:
    limiter = after(remaining=25, reset=50)
    assert limiter.take(0) == pytest.approx(50 / 25)
    assert limiter.take(2) == 0
    assert limiter.take(2) == pytest.approx(48 / 24)


def test_a_short_budget_lasts_until_the_reset() -> None:
    limiter, now, sent, left = after(remaining=30, reset=60), 0.0, 0, 30
    while now < 59.9:
        if (wait := limiter.take(now)) > 0:
            now += wait
            continue
        sent, left = sent + 1, left - 1
        limiter.give_back(now, told(left, 60 - now))
    assert (sent, left) == (30, 0) or (sent, left) == (29, 1)


def test_a_slow_answer_does_not_push_the_next_request_back() -> None:
    limiter = after(remaining=25, reset=50)
    assert limiter.take(2) == 0
    limiter.give_back(3.5, told(24, 46.5))
    assert limiter.take(3.5) == pytest.approx(2 + 46.5 / 24 - 3.5)


def test_with_nothing_left_everybody_waits_for_the_reset() -> None:
    limiter = after(remaining=0, reset=50)
    assert limiter.take(10) == pytest.approx(40)
    assert limiter.take(50) == 0


def test_requests_on_their_way_count_as_used() -> None:
    limiter = Limiter()
    for _ in range(6):
        limiter.take(0)
    limiter.give_back(0, told(5))
    assert limiter.take(0) == pytest.approx(50)


def test_a_request_without_an_answer_is_no_longer_on_its_way() -> None:
    limiter = Limiter()
    for _ in range(6):
        limiter.take(0)
    for _ in range(5):
        limiter.give_back(0)
    limiter.give_back(0, told(200))
    assert limiter.take(0) == 0


def test_a_hold_holds_everybody_until_its_end() -> None:
    limiter = after(remaining=299)
    limiter.hold(30)
    limiter.hold(20)
    assert limiter.take(10) == pytest.approx(20)
    assert limiter.take(30) == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ratelimit-remaining": "0"},
        told(0, reset=1_800_000_000),
        {**told(0), "ratelimit-remaining": "none"},
        {**told(0), "ratelimit-limit": "0"},
    ],
)
def test_headers_that_make_no_sense_hold_nobody(headers: dict[str, str]) -> None:
    limiter = Limiter()
    limiter.take(0)
    limiter.give_back(0, headers)
    assert limiter.take(0) == 0


def test_an_integration_without_a_free_slot_is_left_alone_for_a_moment() -> None:
    limiter = Limiter()
    limiter.take(0, "a:b")
    limiter.give_back(0, {"concurrency-remaining": "0"}, "a:b")
    assert limiter.take(0, "a:b") == BUSY_PAUSE
    assert limiter.take(BUSY_PAUSE, "a:b") == 0


def test_an_integration_without_a_free_slot_holds_neither_others_nor_reads() -> None:
    limiter = Limiter()
    limiter.take(0, "a:b")
    limiter.give_back(0, {"concurrency-remaining": "0"}, "a:b")
    assert limiter.take(0, "c:d") == 0
    assert limiter.take(0) == 0


def test_a_freed_slot_ends_the_pause() -> None:
    limiter = Limiter()
    limiter.take(0, "a:b")
    limiter.take(0, "a:b")
    limiter.give_back(0, {"concurrency-remaining": "0"}, "a:b")
    limiter.give_back(0.1, {"concurrency-remaining": "4"}, "a:b")
    assert limiter.take(0.1, "a:b") == 0


def test_a_key_has_one_limiter_a_region() -> None:
    first = shared_limiter("key-1", "https://a")
    assert shared_limiter("key-1", "https://a") is first
    assert shared_limiter("key-2", "https://a") is not first
    assert shared_limiter("key-1", "https://b") is not first


def test_threads_never_take_more_than_there_is() -> None:
    limiter = after(remaining=40)
    taken: list[float] = []

    def ask() -> None:
        taken.extend(now for now in range(50) if limiter.take(float(now)) == 0)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < len(taken) <= 40
