"""Exports from a real server into a real lake, compared record by record."""

from __future__ import annotations

import datetime as dt
import io
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deployments.demo.server import DemoKombo
from tasks.credentials import KomboLake
from tasks.exports import COLLECTIONS, check_lake, record_run
from tasks.kombo.errors import IntegrationRefused
from tasks.lake import paths
from tasks.lake.errors import ShrinkRefused, StateMissing
from tasks.lake.store import FolderStore, open_store, read_bytes
from tasks.reports import WrongClock
from tests.servers import Bucket, Forks
from tests.tasks.killed import bring
from tests.tasks.lake.comparison import assert_same

KINDS = ["insert", "update", "delete", "anonymise", "undelete"]


@pytest.fixture
def kombo() -> Iterator[DemoKombo]:
    """A server with odd data."""
    with DemoKombo("tiny") as server:
        yield server


@pytest.fixture
def integration(kombo: DemoKombo) -> str:
    """One of its integrations."""
    return kombo.integrations[0]


def rows(lake: Path | str, collection: str, integration: str, options: dict[str, Any] | None = None) -> pa.Table:
    """What `current` holds."""
    content = read_bytes(open_store(str(lake), options), paths.current(collection, integration))
    assert content is not None
    return pq.read_table(io.BytesIO(content))


def test_what_an_export_needs_is_loaded_before_it_fetches(tmp_path: Path) -> None:
    said = "import sys, pyarrow; print(pyarrow.default_memory_pool().backend_name, 'pandas' in sys.modules)"
    code = f"import tasks.exports as e; e.check_lake.fn(e.KomboLake(url={str(tmp_path)!r})); {said}"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    assert done.stdout.split() == ["system", "True"]


def changed(lake: Path, collection: str, integration: str) -> list[dict[str, Any]]:
    """Everything that was ever written to `changes`."""
    found = sorted((lake / "changes" / collection).rglob(f"integration={paths.slug(integration)}/*.parquet"))
    return [row for path in found for row in pq.read_table(path, partitioning=None).to_pylist()]


def is_as_served(kombo: DemoKombo, lake: Path, collection: str, integration: str) -> bool:
    """Compare the lake with the server; raises what differs."""
    held = kombo.records(integration, collection)
    assert_same(rows(lake, collection, integration).to_pylist(), held, collection)
    return True


@pytest.mark.parametrize("odd", [True, False], ids=["odd", "clean"])
@pytest.mark.parametrize("collection", COLLECTIONS)
def test_what_the_api_serves_is_what_the_lake_has_night_after_night(collection: str, odd: bool, lake: Path) -> None:
    with DemoKombo("tiny", odd=odd) as kombo:
        for integration in kombo.integrations:
            first = bring(kombo.base_url, integration, collection, str(lake), "night-1")
            assert first.mode == "full"
            assert is_as_served(kombo, lake, collection, integration)
            for night in range(2, 5):
                kombo.evolve(integration, 0.1, kinds=KINDS, at=kombo.now() - 1)
                later = bring(kombo.base_url, integration, collection, str(lake), f"night-{night}")
                assert later.mode == "incremental"
                assert is_as_served(kombo, lake, collection, integration)
            kombo.evolve(integration, 0.1, kinds=["remove"])
            bring(kombo.base_url, integration, collection, str(lake), "night-5", mode="full", max_shrink=1)
            assert is_as_served(kombo, lake, collection, integration)


@pytest.mark.parametrize("collection", ["applications", "candidates"])
def test_changes_are_exactly_what_differs_from_the_night_before(
    kombo: DemoKombo, integration: str, lake: Path, collection: str
) -> None:
    bring(kombo.base_url, integration, collection, str(lake), "1")
    before = {record["id"]: record for record in kombo.records(integration, collection)}
    kombo.evolve(integration, 0.2, kinds=[*KINDS, "remove"])
    report = bring(kombo.base_url, integration, collection, str(lake), "2", mode="full")
    after = {record["id"]: record for record in kombo.records(integration, collection)}
    expected = {
        **dict.fromkeys(after.keys() - before.keys(), "insert"),
        **dict.fromkeys(before.keys() - after.keys(), "delete"),
        **{id_: "update" for id_ in before.keys() & after.keys() if before[id_] != after[id_]},
    }
    assert set(expected.values()) == {"insert", "delete", "update"}
    assert {row["id"]: row["_change"] for row in changed(lake, collection, integration)} == expected
    kinds = list(expected.values())
    assert [report.inserted, report.updated, report.deleted] == [kinds.count(k) for k in ("insert", "update", "delete")]


