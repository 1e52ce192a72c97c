"""Files against the demo: up and down again, evil names, lying types, links that are over."""

from __future__ import annotations

import base64
import tracemalloc
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.demo.server import DemoProcess
from tasks.attachments import download_attachment
from tasks.kombo.errors import BadAnswer, RequestRefused
from tests.contract.ats import FILE, PDF, Ats, Record, arguments_of


@pytest.mark.parametrize("of", ["application", "candidate"])
def test_a_file_goes_up_and_comes_down_again(ats: Ats, tmp_path: Path, lake: Path, of: str) -> None:
    content = PDF * 40_000
    (tmp_path / "cv.bin").write_bytes(content)
    name: Any = f"add_{of}_attachment"
    listing: Any = f"get_{of}_attachments"
    owner = {key: value for key, value in arguments_of(name, ats).items() if key != "attachment"}
    before = len(ats.call(listing, **owner))
    ats.call(name, **owner, attachment={"name": "Ada.pdf", "type": "CV", "path": str(tmp_path / "cv.bin")})
    row = ats.call(listing, **owner)[before]
    assert (row["file_name"], row["type"], row["content_type"]) == ("Ada.pdf", "CV", "application/pdf")
    place = download_attachment.fn(integration=ats.integration, attachment=row, lake=str(lake))
    assert Path(place).read_bytes() == content
    assert "Ada" not in place


EVIL = ["../../../../tmp/evil", "/etc/passwd", "C:\\evil.exe", "a\x00b", ".", "", "x" * 5000, "\u202efdp.exe", "a/b/c"]


@pytest.mark.parametrize("evil", EVIL)
def test_a_file_is_kept_where_we_say_whatever_it_is_called(ats: Ats, lake: Path, evil: str) -> None:
    owner = ats.pending["id"]
    row = {"file_name": evil, "type": "OTHER", "content_type": "text/plain"}
    ats.kombo.attach(ats.integration, owner, row)
    found = ats.call("get_application_attachments", application_id=owner)[-1]
    assert found["file_name"] == evil
    place = download_attachment.fn(integration=ats.integration, attachment=found, lake=str(lake))
    folder = lake / "attachments" / "integration=greenhouse--Demo1111111111111111Aaaa"
    assert Path(place) == folder / f"{found['id']}.txt"
    assert [path for path in lake.rglob("*") if path.is_file() and path.name != ".lock"] == [Path(place)]
    assert [path.name for path in lake.parent.iterdir()] == ["lake"]


@pytest.mark.parametrize(
    ("announced", "served", "text"),
    [
        ("application/pdf", "text/html", "%PDF-1.7"),
        ("application/pdf", "application/pdf", "<html>log in"),
        ("text/plain", "application/x-msdownload", "MZ"),
        ("image/png", "image/jpeg", "\x89PNG"),
        ("text/plain", "text/plain", ""),
    ],
)
def test_a_file_that_is_not_what_was_announced_is_refused(
    ats: Ats, lake: Path, announced: str, served: str, text: str
) -> None:
    owner = ats.pending["id"]
    row = {"file_name": "cv.pdf", "type": "CV", "content_type": announced}
    ats.kombo.attach(ats.integration, owner, row, text=text, served_type=served)
    found = ats.call("get_application_attachments", application_id=owner)[-1]
    with pytest.raises(BadAnswer):
        download_attachment.fn(integration=ats.integration, attachment=found, lake=str(lake))
    assert not lake.exists()


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_link_that_is_over_is_refused_without_naming_it(ats: Ats, lake: Path, status: int) -> None:
    owner = ats.pending["id"]
    ats.kombo.attach(ats.integration, owner, {"file_name": "Ada.txt"}, status=status)
    found = ats.call("get_application_attachments", application_id=owner)[-1]
    with pytest.raises(RequestRefused) as caught:
        download_attachment.fn(integration=ats.integration, attachment=found, lake=str(lake))
    assert found["data_url"] not in str(caught.value)
    assert not lake.exists()


@pytest.mark.parametrize(
    "attachment",
    [
        {**FILE, "content_type": "image/png"},
        {**FILE, "type": "OTHER", "data": base64.b64encode(b"x" * 2_000_001).decode()},
        {**FILE, "type": "COVER_LETTER", "data": base64.b64encode(b"x" * 10_000_001).decode()},  # its limit is unknown
    ],
)
def test_a_file_that_the_ats_does_not_take_is_not_sent(ats: Ats, attachment: Record) -> None:
    arguments = arguments_of("add_application_attachment", ats) | {"attachment": attachment}
    with pytest.raises(ValueError, match=r"attachment\[0\]"):
        ats.call("add_application_attachment", **arguments)
    assert ats.asked("POST") == 0
    assert ats.asked("GET") == 1


def test_a_large_file_is_in_memory_once_from_the_disk_to_the_wire(tmp_path: Path) -> None:
    size = 9_000_000
    (tmp_path / "cv").write_bytes(PDF + b"x" * (size - len(PDF)))
    rule = {"is_supported": True, "max_file_size_bytes": size, "accepted_mime_types": None}
    with DemoProcess() as kombo:  # not in this process, whose memory is measured
        ats = Ats(kombo)
        kombo.settings(ats.integration, attachment_limits={"add_application_attachment": {"types": {"CV": rule}}})
        arguments = arguments_of("add_application_attachment", ats)
        ats.call("add_application_attachment", **arguments)
        arguments["attachment"] = {"name": "Ada.pdf", "type": "CV", "path": str(tmp_path / "cv")}
        kombo.fault("error", method="POST", code="PLATFORM.CONCURRENCY_LIMIT_EXCEEDED", status=429)  # sent twice
        tracemalloc.start()
        try:
            ats.call("add_application_attachment", **arguments)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        found = ats.call("get_application_attachments", application_id=arguments["application_id"])[-1]
        assert len(httpx.get(found["data_url"], trust_env=False).content) == size
    assert peak < 1.5 * size * 4 / 3
