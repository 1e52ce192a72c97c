"""What an export does to `current`, `changes` and `snapshots`."""

from __future__ import annotations

import datetime as dt
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.lake import dataset, paths
from tasks.lake.dataset import Collection
from tasks.lake.errors import CurrentUnreadable, LakeUnavailable, Moved, ShrinkRefused
from tasks.lake.parquet import GROUP_ROWS, ObjectWriter, key_values, read_footer
from tasks.lake.schemas import SCHEMA_VERSION, SCHEMAS, description
from tasks.lake.store import FolderStore, Store, open_store, put_bytes, read_bytes
from tests.tasks.lake.nights import (
    INTEGRATION,
    MINUTE,
    NOON,
    begun,
    changes,
    current,
    export,
    names,
    record,
    snapshots,
    state,
    table,
    tombstone,
)

DAY = dt.timedelta(days=1)
CURRENT = paths.current("tags", INTEGRATION)


def test_of_an_id_received_twice_the_newest_counts(folder: Store) -> None:
    done = export(
        folder,
        [record("a", "new", "2026-03-02T00:00:00Z"), record("b", "old", "2026-03-01T00:00:00Z")],
        [record("a", "old", "2026-03-01T00:00:00Z"), record("b", "new", "2026-03-02T00:00:00Z")],
    )
    assert names(folder) == {"a": "new", "b": "new"}
    assert (done.rows, done.received) == (2, 2)


def test_of_an_id_received_twice_with_one_time_the_last_counts(folder: Store) -> None:
    export(folder, [record("a", "first"), record("b", "only"), record("a", "second")], [record("a", "third")])
    assert names(folder) == {"a": "third", "b": "only"}


def test_a_record_with_a_time_is_newer_than_one_without(folder: Store) -> None:
    export(folder, [record("a", "timed"), record("a", "not", None), record("b", "x", None), record("b", "y", None)])
    assert names(folder) == {"a": "timed", "b": "y"}


def test_the_first_export_is_a_base_and_changes_nothing(store: Store) -> None:
    done = export(store, [record("a"), record("b")], run="first")
    assert changes(store, "first") is None
    assert (done.rows, done.received, done.inserted, done.updated, done.deleted) == (2, 2, 2, 0, 0)
    assert state(store).watermark == NOON - 5 * MINUTE


def test_changes_are_what_is_new_different_or_gone(store: Store) -> None:
    export(store, [record(id_) for id_ in "abcdef"])
    done = export(store, [record("a"), record("b", "B"), record("c"), tombstone("d"), record("n")], run="second")
    assert changes(store, "second") == {"b": "update", "d": "update", "e": "delete", "f": "delete", "n": "insert"}
    assert (done.inserted, done.updated, done.deleted, done.tombstoned) == (1, 2, 2, 1)
    assert names(store) == {"a": "a", "b": "B", "c": "a", "d": "a", "n": "a"}


def test_a_deleted_row_is_in_changes_as_it_was_and_an_updated_one_as_it_is(folder: Store) -> None:
    export(folder, [record("a", "kept"), record("b", "as it was"), record("c", "old")])
    export(folder, [record("a", "kept"), record("c", "as it is")], run="second")
    rows = table(folder, paths.changes("tags", INTEGRATION, NOON.date(), "second")).to_pylist()
    assert {row["id"]: row["name"] for row in rows} == {"b": "as it was", "c": "as it is"}


@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_a_row_received_again_unchanged_is_not_a_change(folder: Store, mode: str) -> None:
    export(folder, [record("a"), record("b", odd=[1])], run="first")
    done = export(folder, [record("a"), record("b", odd=[1])], run="second", mode=mode, at=NOON + DAY)
    assert changes(folder, "second", NOON + DAY) is None
    assert (done.inserted, done.updated, done.deleted) == (0, 0, 0)


def test_a_row_received_again_says_when_and_by_which_run(folder: Store) -> None:
    export(folder, [record("a"), record("b")], run="first")
    export(folder, [record("a")], run="second", mode="incremental", at=NOON + DAY)
    rows = {row["id"]: (row["_run_id"], row["_fetched_at"]) for row in current(folder).to_pylist()}
    assert rows == {"a": ("second", NOON + DAY), "b": ("first", NOON)}


