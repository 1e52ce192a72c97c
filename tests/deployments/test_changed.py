"""What Kombo's webhook says has changed: collections, bursts, and what waits."""

import json
from typing import Any

import pytest
from prefect.events.schemas.events import Event
from prefect.server.utilities.user_templates import render_user_template_sync, validate_user_template

from deployments import changed
from deployments.automations import FOLDER
from deployments.changed import MODELS, Inbox, affected
from tasks.kombo.collections import COLLECTIONS, Collection

TEMPLATE = (FOLDER / "data_changed_webhook.json.jinja").read_text()
ONE, OTHER = "workday:HWUTwvyx2wLoSUHphiWVrp28", "personio:CBNMt7dSNCzBdnRTx87dev4E"
ALL_MODELS = sorted(set().union(*MODELS.values()))


class Clock:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inbox(clock: Clock) -> Inbox:
    return Inbox(quiet=20, longest=300, clock=clock)


@pytest.mark.parametrize(
    ("model", "collections"),
    [
        ("ats_applications", ["applications", "candidates", "offers", "interviews"]),
        ("ats_candidates", ["applications", "candidates", "offers", "interviews"]),
        ("ats_jobs", ["applications", "candidates", "jobs", "offers", "interviews"]),
        ("ats_job_postings", ["jobs"]),
        ("ats_users", ["jobs", "users", "interviews"]),
        ("ats_roles", ["roles"]),
        ("ats_tags", ["applications", "candidates", "tags"]),
        ("ats_offers", ["applications", "offers"]),
        ("ats_interviews", ["applications", "interviews"]),
        ("ats_application_stages", ["applications", "candidates", "jobs", "application_stages"]),
        ("ats_rejection_reasons", ["rejection_reasons"]),
        ("ats_screening_questions", ["jobs"]),
        ("ats_join_candidates_tags", ["applications", "candidates"]),
        ("ats_join_jobs_application_stages", ["jobs"]),
        ("ats_join_jobs_screening_questions", ["jobs"]),
        ("ats_join_user_job_role_assignments", ["jobs", "users"]),
        ("ats_join_jobs_users", ["jobs"]),
        ("ats_join_users_roles", ["users"]),
        ("ats_join_interviews_users", ["interviews"]),
    ],
)
def test_a_model_changes_the_collections_that_show_it(model: str, collections: list[Collection]) -> None:
    assert set(affected([model])) == set(collections)


def test_every_collection_is_changed_by_a_model_of_its_own() -> None:
    assert affected(ALL_MODELS) == list(COLLECTIONS)
    assert all(f"ats_{collection}" in MODELS[collection] for collection in COLLECTIONS)


def test_several_models_change_each_collection_once() -> None:
    assert affected(["ats_jobs", "ats_offers", "ats_jobs"]) == [
        *("applications", "candidates", "jobs", "offers", "interviews"),
    ]


@pytest.mark.parametrize("models", [[], ["hris_employees"], ["ats_of_next_year"], ["applications"]])
def test_what_is_not_known_changes_nothing(models: list[str]) -> None:
    assert affected(models) == []


def test_a_burst_becomes_one_change_when_it_is_over(inbox: Inbox, clock: Clock) -> None:
    inbox.add("1", ONE, ["jobs"])
    clock.now += 19
    inbox.add("2", ONE, ["tags"])
    clock.now += 19
    assert inbox.take() is None
    clock.now += 1
    change = inbox.take()
    assert change
    assert change.parameters() == {"integrations": [ONE], "collections": ["jobs", "tags"]}
    assert inbox.take() is None


def test_a_burst_without_end_is_exported_all_the_same(inbox: Inbox, clock: Clock) -> None:
    for number in range(16):
        assert inbox.take() is None
        inbox.add(str(number), ONE, ["jobs"])
        clock.now += 19
    assert inbox.take()


def test_integrations_do_not_wait_for_each_other(inbox: Inbox, clock: Clock) -> None:
    inbox.add("1", ONE, ["jobs"])
    clock.now += 10
    inbox.add("2", OTHER, ["tags"])
    clock.now += 10
    change = inbox.take()
    assert change
    assert change.integrations == [ONE]
    assert len(inbox) == 1