def test_the_watermark_is_the_first_request_by_the_apis_clock_less_the_overlap(
    kombo: DemoKombo, integration: str, lake: Path
) -> None:
    kombo.configure(clock_skew_s=-300)
    report = bring(kombo.base_url, integration, "tags", str(lake), "1")
    assert report.watermark
    first = dt.datetime.fromtimestamp(kombo.requests[0]["time"], dt.UTC)
    assert abs(report.watermark + dt.timedelta(minutes=5) - first) < dt.timedelta(seconds=3)


def test_an_incremental_export_asks_for_what_changed_since_the_watermark_in_utc(
    kombo: DemoKombo, integration: str, lake: Path
) -> None:
    first = bring(kombo.base_url, integration, "tags", str(lake), "1")
    bring(kombo.base_url, integration, "tags", str(lake), "2")
    assert first.watermark
    full, incremental = (parse_qs(request["query"]) for request in kombo.requests)
    assert "updated_after" not in full
    (asked,) = incremental["updated_after"]
    assert asked.endswith("Z")
    assert abs(dt.datetime.fromisoformat(asked) - first.watermark) < dt.timedelta(seconds=1)
    assert full["include_deleted"] == incremental["include_deleted"] == ["true"]


def test_a_change_of_nested_data_arrives_though_changed_at_stands_still(
    kombo: DemoKombo, integration: str, lake: Path
) -> None:
    bring(kombo.base_url, integration, "applications", str(lake), "1")
    before = {record["id"]: record["changed_at"] for record in kombo.records(integration, "applications")}
    kombo.evolve(integration, 0.3, kinds=["update"], collections=["candidates"])
    bring(kombo.base_url, integration, "applications", str(lake), "2")
    assert is_as_served(kombo, lake, "applications", integration)
    nested = [r for r in changed(lake, "applications", integration) if r["_change"] == "update"]
    served = {record["id"]: record["changed_at"] for record in kombo.records(integration, "applications")}
    assert any(served[row["id"]] == before[row["id"]] for row in nested)


def aged(lake: Path, collection: str, integration: str, **state: str) -> None:
    """Rewrite the state in the footer of `current`."""
    place = lake / paths.current(collection, integration)
    table = pq.read_table(place, partitioning=None)
    known = pq.read_metadata(place).metadata
    more = {f"kombo.{key}".encode(): value.encode() for key, value in state.items()}
    pq.write_table(table.replace_schema_metadata({**known, **more}), place)


def test_auto_is_full_again_when_the_last_full_export_is_old(kombo: DemoKombo, integration: str, lake: Path) -> None:
    bring(kombo.base_url, integration, "tags", str(lake), "1")
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=7, seconds=1)
    aged(lake, "tags", integration, last_full_at=old.isoformat())
    assert bring(kombo.base_url, integration, "tags", str(lake), "2", full_every_days=8).mode == "incremental"
    assert bring(kombo.base_url, integration, "tags", str(lake), "3", full_every_days=7).mode == "full"
    assert bring(kombo.base_url, integration, "tags", str(lake), "4", full_every_days=7).mode == "incremental"
    assert bring(kombo.base_url, integration, "tags", str(lake), "5", full_every_days=0).mode == "full"


def test_auto_is_full_when_the_schema_moved(kombo: DemoKombo, integration: str, lake: Path) -> None:
    bring(kombo.base_url, integration, "tags", str(lake), "1")
    aged(lake, "tags", integration, schema_version="0")
    with pytest.raises(StateMissing):
        bring(kombo.base_url, integration, "tags", str(lake), "2", mode="incremental")
    assert bring(kombo.base_url, integration, "tags", str(lake), "3").mode == "full"


