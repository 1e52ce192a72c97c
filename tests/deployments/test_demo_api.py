"""The demo server reads as the API documents it: keys, integrations, pages, filters, limits."""

from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from deployments.demo.server import DemoKombo
from deployments.demo.store import COLLECTIONS
from tests.deployments.demo_client import ids, open_client, refusal, walk, walk_pages


@pytest.fixture
def kombo() -> Iterator[DemoKombo]:
    with DemoKombo() as running:
        yield running


@pytest.fixture
def client(kombo: DemoKombo) -> Iterator[httpx.Client]:
    with open_client(kombo) as opened:
        yield opened


@pytest.fixture
def applications(kombo: DemoKombo) -> list[dict[str, Any]]:
    return kombo.records(kombo.integrations[0], "applications", include_deleted=False)


@pytest.mark.parametrize("key", ["", "Bearer wrong", "demo-key-not-a-secret", "Basic demo-key-not-a-secret"])
def test_only_the_bearer_key_opens_the_api(client: httpx.Client, key: str) -> None:
    response = client.get("/ats/tags", headers={"authorization": key})
    assert refusal(response) == (401, "PLATFORM.AUTHENTICATION_INVALID")


def test_the_key_check_needs_no_integration(kombo: DemoKombo, client: httpx.Client) -> None:
    del client.headers["x-integration-id"]
    assert client.get("/check-api-key").json()["data"]["environment_id"] == "demo"


def test_a_missing_integration_header_is_an_invalid_request(client: httpx.Client) -> None:
    del client.headers["x-integration-id"]
    assert refusal(client.get("/ats/tags")) == (400, "PLATFORM.INPUT_INVALID")


def test_an_unknown_integration_is_not_found(client: httpx.Client) -> None:
    response = client.get("/ats/tags", headers={"x-integration-id": "greenhouse:nobody"})
    assert refusal(response) == (404, "PLATFORM.INTEGRATION_NOT_FOUND")


def test_an_integration_describes_its_models_and_actions(kombo: DemoKombo, client: httpx.Client) -> None:
    name = kombo.integrations[0]
    kombo.settings(name, models={"offers": "INTEGRATION.MODEL_DISABLED"}, error="INTEGRATION.INACTIVE")
    data = client.get(f"/integrations/{name}").json()["data"]
    available = {model["id"]: model["is_available"] for model in data["read_models"]}
    assert (data["status"], available["ats_offers"], available["ats_jobs"]) == ("INACTIVE", False, True)


def test_an_unknown_path_is_an_error_without_a_code(client: httpx.Client) -> None:
    assert refusal(client.get("/ats/nothing")) == (404, None)


@pytest.mark.parametrize("size", ["0", "251", "-1", "ten", "1.5", ""])
def test_a_page_size_outside_1_to_250_is_refused(client: httpx.Client, size: str) -> None:
    assert refusal(client.get("/ats/tags", params={"page_size": size})) == (400, "PLATFORM.INPUT_INVALID")


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_walk_brings_every_record_once_and_in_order(kombo: DemoKombo, client: httpx.Client, collection: str) -> None:
    assert walk(client, collection, page_size=7, include_deleted="true") == kombo.records(
        kombo.integrations[0], collection
    )


def test_a_page_has_100_records_unless_told_otherwise() -> None:
    with DemoKombo("small") as kombo, open_client(kombo) as client:
        assert len(client.get("/ats/applications").json()["data"]["results"]) == 100


def test_identity_and_gzip_carry_the_same_records(client: httpx.Client) -> None:
    plain = client.get("/ats/applications", headers={"accept-encoding": "identity"})
    packed = client.get("/ats/applications", headers={"accept-encoding": "gzip"})
    assert (plain.headers.get("content-encoding"), packed.headers["content-encoding"]) == (None, "gzip")
    assert plain.content == packed.content


