"""What a run reports: everything that an operator acts on, and nobody's data."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

from tasks.kombo.errors import IntegrationRefused
from tasks.lake.errors import LakeRefused
from tasks.reports import CollectionReport, failure, markdown, sentence

NOON = dt.datetime(2026, 3, 28, 12, tzinfo=dt.UTC)
DONE = CollectionReport(
    "lever:1",
    "applications",
    "exported",
    mode="full",
    rows=12_345,
    received=1_000,
    inserted=7,
    updated=5,
    deleted=3,
    tombstoned=2,
    bytes=2_500_000,
    pages=4,
    started_at=NOON,
    ended_at=NOON + dt.timedelta(seconds=2),
    watermark=NOON,
    unknown_keys={"ai_score": 3},
    misfits={"location": 1},
    warnings=["look at this"],
)
SKIPPED = CollectionReport("lever:1", "offers", "skipped", reason="not offered")
FAILED = failure("greenhouse:2", "tags", LakeRefused("no space left"))


def test_a_sentence_names_what_failed() -> None:
    text = sentence([DONE, SKIPPED, FAILED])
    assert text == (
        "1 of 3 collections are in the lake: 12,345 rows, 15 of them new or changed; 1 skipped; "
        "1 failed: tags of greenhouse:2"
    )


def test_the_table_has_a_line_for_each_collection_with_its_rate() -> None:
    line = next(line for line in markdown([DONE, FAILED], []).splitlines() if line.startswith("| applications"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == [
        *("applications", "full", "12,345", "7", "5", "3", "2", "1,000", "2.0", "500", "2.5"),
    ]


def test_failures_come_first_and_say_why() -> None:
    text = markdown([DONE, SKIPPED, FAILED], [])
    assert text.index("### Failed") < text.index("### Skipped") < text.index("### `lever:1`")
    assert "`tags` of `greenhouse:2`: LakeRefused: no space left" in text


def test_warnings_and_what_did_not_fit_are_shown() -> None:
    text = markdown([DONE], ["not protected"])
    assert "- not protected" in text
    assert "look at this" in text
    assert "`ai_score` (3)" in text
    assert "`location` (1)" in text


def test_the_text_of_an_error_that_is_not_ours_is_left_out() -> None:
    report = failure("lever:1", "tags", ValueError("Ada Lovelace"))
    assert report.reason == "ValueError: see the task run's log"


def test_the_text_of_our_errors_says_what_to_do_and_not_what_kombo_quoted() -> None:
    error = IntegrationRefused("INTEGRATION.INACTIVE", "A title", "Ada Lovelace", None, 403, detail="It is paused.")
    reason = str(failure("lever:1", "tags", error).reason)
    assert "It is paused." in reason
    assert "INTEGRATION.INACTIVE" in reason
    assert "Ada" not in reason


def test_a_report_is_json_with_instants_as_text() -> None:
    found = json.loads(json.dumps(DONE.as_json()))
    assert found["watermark"] == "2026-03-28T12:00:00+00:00"
    assert DONE.seconds == 2.0
    assert FAILED.seconds == 0.0


def test_a_report_of_very_many_collections_stays_small_and_says_how_many_it_leaves_out() -> None:
    names = [f"lever:{number}" for number in range(3_000)]
    failed = [failure(name, "tags", LakeRefused("no space left")) for name in names]
    done = [replace(DONE, integration=name) for name in names]
    text = markdown([*failed, *done], [])
    assert len(text) < 500_000
    assert text.count("no space left") == text.count("| applications |") == 500
    assert text.count("2,500 more are in the file of this run in the lake's `runs/`") == 3  # failures, rows, warnings
    assert "`ai_score`" in text
    assert sentence(failed).endswith("tags of lever:19 and 2,980 more")
