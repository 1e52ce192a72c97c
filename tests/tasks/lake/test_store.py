"""Whole objects or none, under a condition or without, and errors that say what to do."""

from __future__ import annotations

import io
import os
import resource
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, ClassVar
from uuid import uuid4

import botocore.auth
import fsspec
import pytest
import s3fs
from fsspec.implementations.memory import MemoryFileSystem

from tasks.lake import paths
from tasks.lake import store as stores
from tasks.lake.errors import LakeError, LakeRefused, LakeUnavailable, Moved
from tasks.lake.store import FolderStore, S3Store, Store, check, open_store, put_bytes, read_bytes
from tests.servers import BUCKET, Bucket
from tests.tasks.lake.nights import NOON, begun, current, export, names, record

MIB = 2**20


def version(store: Store, key: str) -> str:
    """The version of an object."""
    held = store.read(key)
    assert held
    with held.file:
        return held.version


def test_an_object_that_is_not_there_is_none(store: Store) -> None:
    assert store.read("a/b") is None
    assert store.names("a") == []
    store.delete("a/b")


def test_what_is_put_is_read(store: Store) -> None:
    put_bytes(store, "a/b/c", b"content")
    held = store.read("a/b/c")
    assert held
    with held.file:
        assert (held.file.read(), held.size) == (b"content", 7)
    assert store.names("a") == ["b"]
    assert store.names("a/b") == ["c"]


def test_put_says_the_version_that_read_says(store: Store) -> None:
    assert put_bytes(store, "a", b"1") == version(store, "a")
    assert put_bytes(store, "b", b"1", expect=None) == version(store, "b")
    assert put_bytes(store, "b", b"2", expect=version(store, "b")) == version(store, "b")


def test_a_condition_that_holds_is_kept(store: Store) -> None:
    first = put_bytes(store, "a", b"1", expect=None)
    second = put_bytes(store, "a", b"2", expect=first)
    assert first != second
    assert read_bytes(store, "a") == b"2"


def test_what_must_not_be_there_is_not_overwritten(store: Store) -> None:
    put_bytes(store, "a", b"1")
    with pytest.raises(Moved):
        put_bytes(store, "a", b"2", expect=None)
    assert read_bytes(store, "a") == b"1"


def test_what_has_changed_is_not_overwritten(store: Store) -> None:
    first = put_bytes(store, "a", b"1")
    put_bytes(store, "a", b"2")
    with pytest.raises(Moved):
        put_bytes(store, "a", b"3", expect=first)
    assert read_bytes(store, "a") == b"2"


def test_what_is_gone_is_not_put_back(store: Store) -> None:
    first = put_bytes(store, "a", b"1")
    store.delete("a")
    with pytest.raises((Moved, LakeRefused)):
        put_bytes(store, "a", b"2", expect=first)
    assert read_bytes(store, "a") is None


def test_of_many_that_create_one_object_one_does(store: Store) -> None:
    start = threading.Barrier(6, timeout=30)

    def create(number: int) -> bool:
        start.wait()
        try:
            put_bytes(store, "one", str(number).encode(), expect=None)
        except Moved:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(create, range(6))) == 1


def test_of_many_that_replace_one_version_one_does(store: Store) -> None:
    first = put_bytes(store, "one", b"first")
    start = threading.Barrier(6, timeout=30)

    def replace(number: int) -> bool:
        start.wait()
        try:
            put_bytes(store, "one", str(number).encode(), expect=first)
        except Moved:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(replace, range(6))) == 1


def test_exports_in_threads_lose_nothing_of_each_other(store: Store) -> None:
    export(store, [record("old")])
    start = threading.Barrier(4, timeout=30)

    def run(number: int) -> None:
        with begun(store, [record(f"new-{number}")], mode="incremental") as publish:
            start.wait()
            publish()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert set(names(store)) == {"old", "new-0", "new-1", "new-2", "new-3"}


