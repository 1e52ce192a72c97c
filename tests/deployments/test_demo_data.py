"""The demo's records are what the API documents, connected, and as awkward as real ones."""

import json
import re
import time
from collections import Counter
from typing import Any

import pytest

from deployments.demo.store import COLLECTIONS, decode, encode
from deployments.demo.values import iso, unix
from deployments.demo.world import GREENHOUSE, WORKDAY, Integration, World
from tests.deployments.demo_client import answer_schema, misfits, read_openapi

Records = dict[str, list[dict[str, Any]]]


def build(*, odd: bool, scale: str = "tiny", integration: str = GREENHOUSE, seed: int = 1) -> Records:
    world = World(scale, seed, [integration], odd=odd, midnight=1_790_000_000 // 86400 * 86400)
    one = world.integrations[integration]
    return {name: [json.loads(raw) for raw in one.records(name)] for name in COLLECTIONS}


@pytest.fixture(scope="module")
def clean() -> Records:
    return build(odd=False, scale="small")


@pytest.fixture(scope="module")
def odd() -> Records:
    return build(odd=True, scale="small")


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    return read_openapi()


def is_anonymised(record: dict[str, Any]) -> bool:
    return all(
        value in (None, []) for key, value in record.items() if key not in ("id", "changed_at", "remote_deleted_at")
    )


def contract(openapi: dict[str, Any], collection: str, records: list[dict[str, Any]]) -> list[str]:
    body = {"status": "success", "data": {"next": None, "results": records}}
    return misfits(openapi, answer_schema(openapi, "GET", f"/ats/{collection.replace('_', '-')}"), body)


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_clean_records_are_what_the_openapi_file_says(clean: Records, openapi: dict[str, Any], collection: str) -> None:
    living = [record for record in clean[collection] if not is_anonymised(record)]
    assert contract(openapi, collection, living) == []


@pytest.mark.parametrize("collection", ["applications", "candidates", "interviews", "users"])
def test_odd_records_are_not(odd: Records, openapi: dict[str, Any], collection: str) -> None:
    assert contract(openapi, collection, odd[collection]) != []


@pytest.mark.parametrize("integration", [GREENHOUSE, WORKDAY])
def test_equal_seeds_give_equal_records(integration: str) -> None:
    assert build(odd=True, integration=integration) == build(odd=True, integration=integration)


def test_another_seed_or_integration_gives_other_records() -> None:
    one = build(odd=True)["candidates"]
    assert one != build(odd=True, seed=2)["candidates"]
    assert one[0]["id"] != build(odd=True, integration=WORKDAY)["candidates"][0]["id"]


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_ids_are_unique_in_their_collection_and_base58(clean: Records, collection: str) -> None:
    ids = [record["id"] for record in clean[collection]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[1-9A-HJ-NP-Za-km-z]{24}", id_) for id_ in ids)


def test_an_id_may_mean_a_candidate_and_a_tag(clean: Records) -> None:
    assert {one["id"] for one in clean["candidates"]} & {one["id"] for one in clean["tags"]}


def test_applications_point_at_records_that_exist(clean: Records) -> None:
    known = {name: {record["id"]: record for record in clean[name]} for name in ("candidates", "jobs")}
    for application in clean["applications"]:
        if is_anonymised(application):
            continue
        if application["candidate_id"]:
            assert application["candidate"]["id"] == application["candidate_id"] in known["candidates"]
        if application["job_id"]:
            job = known["jobs"][application["job_id"]]
            assert application["job"]["id"] == application["job_id"]
            stages = [stage["id"] for stage in job["stages"] or []]
            assert is_anonymised(job) or application["current_stage_id"] in [None, *stages]


def test_jobs_embed_stages_of_the_stage_collection(clean: Records) -> None:
    known = {stage["id"] for stage in clean["application_stages"]}
    assert all(stage["id"] in known for job in clean["jobs"] for stage in job["stages"] or [])


def test_jobs_do_not_all_share_one_set_of_stages(clean: Records) -> None:
    assert len({tuple(stage["id"] for stage in job["stages"] or []) for job in clean["jobs"]}) > 2


@pytest.mark.parametrize("collection", ["offers", "interviews"])
def test_what_an_application_embeds_points_back_at_it(clean: Records, collection: str) -> None:
    known = {record["id"]: record for record in clean[collection]}
    found = [(one["id"], inner["id"]) for one in clean["applications"] for inner in one[collection] or []]
    assert found
    assert all(known[inner]["application_id"] == outer for outer, inner in found)


def test_candidates_embed_their_applications(clean: Records) -> None:
    owner = {one["id"]: one["candidate_id"] for one in clean["applications"]}
    found = [(one["id"], inner["id"]) for one in clean["candidates"] for inner in one["applications"] or []]
    assert len(found) > 1000
    assert all(owner[inner] == outer for outer, inner in found)


def test_pending_applications_are_from_one_day_to_a_year_old(clean: Records) -> None:
    midnight = 1_790_000_000 // 86400 * 86400
    ages = [
        (midnight - unix(one["remote_created_at"])) / 86400
        for one in clean["applications"]
        if one["outcome"] == "PENDING" and one["remote_created_at"]
    ]
    assert 1 <= min(ages) < 10
    assert 380 < max(ages) <= 401


def test_some_pending_applications_have_no_known_age(clean: Records) -> None:
    assert any(
        one["outcome"] == "PENDING" and one["remote_created_at"] is None is one["remote_updated_at"]
        for one in clean["applications"]
    )


def test_offers_come_in_every_status(clean: Records) -> None:
    statuses = {one["status"] for one in clean["offers"]}
    assert statuses == {"ACCEPTED", "DECLINED", "SENT", "APPROVED", "DRAFT", "ABANDONED", None}


def test_interviews_are_past_to_come_and_cancelled(clean: Records) -> None:
    midnight = iso(1_790_000_000 // 86400 * 86400)
    seen = Counter(
        (one["starting_at"] > midnight, one["canceled"] is True) for one in clean["interviews"] if one["starting_at"]
    )
    assert len(seen) == 4


def test_nothing_was_touched_in_the_last_hours() -> None:
    world = World("small")
    for integration in world.integrations.values():
        for collection in COLLECTIONS:
            assert max(row.touched for row in integration.stores[collection]) < time.time() - 3600 * 11


def test_newer_stage_keys_come_from_one_integration_only() -> None:
    newer, older = build(odd=False)["application_stages"], build(odd=False, integration=WORKDAY)["application_stages"]
    assert all("status" in stage for stage in newer)
    assert not any("status" in stage for stage in older)


@pytest.mark.parametrize(("collection", "key"), [("applications", "ai_score"), ("jobs", "ai_score")])
def test_about_one_record_in_200_has_an_unknown_key(clean: Records, collection: str, key: str) -> None:
    found = sum(key in record for record in clean[collection])
    assert 1 <= found <= max(3, len(clean[collection]) // 150)


def test_unknown_keys_also_come_nested(clean: Records) -> None:
    assert any("pronouns" in (one["candidate"] or {}) for one in clean["applications"])


def test_about_one_record_in_100_is_a_tombstone(clean: Records) -> None:
    tombstones = [one for one in clean["applications"] if one["remote_deleted_at"]]
    assert len(tombstones) == len(clean["applications"]) // 100


def test_some_old_tombstones_have_lost_even_what_is_required(clean: Records) -> None:
    anonymised = [one for one in clean["candidates"] if is_anonymised(one)]
    assert anonymised
    assert all(one["remote_id"] is None and one["remote_deleted_at"] for one in anonymised)


def test_custom_fields_change_their_type_from_row_to_row(clean: Records) -> None:
    salaries = {type((one["custom_fields"] or {}).get("salary_expectation")) for one in clean["applications"]}
    assert {str, float, int, dict, list, bool, type(None)} <= salaries
    assert {"NoneType", "dict"} <= {type(one["custom_fields"]).__name__ for one in clean["applications"]}


def test_dates_reach_from_before_1970_to_2099(clean: Records) -> None:
    assert any((job["opened_at"] or "2") < "1970" for job in clean["jobs"])
    assert any((job["closed_at"] or "").startswith("2099") for job in clean["jobs"])


def test_optional_keys_are_sometimes_absent(clean: Records) -> None:
    assert any("phone_numbers" not in one for one in clean["candidates"])


def test_names_come_in_many_scripts_and_never_with_a_null_byte(clean: Records) -> None:
    names = " ".join(str(one["last_name"]) for one in clean["candidates"])
    assert all(sign in names for sign in ("ü", "王", "خ", "Ш", "🌏", "'", "\n", "<b>"))
    assert "\\u0000" not in json.dumps(clean)


@pytest.mark.parametrize(
    ("collection", "wrong"),
    [
        ("applications", lambda one: isinstance(one["rejection_reason_name"], int)),
        ("applications", lambda one: one["rejected_at"] == "yesterday"),
        ("applications", lambda one: isinstance(one["offers"], dict)),
        ("applications", lambda one: ((one["current_stage"] or {}).get("index") or 0) == 2**70),
        ("applications", lambda one: (one["custom_fields"] or {}).get("bigger") == float("inf")),
        ("candidates", lambda one: isinstance(one["first_name"], int)),
        ("candidates", lambda one: isinstance(one["tags"], dict)),
        ("jobs", lambda one: isinstance(one["weekly_hours"], str)),
        ("interviews", lambda one: isinstance(one["canceled"], str)),
        ("offers", lambda one: isinstance(one["custom_fields"], str)),
        ("users", lambda one: isinstance(one.get("email"), dict)),
    ],
)
def test_a_few_values_do_not_fit_their_type(clean: Records, odd: Records, collection: str, wrong: Any) -> None:
    assert any(wrong(record) for record in odd[collection])
    assert not any(wrong(record) for record in clean[collection])


def test_odd_values_leave_ids_and_changed_at_alone(odd: Records) -> None:
    for records in odd.values():
        assert all(isinstance(record["id"], str) and unix(record["changed_at"]) for record in records)


def test_numbers_survive_being_changed_as_they_were_written() -> None:
    raw = b'{"a":1180591620717411303424,"b":1E+400,"c":0.10,"d":-7,"e":1.5}'
    assert encode(decode(raw)) == raw


def test_data_is_made_only_for_the_integration_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World("tiny")
    built = []
    make = Integration.builder.fget
    monkeypatch.setattr(Integration, "builder", property(lambda one: built.append(one.id) or make(one)))  # type: ignore[func-returns-value,misc]
    world.integrations[WORKDAY].records("tags")
    assert set(built) == {WORKDAY}
