"""Files: what is checked before an upload, how they travel, and what a download refuses."""

from __future__ import annotations

import copy
import json
import tracemalloc
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tasks import attachments
from tasks.applications import add_application_attachment
from tasks.attachments import download_attachment
from tasks.candidates import add_candidate_attachment
from tasks.jobs import create_application
from tasks.kombo.errors import BadAnswer, NotOffered, RequestRefused, Unavailable
from tasks.lake.errors import LakeError, LakeRefused
from tests.contract.cases import ID
from tests.contract.server import INTEGRATION, LIMITS, Asked, Kombo, content_of, failure, success, usual

PDF = b"%PDF-1.7 Ada Lovelace"
CANDIDATE = {"first_name": "Ada", "last_name": "Lovelace", "email_address": "ada@lovelace.example"}
ROW = {"id": ID, "file_name": "../../Ada.pdf", "content_type": "application/pdf"}


def upload(contract: Kombo, **attachment: Any) -> list[str]:
    """Attach a CV to an application."""
    return add_application_attachment.fn(
        integration=INTEGRATION,
        application_id=ID,
        attachment={"name": "cv.pdf", "type": "CV", **attachment},
        credentials=contract.credentials,
    )


def limit(contract: Kombo, action: str = "ats_add_application_attachment", **rule: Any) -> None:
    """Have an action say something else about CVs."""
    limits = copy.deepcopy(LIMITS)
    limits["attachment_restrictions"]["types"]["CV"] |= rule  # type: ignore[index]
    contract.answers[f"GET /ats/actions/{action}"] = lambda _: success(limits)


def download(contract: Kombo, lake: Path, **row: Any) -> Path:
    """Download the attachment that the server has as /file."""
    link = contract.url.removesuffix("/v1") + "/file"
    return Path(
        download_attachment.fn(integration=INTEGRATION, attachment={**ROW, "data_url": link, **row}, lake=str(lake))
    )


def test_a_file_is_uploaded_from_a_path(contract: Kombo, tmp_path: Path) -> None:
    (tmp_path / "Ada.bin").write_bytes(PDF)
    upload(contract, path=str(tmp_path / "Ada.bin"))
    assert content_of(contract.sent[0]) == PDF
    assert contract.sent[0].body["attachment"].keys() == {"name", "type", "content_type", "data"}
    assert contract.flaws == []


def test_a_file_is_uploaded_from_any_fsspec_url(contract: Kombo) -> None:
    with fsspec.open("memory://cvs/ada.pdf", "wb") as file:
        file.write(PDF)
    upload(contract, path="memory://cvs/ada.pdf")
    assert content_of(contract.sent[0]) == PDF


@pytest.mark.parametrize("size", [3 * 2**18 - 1, 3 * 2**18, 3 * 2**18 + 1, 1])
def test_base64_is_right_wherever_the_chunks_end(contract: Kombo, tmp_path: Path, size: int) -> None:
    limit(contract, max_file_size_bytes=10**7)
    content = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "cv").write_bytes(content[:size])
    upload(contract, path=str(tmp_path / "cv"))
    assert content_of(contract.sent[0]) == content[:size]


