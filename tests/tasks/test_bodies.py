"""What may be sent, and how its refusal is worded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.bodies import Attachment, NewCandidate, ScreeningAnswer, checked, checked_list, passed_on
from tests.contract.cases import ID

ADA = {"first_name": "Ada", "last_name": "Lovelace", "email_address": "ada@lovelace.example"}


def flaw(kind: Any, value: Any) -> str:
    """Have a part refused, and say with which words."""
    with pytest.raises(ValueError, match=r"^part") as refused:
        checked(kind, value, "part")
    return str(refused.value)


def test_an_error_has_all_flaws_with_their_places_and_no_values() -> None:
    text = flaw(NewCandidate, {**ADA, "email_address": "Ada", "location": {"country": "Ada"}, "social_links": [{}]})
    assert "part.email_address: expected an e-mail address" in text
    assert "part.location.country: expected an ISO 3166-1 alpha-2 code" in text
    assert "part.social_links.0.url: Field required" in text
    assert "Ada" not in text


def test_an_unknown_key_is_refused_with_those_that_are_allowed() -> None:
    assert "part.age: not a field; allowed: first_name, last_name, email_address" in flaw(
        NewCandidate, {**ADA, "age": 36}
    )


def test_data_in_the_place_of_a_key_is_not_repeated() -> None:
    assert "lovelace" not in flaw(NewCandidate, {**ADA, "ada@lovelace.example": 1})


@pytest.mark.parametrize("value", ["Ada", 1, None, [ADA]])
def test_what_is_no_object_is_refused_without_being_repeated(value: Any) -> None:
    assert "Ada" not in flaw(NewCandidate, value)


@pytest.mark.parametrize("value", ["x", 1, True, 1.5, ["a"], [], "2026-03-29"])
def test_an_answer_is_sent_as_it_is(value: Any) -> None:
    sent = checked(ScreeningAnswer, {"question_id": ID, "answer": value}, "part")["answer"]
    assert sent == value
    assert type(sent) is type(value)


def test_an_answer_that_is_a_time_is_sent_in_utc() -> None:
    answer = {"question_id": ID, "answer": datetime(2026, 3, 29, tzinfo=UTC)}
    assert checked(ScreeningAnswer, answer, "part")["answer"] == "2026-03-29T00:00:00.000Z"


@pytest.mark.parametrize("value", [None, float("nan"), [1], {"name": "x"}, b"x"])
def test_an_answer_of_no_kind_is_refused_in_one_sentence(value: Any) -> None:
    assert flaw(ScreeningAnswer, {"question_id": ID, "answer": value}).count(";") == 0


@pytest.mark.parametrize("country", ["DE", "GB", "XK", "TW"])
def test_a_country_is_an_iso_code(country: str) -> None:
    candidate = checked(NewCandidate, {**ADA, "location": {"country": country}}, "part")
    assert candidate["location"] == {"country": country}


@pytest.mark.parametrize("country", ["de", "UK", "EL", "DEU", "Germany", "ZZ", ""])
def test_what_is_no_iso_code_is_no_country(country: str) -> None:
    assert "ISO 3166-1" in flaw(NewCandidate, {**ADA, "location": {"country": country}})


@pytest.mark.parametrize("address", ["ada@lovelace.example", "a.d+a@x.co.uk", "ädä@bücher.example"])
def test_e_mail_addresses_are_accepted(address: str) -> None:
    assert checked(NewCandidate, {**ADA, "email_address": address}, "part")["email_address"] == address


@pytest.mark.parametrize("data", ["QWR", "QW Rh", "QWRh\n", "data:,QWRh", ""])
def test_only_base64_in_one_piece_is_data(data: str) -> None:
    file = {"name": "x.pdf", "type": "CV", "content_type": "application/pdf", "data": data}
    assert "base64" in flaw(Attachment, file)


def test_the_place_of_a_flaw_in_a_list_is_named() -> None:
    with pytest.raises(ValueError, match=r"part\[1\]\.type: Field required"):
        checked_list(Attachment, [{"name": "a", "type": "CV", "path": "x"}, {"name": "a", "path": "x"}], "part")


@pytest.mark.parametrize("value", ["x", [1], 1])
def test_remote_fields_are_an_object(value: Any) -> None:
    with pytest.raises(TypeError, match="remote_fields"):
        passed_on(value)