def test_a_check_learns_that_conditions_are_kept_and_leaves_nothing(store: Store) -> None:
    check(store)
    assert store.conditional
    assert [key for key in store.names("_checks") if store.read(f"_checks/{key}")] == []


class Plain(MemoryFileSystem):
    """A file system that knows nothing of conditions."""

    protocol = "plain"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]


def test_a_store_that_has_no_conditions_is_used_and_says_so() -> None:
    fsspec.register_implementation("plain", Plain, clobber=True)
    store = open_store(f"plain://{uuid4().hex}")
    check(store)
    assert not store.conditional
    export(store, [record("a")])
    export(store, [record("b")], mode="incremental")
    assert set(names(store)) == {"a", "b"}


def test_a_store_that_ignores_conditions_is_found_out(s3: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real = S3Store.put
    monkeypatch.setattr(S3Store, "put", lambda self, key, file, *, expect="*": real(self, key, file))
    check(s3)
    assert not s3.conditional


@pytest.mark.parametrize("url", ["", "  ", "nonsense://x", "s3://"])
def test_an_address_that_cannot_be_meant_is_refused(url: str) -> None:
    with pytest.raises(LakeRefused):
        open_store(url)


@pytest.mark.parametrize("prefix", ["", "file://", "local://"])
def test_a_folder_is_a_folder_however_it_is_written(lake: Path, prefix: str) -> None:
    put_bytes(open_store(f"{prefix}{lake}"), "a", b"1")
    assert (lake / "a").read_bytes() == b"1"


# A folder.


def test_an_object_that_is_being_read_stays_as_it_was(folder: Store) -> None:
    put_bytes(folder, "a", b"old")
    held = folder.read("a")
    assert held
    put_bytes(folder, "a", b"new")
    with held.file:
        assert held.file.read() == b"old"


def test_a_draft_that_a_killed_process_left_goes_once_it_is_old(lake: Path) -> None:
    store = FolderStore(lake)
    put_bytes(store, "c/a", b"1")
    old, young = lake / "c/.a.1.tmp", lake / "c/.a.2.tmp"
    for draft in (old, young):
        draft.write_bytes(b"half")
    os.utime(old, (1, 1))
    put_bytes(store, "c/a", b"2")
    assert not old.exists()
    assert young.exists()
    assert store.names("c") == ["a"]


def test_folders_that_come_and_go_disturb_nobody(lake: Path) -> None:
    def come_and_go(number: int) -> None:
        store = FolderStore(lake)
        for _ in range(60):
            put_bytes(store, f"deep/er/{number}", b"1")
            store.delete(f"deep/er/{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, range(4)))
    assert not (lake / "deep").exists()


def test_a_folder_that_goes_while_it_is_being_made_is_made_again(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Path.mkdir
    gone = [FileExistsError(), FileNotFoundError()]

    def mkdir(self: Path, *args: Any, **options: Any) -> None:
        if self.name == "deep" and gone:
            raise gone.pop()
        made(self, *args, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    put_bytes(FolderStore(lake), "deep/0", b"1")
    assert (lake / "deep" / "0").read_bytes() == b"1"
    assert not gone


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file may become larger, as if the disk were full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_and_current_is_as_before(folder: Store) -> None:
    export(folder, [record("a")])
    before = read_bytes(folder, paths.current("tags", "workday:HWUTwvyx2wLoSUHphiWVrp28"))
    with file_size_limit(100), pytest.raises(LakeRefused, match="no space left"):
        put_bytes(folder, "current/big", b"x" * 1000)
    assert folder.names("current") == ["tags"]
    assert read_bytes(folder, paths.current("tags", "workday:HWUTwvyx2wLoSUHphiWVrp28")) == before


def test_a_full_disk_while_merging_is_said_and_current_is_as_before(folder: Store) -> None:
    export(folder, [record("a")])
    with begun(folder, [record("b")], mode="incremental") as publish, file_size_limit(100):  # noqa: SIM117
        with pytest.raises(LakeRefused, match="no space left"):
            publish()
    assert names(folder) == {"a": "a"}


def test_a_full_disk_while_fetching_is_said(folder: Store) -> None:
    with file_size_limit(100), pytest.raises(LakeRefused, match="no space left"):  # noqa: SIM117
        with begun(folder, [record(f"{number}") for number in range(1000)]):
            pass


@contextmanager
def unprivileged() -> Iterator[None]:
    """As a user that may not do everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_may_not_be_written_is_said_and_current_is_as_before(lake: Path) -> None:
    store = FolderStore(lake)
    put_bytes(store, "a/b", b"1")
    (lake / "a").chmod(0o500)
    try:
        with unprivileged(), pytest.raises(LakeRefused, match="not permitted"):
            put_bytes(store, "a/b", b"2")
    finally:
        (lake / "a").chmod(0o700)
    assert read_bytes(store, "a/b") == b"1"


def test_a_file_where_a_folder_should_be_is_said(lake: Path) -> None:
    lake.write_text("not a folder")
    with pytest.raises(LakeRefused, match="correct the address"):
        check(FolderStore(lake))


# S3.


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upload in the smallest parts that S3 allows."""
    monkeypatch.setattr(stores, "_PART", 5 * MIB)


def uploads(s3: S3Store) -> list[Any]:
    """The uploads that were begun in a lake and neither completed nor aborted."""
    found = s3.fs.call_s3("list_multipart_uploads", Bucket=BUCKET).get("Uploads") or []
    return [upload for upload in found if upload["Key"].startswith(s3.prefix)]


BODY = os.urandom(MIB) * 11


@pytest.mark.usefixtures("in_parts")
def test_a_large_object_is_uploaded_in_parts_under_the_same_conditions(s3: S3Store) -> None:
    first = s3.put("big", io.BytesIO(BODY), expect=None)
    assert first.strip('"').endswith("-3")
    with pytest.raises(Moved):
        s3.put("big", io.BytesIO(BODY[1:]), expect=None)
    second = s3.put("big", io.BytesIO(BODY[2:]), expect=first)
    with pytest.raises(Moved):
        s3.put("big", io.BytesIO(BODY[3:]), expect=first)
    assert read_bytes(s3, "big") == BODY[2:]
    assert version(s3, "big") == second
    assert uploads(s3) == []


@pytest.mark.usefixtures("in_parts")
def test_why_an_upload_failed_is_said_even_if_it_cannot_be_aborted(
    s3: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_bytes(s3, "big", b"another writer's")
    ask = s3.fs.call_s3

    def call(method: str, *args: Any, **given: Any) -> Any:
        if method == "abort_multipart_upload":
            raise ConnectionError("nor does it answer now")
        return ask(method, *args, **given)

    monkeypatch.setattr(s3.fs, "call_s3", call)
    with pytest.raises(Moved):
        s3.put("big", io.BytesIO(BODY), expect=None)


class Breaking(io.BytesIO):
    """A file whose disk breaks on the way."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= 5 * MIB:
            raise OSError(5, "the disk broke")
        return super().read(size)


@pytest.mark.usefixtures("in_parts")
def test_an_upload_that_fails_on_the_way_leaves_no_object_and_no_parts(s3: S3Store) -> None:
    with pytest.raises(LakeUnavailable):
        s3.put("big", Breaking(BODY))
    assert s3.read("big") is None
    assert uploads(s3) == []


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("size", [10, 6 * MIB])
def test_options_for_encryption_go_with_every_upload(
    bucket: Bucket, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "a-key"}
    once = {"retries": {"total_max_attempts": 1}}
    options = {"s3_additional_kwargs": encryption, "config_kwargs": once}
    store = open_store(bucket.new_url(), {**bucket.options, **options})
    assert isinstance(store, S3Store)
    sent: dict[str, dict[str, str]] = {}

    def note(model: Any, params: dict[str, Any], **_: Any) -> None:
        sent[model.name] = dict(params["headers"])

    store.fs.connect()
    store.fs.s3.meta.events.register("before-call.s3", note)
    with suppress(LakeError):  # the server knows no such key
        put_bytes(store, "a", b"x" * size)
    opening = sent["PutObject" if size == 10 else "CreateMultipartUpload"]
    assert opening["x-amz-server-side-encryption"] == "aws:kms"
    assert opening["x-amz-server-side-encryption-aws-kms-key-id"] == "a-key"


def test_what_another_process_writes_is_seen_at_once(bucket: Bucket) -> None:
    url = bucket.new_url()
    store, other = open_store(url, bucket.options), bucket.client()
    cached = s3fs.S3FileSystem(**bucket.options)  # what somebody else in this process may be using
    assert store.names("a") == []
    assert not cached.exists(f"{url}/a/b")
    other.pipe_file(f"{url}/a/b", b"1")
    assert store.names("a") == ["b"]
    assert read_bytes(store, "a/b") == b"1"
    other.pipe_file(f"{url}/a/b", b"2")
    assert read_bytes(store, "a/b") == b"2"
    other.rm_file(f"{url}/a/b")
    assert store.read("a/b") is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"secret": "wrong"}, "SignatureDoesNotMatch.*credentials"),
        ({"key": "nobody"}, "not permitted.*credentials"),
    ],
)
def test_a_key_that_is_wrong_is_said_without_the_key(bucket: Bucket, options: dict[str, str], says: str) -> None:
    store = open_store(bucket.new_url(), {**bucket.options, **options})
    with pytest.raises(LakeRefused, match=says) as refused:
        check(store)
    assert "wrong" not in str(refused.value)
    with pytest.raises(LakeRefused):
        store.read("a")


def test_a_bucket_that_is_missing_is_said(bucket: Bucket) -> None:
    store = open_store("s3://no-such-bucket/lake", bucket.options)
    with pytest.raises(LakeRefused, match="bucket or folder does not exist"):
        check(store)
    with pytest.raises(LakeRefused, match="bucket or folder does not exist"):
        store.read("a")


def test_a_store_that_does_not_answer_may_answer_later(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    once = {"retries": {"total_max_attempts": 1}, "connect_timeout": 1}
    store = open_store(
        bucket.new_url(), {**bucket.options, "endpoint_url": "http://127.0.0.1:9", "config_kwargs": once}
    )
    with pytest.raises(LakeUnavailable, match="the store did not do it"):
        check(store)


def test_a_clock_that_s3_does_not_accept_is_said(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    import datetime as dt

    real = botocore.auth.get_current_datetime
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *a, **k: real(*a, **k) - dt.timedelta(hours=3))
    with pytest.raises(LakeRefused, match="clock is wrong"):
        check(open_store(bucket.new_url(), bucket.options))


@pytest.mark.usefixtures("in_parts")
def test_a_collection_of_many_parts_is_merged_and_replaced(s3: S3Store) -> None:
    """Random text does not compress, so that the object is large."""
    import random

    dice = random.Random(1)  # noqa: S311 - not a secret
    large = [record(f"{n}", dice.randbytes(2**19).hex()) for n in range(16)]
    export(s3, large, keep=0)
    done = export(s3, [record("new")], mode="incremental", keep=0)
    assert done.bytes > 5 * MIB
    assert current(s3).num_rows == 17
    with begun(s3, [record("mine")], mode="incremental", keep=0) as publish:
        export(s3, [record("theirs")], mode="incremental", at=NOON, keep=0)
        publish()
    assert {"mine", "theirs"} <= set(names(s3))
    assert uploads(s3) == []


def test_errors_are_few_and_name_no_secret(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> IO[bytes]:
        raise RuntimeError("token=hunter2")

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(LakeUnavailable) as raised:
        put_bytes(FolderStore(lake), "a", b"1")
    assert "hunter2" not in str(raised.value)
