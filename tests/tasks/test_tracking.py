"""Bringing applications under Kombo's eyes."""

from __future__ import annotations

import pytest

from tasks.bodies import ApplicationById
from tasks.tracking import import_tracked_application
from tests.contract.server import INTEGRATION, Kombo


@pytest.mark.parametrize(
    "application",
    [
        {"id_type": "application_id", "application_id": "7"},
        ApplicationById(id_type="application_id", application_id="7"),
    ],
)
def test_an_application_is_imported_by_the_ats_own_id(
    contract: Kombo, application: ApplicationById | dict[str, str]
) -> None:
    answer = import_tracked_application.fn(
        integration=INTEGRATION, tracked_at=None, greenhouse=application, credentials=contract.credentials
    )
    assert contract.asked[0].body == {
        "tracked_at": None,
        "greenhouse": {"id_type": "application_id", "application_id": "7"},
    }
    assert answer["data"]["imported_id"] == "i"


def test_a_day_is_midnight_in_utc(contract: Kombo) -> None:
    import_tracked_application.fn(
        integration=INTEGRATION,
        tracked_at="2024-04-12",
        onlyfy={"id_type": "application_id", "application_id": "7"},
        credentials=contract.credentials,
    )
    assert contract.asked[0].body["tracked_at"] == "2024-04-12T00:00:00.000Z"
    assert contract.flaws == []


def test_exactly_one_ats_is_named_and_the_error_lists_them(contract: Kombo) -> None:
    with pytest.raises(ValueError, match="exactly one ATS: erecruiter, successfactors, recruitee, greenhouse"):
        import_tracked_application.fn(integration=INTEGRATION, tracked_at=None, credentials=contract.credentials)