def test_incremental_without_a_base_is_refused_before_anything_is_asked(
    kombo: DemoKombo, integration: str, lake: Path
) -> None:
    with pytest.raises(StateMissing, match="mode=auto or full"):
        bring(kombo.base_url, integration, "tags", str(lake), "1", mode="incremental")
    assert kombo.requests == []


def test_an_integration_that_was_disconnected_does_not_empty_the_lake(
    kombo: DemoKombo, integration: str, lake: Path
) -> None:
    bring(kombo.base_url, integration, "tags", str(lake), "1")
    before = (lake / paths.current("tags", integration)).read_bytes()
    body = '{"status":"success","data":{"next":null,"results":[]}}'
    kombo.fault("body", body=body, content_type="application/json", collection="tags")
    with pytest.raises(ShrinkRefused, match="tags of greenhouse"):
        bring(kombo.base_url, integration, "tags", str(lake), "2", mode="full")
    assert (lake / paths.current("tags", integration)).read_bytes() == before


@pytest.mark.parametrize("fault", ["older_first", "older_last"])
def test_of_a_record_that_moves_between_pages_the_newest_counts(
    integration: str, kombo: DemoKombo, lake: Path, fault: str, forks: Forks
) -> None:
    for page in (1, 2):
        kombo.fault(fault, collection="applications", page=page, count=5)
    done = forks.run(
        "tests.tasks.killed:export",
        **arguments(kombo, integration, lake, "1"),
    )
    assert done.result
    assert is_as_served(kombo, lake, "applications", integration)


def test_a_clock_that_is_wrong_is_an_error_and_nothing_is_written(
    kombo: DemoKombo, integration: str, lake: Path
) -> None:
    kombo.configure(clock_skew_s=-3600)
    with pytest.raises(WrongClock, match="60 minutes ahead of"):
        bring(kombo.base_url, integration, "tags", str(lake), "1")
    assert not lake.exists()


@pytest.mark.parametrize("code", ["INTEGRATION.MODEL_DISABLED", "INTEGRATION.MODEL_NOT_AVAILABLE"])
def test_a_collection_that_is_not_offered_is_skipped(kombo: DemoKombo, integration: str, lake: Path, code: str) -> None:
    kombo.settings(integration, models={"offers": code})
    report = bring(kombo.base_url, integration, "offers", str(lake), "1")
    assert report.status == "skipped"
    assert code in str(report.reason)


def test_an_integration_that_refuses_is_asked_once_in_a_run(kombo: DemoKombo, integration: str, lake: Path) -> None:
    kombo.settings(integration, error="INTEGRATION.AUTHENTICATION_INVALID")
    for collection in COLLECTIONS:
        with pytest.raises(IntegrationRefused):
            bring(kombo.base_url, integration, collection, str(lake), "refused")
    assert len(kombo.requests) == 1
    other = bring(kombo.base_url, kombo.integrations[1], "tags", str(lake), "refused")
    assert other.status == "exported"
    record_run.fn(KomboLake(url=str(lake)), "refused", dt.datetime.now(dt.UTC), [], [])
    with pytest.raises(IntegrationRefused):
        bring(kombo.base_url, integration, "tags", str(lake), "refused-2")


def test_a_run_that_is_repeated_fetches_nothing_again(kombo: DemoKombo, integration: str, lake: Path) -> None:
    first = bring(kombo.base_url, integration, "tags", str(lake), "1")
    kombo.clear_log()
    again = bring(kombo.base_url, integration, "tags", str(lake), "1")
    assert kombo.requests == []
    assert (again.status, again.rows, again.received) == ("committed", first.rows, first.received)


# Killed.


def arguments(kombo: DemoKombo, integration: str, lake: Path, run: str, **more: Any) -> dict[str, Any]:
    """For `tests.tasks.killed.export`: pages so small that a walk has several."""
    given = {"kombo": kombo.base_url, "integration": integration, "collection": "applications", "page_size": 13}
    return {**given, "lake": {"url": str(lake)}, "run": run, **more}