def test_a_change_beside_the_columns_is_a_change(folder: Store) -> None:
    export(folder, [record("a", odd=1)])
    export(folder, [record("a", odd=2)], run="second", mode="incremental")
    assert changes(folder, "second") == {"a": "update"}


def test_a_change_inside_a_record_arrives_though_changed_at_stands_still(folder: Store) -> None:
    nested = {"id": "a", "changed_at": "2026-03-01T00:00:00Z", "candidate": {"id": "c", "first_name": "x"}}
    export(folder, [nested], collection="applications")
    done = export(
        folder,
        [{**nested, "candidate": {"id": "c", "first_name": "y"}}],
        collection="applications",
        mode="incremental",
        run="second",
    )
    assert done.updated == 1
    assert current(folder, "applications")["candidate"].to_pylist()[0]["first_name"] == "y"


def test_an_object_of_nulls_is_not_no_object(folder: Store) -> None:
    export(folder, [{"id": "a", "candidate": None, "offers": None}], collection="applications")
    done = export(folder, [{"id": "a", "candidate": {}, "offers": None}], collection="applications")
    assert done.updated == 1
    assert export(folder, [{"id": "a", "candidate": {}, "offers": []}], collection="applications").updated == 1


def test_an_incremental_export_removes_nothing(store: Store) -> None:
    export(store, [record("a"), record("b")])
    export(store, [record("b", "B"), record("c")], mode="incremental", run="second")
    assert names(store) == {"a": "a", "b": "B", "c": "a"}
    assert changes(store, "second") == {"b": "update", "c": "insert"}


def test_an_incremental_export_without_news_moves_the_watermark(folder: Store) -> None:
    export(folder, [record("a")])
    export(folder, [], mode="incremental", at=NOON + DAY)
    assert names(folder) == {"a": "a"}
    assert state(folder).watermark == NOON + DAY - 5 * MINUTE
    assert state(folder).last_full_at == NOON


def test_a_tombstone_stays_and_a_deleted_row_may_come_back(folder: Store) -> None:
    export(folder, [record("a"), record("b")])
    done = export(folder, [tombstone("a")], mode="incremental")
    assert done.tombstoned == 1
    assert current(folder)["remote_deleted_at"].null_count == 1
    done = export(folder, [record("a")], mode="incremental", run="third")
    assert changes(folder, "third") == {"a": "update"}
    assert done.tombstoned == 0
    assert current(folder)["remote_deleted_at"].null_count == 2


def test_an_anonymised_tombstone_overwrites_what_we_knew(folder: Store) -> None:
    export(folder, [tombstone("a", "Ada Lovelace")], keep=0)
    done = export(folder, [tombstone("a", None)], mode="incremental", keep=0)
    assert (done.updated, done.tombstoned) == (1, 0)
    assert names(folder) == {"a": None}


@pytest.mark.parametrize("collection", SCHEMAS)
def test_a_collection_may_be_empty(folder: Store, collection: str) -> None:
    for mode in ("full", "incremental", "full"):
        assert export(folder, [], collection=collection, mode=mode).rows == 0
    assert current(folder, collection).schema.equals(SCHEMAS[collection])


def test_a_collection_that_was_empty_fills(folder: Store) -> None:
    export(folder, [])
    assert export(folder, [record("a")], mode="incremental", run="second").inserted == 1
    assert changes(folder, "second") == {"a": "insert"}


def test_a_full_export_that_would_lose_too_much_is_refused_and_touches_nothing(store: Store) -> None:
    export(store, [record(id_) for id_ in "abcd"])
    before = read_bytes(store, CURRENT)
    with pytest.raises(ShrinkRefused, match=r"3 of 4.*max_shrink=0.5.*max_shrink=1"):
        export(store, [record("a")], run="second", at=NOON + DAY)
    assert read_bytes(store, CURRENT) == before
    assert changes(store, "second", NOON + DAY) is None
    assert snapshots(store) == [f"{NOON:%Y-%m-%d}"]


def test_a_full_export_of_nothing_is_refused(folder: Store) -> None:
    export(folder, [record("a")])
    with pytest.raises(ShrinkRefused):
        export(folder, [])
    assert names(folder) == {"a": "a"}


