"""What becomes part of a header, path or query is checked before anything is sent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from tasks.kombo import ids

GOOD = "222k7eCGyUdgt2JWZDNnkDs3"


@pytest.fixture(params=["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])
def machine_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "value", ["workday:HWUTwvyx2wLoSUHphiWVrp28", "bombohr:ats-dev", "a:b", "sap-sf:x:y", "x:!$&'()*+,;=?#%"]
)
def test_an_integration_id_is_a_tool_and_a_visible_tail(value: str) -> None:
    assert ids.integration_id(value) == value


@pytest.mark.parametrize(
    "value",
    [
        *("", "workday", "workday:", ":x", "work day:x", "a:b c", "a:b\r\nX: y", "a:b\n", "a:../b", "a:b/c", "a:b\\c"),
        *("a:ü", "a/b:c", "a:\x7f", "a:" + "x" * 300, None, 7),
    ],
)
def test_anything_else_is_no_integration_id(value: str) -> None:
    with pytest.raises(ValueError, match="integration"):
        ids.integration_id(value)


@pytest.mark.parametrize(
    "value",
    ["", GOOD[:-1], GOOD + "1", GOOD[:-1] + "0", GOOD[:-1] + "l", GOOD + "\n", "a/../b?x" + GOOD[8:], "remote:7", None],
)
def test_what_is_no_kombo_id_is_refused_without_repeating_it(value: str) -> None:
    with pytest.raises(ValueError, match="application_id") as caught:
        ids.kombo_id(value, "application_id")
    if value:
        assert value not in str(caught.value)


@pytest.mark.parametrize("value", [GOOD, "remote:7", "remote:a/../b?x#y", "remote:ä ö"])
def test_an_id_of_the_ats_stays_one_segment_of_the_path(value: str) -> None:
    segment = ids.path_segment(ids.kombo_or_remote_id(value))
    assert not set(segment) & set("/?#& ")


@pytest.mark.parametrize("value", ["remote:", "remote: ", "remote:a\nb", "REMOTE:7", "7"])
def test_what_is_no_id_of_the_ats_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="job_id"):
        ids.kombo_or_remote_id(value, "job_id")


@pytest.mark.usefixtures("machine_zone")
@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 678999, tzinfo=UTC), "2026-01-02T03:04:05.678Z"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T01:04:05.000Z"),
        # The hour that Berlin has twice, first and second time, and the one it skips.
        (datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")), "2026-10-25T00:30:00.000Z"),
        (datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")), "2026-10-25T01:30:00.000Z"),
        (datetime(2026, 3, 29, 3, 0, tzinfo=ZoneInfo("Europe/Berlin")), "2026-03-29T01:00:00.000Z"),
        (datetime(26, 1, 2, tzinfo=UTC), "0026-01-02T00:00:00.000Z"),
        ("2026-01-02", "2026-01-02T00:00:00.000Z"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:05.678901Z"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05.000Z"),
        ("2026-01-02 03:04:05-05:30", "2026-01-02T08:34:05.000Z"),
    ],
)
def test_a_time_is_sent_in_utc_whatever_the_machines_zone(value: datetime | str, sent: str) -> None:
    assert ids.api_time(value, "updated_after") == sent


@pytest.mark.parametrize(
    "value",
    [datetime(2026, 1, 2), "yesterday", "", "2026-13-45T00:00:00Z", "2026-01-02 03:04:05"],  # noqa: DTZ001
)
def test_a_time_without_a_zone_or_sense_is_refused(value: datetime | str) -> None:
    with pytest.raises(ValueError, match="updated_after"):
        ids.api_time(value, "updated_after")


def test_a_date_or_number_is_no_time() -> None:
    with pytest.raises(TypeError, match="updated_after"):
        ids.api_time(1767225600, "updated_after")  # type: ignore[arg-type]


def test_booleans_are_lower_case_words() -> None:
    assert (ids.api_bool(True), ids.api_bool(False)) == ("true", "false")


@pytest.mark.parametrize("value", ["true", 1, 0, None])
def test_what_only_looks_like_a_boolean_is_refused(value: bool) -> None:
    with pytest.raises(TypeError, match="include_deleted"):
        ids.api_bool(value, "include_deleted")


@pytest.mark.parametrize("values", [["a"], ("a",), {"a"}, iter(["a"])])
def test_a_list_is_joined_with_commas(values: list[str]) -> None:
    assert ids.api_list(values) == "a"
    assert ids.api_list(["a", "b"]) == "a,b"


@pytest.mark.parametrize("values", [[], [""], ["a", " "], ["a,b"], ["a", "b,c"]])
def test_a_list_that_would_mean_something_else_is_refused(values: list[str]) -> None:
    with pytest.raises(ValueError, match="remote_ids"):
        ids.api_list(values, "remote_ids")


@pytest.mark.parametrize("values", ["abc", [1], [None], 7])
def test_what_is_no_list_of_texts_is_refused(values: list[str]) -> None:
    with pytest.raises(TypeError, match="remote_ids"):
        ids.api_list(values, "remote_ids")


def test_a_query_is_percent_encoded() -> None:
    assert ids.query({"email": "a+b@x.org", "c": "ä&=,"}) == "email=a%2Bb%40x.org&c=%C3%A4%26%3D%2C"