@pytest.mark.parametrize(
    "die",
    [
        *("before page 1", "after page 2", "after page 5"),  # while fetching
        *("before put 1", "before draft 1", "after draft 1", "after put 1"),  # around changes
        *("before put 2", "before draft 2", "after draft 2", "after put 2"),  # around current
        *("before put 3", "before draft 3", "after put 3"),  # around the snapshot
    ],
)
@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_after_a_kill_the_next_run_makes_the_lake_as_the_server_is(
    integration: str, kombo: DemoKombo, lake: Path, forks: Forks, mode: str, die: str
) -> None:
    assert forks.run("tests.tasks.killed:export", **arguments(kombo, integration, lake, "1")).result
    shutil.rmtree(lake / "snapshots")
    place = lake / paths.current("applications", integration)
    before = place.read_bytes()
    base = {row["id"]: row for row in rows(lake, "applications", integration).to_pylist()}
    kombo.evolve(integration, 0.5, kinds=KINDS)
    killed = forks.run("tests.tasks.killed:export", **arguments(kombo, integration, lake, "2", die=die, mode=mode))
    assert killed.status == -9
    committed = die in ("after put 2", "before put 3", "before draft 3", "after put 3")
    assert (place.read_bytes() != before) == committed
    if committed:
        assert is_as_served(kombo, lake, "applications", integration)
    report = bring(kombo.base_url, integration, "applications", str(lake), "3")
    assert report.status == "exported"
    assert is_as_served(kombo, lake, "applications", integration)
    now = {row["id"]: row for row in rows(lake, "applications", integration).to_pylist()}
    ours = ("_fetched_at", "_run_id")
    expected = {
        id_
        for id_ in base.keys() | now.keys()
        if {k: v for k, v in base.get(id_, {}).items() if k not in ours}
        != {k: v for k, v in now.get(id_, {}).items() if k not in ours}
    }
    written = changed(lake, "applications", integration)
    assert {row["id"] for row in written} == expected
    assert len(written) <= 2 * len(expected)
    snapshot = lake / paths.snapshot("applications", integration, dt.datetime.now(dt.UTC).date())
    assert snapshot.exists()


@pytest.mark.parametrize("die", ["after page 3", "before put 1", "before draft 1", "after put 1"])
def test_after_a_kill_of_the_first_run_the_next_one_is_the_first(
    integration: str, kombo: DemoKombo, lake: Path, forks: Forks, die: str
) -> None:
    killed = forks.run("tests.tasks.killed:export", **arguments(kombo, integration, lake, "1", die=die))
    assert killed.status == -9
    report = bring(kombo.base_url, integration, "applications", str(lake), "2")
    assert report.mode == ("incremental" if die == "after put 1" else "full")
    assert is_as_served(kombo, lake, "applications", integration)
    assert changed(lake, "applications", integration) == []


def test_a_killed_run_that_is_run_again_under_its_id_repeats_nothing_that_was_committed(
    integration: str, kombo: DemoKombo, lake: Path, forks: Forks
) -> None:
    forks.run("tests.tasks.killed:export", **arguments(kombo, integration, lake, "1", die="after put 1"))
    kombo.clear_log()
    assert bring(kombo.base_url, integration, "applications", str(lake), "1").status == "committed"
    assert kombo.requests == []
    assert (lake / paths.snapshot("applications", integration, dt.datetime.now(dt.UTC).date())).exists()


@pytest.mark.parametrize("die", ["before part 1", "after part 1", "after part 3"])
def test_after_a_kill_in_the_middle_of_an_upload_s3_holds_what_it_held(
    integration: str, kombo: DemoKombo, lake: Path, forks: Forks, bucket: Bucket, die: str
) -> None:
    where = {"url": bucket.new_url(), "storage_options": bucket.options}
    given = {**arguments(kombo, integration, lake, "1"), "lake": where}
    assert forks.run("tests.tasks.killed:export", **given).result
    before = rows(where["url"], "applications", integration, bucket.options)
    again = {**given, "run": "2", "mode": "full"}  # nothing has changed: `current` alone is written
    assert forks.run("tests.tasks.killed:export", **again, die=die, part_size=16 * 2**10).status == -9
    assert rows(where["url"], "applications", integration, bucket.options) == before
    kombo.evolve(integration, 0.3, kinds=KINDS)
    assert forks.run("tests.tasks.killed:export", **{**given, "run": "3"}).result
    found = rows(where["url"], "applications", integration, bucket.options).to_pylist()
    assert_same(found, kombo.records(integration, "applications"), "applications")


