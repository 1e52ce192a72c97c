"""A data team reads the lake with what it has, by a plain glob."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pytest

from tasks.lake.schemas import SCHEMAS
from tasks.lake.store import open_store
from tests.tasks.lake.nights import INTEGRATION, NOON, export

OTHER = "greenhouse:Demo1111111111111111Aaaa"
DAY = dt.timedelta(days=1)
GLOBS = {
    "current": ("current/applications/*/*.parquet", 2 * 2),
    "snapshots": ("snapshots/applications/*/*/*.parquet", 2 * (0 + 2 + 2)),
    "changes": ("changes/applications/*/*/*.parquet", 2 * 2 + 2 * 1),
}


def application(id_: str, reason: str) -> dict[str, object]:
    """One with something in every kind of column."""
    return {
        "id": id_,
        "changed_at": "2026-03-01T00:00:00Z",
        "rejection_reason_name": reason,
        "custom_fields": {"salary": "80k"},
        "candidate": {"id": "c", "first_name": "Zoë", "email_addresses": [{"email_address": "z@example.com"}]},
        "offers": [],
    }


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three nights: nothing, nulls and data, and a change; of two integrations."""
    folder = tmp_path_factory.mktemp("readers") / "lake"
    store = open_store(str(folder))
    for integration in (INTEGRATION, OTHER):
        for night, page in enumerate(([], [{"id": "a"}, application("b", "x")], [{"id": "a"}, application("b", "y")])):
            export(
                store, page, collection="applications", integration=integration, at=NOON + night * DAY, run=f"{night}"
            )
    return folder


@pytest.mark.parametrize("kind", GLOBS)
def test_duckdb(filled: Path, kind: str) -> None:
    glob, count = GLOBS[kind]
    found = duckdb.sql(f"SELECT count(*), count(DISTINCT integration_id) FROM read_parquet('{filled}/{glob}')")  # noqa: S608
    assert found.fetchall() == [(count, 2)]
    columns = duckdb.sql(f"SELECT * FROM read_parquet('{filled}/{glob}')").columns  # noqa: S608
    assert set(SCHEMAS["applications"].names) <= set(columns)


def test_duckdb_looks_into_records_and_json(filled: Path) -> None:
    found = duckdb.sql(
        f"SELECT candidate.email_addresses[1].email_address, custom_fields->>'salary', rejection_reason_name "  # noqa: S608
        f"FROM read_parquet('{filled}/current/applications/*/*.parquet') WHERE id = 'b'"
    ).fetchall()
    assert found == [("z@example.com", "80k", "y")] * 2


@pytest.mark.parametrize("kind", GLOBS)
def test_polars(filled: Path, kind: str) -> None:
    glob, count = GLOBS[kind]
    found = pl.read_parquet(f"{filled}/{glob}")
    assert found.height == count
    assert found.schema["changed_at"] == pl.Datetime("us", "UTC")
    assert found.schema["custom_fields"] == pl.String
    assert found.schema["remote_deleted_at"] == pl.Datetime("us", "UTC")


@pytest.mark.parametrize("kind", GLOBS)
def test_pyarrow(filled: Path, kind: str) -> None:
    glob, count = GLOBS[kind]
    found = ds.dataset(sorted(str(path) for path in filled.glob(glob))).to_table()
    assert found.num_rows == count
    names = [name for name in found.schema.names if name != "_change"]
    assert found.select(names).schema.remove_metadata().equals(SCHEMAS["applications"])


@pytest.mark.parametrize("kind", GLOBS)
def test_pyarrow_takes_a_folder_with_its_partitions(filled: Path, kind: str) -> None:
    found = ds.dataset(filled / kind / "applications", partitioning="hive").to_table()
    assert found.num_rows == GLOBS[kind][1]
    assert set(found["integration"].to_pylist()) == {
        "workday--HWUTwvyx2wLoSUHphiWVrp28",
        "greenhouse--Demo1111111111111111Aaaa",
    }


@pytest.mark.parametrize("kind", GLOBS)
def test_pandas(filled: Path, kind: str) -> None:
    glob, count = GLOBS[kind]
    frames = [pd.read_parquet(path) for path in sorted(filled.glob(glob))]
    whole = pd.concat([frame for frame in frames if len(frame)])
    assert len(whole) == count
    assert str(whole["changed_at"].dtype) == "datetime64[us, UTC]"
    folder = pd.read_parquet(filled / kind / "applications")
    assert len(folder) == count


def test_the_changes_of_several_nights_are_one_history(filled: Path) -> None:
    found = duckdb.sql(
        f"SELECT date, id, _change FROM read_parquet('{filled}/changes/applications/*/*/*.parquet', "  # noqa: S608
        f"hive_partitioning = true) WHERE integration_id = '{INTEGRATION}' ORDER BY ALL"
    ).fetchall()
    days = [(NOON + night * DAY).date() for night in range(3)]
    assert found == [(days[1], "a", "insert"), (days[1], "b", "insert"), (days[2], "b", "update")]