def test_what_is_put_back_waits_behind_the_others_with_what_came_since(inbox: Inbox, clock: Clock) -> None:
    inbox.add("1", ONE, ["jobs"])
    clock.now += 20
    change = inbox.take()
    assert change
    inbox.add("2", OTHER, ["users"])
    inbox.put_back(change)
    inbox.add("3", ONE, ["tags"])
    clock.now += 20
    first, second = inbox.take(), inbox.take()
    assert first
    assert first.integrations == [OTHER]
    assert second
    assert second.parameters() == {"integrations": [ONE], "collections": ["jobs", "tags"]}


def test_after_a_day_it_is_the_nightly_export_s(inbox: Inbox, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    inbox.add("1", ONE, ["jobs"])
    clock.now += 24 * 60 * 60 + 1
    assert inbox.take() is None
    assert not inbox
    assert f"{ONE}: given up after a day" in caplog.text


def test_a_message_is_remembered_until_many_others_came(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changed, "MOST_REMEMBERED", 3)
    for message in "abc":
        inbox.add(message, ONE, ["jobs"])
    assert inbox.seen("a")
    inbox.add("d", ONE, ["jobs"])
    assert [inbox.seen(message) for message in "abcd"] == [False, True, True, True]


def test_there_is_room_for_so_many_integrations_and_no_more(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changed, "MOST_WAITING", 1)
    assert inbox.add("1", ONE, ["jobs"])
    assert not inbox.add("2", OTHER, ["jobs"])
    assert not inbox.seen("2")
    assert inbox.add("3", ONE, ["tags"])


def test_everything_together_is_of_all_integrations_and_collections(inbox: Inbox) -> None:
    inbox.add("1", ONE, ["tags"])
    inbox.add("2", OTHER, ["jobs"])
    change = inbox.take_all()
    assert change
    assert change.parameters() == {"integrations": [ONE, OTHER], "collections": ["jobs", "tags"]}
    assert inbox.take_all() is None


def message(models: list[str], kind: str = "data-changed", integration: str = ONE) -> dict[str, Any]:
    """A message as Kombo documents it."""
    return {
        "id": "Cbfk5sHtDxrSrJBRjsDtbaN9",
        "type": kind,
        "data": {
            "integration_id": integration,
            "integration_tool": "workday",
            "integration_category": "ATS",
            "changed_models": [{"name": name} for name in models],
        },
    }


def rendered(body: Any) -> Event:
    """The event that Prefect Cloud would make of a message."""
    return Event.model_validate_json(
        render_user_template_sync(TEMPLATE, {"method": "POST", "headers": {}, "body": body})
    )


def test_prefect_takes_the_cloud_webhook_s_template() -> None:
    validate_user_template(TEMPLATE)


@pytest.mark.parametrize("models", [*([model] for model in ALL_MODELS), ALL_MODELS, ["ats_new", "ats_tags"]], ids=str)
def test_prefect_cloud_emits_what_the_receiver_would(models: list[str]) -> None:
    event = rendered(message(models))
    assert event.event == "kombo.data-changed"
    assert event.resource.id == f"kombo.integration.{ONE}"
    assert event.payload == {"integrations": [ONE], "collections": affected(models)}


@pytest.mark.parametrize(
    "body",
    [
        message(["ats_jobs"], kind="sync-finished"),
        message(["hris_employees"]),
        message([]),
        {"id": "x", "type": "data-changed"},
        {},
        "not JSON",
    ],
    ids=json.dumps,
)
def test_prefect_cloud_starts_nothing_for_anything_else(body: Any) -> None:
    assert rendered(body).event == "kombo.ignored"


def test_an_id_cannot_add_to_the_event_that_prefect_cloud_makes() -> None:
    odd = 'workday:x"], "collections": ["jobs'
    assert rendered(message(["ats_tags"], integration=odd)).payload["integrations"] == [odd]