def test_tombstones_show_only_when_asked_for(kombo: DemoKombo, client: httpx.Client) -> None:
    everything = walk(client, "candidates", include_deleted="true")
    living = [record["id"] for record in everything if record["remote_deleted_at"] is None]
    assert ids(walk(client, "candidates")) == living != ids(everything)


def test_a_cursor_carries_no_filter(client: httpx.Client) -> None:
    first = client.get("/ats/applications", params={"page_size": 5, "outcomes": "PENDING"}).json()["data"]
    forgotten = client.get("/ats/applications", params={"page_size": 250, "cursor": first["next"]}).json()["data"]
    assert {record["outcome"] for record in forgotten["results"]} > {"PENDING"}


@pytest.mark.parametrize("cursor", ["", "nonsense", "W10=", "eyJhIjoxfQ=="])
def test_a_cursor_that_was_never_given_is_refused(client: httpx.Client, cursor: str) -> None:
    assert refusal(client.get("/ats/jobs", params={"cursor": cursor})) == (400, "PLATFORM.INPUT_INVALID")


def test_a_cursor_of_another_collection_is_refused(client: httpx.Client) -> None:
    cursor = client.get("/ats/candidates", params={"page_size": 5}).json()["data"]["next"]
    assert refusal(client.get("/ats/jobs", params={"cursor": cursor})) == (400, "PLATFORM.INPUT_INVALID")


def test_rows_removed_during_a_walk_hide_no_others(kombo: DemoKombo, client: httpx.Client) -> None:
    pages = walk_pages(client, "applications", page_size=10)
    seen = ids(next(pages)["results"])
    kombo.evolve(kombo.integrations[0], share=0.2, kinds=["remove"], collections=["applications"])
    seen += [id_ for page in pages for id_ in ids(page["results"])]
    left = ids(kombo.records(kombo.integrations[0], "applications", include_deleted=False))
    assert set(left) <= set(seen)
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-01T00:00:00+02:00",
        "yesterday",
        "2026-13-01",
        "2026-02-30T00:00:00Z",
        "2026-01-01 00:00:00",
        "1767225600",
    ],
)
def test_a_time_is_utc_or_refused(client: httpx.Client, time: str) -> None:
    assert refusal(client.get("/ats/tags", params={"updated_after": time})) == (400, "PLATFORM.INPUT_INVALID")


@pytest.mark.parametrize("time", ["2026-01-01", "2026-01-01Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.123456Z"])
def test_the_documented_ways_to_write_a_time_are_accepted(client: httpx.Client, time: str) -> None:
    assert client.get("/ats/tags", params={"updated_after": time}).status_code == 200


@pytest.mark.parametrize("name", ["include_deleted", "ignore_unsupported_filters"])
@pytest.mark.parametrize("value", ["True", "1", "yes", ""])
def test_booleans_are_true_or_false(client: httpx.Client, name: str, value: str) -> None:
    assert refusal(client.get("/ats/tags", params={name: value})) == (400, "PLATFORM.INPUT_INVALID")


@pytest.mark.parametrize(
    ("collection", "query"),
    [
        ("applications", {"outcomes": "PENDING,LOST"}),
        ("applications", {"outcome": ""}),
        ("applications", {"ids": ""}),
        ("applications", {"ids": "a/../b"}),
        ("applications", {"job_ids": "short"}),
        ("applications", {"remote_created_after": "2026"}),
        ("candidates", {"email": "nobody"}),
        ("jobs", {"statuses": "open"}),
        ("roles", {"scopes": "TENANT"}),
        ("tags", {"outcomes": "PENDING"}),
    ],
)
def test_a_filter_that_is_not_documented_so_is_refused(
    client: httpx.Client, collection: str, query: dict[str, str]
) -> None:
    assert refusal(client.get(f"/ats/{collection}", params=query)) == (400, "PLATFORM.INPUT_INVALID")


def test_ids_select_exactly_those_records(client: httpx.Client, applications: list[dict[str, Any]]) -> None:
    wanted = ids(applications)[3:6]
    assert ids(walk(client, "applications", ids=",".join(reversed(wanted)))) == wanted


