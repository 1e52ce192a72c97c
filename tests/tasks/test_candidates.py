"""What is done to candidates."""

from __future__ import annotations

import pytest

from tasks.bodies import NewApplication, NewCandidate, Tag
from tasks.candidates import (
    add_candidate_tag,
    create_candidate,
    get_candidate_attachments,
    get_candidates,
    remove_candidate_tag,
)
from tasks.kombo.errors import OutcomeUnknown
from tests.contract.cases import ID
from tests.contract.server import INTEGRATION, WARNING, Kombo, failure, usual

ADA = {"first_name": "Ada", "last_name": "Lovelace", "email_address": "ada@lovelace.example"}


def test_a_created_candidate_comes_back_with_the_warnings(contract: Kombo) -> None:
    created = create_candidate.fn(
        integration=INTEGRATION, candidate=ADA, application={"job_id": ID}, credentials=contract.credentials
    )
    assert created["data"]["first_name"] == "Ada"
    assert created["warnings"] == [WARNING]


def test_what_was_not_given_is_not_sent(contract: Kombo) -> None:
    create_candidate.fn(
        integration=INTEGRATION,
        candidate=NewCandidate(**ADA, company=None),
        application=NewApplication(job_id=ID),
        credentials=contract.credentials,
    )
    assert contract.asked[0].body == {"candidate": ADA, "application": {"job_id": ID}}


def test_a_candidate_of_unknown_outcome_is_not_created_twice(contract: Kombo) -> None:
    contract.answers["POST /ats/candidates"] = lambda asked: failure("PLATFORM.TASK_TIMED_OUT", 504, asked)
    with pytest.raises(OutcomeUnknown):
        create_candidate.fn(
            integration=INTEGRATION, candidate=ADA, application={"job_id": ID}, credentials=contract.credentials
        )
    assert len(contract.sent) == 1


def test_a_tag_is_removed_with_a_body(contract: Kombo) -> None:
    remove_candidate_tag.fn(
        integration=INTEGRATION, candidate_id=ID, tag=Tag(name="Excellent"), credentials=contract.credentials
    )
    assert contract.asked[0].operation == "DELETE /ats/candidates/{candidate_id}/tags"
    assert contract.asked[0].body == {"tag": {"name": "Excellent"}}


def test_removing_a_tag_is_tried_again(contract: Kombo) -> None:
    contract.answers["*"] = lambda asked: failure(None, 500, asked) if len(contract.asked) == 1 else usual(asked)
    remove_candidate_tag.fn(
        integration=INTEGRATION, candidate_id=ID, tag={"name": "Excellent"}, credentials=contract.credentials
    )
    assert len(contract.asked) == 2


def test_adding_a_tag_is_not_tried_again(contract: Kombo) -> None:
    contract.answers["*"] = lambda asked: failure(None, 500, asked)
    with pytest.raises(OutcomeUnknown):
        add_candidate_tag.fn(
            integration=INTEGRATION, candidate_id=ID, tag={"name": "Excellent"}, credentials=contract.credentials
        )
    assert len(contract.asked) == 1


def test_candidates_are_found_by_e_mail_address(contract: Kombo) -> None:
    get_candidates.fn(integration=INTEGRATION, email="ada+1@lovelace.example", credentials=contract.credentials)
    assert contract.asked[0].query["email"] == "ada+1@lovelace.example"


def test_a_candidates_files_are_asked_for_by_the_candidates_id(contract: Kombo) -> None:
    get_candidate_attachments.fn(integration=INTEGRATION, candidate_id=ID, credentials=contract.credentials)
    assert contract.asked[0].path == f"/ats/candidates/{ID}/attachments"