def test_a_large_file_is_in_memory_once(tmp_path: Path) -> None:
    size = 6_000_000
    (tmp_path / "cv").write_bytes(b"x" * size)
    body = {"attachment": {"data": attachments.Content(str(tmp_path / "cv"), size)}}
    tracemalloc.start()
    try:
        encoded = attachments.encoded(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.4 * len(encoded)


def test_the_content_type_is_guessed_from_the_name(contract: Kombo, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(PDF)
    upload(contract, path=str(tmp_path / "x"))
    assert contract.sent[0].body["attachment"]["content_type"] == "application/pdf"


def test_a_name_that_does_not_tell_the_content_type_is_refused(contract: Kombo, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(PDF)
    with pytest.raises(ValueError, match="content_type"):
        upload(contract, name="Ada Lovelace", path=str(tmp_path / "x"))
    assert contract.asked == []


@pytest.mark.parametrize(
    ("rule", "attachment", "says"),
    [
        ({"max_file_size_bytes": 2}, {}, "2 bytes a file, this one has 3"),
        ({"accepted_mime_types": ["text/plain", "image/*"]}, {}, "only text/plain, image"),
        ({"is_supported": False}, {}, "takes no attachments of type CV"),
        ({}, {"type": "COVER_LETTER"}, "takes no attachments of type COVER_LETTER"),
    ],
)
def test_what_the_ats_does_not_take_is_not_uploaded(
    contract: Kombo, rule: dict[str, Any], attachment: dict[str, Any], says: str
) -> None:
    limit(contract, **rule)
    with pytest.raises(ValueError, match=says):
        upload(contract, content_type="application/pdf", data="QWRh", **attachment)
    assert contract.sent == []


@pytest.mark.parametrize("accepted", [["APPLICATION/PDF"], ["application/*"], ["*/*"], None])
def test_a_content_type_that_the_ats_takes_is_uploaded(contract: Kombo, accepted: list[str] | None) -> None:
    limit(contract, accepted_mime_types=accepted)
    upload(contract, content_type="application/pdf", data="QWRh")
    assert len(contract.sent) == 1


def test_the_total_of_an_applications_files_is_checked(contract: Kombo) -> None:
    limits = {"attachment_restrictions": {"total_size_bytes": 5, "types": {}}}
    contract.answers["GET /ats/actions/ats_create_application"] = lambda _: success(limits)
    with pytest.raises(ValueError, match="5 bytes in all, there are 6"):
        apply(contract, [{"name": "a.pdf", "type": "CV", "content_type": "application/pdf", "data": "QWRh"}] * 2)
    assert contract.sent == []


@pytest.mark.parametrize(("rule", "says"), [({"max_amount": 1}, "at most 1"), ({"min_amount": 3}, "at least 3")])
def test_the_number_of_an_applications_files_is_checked(contract: Kombo, rule: dict[str, Any], says: str) -> None:
    limit(contract, "ats_create_application", **rule)
    with pytest.raises(ValueError, match=says):
        apply(contract, [{"name": "a.pdf", "type": "CV", "content_type": "application/pdf", "data": "QWRh"}] * 2)
    assert contract.sent == []


@pytest.mark.parametrize(
    "limits",
    [
        {"attachment_restrictions": None},
        {},
        {"attachment_restrictions": {"types": {"CV": {"is_supported": True, "max_file_size_bytes": None}}}},
    ],
)
def test_an_unknown_limit_is_not_unlimited(contract: Kombo, tmp_path: Path, limits: dict[str, Any]) -> None:
    contract.answers["GET /ats/actions/ats_add_application_attachment"] = lambda _: success(limits)
    with (tmp_path / "cv").open("wb") as file:
        file.truncate(attachments.UNKNOWN_MOST + 1)
    with pytest.raises(ValueError, match="not known"):
        upload(contract, path=str(tmp_path / "cv"))
    assert contract.sent == []
    (tmp_path / "cv").write_bytes(PDF)
    upload(contract, path=str(tmp_path / "cv"))
    assert len(contract.sent) == 1


def test_the_limits_are_those_of_the_matching_action(contract: Kombo) -> None:
    add_candidate_attachment.fn(
        integration=INTEGRATION,
        candidate_id=ID,
        attachment={"name": "cv.pdf", "type": "CV", "content_type": "application/pdf", "data": "QWRh"},
        credentials=contract.credentials,
    )
    assert contract.asked[0].operation == "GET /ats/actions/ats_add_candidate_attachment"


def test_nothing_is_uploaded_where_the_action_is_not_offered(contract: Kombo) -> None:
    contract.answers["GET /ats/actions/ats_add_application_attachment"] = lambda asked: failure(
        "INTEGRATION.ACTION_DISABLED", 403, asked
    )
    with pytest.raises(NotOffered):
        upload(contract, content_type="application/pdf", data="QWRh")
    assert contract.sent == []


@pytest.mark.parametrize(
    "path", ["/nowhere/Ada Lovelace.pdf", "nothing://Ada Lovelace", "s3:Ada Lovelace", "memory://Ada"]
)
def test_a_file_that_is_not_there_is_refused_without_its_name(contract: Kombo, path: str) -> None:
    with pytest.raises(LakeRefused) as refused:
        upload(contract, path=path)
    assert "Ada" not in str(refused.value)
    assert refused.value.__suppress_context__
    assert contract.asked == []


def test_a_folder_is_no_file(contract: Kombo, tmp_path: Path) -> None:
    with pytest.raises(LakeError):
        upload(contract, path=str(tmp_path))


@pytest.mark.parametrize("now", [b"%PDF", PDF + b"more"])
def test_a_file_that_changed_since_it_was_checked_is_not_uploaded(contract: Kombo, tmp_path: Path, now: bytes) -> None:
    (tmp_path / "cv").write_bytes(PDF)

    def change(asked: Asked) -> Any:
        (tmp_path / "cv").write_bytes(now)
        return usual(asked)

    contract.answers["GET /ats/actions/ats_add_application_attachment"] = change
    with pytest.raises(LakeRefused, match="changed"):
        upload(contract, path=str(tmp_path / "cv"))
    assert contract.sent == []


def test_a_file_that_answers_a_question_is_read_too(contract: Kombo, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"Ada")
    apply(contract, [], [{"question_id": ID, "answer": {"name": "x.pdf", "path": str(tmp_path / "x")}}])
    assert contract.sent[0].body["screening_question_answers"][0]["answer"]["data"] == "QWRh"
    assert contract.flaws == []


def apply(contract: Kombo, files: list[Any], answers: list[Any] | None = None) -> None:
    """Create an application with files."""
    create_application.fn(
        integration=INTEGRATION,
        job_id=ID,
        candidate=CANDIDATE,
        attachments=files,
        screening_question_answers=answers,
        credentials=contract.credentials,
    )


def test_an_attachment_is_downloaded_to_a_place_that_its_name_does_not_decide(contract: Kombo, lake: Path) -> None:
    contract.files["/file"] = (PDF, "Application/PDF; charset=binary")
    place = download(contract, lake)
    assert place.read_bytes() == PDF
    assert place == lake / "attachments" / "integration=workday--HWUTwvyx2wLoSUHphiWVrp28" / f"{ID}.pdf"


@pytest.mark.parametrize("odd", ["../../../etc/passwd", "a/b", ".", "x" * 500])
def test_an_id_that_is_none_cannot_lead_out_of_the_lake(contract: Kombo, lake: Path, odd: str) -> None:
    contract.files["/file"] = (PDF, "application/pdf")
    place = download(contract, lake, id=odd)
    assert place.resolve().parent == lake / "attachments" / "integration=workday--HWUTwvyx2wLoSUHphiWVrp28"


def test_the_key_is_not_sent_to_where_the_file_is(contract: Kombo, lake: Path) -> None:
    contract.files["/file"] = (PDF, "application/pdf")
    download(contract, lake)
    assert "authorization" not in contract.asked[0].headers


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<html>log in", "text/html"),
        (b"<html>log in", "application/pdf"),
        (PDF, "application/octet-stream"),
        (b"", "application/pdf"),
        (b"%PDF-" + b"x" * 2000, "application/pdf"),
    ],
)
def test_what_is_not_the_announced_file_is_refused_and_not_kept(
    contract: Kombo, lake: Path, content: bytes, kind: str
) -> None:
    contract.files["/file"] = (content, kind)
    link = contract.url.removesuffix("/v1") + "/file"
    with pytest.raises(BadAnswer):
        download_attachment.fn(
            integration=INTEGRATION, attachment={**ROW, "data_url": link}, lake=str(lake), max_bytes=1000
        )
    assert not lake.exists()


def test_a_link_that_is_over_is_said_to_be(contract: Kombo, lake: Path) -> None:
    contract.answers["*"] = lambda asked: failure(None, 403, asked)
    with pytest.raises(RequestRefused, match="list the attachments again") as refused:
        download(contract, lake)
    assert "127.0.0.1" not in str(refused.value)


def test_storage_that_fails_may_work_later(contract: Kombo, lake: Path) -> None:
    contract.answers["*"] = lambda asked: failure(None, 503, asked)
    with pytest.raises(Unavailable):
        download(contract, lake)


@pytest.mark.parametrize(
    "link", ["http://files.example/a", "file:///etc/passwd", "https://u:p@files.example/", "", None]
)
def test_only_an_https_link_is_followed(lake: Path, link: str | None) -> None:
    with pytest.raises(ValueError, match="data_url"):
        download_attachment.fn(integration=INTEGRATION, attachment={**ROW, "data_url": link}, lake=str(lake))


def test_the_limits_of_an_action_are_plain_json(contract: Kombo) -> None:
    found = attachments.limits("ats_create_candidate", integration=INTEGRATION, credentials=contract.credentials)
    assert found == json.loads(json.dumps(LIMITS))