def test_remote_ids_select_exactly_those_records(client: httpx.Client, applications: list[dict[str, Any]]) -> None:
    wanted = [application for application in applications if application["remote_id"]][:3]
    found = walk(client, "applications", remote_ids=",".join(one["remote_id"] for one in wanted))
    assert found == wanted


@pytest.mark.parametrize("query", [{"outcome": "PENDING"}, {"outcomes": "PENDING"}])
def test_outcomes_select_and_null_matches_none(
    client: httpx.Client, applications: list[dict[str, Any]], query: dict[str, str]
) -> None:
    wanted = [one for one in applications if one["outcome"] == "PENDING"]
    assert walk(client, "applications", **query) == wanted != []


def test_a_blank_list_of_outcomes_means_all(client: httpx.Client, applications: list[dict[str, Any]]) -> None:
    assert walk(client, "applications", outcomes="") == applications


def test_different_filters_all_have_to_match(client: httpx.Client, applications: list[dict[str, Any]]) -> None:
    job = next(one["job_id"] for one in applications if one["outcome"] == "PENDING" and one["job_id"])
    wanted = [one for one in applications if one["job_id"] == job and one["outcome"] == "PENDING"]
    assert walk(client, "applications", job_ids=job, outcomes="PENDING,HIRED") == [
        one for one in applications if one["job_id"] == job and one["outcome"] in ("PENDING", "HIRED")
    ]
    assert wanted


def test_applications_are_found_by_the_remote_id_of_their_job(
    client: httpx.Client, applications: list[dict[str, Any]]
) -> None:
    wanted = [one for one in applications if isinstance(one["job"], dict) and one["job"]["remote_id"] == "400001"]
    assert walk(client, "applications", job_remote_ids="400001") == wanted != []


def test_applications_are_found_by_their_stage(client: httpx.Client, applications: list[dict[str, Any]]) -> None:
    stage = next(one["current_stage_id"] for one in applications if one["current_stage_id"])
    wanted = [one for one in applications if one["current_stage_id"] == stage]
    assert walk(client, "applications", current_stage_ids=stage) == wanted


def test_remote_created_after_works_by_day(client: httpx.Client, applications: list[dict[str, Any]]) -> None:
    created = sorted(one["remote_created_at"] for one in applications if one["remote_created_at"])[30]
    found = walk(client, "applications", remote_created_after=created[:10] + "T23:59:59Z")
    wanted = [one for one in applications if (one["remote_created_at"] or "") >= created[:10]]
    assert found == wanted


def test_a_candidate_is_found_by_email_and_name_in_any_case(kombo: DemoKombo, client: httpx.Client) -> None:
    wanted = next(
        one
        for one in kombo.records(kombo.integrations[0], "candidates", include_deleted=False)
        if one["email_addresses"] and isinstance(one["email_addresses"][0], dict) and isinstance(one["first_name"], str)
    )
    found = walk(
        client,
        "candidates",
        email=wanted["email_addresses"][0]["email_address"].upper(),
        first_name=wanted["first_name"].upper(),
        last_name=wanted["last_name"].lower(),
    )
    assert found == [wanted]


def test_candidates_are_found_by_the_jobs_that_they_applied_for(kombo: DemoKombo, client: httpx.Client) -> None:
    job = kombo.records(kombo.integrations[0], "jobs", include_deleted=False)[0]["id"]
    found = walk(client, "candidates", job_ids=job)
    assert found
    assert all(job in [one["job"]["id"] for one in record["applications"] if one["job"]] for record in found)