# Side by side, in two processes.


@pytest.mark.parametrize("kind", ["folder", "s3"])
@pytest.mark.parametrize("modes", [("full", "full"), ("full", "incremental"), ("incremental", "incremental")])
def test_two_processes_that_export_at_once_lose_nothing(
    request: pytest.FixtureRequest, lake: Path, forks: Forks, integration: str, kombo: DemoKombo, kind: str, modes: Any
) -> None:
    where: dict[str, Any] = {"url": str(lake)}
    options: dict[str, Any] = {}
    if kind == "s3":
        bucket: Bucket = request.getfixturevalue("bucket")
        options = bucket.options
        where = {"url": bucket.new_url(), "storage_options": options}
    call = "tests.tasks.killed:export"
    given = {**arguments(kombo, integration, lake, "1"), "lake": where}
    assert forks.run(call, **given).result
    kombo.evolve(integration, 0.3, kinds=KINDS)
    kombo.fault("hang", collection="applications", page=2 if modes == ("full", "full") else 1, times=2)
    started = [forks.start(call, **{**given, "run": f"2-{n}", "mode": mode}) for n, mode in enumerate(modes)]
    while len(kombo.faults["applied"]) < 2:
        time.sleep(0.01)
    kombo.release()
    ended = [forks.wait(one) for one in started]
    assert [one.error for one in ended] == [None, None]
    found = rows(where["url"], "applications", integration, options).to_pylist()
    assert_same(found, kombo.records(integration, "applications"), "applications")


# Time zones.


@pytest.mark.parametrize(
    "zone", ["America/New_York", "Asia/Kolkata", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Pago_Pago"]
)
def test_dates_and_watermarks_are_utc_wherever_the_machine_is(
    integration: str, kombo: DemoKombo, lake: Path, forks: Forks, zone: str
) -> None:
    env = {"TZ": zone}
    days = {dt.datetime.now(dt.UTC).date()}
    for run in ("1", "2"):
        ended = forks.run("tests.tasks.killed:export", env=env, **arguments(kombo, integration, lake, run))
        assert ended.error is None
        watermark = dt.datetime.fromisoformat(ended.result["watermark"])
        assert watermark.utcoffset() == dt.timedelta(0)
        assert abs(dt.datetime.now(dt.UTC) - watermark - dt.timedelta(minutes=5)) < dt.timedelta(minutes=1)
        kombo.evolve(integration, 0.1, kinds=KINDS)
    bring(kombo.base_url, integration, "applications", str(lake), "3")
    assert is_as_served(kombo, lake, "applications", integration)
    days.add(dt.datetime.now(dt.UTC).date())
    found = {path.name.removeprefix("date=") for path in lake.rglob("date=*")}
    assert found <= {day.isoformat() for day in days}


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "UTC"])
def test_an_hour_that_comes_twice_on_the_wall_is_two_instants(lake: Path, forks: Forks, zone: str) -> None:
    ended = forks.run("tests.tasks.killed:dst_night", env={"TZ": zone}, lake=str(lake))
    assert ended.error is None
    assert ended.result == {"updated": 1, "starting_at": ["2026-11-01T06:30:00+00:00", "2026-10-25T01:30:00+00:00"]}


# When the store or the machine fails.


def test_a_store_without_conditions_is_noticed(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = FolderStore.put
    monkeypatch.setattr(FolderStore, "put", lambda self, key, file, *, expect="*": real(self, key, file))
    (warning,) = check_lake.fn(KomboLake(url=str(lake)))
    assert "not protected" in warning


def test_a_store_with_conditions_is_no_warning_and_keeps_nothing_of_the_check(lake: Path) -> None:
    assert check_lake.fn(KomboLake(url=str(lake))) == []
    assert [path for path in lake.rglob("*") if path.name != ".lock"] == []
