"""Both batch flows through a real Prefect: what they plan, send, report, and what they refuse."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import duckdb
import pytest
import s3fs
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort
from prefect.exceptions import Pause
from prefect.states import Suspended

from deployments.demo.server import DemoKombo
from flows.apply_batch import apply_batch
from flows.reject_stale import reject_stale
from tasks import applying, approvals, batches
from tasks.approvals import ApproveRejections, NotApproved, PlanExpired
from tasks.batch_reports import BatchFailed
from tasks.lake import plans
from tasks.lake.claims import Claims, rejections_folder
from tasks.lake.errors import LakeRefused
from tasks.lake.store import FolderStore, open_store
from tasks.rows import InvalidRows
from tests.servers import Bucket
from tests.tasks.batch_runs import pending, plan, rejections

pytestmark = pytest.mark.usefixtures("prefect_server")
REJECT = "/ats/applications/*/reject"


@pytest.fixture(scope="module")
def started() -> Iterator[DemoKombo]:
    with DemoKombo("small", odd=False) as running:
        yield running


@pytest.fixture
def demo(started: DemoKombo, lake: Path, monkeypatch: pytest.MonkeyPatch) -> DemoKombo:
    started.reset()
    started.settings(started.integrations[0], unsupported_filters={}, models={})
    monkeypatch.setenv("KOMBO_API_KEY", started.api_key)
    monkeypatch.setenv("KOMBO_BASE_URL", started.base_url)
    monkeypatch.setenv("KOMBO_LAKE", str(lake))
    monkeypatch.setattr(applying, "GRACE", 0.0)
    return started


@pytest.fixture
def integration(demo: DemoKombo) -> str:
    return demo.integrations[0]


@pytest.fixture
def reason(demo: DemoKombo, integration: str) -> dict[str, Any]:
    return demo.records(integration, "rejection_reasons", include_deleted=False)[0]


def newest(key: str) -> tuple[list[dict[str, Any]], str]:
    """The newest artifact's table and text."""
    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
        found = client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC, limit=1)[0]
    return json.loads(str(found.data)), str(found.description)


def report() -> tuple[list[dict[str, Any]], str]:
    return newest("kombo-reject-stale-report")


def test_a_dry_run_plans_the_oldest_and_sends_nothing(
    demo: DemoKombo, integration: str, reason: dict[str, Any]
) -> None:
    assert reject_stale(integration, reason["name"], 30, limit=3)["planned"] == 3
    assert demo.writes == []
    rows, text = newest("kombo-reject-stale-plan")
    assert [row["days idle"] for row in rows] == sorted((row["days idle"] for row in rows), reverse=True)
    assert "3 applications would be rejected" in text
    assert "more remain" in text
    assert rows[0].keys() == {"application", "job", "stage", "days idle", "in the ATS"}


def test_a_schedule_that_fires_twice_rejects_nobody_twice(
    demo: DemoKombo, integration: str, reason: dict[str, Any], lake: Path
) -> None:
    for _ in range(2):
        assert reject_stale(integration, reason["id"], 30, limit=4, approval="auto")["done"] == 4
    times = Counter(write["ids"][0] for write in demo.writes)
    assert (len(times), max(times.values())) == (8, 1)
    assert "4 already sent by an earlier batch" in newest("kombo-reject-stale-plan")[1]
    kept = duckdb.read_parquet(f"{lake}/batches/*/outcomes/*.parquet")
    assert Counter(kept.select("outcome").fetchall()) == {("done",): 8}


def test_what_kombo_shows_as_settled_is_closed_and_may_come_again_if_it_is_reopened(
    demo: DemoKombo, integration: str, reason: dict[str, Any], lake: Path
) -> None:
    reject_stale(integration, reason["id"], 30, limit=2, approval="auto")
    claims = Claims(open_store(str(lake)), rejections_folder(integration), "", "reader")
    assert len(claims.open()) == 2
    demo.sync()
    reject_stale(integration, reason["id"], 30, limit=2)
    assert claims.open() == set()


def test_a_filter_that_the_ats_lacks_does_not_reject_the_hired(
    demo: DemoKombo, integration: str, reason: dict[str, Any]
) -> None:
    demo.settings(integration, unsupported_filters={"applications": ["outcomes"]})
    reject_stale(integration, reason["id"], 30, limit=5, approval="auto")
    hired = {one["id"] for one in demo.records(integration, "applications") if one["outcome"] != "PENDING"}
    assert len(demo.writes) == 5
    assert not hired & {write["ids"][0] for write in demo.writes}
    assert "no longer pending" in newest("kombo-reject-stale-plan")[1]


