"""What an ATS takes in the way of attachments."""

from __future__ import annotations

from typing import Any

import pytest

from tasks import actions
from tasks.kombo.errors import BadAnswer, NotOffered
from tests.contract.server import INTEGRATION, LIMITS, Kombo, failure, success

TASKS = [
    actions.get_create_candidate_action,
    actions.get_create_application_action,
    actions.get_add_application_attachment_action,
    actions.get_add_candidate_attachment_action,
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.fn.__name__)
def test_the_limits_come_as_the_api_has_them(contract: Kombo, task: Any) -> None:
    assert task.fn(integration=INTEGRATION, credentials=contract.credentials) == LIMITS
    name = task.fn.__name__.removeprefix("get_").removesuffix("_action")
    assert contract.asked[0].operation == f"GET /ats/actions/ats_{name}"


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.fn.__name__)
def test_an_action_that_is_not_offered_has_no_limits(contract: Kombo, task: Any) -> None:
    contract.answers["*"] = lambda asked: failure("INTEGRATION.ACTION_NOT_AVAILABLE", 403, asked)
    with pytest.raises(NotOffered):
        task.fn(integration=INTEGRATION, credentials=contract.credentials)


@pytest.mark.parametrize("data", [[], "x"])
def test_limits_that_are_no_object_are_an_error(contract: Kombo, data: Any) -> None:
    contract.answers["*"] = lambda _: success(data)
    with pytest.raises(BadAnswer):
        TASKS[0].fn(integration=INTEGRATION, credentials=contract.credentials)
