"""The demo carries out writes as the API documents them: what it refuses, records, warns of, and shows late."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from deployments.demo.server import DemoKombo
from tests.deployments.demo_client import answer_schema, ids, misfits, open_client, read_openapi, refusal, walk

CANDIDATE = {"first_name": "Ada", "last_name": "Muster", "email_address": "ada@example.com"}
NOBODY = "1" * 24
INTERVIEW = {
    "title": "Kennenlernen",
    "start_time": "2030-01-01T10:00:00.000Z",
    "end_time": "2030-01-01T11:00:00.000Z",
    "location": {"type": "VIRTUAL", "address": "https://meet.example.com/1"},
}
PDF = {
    "name": "cv.pdf",
    "type": "CV",
    "content_type": "application/pdf",
    "data": base64.b64encode(b"%PDF-1.4").decode(),
}


@pytest.fixture
def kombo() -> Iterator[DemoKombo]:
    with DemoKombo(odd=False) as running:
        yield running


@pytest.fixture
def client(kombo: DemoKombo) -> Iterator[httpx.Client]:
    with open_client(kombo) as opened:
        yield opened


class Picked:
    """Ids to write with."""

    def __init__(self, kombo: DemoKombo) -> None:
        def living(collection: str) -> list[dict[str, Any]]:
            return kombo.records(kombo.integrations[0], collection, include_deleted=False)

        self.name = kombo.integrations[0]
        jobs = {job["id"]: job for job in living("jobs")}
        known = {one["id"] for one in living("candidates")}
        pending = [
            one
            for one in living("applications")
            if one["outcome"] == "PENDING" and one["job_id"] in jobs and one["candidate_id"] in known
        ]
        self.application = pending[0]["id"]
        self.pending = ids(pending)
        self.declined = next(one["id"] for one in living("applications") if one["outcome"] == "DECLINED")
        self.candidate = pending[0]["candidate_id"]
        stages = [stage["id"] for stage in jobs[pending[0]["job_id"]]["stages"]]
        self.stage = next(stage for stage in stages if stage != pending[0]["current_stage_id"])
        self.other_stage = next(one["id"] for one in living("application_stages") if one["id"] not in stages)
        self.reason = living("rejection_reasons")[0]["id"]
        self.user = living("users")[0]["id"]
        self.job = next(job["id"] for job in jobs.values() if job["status"] == "OPEN")
        self.closed_job = next(job["id"] for job in jobs.values() if job["status"] == "CLOSED")
        self.interview, self.interviewed = next(
            (one["id"], one["application_id"]) for one in living("interviews") if one["application_id"] in self.pending
        )


@pytest.fixture
def picked(kombo: DemoKombo) -> Picked:
    return Picked(kombo)


def every_write(picked: Picked) -> list[tuple[str, str, str, dict[str, Any]]]:
    application, candidate = f"/ats/applications/{picked.application}", f"/ats/candidates/{picked.candidate}"
    people = {"interviewer_user_ids": [picked.user], "organizer_user_id": picked.user}
    update = INTERVIEW | people | {"interview_id": picked.interview}
    link = {"label": "Result", "url": "https://example.com/r/1"}
    tracked = {"id_type": "application_id", "application_id": "4711"}
    return [
        ("move_application_to_stage", "PUT", f"{application}/stage", {"stage_id": picked.stage}),
        ("reject_application", "POST", f"{application}/reject", {"rejection_reason_id": picked.reason, "note": "n"}),
        ("add_application_note", "POST", f"{application}/notes", {"content": "n", "content_type": "PLAIN_TEXT"}),
        ("add_application_result_link", "POST", f"{application}/result-links", link),
        ("add_application_attachment", "POST", f"{application}/attachments", {"attachment": PDF}),
        ("create_interview", "POST", f"{application}/interviews", INTERVIEW | people),
        ("update_interview", "PATCH", f"/ats/applications/{picked.interviewed}/interviews", update),
        (
            "create_candidate",
            "POST",
            "/ats/candidates",
            {"candidate": CANDIDATE, "application": {"job_id": picked.job}},
        ),
        ("create_application", "POST", f"/ats/jobs/{picked.job}/applications", {"candidate": CANDIDATE}),
        ("add_candidate_attachment", "POST", f"{candidate}/attachments", {"attachment": PDF}),
        ("add_candidate_result_link", "POST", f"{candidate}/result-links", link),
        ("add_candidate_tag", "POST", f"{candidate}/tags", {"tag": {"name": "Neu"}}),
        ("remove_candidate_tag", "DELETE", f"{candidate}/tags", {"tag": {"name": "Neu"}}),
        (
            "import_tracked_application",
            "POST",
            "/ats/import-tracked-application",
            {"tracked_at": None, "greenhouse": tracked},
        ),
    ]


def by_name(picked: Picked, operation: str) -> tuple[str, str, dict[str, Any]]:
    return next((method, path, body) for name, method, path, body in every_write(picked) if name == operation)


OPERATIONS = [
    "move_application_to_stage",
    "reject_application",
    "add_application_note",
    "add_application_result_link",
    "add_application_attachment",
    "create_interview",
    "update_interview",
    "create_candidate",
    "create_application",
    "add_candidate_attachment",
    "add_candidate_result_link",
    "add_candidate_tag",
    "remove_candidate_tag",
    "import_tracked_application",
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_documented_write_is_carried_out_and_logged(
    kombo: DemoKombo, client: httpx.Client, picked: Picked, operation: str
) -> None:
    method, path, body = by_name(picked, operation)
    answer = client.request(method, path, json=body)
    assert (answer.status_code, answer.json()["status"]) == (200, "success")
    assert ("warnings" in answer.json()) == ("interview" not in operation)
    (write,) = kombo.writes
    assert (write["operation"], write["integration"], write["body"]) == (operation, picked.name, body)


def template(path: str, picked: Picked) -> str:
    for name in ("application", "candidate", "job"):
        path = path.replace(getattr(picked, name), f"{{{name}_id}}")
    return path.replace(picked.interviewed, "{application_id}")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_answer_of_a_write_is_what_the_openapi_file_says(
    client: httpx.Client, picked: Picked, operation: str
) -> None:
    document = read_openapi()
    method, path, body = by_name(picked, operation)
    answer = client.request(method, path, json=body).json()
    assert misfits(document, answer_schema(document, method, template(path, picked)), answer) == []


@pytest.mark.parametrize(
    "path",
    [
        "/ats/applications/{application_id}/attachments",
        "/ats/candidates/{candidate_id}/attachments",
        "/ats/actions/ats_create_candidate",
        "/ats/actions/ats_create_application",
        "/ats/actions/ats_add_application_attachment",
        "/ats/actions/ats_add_candidate_attachment",
    ],
)
def test_the_answer_of_a_small_read_is_what_the_openapi_file_says(
    kombo: DemoKombo, client: httpx.Client, picked: Picked, path: str
) -> None:
    document = read_openapi()
    for owner in (picked.application, picked.candidate):
        kombo.attach(picked.name, owner, {"type": "CV"})
    answer = client.get(path.format(application_id=picked.application, candidate_id=picked.candidate)).json()
    assert misfits(document, answer_schema(document, "GET", path), answer) == []


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_write_without_a_required_field_is_refused(
    kombo: DemoKombo, client: httpx.Client, picked: Picked, operation: str
) -> None:
    method, path, body = by_name(picked, operation)
    for key in set(body) - {"note", "greenhouse"}:
        short = {name: value for name, value in body.items() if name != key}
        assert refusal(client.request(method, path, json=short)) == (400, "PLATFORM.INPUT_INVALID"), key
    assert kombo.writes == []


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_disabled_action_is_refused(kombo: DemoKombo, client: httpx.Client, picked: Picked, operation: str) -> None:
    kombo.settings(picked.name, actions={operation: "INTEGRATION.ACTION_DISABLED"})
    method, path, body = by_name(picked, operation)
    assert refusal(client.request(method, path, json=body)) == (403, "INTEGRATION.ACTION_DISABLED")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_unknown_field_shows_as_an_error(client: httpx.Client, picked: Picked, operation: str) -> None:
    method, path, body = by_name(picked, operation)
    assert refusal(client.request(method, path, json=body | {"misspelt": 1})) == (400, "PLATFORM.INPUT_INVALID")


@pytest.mark.parametrize(
    ("operation", "change"),
    [
        ("add_application_note", {"content_type": "HTML"}),
        ("add_application_result_link", {"url": "no-scheme"}),
        ("add_application_result_link", {"details": {"attributes": []}}),
        ("add_application_attachment", {"attachment": PDF | {"data_url": "https://example.com/cv.pdf"}}),
        ("add_application_attachment", {"attachment": {"name": "cv.pdf", "type": "CV"}}),
        ("add_application_attachment", {"attachment": {"name": "cv.pdf", "type": "CV", "data": "JVBE"}}),
        ("add_application_attachment", {"attachment": PDF | {"data": "not base64!"}}),
        ("add_application_attachment", {"attachment": PDF | {"type": "PHOTO"}}),
        ("create_application", {"candidate": CANDIDATE | {"email_address": "nobody"}}),
        ("create_application", {"candidate": CANDIDATE | {"location": {"country": "Germany"}}}),
        ("create_interview", {"location": {"type": "ONLINE"}}),
        ("create_interview", {"end_time": "2029-01-01T10:00:00.000Z"}),
        ("create_interview", {"interviewer_user_ids": ["nobody"]}),
        ("add_candidate_tag", {"tag": {"name": ""}}),
        ("import_tracked_application", {"greenhouse": {"id_type": "placement_id", "placement_id": "1"}}),
        ("import_tracked_application", {"lever": {}}),
    ],
)
def test_a_body_that_the_documentation_does_not_allow_is_refused(
    client: httpx.Client, picked: Picked, operation: str, change: dict[str, Any]
) -> None:
    method, path, body = by_name(picked, operation)
    assert refusal(client.request(method, path, json=body | change)) == (400, "PLATFORM.INPUT_INVALID")


def test_a_body_that_is_not_json_is_refused(client: httpx.Client, picked: Picked) -> None:
    _, path, _ = by_name(picked, "reject_application")
    assert refusal(client.post(path, content=b"{")) == (400, "PLATFORM.INPUT_INVALID")


def test_a_body_may_come_in_chunks(kombo: DemoKombo, client: httpx.Client, picked: Picked) -> None:
    _, path, _ = by_name(picked, "add_application_note")
    pieces = iter([b'{"content":"a', b'b","content_type":', b'"PLAIN_TEXT"}'])
    assert client.post(path, content=pieces).status_code == 200
    assert kombo.writes[0]["body"]["content"] == "ab"


def test_an_application_that_does_not_exist_is_not_found(client: httpx.Client, picked: Picked) -> None:
    body = {"rejection_reason_id": picked.reason}
    assert refusal(client.post(f"/ats/applications/{NOBODY}/reject", json=body))[0] == 404


def test_a_reason_of_another_integration_is_refused(kombo: DemoKombo, client: httpx.Client, picked: Picked) -> None:
    other = kombo.records(kombo.integrations[1], "rejection_reasons", include_deleted=False)[0]["id"]
    _, path, _ = by_name(picked, "reject_application")
    assert client.post(path, json={"rejection_reason_id": other}).status_code == 404


def test_a_deleted_reason_is_refused(kombo: DemoKombo, client: httpx.Client, picked: Picked) -> None:
    reasons = kombo.records(picked.name, "rejection_reasons")
    deleted = next(one["id"] for one in reasons if one["remote_deleted_at"])
    _, path, _ = by_name(picked, "reject_application")
    assert client.post(path, json={"rejection_reason_id": deleted}).status_code == 404


def test_a_rejection_shows_only_after_the_next_sync(kombo: DemoKombo, client: httpx.Client, picked: Picked) -> None:
    _, path, body = by_name(picked, "reject_application")
    client.post(path, json=body)
    assert walk(client, "applications", ids=picked.application)[0]["outcome"] == "PENDING"
    assert kombo.sync() == 1
    (settled,) = walk(client, "applications", ids=picked.application)
    assert (settled["outcome"], settled["rejection_reason_name"]) == ("DECLINED", "Position filled")
    assert settled["rejected_at"] <= settled["changed_at"]


def test_a_rejection_shows_at_once_where_so_configured(kombo: DemoKombo, client: httpx.Client, picked: Picked) -> None:
    kombo.configure(immediate=True)
    _, path, body = by_name(picked, "reject_application")
    client.post(path, json=body)
    assert walk(client, "applications", ids=picked.application)[0]["outcome"] == "DECLINED"


def test_a_second_rejection_is_refused_even_before_the_sync(
    kombo: DemoKombo, client: httpx.Client, picked: Picked
) -> None:
    _, path, body = by_name(picked, "reject_application")
    client.post(path, json=body)
    assert refusal(client.post(path, json=body)) == (400, "REMOTE.INPUT_INVALID")
    assert len(kombo.writes) == 1


def test_rejecting_a_settled_application_is_refused(client: httpx.Client, picked: Picked) -> None:
    answer = client.post(f"/ats/applications/{picked.declined}/reject", json={"rejection_reason_id": picked.reason})
    assert refusal(answer) == (400, "REMOTE.INPUT_INVALID")


def test_some_ats_accept_a_second_rejection_silently(kombo: DemoKombo, client: httpx.Client, picked: Picked) -> None:
    kombo.settings(picked.name, refuse_settled=False)
    answer = client.post(f"/ats/applications/{picked.declined}/reject", json={"rejection_reason_id": picked.reason})
    assert answer.status_code == 200


def test_a_stage_of_another_job_is_not_found(client: httpx.Client, picked: Picked) -> None:
    _, path, _ = by_name(picked, "move_application_to_stage")
    assert refusal(client.put(path, json={"stage_id": picked.other_stage})) == (400, "REMOTE.INPUT_INVALID")


def test_a_moved_application_is_in_its_new_stage_after_the_sync(
    kombo: DemoKombo, client: httpx.Client, picked: Picked
) -> None:
    _, path, body = by_name(picked, "move_application_to_stage")
    client.put(path, json=body)
    kombo.sync()
    (moved,) = walk(client, "applications", ids=picked.application)
    assert moved["current_stage_id"] == moved["current_stage"]["id"] == picked.stage


def test_a_new_application_answers_with_what_the_sync_will_show(
    kombo: DemoKombo, client: httpx.Client, picked: Picked
) -> None:
    _, path, body = by_name(picked, "create_application")
    made = client.post(path, json=body).json()["data"]
    assert walk(client, "applications", ids=made["id"]) == []
    kombo.sync()
    (shown,) = walk(client, "applications", ids=made["id"])
    assert (shown["job_id"], shown["candidate_id"], shown["outcome"]) == (
        picked.job,
        made["candidate"]["id"],
        "PENDING",
    )
    (person,) = walk(client, "candidates", email="ada@example.com")
    assert ids(person["applications"]) == [made["id"]]


def test_a_second_application_for_the_same_job_already_exists(client: httpx.Client, picked: Picked) -> None:
    _, path, body = by_name(picked, "create_application")
    client.post(path, json=body)
    assert refusal(client.post(path, json=body))[1] == "ATS.APPLICATION_ALREADY_EXISTS"


def test_a_candidate_who_applied_in_the_data_already_exists(kombo: DemoKombo, client: httpx.Client) -> None:
    living = {job["id"] for job in kombo.records(kombo.integrations[0], "jobs") if job["status"] == "OPEN"}
    job, address = next(
        (inner["job"]["id"], one["email_addresses"][0]["email_address"])
        for one in kombo.records(kombo.integrations[0], "candidates", include_deleted=False)
        for inner in one["applications"]
        if one["email_addresses"] and inner["job"] and inner["job"]["id"] in living
    )
    body = {"candidate": CANDIDATE | {"email_address": address.upper()}}
    assert refusal(client.post(f"/ats/jobs/{job}/applications", json=body))[1] == "ATS.APPLICATION_ALREADY_EXISTS"


def test_a_job_may_be_named_by_its_remote_id(kombo: DemoKombo, client: httpx.Client, picked: Picked) -> None:
    remote = next(job["remote_id"] for job in kombo.records(picked.name, "jobs") if job["id"] == picked.job)
    answer = client.post(f"/ats/jobs/remote:{remote}/applications", json={"candidate": CANDIDATE})
    assert answer.json()["data"]["job_id"] == picked.job


def test_a_closed_job_takes_no_applications(client: httpx.Client, picked: Picked) -> None:
    answer = client.post(f"/ats/jobs/{picked.closed_job}/applications", json={"candidate": CANDIDATE})
    assert refusal(answer)[1] == "ATS.JOB_CLOSED"


def test_an_answer_to_an_unknown_question_is_a_warning(client: httpx.Client, picked: Picked) -> None:
    _, path, body = by_name(picked, "create_application")
    answers = [{"question_id": NOBODY, "answer": True}]
    answer = client.post(path, json=body | {"screening_question_answers": answers}).json()
    assert NOBODY in answer["warnings"][0]["message"]


def test_warnings_can_be_scripted(kombo: DemoKombo, client: httpx.Client, picked: Picked) -> None:
    kombo.settings(picked.name, warnings={"add_application_note": ["Only the first 80 signs were kept."]})
    method, path, body = by_name(picked, "add_application_note")
    assert client.request(method, path, json=body).json()["warnings"] == [
        {"message": "Only the first 80 signs were kept."}
    ]


def test_a_tag_comes_and_goes_by_name(kombo: DemoKombo, client: httpx.Client, picked: Picked) -> None:
    path = f"/ats/candidates/{picked.candidate}/tags"
    client.post(path, json={"tag": {"name": "Ganz neu"}})
    kombo.sync()
    (person,) = walk(client, "candidates", ids=picked.candidate)
    assert "Ganz neu" in [tag["name"] for tag in person["tags"]]
    client.request("DELETE", path, json={"tag": {"name": "Ganz neu"}})
    kombo.sync()
    (person,) = walk(client, "candidates", ids=picked.candidate)
    assert "Ganz neu" not in [tag["name"] for tag in person["tags"]]


def test_removing_a_tag_that_is_not_there_succeeds(client: httpx.Client, picked: Picked) -> None:
    answer = client.request("DELETE", f"/ats/candidates/{picked.candidate}/tags", json={"tag": {"name": "nie"}})
    assert answer.status_code == 200


def test_a_new_interview_appears_in_its_application(kombo: DemoKombo, client: httpx.Client, picked: Picked) -> None:
    method, path, body = by_name(picked, "create_interview")
    assert client.request(method, path, json=body).json() == {"status": "success", "data": {}}
    kombo.sync()
    (application,) = walk(client, "applications", ids=picked.application)
    assert application["interviews"][-1]["title"] == "Kennenlernen"


def test_the_same_operation_by_two_clients_is_two_writes(
    kombo: DemoKombo, client: httpx.Client, picked: Picked
) -> None:
    method, path, body = by_name(picked, "add_application_note")
    for _ in range(2):
        client.request(method, path, json=body)
    assert len(kombo.writes) == 2


def test_actions_announce_their_concurrency(client: httpx.Client, picked: Picked) -> None:
    answer = client.get(f"/ats/applications/{picked.application}/attachments")
    assert (answer.headers["concurrency-limit"], answer.headers["concurrency-remaining"]) == ("30", "29")


def test_reads_of_collections_announce_no_concurrency(client: httpx.Client) -> None:
    assert "concurrency-limit" not in client.get("/ats/tags").headers


def test_an_action_above_the_limit_is_refused_before_it_runs(kombo: DemoKombo, picked: Picked) -> None:
    kombo.settings(picked.name, concurrency_limit=1)
    kombo.fault("hang", path="/ats/applications/*/notes", after=True)
    _, path, body = by_name(picked, "add_application_note")
    with open_client(kombo) as client, ThreadPoolExecutor(1) as pool:
        held = pool.submit(client.post, path, json=body)
        assert any(kombo.writes for _ in range(100_000))
        assert refusal(client.post(path, json=body)) == (429, "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED")
        kombo.release()
        assert held.result().status_code == 200
    assert len(kombo.writes) == 1
    assert kombo.most_in_flight[picked.name] == 1


def test_an_attachment_list_links_to_the_bytes(kombo: DemoKombo, client: httpx.Client, picked: Picked) -> None:
    kombo.attach(picked.name, picked.application, {"file_name": "../../x", "content_type": "text/plain"}, text="Grüße")
    row = client.get(f"/ats/applications/{picked.application}/attachments").json()["data"]["results"][-1]
    file = httpx.get(row["data_url"], trust_env=False)
    assert row["file_name"] == "../../x"
    assert (file.content.decode(), file.headers["content-type"]) == ("Grüße", "text/plain")


def test_a_file_may_come_with_another_type_than_announced(
    kombo: DemoKombo, client: httpx.Client, picked: Picked
) -> None:
    row = {"content_type": "application/pdf", "type": "CV"}
    kombo.attach(picked.name, picked.candidate, row, served_type="text/html", size=10)
    found = client.get(f"/ats/candidates/{picked.candidate}/attachments").json()["data"]["results"][-1]
    file = httpx.get(found["data_url"], trust_env=False)
    assert (found["content_type"], file.headers["content-type"], len(file.content)) == (
        "application/pdf",
        "text/html",
        10,
    )


def test_an_uploaded_file_is_listed_with_its_bytes(client: httpx.Client, picked: Picked) -> None:
    client.post(f"/ats/applications/{picked.application}/attachments", json={"attachment": PDF})
    row = client.get(f"/ats/applications/{picked.application}/attachments").json()["data"]["results"][-1]
    assert row["file_name"] == "cv.pdf"
    assert httpx.get(row["data_url"], trust_env=False).content == b"%PDF-1.4"


def test_a_file_beyond_the_limits_is_refused_by_the_ats(client: httpx.Client, picked: Picked) -> None:
    image = PDF | {"content_type": "image/png"}
    answer = client.post(f"/ats/applications/{picked.application}/attachments", json={"attachment": image})
    assert refusal(answer) == (400, "REMOTE.INPUT_INVALID")


@pytest.mark.parametrize("action", ["create_candidate", "create_application"])
def test_limits_of_creating_have_totals_and_amounts(client: httpx.Client, action: str) -> None:
    limits = client.get(f"/ats/actions/ats_{action}").json()["data"]["attachment_restrictions"]
    assert limits["total_size_bytes"] == 10_000_000
    assert limits["types"]["CV"]["max_amount"] == 1


@pytest.mark.parametrize("action", ["add_application_attachment", "add_candidate_attachment"])
def test_limits_of_uploading_have_sizes_only(client: httpx.Client, action: str) -> None:
    limits = client.get(f"/ats/actions/ats_{action}").json()["data"]["attachment_restrictions"]
    assert set(limits["types"]["CV"]) == {"is_supported", "max_file_size_bytes", "accepted_mime_types"}


def test_limits_may_be_unknown(kombo: DemoKombo, client: httpx.Client, picked: Picked) -> None:
    kombo.settings(picked.name, attachment_limits={"create_candidate": None})
    answer = client.get("/ats/actions/ats_create_candidate").json()
    assert answer == {"status": "success", "data": {"attachment_restrictions": None}}
