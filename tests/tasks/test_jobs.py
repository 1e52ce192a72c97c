"""Jobs, and applying to one."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.jobs import create_application, get_jobs
from tasks.kombo.errors import RequestRefused
from tests.contract.cases import ID, OTHER_ID
from tests.contract.server import INTEGRATION, WARNING, Kombo, failure

ADA = {"first_name": "Ada", "last_name": "Lovelace", "email_address": "ada@lovelace.example"}


def apply(contract: Kombo, job_id: str = ID, **more: Any) -> Any:
    """Apply to a job for Ada."""
    return create_application.fn(
        integration=INTEGRATION, job_id=job_id, candidate=ADA, credentials=contract.credentials, **more
    )


def test_an_application_comes_back_with_the_warnings(contract: Kombo) -> None:
    created = apply(contract)
    assert created["data"]["id"] == ID
    assert created["warnings"] == [WARNING]


@pytest.mark.parametrize(
    ("job_id", "path"),
    [(ID, ID), ("remote:7", "remote%3A7"), ("remote:a/../b?x=1#é", "remote%3Aa%2F..%2Fb%3Fx%3D1%23%C3%A9")],
)
def test_a_jobs_id_is_one_part_of_the_path_whatever_is_in_it(contract: Kombo, job_id: str, path: str) -> None:
    apply(contract, job_id)
    assert contract.asked[0].path == f"/ats/jobs/{path}/applications"
    assert contract.flaws == []


def test_somebody_who_has_applied_already_is_refused_by_the_ats(contract: Kombo) -> None:
    contract.answers["*"] = lambda asked: failure("ATS.APPLICATION_ALREADY_EXISTS", 400, asked)
    with pytest.raises(RequestRefused):
        apply(contract)
    assert len(contract.asked) == 1


def test_without_attachments_no_limits_are_asked_for(contract: Kombo) -> None:
    apply(contract, attachments=[], stage_id=OTHER_ID)
    assert [asked.operation for asked in contract.asked] == ["POST /ats/jobs/{job_id}/applications"]


def test_jobs_are_filtered_by_several_statuses(contract: Kombo) -> None:
    get_jobs.fn(integration=INTEGRATION, statuses=["OPEN", "DRAFT"], credentials=contract.credentials)
    assert contract.asked[0].query["statuses"] == "OPEN,DRAFT"
