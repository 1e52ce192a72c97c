"""Files of rows: read however they were written, and refused as a whole with every reason."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs

from tasks.lake import files
from tasks.lake.errors import LakeRefused, LakeUnavailable
from tasks.lake.plans import plan_id
from tasks.lake.sheets import read_sheet
from tasks.rows import InvalidRows, parse
from tests.servers import Bucket

INTEGRATION = "workday:HWUTwvyx2wLoSUHphiWVrp28"
ONE, TWO, STAGE = "FDUnFHR1VbK83MSaj1G8xUBs", "H77fDF8uvEzGNPRubiz5DvQ7", "8x3YKRDcuRnwShdh96ShBNn1"
TEXT = f"operation,application_id,content\r\nadd_application_note,{ONE},Grüße “noch da”?\r\n"


def rows(path: Path, content: bytes | str) -> Any:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return parse(read_sheet(str(path)), INTEGRATION)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_any_usual_encoding_is_understood(file: Path, encoding: str) -> None:
    found, problems = rows(file, TEXT.encode(encoding))
    assert problems == []
    assert json.loads(found[0].arguments)["content"] == "Grüße “noch da”?"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_separators_and_line_ends_make_no_difference(file: Path, separator: str, end: str) -> None:
    found, problems = rows(file, TEXT.replace(",", separator).replace("\r\n", end))
    assert problems == []
    assert json.loads(found[0].arguments) == {"application_id": ONE, "content": "Grüße “noch da”?"}


def test_quoted_cells_may_hold_separators_and_lines_and_count_as_lines(file: Path) -> None:
    text = f'operation;application_id;content\nadd_application_note;{ONE};"a;b\nc ""d"""\nadd_application_note;x;y\n'
    found, problems = rows(file, text)
    assert json.loads(found[0].arguments)["content"] == 'a;b\nc "d"'
    assert [line for line, _ in problems] == [4]


def test_excels_own_first_line_is_understood(file: Path) -> None:
    found, problems = rows(file, "sep=;\r\n" + TEXT.replace(",", ";"))
    assert problems == []
    assert found[0].lines == "3"


def test_dotted_columns_and_json_say_the_same(file: Path) -> None:
    names = "candidate.first_name,candidate.last_name,candidate.email_address"
    dotted = f"operation,job_id,{names}\ncreate_application,{ONE},A,B,a@b.co\n"
    person = '{""last_name"": ""B"", ""first_name"": ""A"", ""email_address"": ""a@b.co""}'
    whole = f'operation,job_id,candidate\ncreate_application,{ONE},"{person}"\n'
    arguments = {"job_id": ONE, "candidate": {"first_name": "A", "last_name": "B", "email_address": "a@b.co"}}
    column = 'operation,arguments\ncreate_application,"' + json.dumps(arguments).replace('"', '""') + '"\n'
    found = [rows(file, text) for text in (dotted, whole, column)]
    assert all(problems == [] for _, problems in found)
    assert len({one[0].key for one, _ in found}) == 1


OPERATIONS: dict[str, dict[str, Any]] = {
    "move_application_to_stage": {"application_id": ONE, "stage_id": STAGE},
    "add_candidate_tag": {"candidate_id": ONE, "tag.name": "x"},
    "remove_candidate_tag": {"candidate_id": ONE, "tag.name": "x"},
    "add_application_note": {"application_id": ONE, "content": "x"},
    "add_application_result_link": {
        "application_id": ONE,
        "label": "Score",
        "url": "https://x.example/1",
        "details.custom_field_name_prefix": "Acme:",
        "details.attributes": '[{"key": "Score", "value": "100"}]',
    },
    "create_application": {
        "job_id": ONE,
        "candidate.first_name": "A",
        "candidate.last_name": "B",
        "candidate.email_address": "a@b.co",
        "gdpr_consent.given": "true",
        "candidate.salary_expectations": '{"period": "YEAR", "amount": 5}',
    },
    "create_candidate": {
        "candidate.first_name": "A",
        "candidate.last_name": "B",
        "candidate.email_address": "a@b.co",
        "application.job_id": ONE,
    },
    "add_application_attachment": {
        "application_id": ONE,
        "attachment.name": "cv.pdf",
        "attachment.type": "CV",
        "attachment.data_url": "https://files.example/cv.pdf",
    },
    "import_tracked_application": {
        "tracked_at": "2026-03-29T01:00:00Z",
        "recruitee.id_type": "placement_id",
        "recruitee.placement_id": "7",
    },
    "create_interview": {
        "application_id": ONE,
        "title": "Talk",
        "start_time": "2027-03-29T01:00:00Z",
        "end_time": "2027-03-29T02:00:00Z",
        "interviewer_user_ids": f"{ONE}, {TWO}",
        "organizer_user_id": TWO,
        "location.type": "VIRTUAL",
    },
    "update_interview": {
        "application_id": ONE,
        "interview_id": TWO,
        "title": "Talk",
        "start_time": "2027-03-29T01:00:00Z",
        "end_time": "2027-03-29T02:00:00Z",
        "interviewer_user_ids": ONE,
        "organizer_user_id": TWO,
        "location": '{"type": "VIRTUAL"}',
    },
    "reject_application": {"application_id": ONE, "rejection_reason_id": TWO},
}