def test_the_guard_can_be_lifted_for_once(folder: Store) -> None:
    export(folder, [record("a"), record("b")])
    done = export(folder, [], max_shrink=1, run="second")
    assert (done.rows, done.deleted) == (0, 2)
    assert changes(folder, "second") == {"a": "delete", "b": "delete"}


def test_a_loss_of_just_the_share_is_allowed_and_with_zero_none_is(folder: Store) -> None:
    export(folder, [record(id_) for id_ in "abcd"])
    with pytest.raises(ShrinkRefused):
        export(folder, [record(id_) for id_ in "abc"], max_shrink=0)
    assert export(folder, [record("a"), record("b")], max_shrink=0.5).deleted == 2


def test_many_new_tombstones_are_published_with_a_warning(folder: Store) -> None:
    export(folder, [record(id_) for id_ in "abcd"])
    done = export(folder, [tombstone(id_) for id_ in "abc"], mode="incremental")
    assert done.tombstoned == 3
    (warning,) = done.warnings
    assert "3 of 4 live rows became tombstones" in warning


def test_few_new_tombstones_are_no_warning(folder: Store) -> None:
    export(folder, [record(id_) for id_ in "abcd"])
    assert export(folder, [tombstone("a"), tombstone("b")], mode="incremental").warnings == []


def test_a_snapshot_is_the_object_that_was_committed(store: Store) -> None:
    export(store, [record("a")])
    assert read_bytes(store, paths.snapshot("tags", INTEGRATION, NOON.date())) == read_bytes(store, CURRENT)


def test_the_first_snapshot_of_a_day_stays(store: Store) -> None:
    export(store, [record("a", "morning")])
    morning = read_bytes(store, paths.snapshot("tags", INTEGRATION, NOON.date()))
    export(store, [record("a", "evening")], at=NOON + 6 * 60 * MINUTE)
    assert read_bytes(store, paths.snapshot("tags", INTEGRATION, NOON.date())) == morning
    assert names(store) == {"a": "evening"}


def test_the_oldest_snapshots_go(store: Store) -> None:
    for night in range(4):
        export(store, [record("a")], at=NOON + night * DAY, keep=2)
    assert snapshots(store) == ["2026-03-30", "2026-03-31"]


def test_snapshots_are_counted_for_each_integration(folder: Store) -> None:
    export(folder, [record("a")], integration="lever:1", at=NOON)
    for night in range(3):
        export(folder, [record("a")], at=NOON + night * DAY, keep=2)
    assert snapshots(folder) == ["2026-03-29", "2026-03-30"]
    assert snapshots(folder, integration="lever:1") == ["2026-03-28"]


def test_no_snapshots_are_kept_where_none_are_wanted(folder: Store) -> None:
    export(folder, [record("a")], keep=0)
    assert folder.names("snapshots") == []


def test_a_foreign_folder_among_the_snapshots_is_left_alone(folder: Store) -> None:
    put_bytes(folder, "snapshots/tags/date=soon/note.txt", b"not ours")
    for night in range(3):
        export(folder, [record("a")], at=NOON + night * DAY, keep=1)
    assert read_bytes(folder, "snapshots/tags/date=soon/note.txt") == b"not ours"


