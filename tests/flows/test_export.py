"""The nightly export as Prefect runs it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort

from deployments.demo.server import DemoKombo
from flows.export import export
from tasks.exports import COLLECTIONS
from tasks.kombo.errors import KeyRefused
from tasks.lake.errors import LakeError
from tasks.reports import CollectionReport, ExportFailed

pytestmark = pytest.mark.usefixtures("prefect_server")

FEW: list[Any] = ["tags", "roles"]


@pytest.fixture
def kombo(monkeypatch: pytest.MonkeyPatch) -> Iterator[DemoKombo]:
    """A demo server, found through the environment."""
    with DemoKombo("tiny") as server:
        monkeypatch.setenv("KOMBO_API_KEY", server.api_key)
        monkeypatch.setenv("KOMBO_BASE_URL", server.base_url)
        yield server


def artifact(key: str) -> Any:
    """The newest artifact of a key."""
    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
    with get_client(sync_client=True) as client:
        return client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC, limit=1)[0]


def recorded(lake: Path) -> dict[str, Any]:
    """What the only run recorded."""
    (place,) = (lake / "runs").iterdir()
    found: dict[str, Any] = json.loads(place.read_text())
    return found


def by_name(reports: list[CollectionReport] | list[dict[str, Any]]) -> dict[tuple[str, str], str]:
    """Status by integration and collection."""
    plain = [one if isinstance(one, dict) else one.as_json() for one in reports]
    return {(one["integration"], one["collection"]): one["status"] for one in plain}


def test_every_collection_of_every_integration_is_exported_reported_and_recorded(kombo: DemoKombo, lake: Path) -> None:
    reports = export(kombo.integrations, str(lake))
    expected = [(integration, collection) for integration in kombo.integrations for collection in COLLECTIONS]
    assert [(one.integration, one.collection) for one in reports] == expected
    assert {one.status for one in reports} == {"exported"}
    record = recorded(lake)
    assert by_name(record["collections"]) == by_name(reports)
    assert record["started_at"] < record["ended_at"]
    assert {one["mode"] for one in record["collections"]} == {"full"}
    assert all(one["rows"] and one["watermark"] and one["bytes"] for one in record["collections"])
    shown = artifact("kombo-export")
    assert shown.description.startswith("20 of 20 collections are in the lake")
    assert artifact("kombo-export-progress").data == 100.0
    people = [person for one in kombo.integrations for person in kombo.records(one, "candidates")]
    telling = [str(person.get(key)) for person in people for key in ("last_name", "email_addresses", "phone_numbers")]
    addresses = [word for text in telling for word in re.findall(r"[\w.+-]+@[\w.-]+", text)]
    assert addresses
    known = [text for text in [*telling, *addresses] if len(text) > 5]
    for text in (shown.data, json.dumps(record, ensure_ascii=False)):
        assert [one for one in known if one in text] == []
        assert kombo.api_key not in text


def test_one_that_fails_stops_no_other_and_the_run_names_it(kombo: DemoKombo, lake: Path) -> None:
    first, second = kombo.integrations
    kombo.settings(first, models={"roles": "INTEGRATION.PERMISSION_MISSING"})
    with pytest.raises(ExportFailed, match=f"3 of 4 collections are in the lake.*1 failed: roles of {first}"):
        export([first, second], str(lake), FEW)
    found = by_name(recorded(lake)["collections"])
    assert [status for key, status in found.items() if status == "failed"] == ["failed"]
    assert found[(first, "roles")] == "failed"
    assert "INTEGRATION.PERMISSION_MISSING" in artifact("kombo-export").data


def test_an_integration_that_is_refused_fails_at_once_and_stops_no_other(kombo: DemoKombo, lake: Path) -> None:
    unknown, known = "lever:unknown", kombo.integrations[0]
    with pytest.raises(ExportFailed, match="roles of lever:unknown"):
        export([unknown, known], str(lake), ["roles"])
    asked = [request for request in kombo.requests if request["integration"] == unknown]
    assert len(asked) == 1
    assert by_name(recorded(lake)["collections"]) == {(unknown, "roles"): "failed", (known, "roles"): "exported"}


def test_a_key_that_is_refused_is_not_tried_again(
    kombo: DemoKombo, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOMBO_API_KEY", "not-the-key")
    with pytest.raises(ExportFailed, match="20 failed"):
        export(kombo.integrations, str(lake))
    assert len(kombo.requests) <= 8  # those that were on their way side by side when the first was refused
    reasons = {one["reason"].partition(":")[0] for one in recorded(lake)["collections"]}
    assert reasons == {KeyRefused.__name__}


def test_what_kombo_does_not_offer_or_has_not_synced_is_skipped(kombo: DemoKombo, lake: Path) -> None:
    first, second = kombo.integrations
    kombo.settings(first, models={"roles": "INTEGRATION.MODEL_DISABLED"})
    kombo.settings(second, error="INTEGRATION.SETUP_SYNC_PENDING")
    reports = export([first, second], str(lake), FEW)
    assert by_name(reports) == {
        (first, "tags"): "exported",
        (first, "roles"): "skipped",
        (second, "tags"): "skipped",
        (second, "roles"): "skipped",
    }
    assert "### Skipped" in artifact("kombo-export").data


def test_a_retry_repeats_nothing_that_was_committed(kombo: DemoKombo, lake: Path) -> None:
    first = kombo.integrations[0]
    kombo.fault("error", collection="roles", status=400, code="PLATFORM.INPUT_INVALID")
    reports = export.with_options(retries=1, retry_delay_seconds=0)([first], str(lake), FEW)
    assert by_name(reports) == {(first, "tags"): "committed", (first, "roles"): "exported"}
    asked = [request["path"].rpartition("/")[2] for request in kombo.requests]
    assert sorted(asked) == ["roles", "roles", "tags"]
    assert "done before" in artifact("kombo-export").data


def test_an_integration_named_twice_is_exported_once(kombo: DemoKombo, lake: Path) -> None:
    first = kombo.integrations[0]
    assert len(export([first, first], str(lake), ["tags", "tags"])) == 1


def test_a_lake_that_does_not_work_is_one_error_before_anything_is_asked(kombo: DemoKombo, lake: Path) -> None:
    lake.write_text("not a folder")
    with pytest.raises(LakeError, match="correct the address"):
        export(kombo.integrations, str(lake))
    assert kombo.requests == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("integrations", []),
        ("integrations", ["no colon"]),
        ("integrations", ["workday:a/../b"]),
        ("collections", []),
        ("collections", ["people"]),
        ("full_every_days", -1),
        ("keep_snapshots", -1),
        ("max_shrink", 1.5),
        ("max_shrink", -0.1),
        ("mode", "sometimes"),
        ("lake", " s3://bucket"),
        ("credentials", "sk_live_Abc"),
    ],
)
def test_a_parameter_that_cannot_be_meant_is_refused_before_anything_runs(
    kombo: DemoKombo, lake: Path, name: str, value: Any
) -> None:
    given: dict[str, Any] = {"integrations": kombo.integrations, "lake": str(lake), name: value}
    with pytest.raises(Exception, match=name):
        export(**given)
    assert kombo.requests == []
    assert not lake.exists()