def written(given: dict[str, Any]) -> str:
    quoted = ['"' + str(cell).replace('"', '""') + '"' for cell in given.values()]
    return f"{','.join(given)}\n{','.join(quoted)}\n"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_of_the_list_is_taken(file: Path, operation: str) -> None:
    found, problems = rows(file, written({"operation": operation, **OPERATIONS[operation]}))
    assert problems == []
    assert found[0].operation == operation


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_missing_argument_is_noticed_before_anything_is_sent(file: Path, operation: str) -> None:
    for name in OPERATIONS[operation]:
        if name in ("tracked_at", "gdpr_consent.given", "candidate.salary_expectations", "details.attributes"):
            continue
        given = {key: cell for key, cell in OPERATIONS[operation].items() if key != name}
        if operation == "add_application_result_link" and name.startswith("details"):
            continue
        _, problems = rows(file, written({"operation": operation, **given}))
        assert [line for line, _ in problems] == [2], name


def test_all_problems_are_told_at_once_with_their_lines_and_without_values(file: Path) -> None:
    text = (
        "operation,application_id,content,candidate_id,tag.name\n"
        f"add_application_note,{ONE},,,\n"
        f"add_application_note,{ONE},fine,,\n"
        "reject_everybody,,,,\n"
        "add_candidate_tag,,,Ada Lovelace,x\n"
        f"add_candidate_tag,,oops,{ONE},x\n"
        f"add_candidate_tag,,,{ONE},x,surplus\n"
        "get_jobs,,,,\n"
    )
    _, problems = rows(file, text)
    assert [line for line, _ in sorted(problems)] == [2, 4, 5, 6, 7, 8]
    assert "Lovelace" not in str(InvalidRows(problems))
    assert "line 5" in str(InvalidRows(problems))


def test_equal_rows_are_one(file: Path) -> None:
    line = f"add_application_note,{ONE},x\n"
    found, problems = rows(file, f"operation,application_id,content\n{line}add_application_note,{ONE},y\n{line}")
    assert problems == []
    assert [row.lines for row in found] == ["2, 4", "3"]


def test_two_different_rejections_of_one_application_are_a_problem(file: Path) -> None:
    head = "operation,application_id,rejection_reason_id\n"
    _, problems = rows(file, f"{head}reject_application,{ONE},{ONE}\nreject_application,{ONE},{TWO}\n")
    assert [line for line, _ in problems] == [3]


def test_two_files_of_equal_content_are_the_same_plan(tmp_path: Path) -> None:
    lines = [f"add_application_note,{one},x" for one in (ONE, TWO)]
    csv, _ = rows(tmp_path / "a", "operation,application_id,content\n" + "\n".join(lines))
    other, _ = rows(
        tmp_path / "b",
        "\ufeffcontent;operation;application_id\r\n" + f"x;add_application_note;{TWO}\r\n"
        f"x;add_application_note;{ONE}\r\n\r\n",
    )
    records = [{"operation": "add_application_note", "application_id": one, "content": "x"} for one in (ONE, TWO)]
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "c")
    parquet, _ = parse(read_sheet(str(tmp_path / "c")), INTEGRATION)
    assert len({plan_id(INTEGRATION, found, with_seen=False) for found in (csv, other, parquet)}) == 1
    assert plan_id(INTEGRATION, csv, "again", with_seen=False) != plan_id(INTEGRATION, csv, with_seen=False)