def test_the_footer_carries_the_state_of_the_sync(store: Store) -> None:
    export(store, [record("a")], run="run-1")
    held = store.read(CURRENT)
    assert held
    with held.file:
        found = key_values(read_footer(held.file))
    assert found | {"kombo.report": ""} == {
        "kombo.integration_id": INTEGRATION,
        "kombo.collection": "tags",
        "kombo.watermark": "2026-03-28T11:55:00+00:00",
        "kombo.last_full_at": "2026-03-28T12:00:00+00:00",
        "kombo.run_id": "run-1",
        "kombo.mode": "full",
        "kombo.schema_version": SCHEMA_VERSION,
        "kombo.report": "",
    }


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"not a Parquet file at all, though it is long enough to be one", None], ids=str
)
@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_a_current_object_that_is_none_of_ours_is_not_overwritten(
    folder: Store, content: bytes | None, mode: str
) -> None:
    if content is None:
        export(folder, [record("a")])
        whole = read_bytes(folder, CURRENT)
        assert whole
        content = whole[: len(whole) // 2]
    put_bytes(folder, CURRENT, content)
    with pytest.raises(CurrentUnreadable, match=r"current/tags/.*restore or remove it"):
        export(folder, [record("b")], mode=mode)
    assert read_bytes(folder, CURRENT) == content


def test_a_parquet_file_of_somebody_else_is_not_overwritten(folder: Store, tmp_path: str) -> None:
    pq.write_table(pa.table({"id": ["a"]}), f"{tmp_path}/other.parquet")
    with open(f"{tmp_path}/other.parquet", "rb") as other:  # noqa: PTH123 - any file will do
        folder.put(CURRENT, other)
    with pytest.raises(CurrentUnreadable, match="restore or remove it"):
        export(folder, [record("b")])


def test_the_object_of_another_integration_is_not_taken_for_ours(folder: Store) -> None:
    export(folder, [record("a")], integration="lever:1")
    held = folder.read(paths.current("tags", "lever:1"))
    assert held
    with held.file:
        folder.put(CURRENT, held.file)
    with pytest.raises(CurrentUnreadable, match="another collection or integration"):
        export(folder, [record("b")])


def test_files_are_zstd_with_statistics(folder: Store) -> None:
    export(folder, [record("a"), record("b")])
    held = folder.read(CURRENT)
    assert held
    with held.file:
        group = read_footer(held.file).row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    assert {column.compression for column in columns} == {"ZSTD"}
    assert all(column.is_stats_set for column in columns)
    key = next(column for column in columns if column.path_in_schema == "id")
    assert (key.statistics.min, key.statistics.max) == ("a", "b")


def test_row_groups_have_100_000_rows() -> None:
    schema = pa.schema([pa.field("n", pa.int64())])
    with ObjectWriter(schema) as writer:
        for _ in range(5):
            writer.write(pa.record_batch([pa.array(range(50_000))], schema=schema))
        writer.finish({})
        footer = read_footer(writer.file)
    assert [footer.row_group(n).num_rows for n in range(footer.num_row_groups)] == [GROUP_ROWS, GROUP_ROWS, 50_000]
    assert GROUP_ROWS == 100_000


@pytest.mark.parametrize("collection", SCHEMAS)
def test_every_file_has_the_same_schema_whatever_the_data(folder: Store, collection: str) -> None:
    """No rows, nothing but nulls, and data; `current` and snapshot, with every field's description."""
    for at, page in ((NOON, []), (NOON + DAY, [{"id": "a"}]), (NOON + 2 * DAY, [{"id": "a", "changed_at": "x"}])):
        export(folder, page, collection=collection, at=at, run=f"{at:%d}")
        for key in (paths.current(collection, INTEGRATION), paths.snapshot(collection, INTEGRATION, at.date())):
            schema = table(folder, key).schema.remove_metadata()
            assert schema.equals(SCHEMAS[collection], check_metadata=True)
    log = table(folder, paths.changes(collection, INTEGRATION, (NOON + 2 * DAY).date(), "30")).schema
    assert log.remove_metadata().equals(dataset.change_schema(SCHEMAS[collection]), check_metadata=True)
    assert description(log.field("id")).startswith("Kombo's id")


def test_rows_of_an_older_schema_are_read_into_todays(folder: Store) -> None:
    schema = SCHEMAS["tags"]
    old = schema.remove(schema.get_field_index("remote_id")).append(pa.field("gone", pa.string()))
    old = old.set(old.get_field_index("name"), pa.field("name", pa.int64()))
    export(folder, [record("a")])
    held = folder.read(CURRENT)
    assert held
    with held.file, ObjectWriter(old) as writer:
        row = pq.read_table(held.file).to_pylist()[0] | {"name": 7, "gone": "x"}
        writer.write(pa.RecordBatch.from_pylist([row], schema=old))
        writer.finish(key_values(read_footer(held.file)))
        folder.put(CURRENT, writer.file)
    export(folder, [record("b", "B")], mode="incremental")
    assert names(folder) == {"a": None, "b": "B"}
    assert current(folder).schema.remove_metadata().equals(schema, check_metadata=True)


# Two exports of one integration at the same time.


def test_neither_of_two_incremental_exports_loses_the_others_rows(store: Store) -> None:
    export(store, [record("old")])
    with begun(store, [record("mine")], mode="incremental", at=NOON + MINUTE, run="mine") as publish:
        export(store, [record("theirs")], mode="incremental", at=NOON + 2 * MINUTE, run="theirs")
        done = publish()
    assert set(names(store)) == {"old", "mine", "theirs"}
    assert (done.rows, done.inserted) == (3, 1)
    assert changes(store, "mine") == {"mine": "insert"}
    assert state(store).watermark == NOON + MINUTE - 5 * MINUTE  # complete as of the earlier of the two


def test_of_a_row_that_both_fetched_the_later_fetch_counts(store: Store) -> None:
    export(store, [record("a"), record("b")])
    with (
        begun(store, [record("a", "early"), record("b", "early")], mode="incremental", at=NOON + MINUTE) as early,
        begun(store, [record("b", "late")], mode="incremental", at=NOON + 2 * MINUTE) as late,
    ):
        late()
        early()
    assert names(store) == {"a": "early", "b": "late"}


def test_a_full_export_does_not_remove_what_another_run_has_just_brought(store: Store) -> None:
    export(store, [record(id_) for id_ in "abcdef"])
    with begun(store, [record(id_) for id_ in "abc"], at=NOON + MINUTE, run="full") as publish:
        export(store, [record("new"), record("e", "E")], mode="incremental", at=NOON + 2 * MINUTE, run="inc")
        publish()
    assert names(store) == {"a": "a", "b": "a", "c": "a", "e": "E", "new": "a"}
    assert changes(store, "full") == {"d": "delete", "f": "delete"}
    assert state(store).last_full_at == NOON + MINUTE


def test_what_a_full_export_removed_an_incremental_one_does_not_bring_back(store: Store) -> None:
    export(store, [record("a"), record("b"), record("c")])
    with begun(store, [record("a", "A")], mode="incremental", at=NOON + MINUTE) as publish:
        export(store, [record("a"), record("b")], at=NOON + 2 * MINUTE)
        publish()
    assert set(names(store)) == {"a", "b"}
    assert state(store).last_full_at == NOON + 2 * MINUTE


def test_two_first_exports_make_one_object(store: Store) -> None:
    with begun(store, [record("a", "early"), record("x")], at=NOON, run="early") as publish:
        export(store, [record("a", "late"), record("y")], at=NOON + MINUTE, run="late")
        publish()
    assert names(store) == {"a": "late", "x": "a", "y": "a"}
    assert state(store).watermark == NOON - 5 * MINUTE


def test_a_guard_that_holds_after_another_run_has_written_leaves_its_object(store: Store) -> None:
    export(store, [record(id_) for id_ in "ab"])
    with begun(store, [record("a")], at=NOON + MINUTE, max_shrink=0) as publish:
        export(store, [record("c")], mode="incremental", at=NOON + 2 * MINUTE)
        with pytest.raises(ShrinkRefused):
            publish()
    assert set(names(store)) == {"a", "b", "c"}


class Contested(FolderStore):
    """Another export commits just before each of the first attempts on `current`."""

    contests = 0

    def put(self, key: str, file: IO[bytes], *, expect: str | None = "*") -> str:
        if key == CURRENT and self.contests:
            self.contests -= 1
            export(FolderStore(self.root), [record(f"other-{self.contests}")], mode="incremental", at=NOON + MINUTE)
        return super().put(key, file, expect=expect)


def test_a_merge_is_redone_as_often_as_it_takes_within_reason(folder: Store) -> None:
    export(folder, [record("a")])
    contested = Contested(folder.root)  # type: ignore[attr-defined]  # a folder has one
    contested.contests = 4
    export(contested, [record("mine")], mode="incremental")
    assert set(names(folder)) == {"a", "mine", "other-0", "other-1", "other-2", "other-3"}


def test_a_merge_that_never_comes_first_says_so_and_changes_nothing(folder: Store) -> None:
    export(folder, [record("a")])
    contested = Contested(folder.root)  # type: ignore[attr-defined]  # a folder has one
    contested.contests = 1000
    with pytest.raises(Moved, match=r"kept replacing current.*run it again"):
        export(contested, [record("mine")], mode="incremental", run="mine")
    assert "mine" not in names(folder)


class Forgetful(FolderStore):
    """Does what it is told, and then says that somebody else was first: its first answer was lost."""

    def put(self, key: str, file: IO[bytes], *, expect: str | None = "*") -> str:
        version = super().put(key, file, expect=expect)
        if key == CURRENT:
            raise Moved("the answer to the first of two attempts was lost")
        return version


def test_a_commit_whose_answer_was_lost_is_found_to_be_ours(folder: Store) -> None:
    export(folder, [record("a")], at=NOON - DAY)
    forgetful = Forgetful(folder.root)  # type: ignore[attr-defined]  # a folder has one
    done = export(forgetful, [record("a"), record("b")], run="mine")
    assert (done.rows, done.inserted, done.received) == (2, 1, 2)
    assert names(folder) == {"a": "a", "b": "a"}
    assert changes(folder, "mine") == {"b": "insert"}
    assert snapshots(folder) == ["2026-03-27", "2026-03-28"]


class Failing(FolderStore):
    """Fails to write what has this in its key."""

    word = ""

    def put(self, key: str, file: IO[bytes], *, expect: str | None = "*") -> str:
        if self.word in key:
            raise LakeUnavailable("as told")
        return super().put(key, file, expect=expect)


@pytest.mark.parametrize("word", ["changes/", "current/"])
def test_a_failed_write_leaves_current_as_it_was_and_the_next_run_does_it_all(folder: Store, word: str) -> None:
    export(folder, [record("a")], at=NOON - DAY)
    before = read_bytes(folder, CURRENT)
    failing = Failing(folder.root)  # type: ignore[attr-defined]  # a folder has one
    failing.word = word
    with pytest.raises(LakeUnavailable):
        export(failing, [record("a", "A")], run="failed")
    assert read_bytes(folder, CURRENT) == before
    export(folder, [record("a", "A")], run="next")
    assert names(folder) == {"a": "A"}
    assert changes(folder, "next") == {"a": "update"}


def test_a_snapshot_that_a_run_did_not_get_to_is_made_when_it_runs_again(folder: Store) -> None:
    failing = Failing(folder.root)  # type: ignore[attr-defined]  # a folder has one
    failing.word = "snapshots/"
    with pytest.raises(LakeUnavailable):
        export(failing, [record("a")])
    target = Collection(folder, "tags", INTEGRATION)
    found = target.current()
    assert found
    with found:
        target.committed(found, day=NOON.date(), keep_snapshots=7)
    assert read_bytes(folder, paths.snapshot("tags", INTEGRATION, NOON.date())) == read_bytes(folder, CURRENT)


def test_old_snapshots_that_cannot_be_removed_are_a_warning(folder: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    export(folder, [record("a")], at=NOON - DAY)

    def refuse(self: FolderStore, key: str) -> None:
        raise LakeUnavailable(f"deleting {key}: as told")

    monkeypatch.setattr(FolderStore, "delete", refuse)
    done = export(folder, [record("a")], keep=1)
    (warning,) = done.warnings
    assert "old snapshots were not removed" in warning


def test_a_lake_in_a_folder_has_nothing_but_the_layout(lake: str) -> None:
    store = open_store(str(lake))
    export(store, [record("a")], run="1")
    export(store, [record("a", "A")], run="2", at=NOON + DAY)
    slug = "integration=workday--HWUTwvyx2wLoSUHphiWVrp28"
    found = {str(path.relative_to(lake)) for path in open_store(str(lake)).root.rglob("*") if path.is_file()}  # type: ignore[attr-defined]
    assert found - {".lock"} == {
        f"current/tags/{slug}/tags.parquet",
        f"changes/tags/date=2026-03-29/{slug}/2.parquet",
        f"snapshots/tags/date=2026-03-28/{slug}/tags.parquet",
        f"snapshots/tags/date=2026-03-29/{slug}/tags.parquet",
    }
