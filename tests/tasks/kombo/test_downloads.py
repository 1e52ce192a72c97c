"""Fetching a file behind a link: what happens on the way."""

from __future__ import annotations

import io
import socket

import pytest

from tasks.kombo.downloads import download
from tasks.kombo.errors import BadAnswer, RequestRefused, Unavailable
from tests.tasks.kombo.stand_ins import Step, garbage, hang_up, http, loopback

PDF = b"%PDF-1.7"


def fetch(*steps: Step, most: int = 100) -> bytes:
    """Download from a server that follows a script."""
    file = io.BytesIO()
    with loopback(*steps) as server:
        assert download(server.url, file, content_type="application/pdf", most=most) == len(file.getvalue())
    return file.getvalue()


def test_a_redirect_is_followed() -> None:
    file = io.BytesIO()
    storage = loopback(http(PDF, Content_Type="application/pdf"))
    with storage as there, loopback(http(b"", "302 Found", Location=there.url)) as links:
        download(links.url, file, content_type="application/pdf")
    assert file.getvalue() == PDF


def test_a_redirect_out_of_https_is_refused() -> None:
    with pytest.raises(ValueError, match="https"):
        fetch(http(b"", "302 Found", Location="http://files.example/ada"))


def test_redirects_come_to_an_end() -> None:
    with pytest.raises(BadAnswer, match="without end"):
        fetch(http(b"", "302 Found", Location="/again"))


def cut_off(connection: socket.socket) -> bool:
    """Promise more than comes."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nContent-Length: 1000\r\n\r\n"
    connection.sendall(head + PDF)
    return False


@pytest.mark.parametrize("step", [hang_up, cut_off, garbage])
def test_a_file_that_is_lost_on_its_way_may_come_later(step: Step) -> None:
    with pytest.raises(Unavailable, match="lost") as lost:
        fetch(step)
    assert "Lovelace" not in str(lost.value)


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "204 No Content"])
def test_a_link_that_is_not_accepted_is_not_tried_again(status: str) -> None:
    with pytest.raises(RequestRefused):
        fetch(http(b"", status))


@pytest.mark.parametrize("kind", ["application/pdf", "APPLICATION/PDF", "application/pdf; name=x"])
def test_a_content_type_is_compared_without_case_and_parameters(kind: str) -> None:
    assert fetch(http(PDF, Content_Type=kind)) == PDF


def test_a_file_may_be_as_large_as_allowed() -> None:
    assert fetch(http(PDF, Content_Type="application/pdf"), most=len(PDF)) == PDF
    with pytest.raises(BadAnswer, match="larger"):
        fetch(http(PDF, Content_Type="application/pdf"), most=len(PDF) - 1)
