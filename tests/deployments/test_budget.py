"""What a nightly run may cost a Prefect workspace, counted at a real server."""

from __future__ import annotations

import pytest

from deployments.budget import LINES_A_MINUTE, REQUESTS_A_MINUTE, Budget, busiest, measure

FEW = 3


@pytest.fixture(scope="module")
def budget() -> Budget:
    """Of a real run of a few integrations."""
    return measure(FEW)


def test_requests_do_not_grow_with_the_collections(budget: Budget) -> None:
    assert budget.collections == FEW * 10
    assert 10 < len(budget.requests) < 45  # a few for the run, and log lines go together


def test_a_night_of_twenty_integrations_fits_the_smallest_workspace_within_one_minute(budget: Budget) -> None:
    a_collection = 5  # pending, running, completed; what was done, and that it is finished
    rest = len(budget.events) + len(budget.lines) - a_collection * budget.collections
    assert 10 < rest < 60
    assert a_collection * 200 + rest < LINES_A_MINUTE
    assert budget.fits


def test_the_busiest_minute_is_found_wherever_it_begins() -> None:
    assert busiest([]) == 0
    assert busiest([130, 0, 59.9, 60, 61, 200]) == 3
    assert busiest([0, 60]) == 1


def test_a_run_that_sends_too_much_does_not_fit() -> None:
    assert not Budget(1, [0.0] * (REQUESTS_A_MINUTE + 1), [], []).fits
    assert not Budget(1, [], [0.0] * LINES_A_MINUTE, [1.0]).fits
    assert Budget(1, [0.0], [0.0] * LINES_A_MINUTE, [61.0]).fits