def test_parquet_keeps_types(file: Path) -> None:
    start = dt.datetime(2027, 3, 29, 1, tzinfo=dt.UTC)
    record = {
        "operation": "create_interview",
        "application_id": ONE,
        "title": "Talk",
        "start_time": start,
        "end_time": start + dt.timedelta(hours=1),
        "interviewer_user_ids": [ONE],
        "organizer_user_id": TWO,
        "location": {"type": "VIRTUAL", "address": None},
        "content": None,
    }
    pq.write_table(pa.Table.from_pylist([record]), file)
    found, problems = parse(read_sheet(str(file)), INTEGRATION)
    assert problems == []
    assert json.loads(found[0].arguments)["start_time"] == "2027-03-29T01:00:00Z"
    written_as_csv = {name: cell for name, cell in OPERATIONS["create_interview"].items() if not name.startswith("end")}
    same = {**written_as_csv, "end_time": "2027-03-29T02:00:00Z", "interviewer_user_ids": ONE}
    again, _ = rows(file, written({"operation": "create_interview", **same}))
    assert again[0].key == found[0].key


def test_a_number_is_the_same_in_csv_and_parquet(file: Path) -> None:
    given = {"operation": "create_application", **OPERATIONS["create_application"]}
    del given["candidate.salary_expectations"], given["gdpr_consent.given"]
    period, amount = "candidate.salary_expectations.period", "candidate.salary_expectations.amount"
    csv, _ = rows(file, written({**given, period: "YEAR", amount: "50000"}))
    pq.write_table(pa.Table.from_pylist([{**given, period: "YEAR", amount: 50000, "__index_level_0__": 7}]), file)
    parquet, problems = parse(read_sheet(str(file)), INTEGRATION)
    assert problems == []
    assert parquet[0].key == csv[0].key


def test_a_file_of_the_workers_own_is_not_attached(file: Path) -> None:
    given = {"operation": "add_application_attachment", "application_id": ONE, "attachment.name": "x.txt"}
    _, problems = rows(file, written({**given, "attachment.type": "CV", "attachment.path": "/etc/hostname"}))
    assert "data_url" in problems[0][1]


@pytest.mark.parametrize(
    ("content", "line"),
    [("", 1), ("operation\n", 1), ("a,b\n1,2\n", 1), (f'operation,x\n"add_application_note,{ONE}\n', 2)],
)
def test_a_file_without_usable_rows_is_a_problem(file: Path, content: str, line: int) -> None:
    _, problems = rows(file, content)
    assert [one for one, _ in problems][:1] == [line]


def test_a_file_that_is_not_there_is_said_without_its_name(tmp_path: Path) -> None:
    with pytest.raises(LakeRefused) as caught:
        read_sheet(str(tmp_path / "Ada Lovelace.csv"))
    assert "Ada" not in str(caught.value)


def test_a_store_that_does_not_answer_is_told_without_the_files_address() -> None:
    options = {"key": "k", "secret": "s", "endpoint_url": "http://127.0.0.1:1"}
    with pytest.raises(LakeUnavailable) as caught:
        read_sheet("s3://bucket/Ada.csv", {**options, "config_kwargs": {"retries": {"max_attempts": 0}}})
    assert "Ada" not in f"{caught.value}{caught.value.__cause__}"


def test_neither_is_the_address_of_a_file_to_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LakeUnavailable) as caught:
        files.size("s3://bucket/Ada.pdf")
    s3fs.S3FileSystem.clear_instance_cache()  # it would keep this environment's address
    assert "Ada" not in f"{caught.value}{caught.value.__cause__}"


def test_a_file_on_s3_is_read(bucket: Bucket) -> None:
    url = f"{bucket.new_url()}/rows.csv"
    bucket.client().pipe_file(url, TEXT.encode("utf-16"))
    assert len(read_sheet(url, bucket.options).lines) == 1


@pytest.mark.parametrize(
    "arguments",
    ['{"application_id": "' + ONE + '", "content": "a", "content": "b"}', "[" * 100_000, '{"content": NaN}', "{"],
)
def test_json_that_may_be_read_in_two_ways_or_not_at_all_is_a_problem(file: Path, arguments: str) -> None:
    _, problems = rows(file, written({"operation": "add_application_note", "arguments": arguments}))
    assert [line for line, _ in problems] == [2]


def test_half_a_character_is_a_problem_and_not_quoted(file: Path) -> None:
    arguments = '{"application_id": "' + ONE + '", "content": "Ada \\ud800"}'
    _, problems = rows(file, written({"operation": "add_application_note", "arguments": arguments}))
    assert [line for line, _ in problems] == [2]
    assert "ud800" not in problems[0][1]


def test_a_file_on_another_store_is_read(file: Path) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe_file("/batches/rows.csv", TEXT.encode())
    assert len(read_sheet("memory://batches/rows.csv").lines) == 1


def test_ten_thousand_rows_are_read(file: Path) -> None:
    lines = "".join(f"add_application_note,{ONE},number {number}\n" for number in range(10_000))
    found, problems = rows(file, f"operation,application_id,content\n{lines}")
    assert (len(found), problems) == (10_000, [])