def test_interviews_are_found_by_job(kombo: DemoKombo, client: httpx.Client) -> None:
    interviews = kombo.records(kombo.integrations[0], "interviews", include_deleted=False)
    job = next(one["application"]["job"]["id"] for one in interviews if one["application"]["job"])
    wanted = [one for one in interviews if one["application"]["job"] and one["application"]["job"]["id"] == job]
    assert walk(client, "interviews", job_ids=job) == wanted


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("job_codes", "job_code"),
        ("post_url", "post_url"),
        ("statuses", "status"),
        ("status", "status"),
        ("employment_types", "employment_type"),
        ("visibilities", "visibility"),
        ("name_contains", "name"),
    ],
)
def test_jobs_are_found_by_their_fields(kombo: DemoKombo, client: httpx.Client, name: str, key: str) -> None:
    jobs = kombo.records(kombo.integrations[0], "jobs", include_deleted=False)
    value = next(job[key] for job in jobs if job.get(key) and "(" not in job[key])
    assert walk(client, "jobs", **{name: value}) == [job for job in jobs if job.get(key) == value]


def test_users_are_found_by_email_in_any_case(kombo: DemoKombo, client: httpx.Client) -> None:
    found = walk(client, "users", emails="USER.0@CORP.EXAMPLE.COM,user.1@corp.example.com")
    assert [user["email"] for user in found] == ["user.0@corp.example.com", "user.1@corp.example.com"]


def test_roles_are_found_by_scope(client: httpx.Client) -> None:
    assert {role["scope"] for role in walk(client, "roles", scopes="JOB")} == {"JOB"}


def test_a_filter_that_the_ats_lacks_matches_nothing_unless_ignored(kombo: DemoKombo, client: httpx.Client) -> None:
    kombo.settings(kombo.integrations[0], unsupported_filters={"applications": ["outcomes"]})
    everything = walk(client, "applications")
    assert walk(client, "applications", outcomes="PENDING") == []
    assert walk(client, "applications", outcomes="PENDING", ignore_unsupported_filters="true") == everything


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("INTEGRATION.SETUP_SYNC_PENDING", 409),
        ("INTEGRATION.AUTHENTICATION_INVALID", 401),
        ("INTEGRATION.INACTIVE", 403),
    ],
)
def test_an_integration_out_of_order_answers_with_its_code(
    kombo: DemoKombo, client: httpx.Client, code: str, status: int
) -> None:
    kombo.settings(kombo.integrations[0], error=code)
    assert refusal(client.get("/ats/jobs")) == (status, code)


def test_a_missing_model_leaves_the_others_readable(kombo: DemoKombo, client: httpx.Client) -> None:
    kombo.settings(kombo.integrations[0], models={"offers": "INTEGRATION.MODEL_NOT_AVAILABLE"})
    assert refusal(client.get("/ats/offers"))[1] == "INTEGRATION.MODEL_NOT_AVAILABLE"
    assert client.get("/ats/jobs").status_code == 200


def test_the_rate_limit_is_announced_counted_and_enforced(kombo: DemoKombo, client: httpx.Client) -> None:
    kombo.configure(rate_limit=2)
    first, second, third = (client.get("/ats/tags") for _ in range(3))
    assert [one.headers["ratelimit-remaining"] for one in (first, second, third)] == ["1", "0", "0"]
    assert refusal(third) == (429, "PLATFORM.RATE_LIMIT_EXCEEDED")
    assert 1 <= int(third.headers["ratelimit-reset"]) <= 60


def test_the_date_header_tells_the_servers_own_time(kombo: DemoKombo, client: httpx.Client) -> None:
    right = parsedate_to_datetime(client.get("/ats/tags").headers["date"])
    kombo.configure(clock_skew_s=7200)
    skewed = parsedate_to_datetime(client.get("/ats/tags").headers["date"])
    assert 7195 <= (skewed - right).total_seconds() <= 7260


def test_requests_are_logged_without_keys(kombo: DemoKombo, client: httpx.Client) -> None:
    client.get("/ats/tags", params={"page_size": 3})
    (logged,) = kombo.requests
    assert (logged["method"], logged["path"], logged["query"]) == ("GET", "/ats/tags", "page_size=3")
    assert (logged["integration"], logged["operation"], logged["status"]) == (kombo.integrations[0], "get_tags", 200)
    assert kombo.api_key not in str(logged)