def test_an_unknown_row_fails_the_run_comes_first_and_can_be_released(
    demo: DemoKombo, integration: str, reason: dict[str, Any]
) -> None:
    demo.fault("drop", path=REJECT, skip=2)
    with pytest.raises(BatchFailed, match="4 done, 1 unknown"):
        reject_stale(integration, reason["id"], 30, limit=5, approval="auto", note="about Ada Lovelace")
    rows, text = report()
    assert [row["outcome"] for row in rows] == ["unknown"] + ["done"] * 4
    assert "To check one" in text
    assert "Lovelace" not in f"{rows}{text}"
    first = rows[0]["release"]
    assert first not in [row["application"] for row in newest_plan(integration, reason)]
    reject_stale(integration, reason["id"], 30, limit=1, release=[first])
    assert [row["application"] for row in newest("kombo-reject-stale-plan")[0]] == [first]


def newest_plan(integration: str, reason: dict[str, Any]) -> list[dict[str, Any]]:
    reject_stale(integration, reason["id"], 30, limit=500)
    return newest("kombo-reject-stale-plan")[0]


def test_a_release_of_what_needs_none_is_an_error(demo: DemoKombo, integration: str, reason: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no open claim"):
        reject_stale(integration, reason["id"], 30, release=[pending(demo)[0]["id"]])
    with pytest.raises(ValueError, match="just looked"):
        reject_stale(integration, reason["id"], 30, release=[pending(demo)[0]["id"]], approval="auto")


def test_an_unknown_reason_lists_the_choices(demo: DemoKombo, integration: str, reason: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=str(reason["id"])):
        reject_stale(integration, "no such reason")


def test_an_ats_without_reasons_is_refused(demo: DemoKombo, integration: str) -> None:
    demo.settings(integration, models={"rejection_reasons": "INTEGRATION.MODEL_NOT_AVAILABLE"})
    with pytest.raises(ValueError, match="has no rejection reasons"):
        reject_stale(integration, "whatever")


def test_asking_without_a_deployment_is_refused_before_anything_is_read(demo: DemoKombo, integration: str) -> None:
    with pytest.raises(ValueError, match="needs a deployment"):
        reject_stale(integration, "whatever", approval="ask")
    assert demo.requests == []


@pytest.mark.parametrize("decision", ["abort", "reject"])
def test_abort_and_another_number_send_nothing(
    demo: DemoKombo, integration: str, reason: dict[str, Any], monkeypatch: pytest.MonkeyPatch, decision: str
) -> None:
    answer = ApproveRejections(applications=3 if decision == "abort" else 4, decision=decision)
    monkeypatch.setattr("flows.reject_stale.can_ask", lambda _: None)
    monkeypatch.setattr(approvals, "suspend_flow_run", lambda **_: answer)
    with pytest.raises(NotApproved, match="nothing was sent"):
        reject_stale(integration, reason["id"], 30, limit=3, approval="ask")
    assert demo.writes == []


def test_a_run_that_is_set_going_without_an_answer_sends_nothing(
    demo: DemoKombo, integration: str, reason: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unanswered(*, wait_for_input: type[ApproveRejections], **_: Any) -> Any:
        return wait_for_input()  # as Prefect does then

    monkeypatch.setattr("flows.reject_stale.can_ask", lambda _: None)
    monkeypatch.setattr(approvals, "suspend_flow_run", unanswered)
    with pytest.raises(NotApproved, match="was not answered"):
        reject_stale(integration, reason["id"], 30, limit=3, approval="ask")
    assert demo.writes == []


def test_fewer_than_7_days_are_refused(demo: DemoKombo, integration: str) -> None:
    with pytest.raises(Exception, match="stale_after_days"):
        reject_stale(integration, "whatever", 6)


def test_a_store_without_exclusive_creates_is_refused_for_writes(
    demo: DemoKombo, integration: str, reason: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder whose file system silently overwrites, as some object stores do.
    real = FolderStore.put
    monkeypatch.setattr(FolderStore, "put", lambda self, key, file, *, expect="*": real(self, key, file, expect="*"))
    with pytest.raises(LakeRefused, match="exclusive create"):
        reject_stale(integration, reason["id"], 30, approval="auto")
    assert demo.writes == []


def test_a_lake_in_memory_is_refused_for_writes(demo: DemoKombo, integration: str, reason: dict[str, Any]) -> None:
    with pytest.raises(LakeRefused, match="gone with this process"):
        reject_stale(integration, reason["id"], 30, approval="auto", lake="memory://lake")
    assert demo.writes == []


def test_a_retry_that_does_not_find_its_plan_any_more_sends_nothing(
    demo: DemoKombo, integration: str, reason: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (run,) = [reject_stale(integration, reason["id"], 30, limit=2, return_state=True).state_details.flow_run_id]
    again = _Runtime(str(run), run_count=2)
    monkeypatch.setattr("flows.reject_stale.runtime", again)
    monkeypatch.setattr("tasks.batches.runtime", again)
    with pytest.raises(LakeRefused, match="gone with the container"):
        reject_stale(integration, reason["id"], 30, limit=2, approval="auto", lake=str(tmp_path / "another"))
    assert demo.writes == []


def test_a_retry_after_a_crash_goes_on_with_its_own_plan_and_repeats_nothing(
    demo: DemoKombo, integration: str, reason: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = str(uuid4())
    monkeypatch.setattr("flows.reject_stale.runtime", _Runtime(run_id))
    real = applying.send
    count = iter(range(100))

    def crashing(*given: Any) -> Any:
        if next(count) == 6:
            raise MemoryError
        return real(*given)

    monkeypatch.setattr(applying, "send", crashing)
    with pytest.raises(MemoryError):
        reject_stale(integration, reason["id"], 30, limit=12, approval="auto")
    monkeypatch.setattr(applying, "send", real)
    before = len(demo.writes)
    assert 0 < before < 12
    with pytest.raises(BatchFailed, match="11 done, 1 unknown"):  # it was claimed when the process went down
        reject_stale(integration, reason["id"], 30, limit=12, approval="auto")
    times = Counter(write["ids"][0] for write in demo.writes)
    assert (len(times), max(times.values())) == (11, 1)


def test_a_suspended_run_stops_sending_and_goes_on_when_it_is_resumed(
    demo: DemoKombo, integration: str, reason: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "WATCH", 0.05)
    demo.configure(action_latency_ms=30)
    real = applying.send
    runs: list[str] = []

    def suspending(row: Any, integration: str, run_id: str, sender: Any) -> Any:
        if not runs:
            runs.append(run_id)
            with get_client(sync_client=True) as client:
                client.set_flow_run_state(UUID(run_id), Suspended(timeout_seconds=300), force=True)
        return real(row, integration, run_id, sender)

    monkeypatch.setattr(applying, "send", suspending)
    with pytest.raises(Pause):
        reject_stale(integration, reason["id"], 30, limit=300, approval="auto")
    rejected = len(demo.writes)
    assert 0 < rejected < 300
    assert f"300 rows: {rejected} done, {300 - rejected} not reached; stopped: the run was suspended" in report()[1]
    demo.configure(action_latency_ms=None)
    monkeypatch.setattr(batches, "WATCH", 60.0)  # that run stays suspended: it is this test that goes on with its plan
    monkeypatch.setattr("flows.reject_stale.runtime", _Runtime(runs[0]))
    assert reject_stale(integration, reason["id"], 30, limit=300, approval="auto")["done"] == 300
    assert Counter(Counter(write["ids"][0] for write in demo.writes).values()) == {1: 300}


def test_an_approved_plan_that_has_expired_is_not_carried_out(
    demo: DemoKombo, integration: str, reason: dict[str, Any], monkeypatch: pytest.MonkeyPatch, lake: Path
) -> None:
    what = rejections(demo, 3)
    old = plan(integration, what.rows, timedelta(hours=24, seconds=1))
    run_id = str(uuid4())
    plans.keep(open_store(str(lake)), run_id, old)
    plans.approve(open_store(str(lake)), run_id, old)
    monkeypatch.setattr("flows.reject_stale.runtime", _Runtime(run_id))
    monkeypatch.setattr("flows.reject_stale.can_ask", lambda _: None)
    for approval in ("ask", "auto"):
        with pytest.raises(PlanExpired, match="nothing was sent"):
            reject_stale(integration, reason["id"], 30, approval=approval)
    assert demo.writes == []


def test_plan_claims_outcomes_and_the_file_itself_may_be_on_s3(
    demo: DemoKombo, integration: str, reason: dict[str, Any], bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = bucket.new_url()
    names = {"key": "AWS_ACCESS_KEY_ID", "secret": "AWS_SECRET_ACCESS_KEY", "endpoint_url": "AWS_ENDPOINT_URL"}
    for option, name in names.items():
        monkeypatch.setenv(name, bucket.options[option])
    chosen = [reject_stale(integration, reason["id"], 30, limit=3, approval="auto", lake=url) for _ in range(2)]
    assert [one["done"] for one in chosen] == [3, 3]
    lines = [f"add_application_note,{one['id']},still interested?" for one in pending(demo)[:2]]
    bucket.client().pipe_file(f"{url}/rows.csv", "\n".join(["operation,application_id,content", *lines]).encode())
    for _ in range(2):
        assert apply_batch(integration, f"{url}/rows.csv", "auto", lake=url)["done"] == 2
    assert Counter(Counter(str(write["ids"] + [write["operation"]]) for write in demo.writes).values()) == {1: 8}
    assert len(bucket.client().glob(f"{url}/batches/plan-*/outcomes/*.parquet")) == 4
    s3fs.S3FileSystem.clear_instance_cache()  # it would keep this environment's address


class _Runtime:
    """What `prefect.runtime` says in a run that is tried again."""

    def __init__(self, run_id: str, run_count: int = 1) -> None:
        self.flow_run = type("Run", (), {"id": run_id, "run_count": run_count})
        self.deployment = type("Deployment", (), {"id": None})


def rows_file(path: Path, lines: list[str]) -> str:
    path.write_text("operation;application_id;content;stage_id;candidate_id;tag.name\n" + "\n".join(lines) + "\n")
    return str(path)


@pytest.fixture
def file(demo: DemoKombo, integration: str, tmp_path: Path) -> str:
    first, second, *_ = pending(demo)
    jobs = {job["id"]: job for job in demo.records(integration, "jobs")}
    stage = jobs[first["job_id"]]["stages"][-1]["id"]
    lines = [
        f"add_application_note;{first['id']};about Ada Lovelace;;;",
        f"move_application_to_stage;{first['id']};;{stage};;",
        f"add_candidate_tag;;;;{second['candidate_id']};silver",
        f"add_application_note;{first['id']};about Ada Lovelace;;;",
    ]
    return rows_file(tmp_path / "rows.csv", lines)


def test_a_file_is_carried_out_once_row_by_row(demo: DemoKombo, integration: str, file: str) -> None:
    assert apply_batch(integration, file)["planned"] == 3
    assert demo.writes == []
    assert apply_batch(integration, file, "auto")["done"] == 3
    assert apply_batch(integration, file, "auto")["done"] == 3
    operations = Counter(write["operation"] for write in demo.writes)
    assert operations == {"add_application_note": 1, "move_application_to_stage": 1, "add_candidate_tag": 1}
    rows, text = newest("kombo-apply-batch-report")
    assert "Lovelace" not in f"{rows}{text}{newest('kombo-apply-batch-plan')}"
    assert "1 lines repeat another" in newest("kombo-apply-batch-plan")[1]
    assert "1 `add_application_note`" in newest("kombo-apply-batch-plan")[1]
    assert "Sent before, and not sent again:** 3 done" in newest("kombo-apply-batch-plan")[1]


def test_every_operation_of_a_file_reaches_the_ats_once_and_as_written(
    demo: DemoKombo, integration: str, tmp_path: Path
) -> None:
    given = every_operation(demo, integration)
    columns = sorted({name for row in given for name in row})
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-16") as file:
        writer = csv.DictWriter(file, columns, delimiter=";", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(given)
    for _ in range(2):
        assert apply_batch(integration, str(tmp_path / "rows.csv"), "auto")["done"] == len(given)
    found = {write["operation"]: write for write in demo.writes}
    assert sorted(found) == sorted(row["operation"] for row in given)
    assert len(demo.writes) == len(given)
    assert found["add_application_note"]["body"]["content"] == "Grüße;\n“noch da”?"
    assert found["create_application"]["body"]["candidate"]["salary_expectations"]["amount"] == 50_000
    assert found["create_application"]["body"]["gdpr_consent"]["given"] is True
    for row in given:
        assert found[row["operation"]]["ids"] == [
            row[name] for name in ("application_id", "candidate_id", "job_id") if name in row
        ]


def every_operation(demo: DemoKombo, integration: str) -> list[dict[str, Any]]:
    """A row for each operation that a batch has to know, each on an application of its own."""
    found = iter(pending(demo))
    users = [one["id"] for one in demo.records(integration, "users", include_deleted=False)]
    jobs = {job["id"]: job for job in demo.records(integration, "jobs")}
    reasons = demo.records(integration, "rejection_reasons", include_deleted=False)
    moved, scheduled = next(found), next(found)
    interviews = demo.records(integration, "interviews", include_deleted=False)
    known = {one["id"] for one in demo.records(integration, "applications", include_deleted=False)}
    planned = next(one for one in interviews if one["application_id"] in known)
    talk = {
        "title": "Talk",
        "start_time": "2027-03-29T01:00:00Z",
        "end_time": "2027-03-29T02:00:00Z",
        "interviewer_user_ids": f"{users[0]}, {users[1]}",
        "organizer_user_id": users[0],
        "location": '{"type": "VIRTUAL"}',
    }
    person = {"candidate.first_name": "A", "candidate.last_name": "B"}
    offered = next(job for job in jobs.values() if job["status"] == "OPEN" and not job["remote_deleted_at"])
    rows: list[dict[str, Any]] = [
        {"application_id": moved["id"], "stage_id": jobs[moved["job_id"]]["stages"][-1]["id"]},
        {"candidate_id": next(found)["candidate_id"], "tag.name": "silver"},
        {"candidate_id": next(found)["candidate_id"], "tag.name": "gold"},
        {"application_id": next(found)["id"], "content": "Grüße;\n“noch da”?"},
        {"application_id": next(found)["id"], "label": "Score", "url": "https://x.example/1"},
        {
            "job_id": offered["id"],
            **person,
            "candidate.email_address": "a@b.example",
            "gdpr_consent.given": "TRUE",
            "candidate.salary_expectations": '{"period": "YEAR", "amount": 50000}',
        },
        {"application.job_id": offered["id"], **person, "candidate.email_address": "c@b.example"},
        {
            "application_id": next(found)["id"],
            "attachment.name": "cv.pdf",
            "attachment.type": "CV",
            "attachment.data_url": "https://files.example/cv.pdf",
        },
        {"tracked_at": "2026-03-29T01:00:00Z", "greenhouse": '{"id_type": "application_id", "application_id": "7"}'},
        {"application_id": scheduled["id"], **talk},
        {"application_id": planned["application_id"], "interview_id": planned["id"], **talk},
        {"application_id": next(found)["id"], "rejection_reason_id": reasons[0]["id"]},
    ]
    names = (
        *("move_application_to_stage", "add_candidate_tag", "remove_candidate_tag", "add_application_note"),
        *("add_application_result_link", "create_application", "create_candidate", "add_application_attachment"),
        *("import_tracked_application", "create_interview", "update_interview", "reject_application"),
    )
    return [{"operation": name, **row} for name, row in zip(names, rows, strict=True)]


def test_a_job_or_stage_that_is_not_there_is_a_problem_before_anything_is_sent(
    demo: DemoKombo, integration: str, tmp_path: Path
) -> None:
    job = demo.records(integration, "jobs", include_deleted=False)[0]
    person = "A;B;a@b.example"
    (tmp_path / "rows.csv").write_text(
        "operation;job_id;stage_id;candidate.first_name;candidate.last_name;candidate.email_address\n"
        f"create_application;{'2' * 24};;{person}\n"
        f"create_application;{job['id']};{'2' * 24};{person}\n"
        f"create_application;{job['id']};{job['stages'][0]['id']};{person}\n"
    )
    with pytest.raises(InvalidRows) as caught:
        apply_batch(integration, str(tmp_path / "rows.csv"), "auto")
    assert [line for line, _ in caught.value.problems] == [2, 3]
    assert demo.writes == []


def test_the_same_content_under_another_name_is_sent_once_more(demo: DemoKombo, integration: str, file: str) -> None:
    apply_batch(integration, file, "auto")
    apply_batch(integration, file, "auto", batch="once more")
    assert len(demo.writes) == 6


def test_one_wrong_row_sends_none_and_every_problem_is_told(
    demo: DemoKombo, integration: str, tmp_path: Path, lake: Path
) -> None:
    first, *_ = pending(demo)
    lines = [
        f"add_application_note;{first['id']};fine;;;",
        "add_application_note;Ada Lovelace;x;;;",
        f"move_application_to_stage;{first['id']};;{'2' * 24};;",
        f"add_application_note;{'3' * 24};x;;;",
    ]
    with pytest.raises(ValueError, match="3 problems") as caught:
        apply_batch(integration, rows_file(tmp_path / "rows.csv", lines), "auto")
    assert [f"line {n}" in str(caught.value) for n in (2, 3, 4, 5)] == [False, True, True, True]
    assert "Lovelace" not in str(caught.value)
    assert demo.writes == []
    assert len(newest("kombo-apply-batch-problems")[0]) == 3


def test_the_forms_explain_every_parameter() -> None:
    for flow in (reject_stale, apply_batch):
        properties = flow.parameters.properties
        assert all(field.get("description") for field in properties.values())
    assert reject_stale.parameters.properties["stale_after_days"]["minimum"] == 7
    assert reject_stale.parameters.properties["approval"]["enum"] == ["dry-run", "ask", "auto"]
