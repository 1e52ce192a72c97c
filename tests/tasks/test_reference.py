"""The collections that the others point to."""

from __future__ import annotations

from typing import Any

import pytest

from tasks import reference
from tasks.kombo.errors import NotOffered
from tests.contract.cases import ID, OTHER_ID
from tests.contract.server import INTEGRATION, Kombo, failure

TASKS = [
    reference.get_application_stages,
    reference.get_tags,
    reference.get_users,
    reference.get_roles,
    reference.get_offers,
    reference.get_rejection_reasons,
    reference.get_interviews,
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.fn.__name__)
def test_without_filters_everything_is_read(contract: Kombo, task: Any) -> None:
    found = task.fn(integration=INTEGRATION, credentials=contract.credentials)
    assert [record["id"] for record in found] == [ID, OTHER_ID]
    assert [asked.query.keys() - {"cursor"} for asked in contract.asked] == [{"page_size"}] * 2


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.fn.__name__)
def test_a_collection_that_is_not_offered_is_no_empty_list(contract: Kombo, task: Any) -> None:
    contract.answers["*"] = lambda asked: failure("INTEGRATION.MODEL_DISABLED", 403, asked)
    with pytest.raises(NotOffered):
        task.fn(integration=INTEGRATION, credentials=contract.credentials)
    assert len(contract.asked) == 1
