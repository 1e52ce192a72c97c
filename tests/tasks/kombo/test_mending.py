"""Text that cannot be decoded is mended, so that one such name does not fail a page."""

import json

import pytest

from tasks.kombo.answers import mended


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb'"\ud800x"', "\ufffdx"),
        (rb'"\udc00"', "\ufffd"),
        (rb'"\uD83D"', "\ufffd"),
        (rb'"\ud800\ud83d\ude00"', "\ufffd\U0001f600"),
        (rb'"\ud83dA"', "\ufffdA"),
        (b'"\xff\xc3"', "\ufffd\ufffd"),
    ],
)
def test_what_is_no_character_becomes_the_replacement_character(body: bytes, text: str) -> None:
    assert json.loads(mended(body)) == text


@pytest.mark.parametrize(
    "body", [rb'"\ud83d\ude00"', rb'"\uD83D\uDE00"', rb'"\\ud800"', rb'"\\\ud83d\ude00"', '"ä\\u00e4"'.encode()]
)
def test_text_that_is_whole_stays_byte_for_byte(body: bytes) -> None:
    assert mended(body) == body
