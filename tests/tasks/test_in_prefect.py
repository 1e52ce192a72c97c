"""The operations as Prefect tasks: called directly, in a flow, submitted and mapped."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from prefect import flow, unmapped
from prefect.task_runners import ThreadPoolTaskRunner

from tasks.applications import reject_application
from tasks.reference import get_tags
from tests.contract.cases import ID, OTHER_ID
from tests.contract.server import INTEGRATION, WARNING, Kombo

pytestmark = pytest.mark.usefixtures("prefect_server")


def test_a_task_is_called_directly(contract: Kombo) -> None:
    assert len(get_tags(integration=INTEGRATION, limit=1, credentials=contract.credentials)) == 1


def test_a_task_is_called_and_submitted_in_a_flow(contract: Kombo) -> None:
    @flow
    def read_twice() -> list[Any]:
        called = get_tags(integration=INTEGRATION, limit=1, credentials=contract.credentials)
        submitted = get_tags.submit(integration=INTEGRATION, limit=1, credentials=contract.credentials)
        return [called, submitted.result()]

    once, twice = read_twice()
    assert once == twice
    assert len(contract.asked) == 2


def test_warnings_are_counted_in_the_log_that_belongs_to_the_run(contract: Kombo) -> None:
    heard: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    @flow
    def reject_one() -> None:
        reject_application(
            integration=INTEGRATION, application_id=ID, rejection_reason_id=OTHER_ID, credentials=contract.credentials
        )

    ear = Ear(logging.WARNING)
    logging.getLogger("prefect.task_runs").addHandler(ear)
    try:
        reject_one()
    finally:
        logging.getLogger("prefect.task_runs").removeHandler(ear)
    assert heard == [f"reject_application on {INTEGRATION}, application_id {ID}: warnings from Kombo: 1"]


def test_equal_writes_in_a_flow_are_all_sent(contract: Kombo) -> None:
    @flow(task_runner=ThreadPoolTaskRunner(max_workers=2), persist_result=True)
    def reject_all() -> int:
        rejections = reject_application.map(
            integration=INTEGRATION,
            application_id=[ID, OTHER_ID, ID],
            rejection_reason_id=OTHER_ID,
            credentials=unmapped(contract.credentials),
        )
        return sum(one.result() == [WARNING] for one in rejections)

    assert reject_all() == 3
    assert sorted(asked.path for asked in contract.asked) == sorted(
        f"/ats/applications/{application}/reject" for application in (ID, OTHER_ID, ID)
    )
