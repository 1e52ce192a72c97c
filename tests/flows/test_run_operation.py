"""One operation ad hoc, through Prefect: what is refused, what is done, and what is shown of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort

from flows.run_operation import run_operation
from tasks.kombo.errors import InvalidRequest, OutcomeUnknown
from tests.contract.cases import ID, OTHER_ID
from tests.contract.server import INTEGRATION, KEY, Kombo, failure, kombo

pytestmark = pytest.mark.usefixtures("prefect_server")

REJECT = {"application_id": ID, "rejection_reason_id": OTHER_ID, "note": "about Ada Lovelace"}


@pytest.fixture
def contract(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kombo]:
    """A Kombo on loopback, found through the environment."""
    with kombo() as state:
        monkeypatch.setenv("KOMBO_API_KEY", KEY)
        monkeypatch.setenv("KOMBO_BASE_URL", state.url)
        yield state


def artifact() -> tuple[list[dict[str, Any]], str]:
    """The newest artifact's table and description."""
    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=["kombo-run-operation"]))
    with get_client(sync_client=True) as client:
        newest = client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC, limit=1)[0]
    return json.loads(str(newest.data)), str(newest.description)


def test_a_read_shows_a_table_without_people(contract: Kombo) -> None:
    done = run_operation("get_users", INTEGRATION, {"include_deleted": True})
    assert done == {"operation": "get_users", "integration": INTEGRATION, "rows": 2}
    rows, _ = artifact()
    assert [row["id"] for row in rows] == [ID, OTHER_ID]
    assert "Ada" not in str(rows)
    assert contract.asked[0].query["include_deleted"] == "true"
    assert contract.flaws == []


def test_a_read_fetches_no_more_than_it_shows(contract: Kombo) -> None:
    assert run_operation("get_tags", INTEGRATION, row_limit=1)["rows"] == 1
    assert len(contract.asked) == 1
    assert "there may be more" in artifact()[1]


def test_a_write_without_confirmation_is_not_sent(contract: Kombo) -> None:
    with pytest.raises(ValueError, match="confirm"):
        run_operation("reject_application", INTEGRATION, REJECT)
    assert contract.asked == []


def test_a_confirmed_write_is_sent_and_its_outcome_shown(contract: Kombo) -> None:
    done = run_operation("reject_application", INTEGRATION, REJECT, confirm=True)
    assert len(contract.asked) == 1
    rows, text = artifact()
    assert rows == [done]
    assert done["outcome"] == "done"
    assert done["warnings"] == 1
    assert "Ada" not in f"{rows}{text}"


def test_a_write_of_unknown_outcome_is_sent_once_and_shown_as_unknown(contract: Kombo) -> None:
    contract.answers["*"] = lambda asked: failure(None, 500, asked)
    with pytest.raises(OutcomeUnknown):
        run_operation("reject_application", INTEGRATION, REJECT, confirm=True)
    assert len(contract.asked) == 1
    rows, text = artifact()
    assert "look in the ATS before doing it again" in text
    assert rows[0]["outcome"] == "unknown"
    assert rows[0]["application_id"] == ID


def test_a_refused_write_is_shown_as_not_done(contract: Kombo) -> None:
    contract.answers["*"] = lambda asked: failure("PLATFORM.INPUT_INVALID", 400, asked)
    with pytest.raises(InvalidRequest):
        run_operation("reject_application", INTEGRATION, REJECT, confirm=True)
    assert artifact()[0][0]["outcome"] == "not done"


def test_wrong_arguments_are_refused_with_a_list_of_those_allowed(contract: Kombo) -> None:
    with pytest.raises(ValueError, match=r"Required: application_id, stage_id\. Optional: remote_fields"):
        run_operation("move_application_to_stage", INTEGRATION, {"id": ID}, confirm=True)
    assert contract.asked == []


@pytest.mark.parametrize("rows", [0, 501])
def test_a_table_has_1_to_500_rows(rows: int) -> None:
    with pytest.raises(Exception, match="row_limit"):
        run_operation("get_tags", INTEGRATION, row_limit=rows)


def test_the_form_offers_the_30_operations_and_explains_itself() -> None:
    properties = run_operation.parameters.properties
    assert len(properties["operation"]["enum"]) == 30
    assert all(field.get("description") for field in properties.values())
