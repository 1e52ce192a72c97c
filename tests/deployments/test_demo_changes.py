"""A day passes at the demo: what counts as updated, what goes stale without a sign, what disappears."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deployments.demo.changes import Changes
from deployments.demo.evolve import KINDS
from deployments.demo.server import DemoKombo
from deployments.demo.store import COLLECTIONS
from deployments.demo.values import iso, unix
from deployments.demo.world import GREENHOUSE, Integration, World
from tests.deployments.demo_client import ids, open_client, walk

LATER = 1_900_000_000.0
Records = dict[str, dict[str, Any]]


@pytest.fixture
def kombo() -> Iterator[DemoKombo]:
    with DemoKombo() as running:
        yield running


@pytest.fixture
def client(kombo: DemoKombo) -> Iterator[httpx.Client]:
    with open_client(kombo) as opened:
        yield opened


@pytest.fixture
def integration() -> Integration:
    return World("tiny", odd=False).integrations[GREENHOUSE]


def by_id(kombo: DemoKombo, collection: str) -> Records:
    return {one["id"]: one for one in kombo.records(kombo.integrations[0], collection)}


def touched(integration: Integration) -> set[str]:
    """The collections in which a record now matches `updated_after`."""
    return {name for name in COLLECTIONS if any(row.touched == LATER for row in integration.stores[name])}


def rewritten(integration: Integration, before: dict[str, dict[str, bytes]]) -> set[str]:
    return {
        name for name in COLLECTIONS if any(row.raw != before[name].get(row.id) for row in integration.stores[name])
    }


def snapshot(integration: Integration) -> dict[str, dict[str, bytes]]:
    return {name: {row.id: row.raw for row in integration.stores[name]} for name in COLLECTIONS}


def embedded(integration: Integration) -> dict[str, str]:
    """Ids of an application that has an interview and an offer, and of what belongs to it."""
    stores = integration.stores
    for row in stores["applications"]:
        one = row.record()
        if row.deleted or not (one["candidate_id"] and one["job_id"] and one["current_stage_id"]):
            continue
        person = integration.record("candidates", one["candidate_id"])
        if one["interviews"] and person and integration.record("jobs", one["job_id"]):
            made = integration.builder.offer(999, one)
            Changes(integration, LATER - 10).insert("offers", made)
            names = {"applications": one["id"], "candidates": one["candidate_id"], "jobs": one["job_id"]}
            return names | {"interviews": one["interviews"][0]["id"], "application_stages": one["current_stage_id"]}
    raise AssertionError("no application has everything")


@pytest.mark.parametrize(
    ("collection", "fields", "matching", "stale"),
    [
        ("candidates", {"first_name": "Neu"}, {"candidates", "applications"}, {"offers", "interviews"}),
        ("applications", {"outcome": "HIRED"}, {"applications", "candidates", "offers", "interviews"}, set()),
        ("jobs", {"name": "Neu"}, {"jobs"}, {"applications", "candidates", "offers", "interviews"}),
        ("application_stages", {"name": "Neu"}, {"application_stages", "applications"}, {"jobs", "candidates"}),
        ("interviews", {"title": "Neu"}, {"interviews", "applications"}, set()),
    ],
)
def test_a_change_counts_where_the_documentation_says_so(
    integration: Integration, collection: str, fields: dict[str, Any], matching: set[str], stale: set[str]
) -> None:
    row = integration.stores[collection].by_id[embedded(integration)[collection]]
    before = snapshot(integration)
    Changes(integration, LATER).update(collection, row, fields)
    assert touched(integration) == matching
    assert rewritten(integration, before) - matching == stale


@pytest.mark.parametrize(
    ("collection", "fields", "matching", "stale"),
    [
        ("tags", {"name": "Neu"}, {"tags"}, {"candidates", "applications"}),
        ("users", {"last_name": "Neu"}, {"users"}, {"jobs", "interviews"}),
        ("rejection_reasons", {"name": "Neu"}, {"rejection_reasons"}, set()),
        ("offers", {"status": "ABANDONED"}, {"offers", "applications"}, set()),
    ],
)
def test_a_change_of_a_small_record_counts_where_the_documentation_says_so(
    integration: Integration, collection: str, fields: dict[str, Any], matching: set[str], stale: set[str]
) -> None:
    changes = Changes(integration, LATER)
    seen: set[str] = set()
    left: set[str] = set()
    for row in [row for row in integration.stores[collection] if not row.deleted]:
        before = snapshot(integration)
        changes.update(collection, row, fields)
        seen |= touched(integration)
        left |= rewritten(integration, before) - touched(integration)
    assert seen == matching
    assert left == stale


def test_a_role_counts_for_the_users_who_have_it(integration: Integration) -> None:
    row = list(integration.stores["roles"])[1]
    Changes(integration, LATER).update("roles", row, {"remote_label": "Neu"})
    assert touched(integration) == {"roles", "users"}


def test_a_tag_given_to_a_candidate_leaves_applications_stale(integration: Integration) -> None:
    row = integration.stores["candidates"].by_id[embedded(integration)["candidates"]]
    tag = {"id": "1" * 24, "name": "Neu", "remote_id": "1"}
    before = snapshot(integration)
    Changes(integration, LATER).update("candidates", row, {"tags": [tag]})
    assert touched(integration) == {"candidates"}
    assert rewritten(integration, before) == {"candidates", "applications"}


def test_a_nested_change_does_not_move_changed_at(integration: Integration) -> None:
    names = embedded(integration)
    row = integration.stores["candidates"].by_id[names["candidates"]]
    application = integration.stores["applications"].by_id[names["applications"]]
    before = application.record()["changed_at"]
    Changes(integration, LATER).update("candidates", row, {"first_name": "Neu"})
    assert application.record()["candidate"]["first_name"] == "Neu"
    assert (application.record()["changed_at"], application.touched) == (before, LATER)


def test_a_deleted_interview_leaves_its_application(integration: Integration) -> None:
    names = embedded(integration)
    row = integration.stores["interviews"].by_id[names["interviews"]]
    Changes(integration, LATER).delete("interviews", row)
    application = integration.stores["applications"].by_id[names["applications"]]
    assert names["interviews"] not in ids(application.record()["interviews"])
    assert application.touched == LATER


def test_right_after_the_start_nothing_is_new(kombo: DemoKombo, client: httpx.Client) -> None:
    hour_ago = iso(kombo.now() - 3600)
    assert [walk(client, name, updated_after=hour_ago, include_deleted="true") for name in COLLECTIONS] == [[]] * 10


def test_an_increment_brings_a_reader_up_to_date(kombo: DemoKombo, client: httpx.Client) -> None:
    since = iso(kombo.now() - 1)
    before = {name: by_id(kombo, name) for name in COLLECTIONS}
    kombo.evolve(kombo.integrations[0], share=0.1)
    for name in COLLECTIONS:
        received = {one["id"]: one for one in walk(client, name, updated_after=since, include_deleted="true")}
        held = by_id(kombo, name)
        merged = {id_: one for id_, one in (before[name] | received).items() if id_ in held}
        assert merged == held


def test_an_increment_leaves_stale_copies_when_names_change(kombo: DemoKombo, client: httpx.Client) -> None:
    since = iso(kombo.now() - 1)
    before = by_id(kombo, "applications")
    kombo.evolve(kombo.integrations[0], share=0.3, stale=True, kinds=["update"], collections=["jobs"])
    received = {one["id"]: one for one in walk(client, "applications", updated_after=since)}
    assert before | received != by_id(kombo, "applications")


def test_updated_after_is_strict(kombo: DemoKombo, client: httpx.Client) -> None:
    at = float(int(kombo.now()))
    changed = kombo.evolve(kombo.integrations[0], kinds=["update"], collections=["tags"], at=at)["tags"]["update"]
    assert ids(walk(client, "tags", updated_after=iso(at - 0.001))) == changed
    assert walk(client, "tags", updated_after=iso(at)) == []


def test_every_kind_of_change_happens(kombo: DemoKombo) -> None:
    done = kombo.evolve(kombo.integrations[0], share=0.1)
    assert set(done) == set(COLLECTIONS)
    assert all(done["applications"][kind] for kind in KINDS)


def test_equal_rounds_change_the_same_records() -> None:
    def rounds() -> list[Any]:
        with DemoKombo(integrations=[GREENHOUSE]) as kombo:
            return [kombo.evolve(GREENHOUSE, share=0.1) for _ in range(2)]

    first, second = rounds(), rounds()
    assert first == second
    assert first[0] != first[1]


def test_a_tombstone_is_one_only_with_include_deleted(kombo: DemoKombo, client: httpx.Client) -> None:
    (gone,) = kombo.evolve(kombo.integrations[0], kinds=["delete"], collections=["jobs"])["jobs"]["delete"]
    assert walk(client, "jobs", ids=gone) == []
    (tombstone,) = walk(client, "jobs", ids=gone, include_deleted="true")
    assert unix(tombstone["remote_deleted_at"]) == pytest.approx(kombo.now(), abs=60)


def test_a_tombstone_comes_back_to_life(kombo: DemoKombo, client: httpx.Client) -> None:
    (back,) = kombo.evolve(kombo.integrations[0], kinds=["undelete"], collections=["jobs"])["jobs"]["undelete"]
    assert ids(walk(client, "jobs", ids=back)) == [back]


def test_an_anonymised_tombstone_keeps_nothing_but_its_id_and_times(kombo: DemoKombo) -> None:
    name = kombo.integrations[0]
    (id_,) = kombo.evolve(name, kinds=["anonymise"], collections=["candidates"])["candidates"]["anonymise"]
    record = by_id(kombo, "candidates")[id_]
    assert {key for key, value in record.items() if value} == {"id", "changed_at", "remote_deleted_at"}


def test_a_disconnected_ats_has_no_records_left(kombo: DemoKombo) -> None:
    kombo.evolve(kombo.integrations[0], share=1, kinds=["remove"])
    assert [kombo.records(kombo.integrations[0], name) for name in COLLECTIONS] == [[]] * 10


def test_reset_brings_the_first_day_back(kombo: DemoKombo) -> None:
    before = by_id(kombo, "applications")
    kombo.evolve(kombo.integrations[0], share=0.3)
    kombo.reset()
    assert by_id(kombo, "applications") == before


def test_an_unknown_kind_of_change_is_refused(kombo: DemoKombo) -> None:
    with pytest.raises(ValueError, match="explode"):
        kombo.evolve(kombo.integrations[0], kinds=["explode"])
