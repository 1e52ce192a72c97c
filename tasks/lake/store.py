"""Where the lake's objects are kept: a folder, S3, or anything else that fsspec opens.

An object is written whole or not at all, and a write may be conditional on what was there before:

- a folder: copied beside its place, then renamed under a lock file that a killed process cannot leave locked;
- S3: one put, or a multi-part upload that is completed with the condition (s3fs itself drops `IfMatch` there);
- any other store: written without a condition, and `conditional` says so, for the run to report.

Directory listings are never answered from s3fs's cache, which does not see what other processes write.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, Any, Protocol

import fsspec
from fsspec.asyn import sync

from tasks.lake.causes import store_errors
from tasks.lake.errors import LakeRefused, Moved

ANY = "*"
"""A version that stands for "whatever is there"."""

_CHUNK = 8 * 2**20
_ATTEMPTS = 20
_PART = 16 * 2**20  # S3 takes 10,000 parts: enough for 160 GB


@dataclass(frozen=True, slots=True)
class Held:
    """An object as it was when it was opened: a seekable file, and the version to be conditional on."""

    file: IO[bytes]
    version: str
    size: int


class Store(Protocol):
    """The few things that the lake asks of a store. Keys are relative, with `/` between their parts."""

    url: str
    conditional: bool

    def read(self, key: str) -> Held | None:
        """Open an object, or return None where there is none."""

    def put(self, key: str, file: IO[bytes], *, expect: str | None = ANY) -> str:
        """Write `file` as the object, whole or not at all, and return its version.

        Args:
            key: Where to.
            file: Read from its beginning.
            expect: The version that must still be there; None: there must be nothing; `ANY`: no condition.

        Raises:
            Moved: The condition does not hold; the object is as it was.
        """

    def names(self, prefix: str) -> list[str]:
        """Return the sorted names directly under a prefix, fresh from the store; none where there is nothing."""

    def delete(self, key: str) -> None:
        """Remove an object; not an error where there is none."""


def open_store(url: str, options: dict[str, Any] | None = None) -> Store:
    """Open the store behind a path or a URL.

    Args:
        url: `./lake`, `file:///…`, `s3://bucket/prefix`, `memory://…`, or another fsspec URL.
        options: fsspec's storage options, such as `key`, `secret`, `endpoint_url` and `s3_additional_kwargs`
            (server-side encryption) for S3.

    Raises:
        LakeRefused: The URL is empty or its scheme unknown.
    """
    if not url.strip():
        raise LakeRefused("the lake's address is empty: give a path or a URL such as s3://bucket/prefix")
    scheme, separator, rest = url.partition("://")
    if not separator:
        return FolderStore(Path(url))
    if scheme in ("file", "local"):
        return FolderStore(Path(rest))
    settings = dict(options or {})
    try:
        if scheme in ("s3", "s3a"):
            return S3Store(url, settings)
        return OtherStore(url, settings)
    except (ValueError, ImportError) as error:
        raise LakeRefused(f"cannot open the lake at {scheme}://…: {error}") from error


def read_bytes(store: Store, key: str) -> bytes | None:
    """Return a small object's content, or None where there is none."""
    held = store.read(key)
    if held is None:
        return None
    with held.file:
        return held.file.read()


def put_bytes(store: Store, key: str, content: bytes, *, expect: str | None = ANY) -> str:
    """Write a small object; see `Store.put`."""
    with tempfile.SpooledTemporaryFile(max_size=_CHUNK) as file:
        file.write(content)
        return store.put(key, file, expect=expect)


def check(store: Store) -> None:
    """Write, re-write and remove a small object, to learn now rather than in an hour whether the store works.

    Sets `store.conditional` to whether the store keeps both kinds of condition.

    Raises:
        LakeUnavailable: It does not answer.
        LakeRefused: It says no.
    """
    key = f"_checks/{uuid.uuid4().hex}"
    put_bytes(store, key, b"kombo-flows checks that it can write here")
    try:
        if store.conditional:
            store.conditional = all(_is_kept(store, key, expect) for expect in (None, '"0"'))
    finally:
        store.delete(key)


def _is_kept(store: Store, key: str, expect: str | None) -> bool:
    try:
        put_bytes(store, key, b"a condition that does not hold", expect=expect)
    except Moved:
        return True
    except LakeRefused:  # "not implemented" is also an answer
        return False
    return False


@contextmanager
def _closed_on_error(file: IO[bytes]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        file.close()
        raise


class FolderStore:
    """A folder on this machine, or one that it has mounted."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.url = str(self.root)
        self.conditional = True

    def read(self, key: str) -> Held | None:
        """Open an object; a later replacement does not disturb the reader."""
        with store_errors(f"reading {key}"):
            try:
                file = (self.root / key).open("rb")
            except FileNotFoundError:
                return None
            status = os.fstat(file.fileno())
            return Held(file, _version(status), status.st_size)

    def put(self, key: str, file: IO[bytes], *, expect: str | None = ANY) -> str:
        """Copy beside the place, then rename into it under the folder's lock."""
        place = self.root / key
        with store_errors(f"writing {key}"):
            draft = place.with_name(f".{place.name}.{uuid.uuid4().hex}.tmp")
            try:
                with _created(draft) as copy:
                    file.seek(0)
                    shutil.copyfileobj(file, copy, _CHUNK)
                    copy.flush()
                    os.fsync(copy.fileno())
                if expect is None:
                    place.hardlink_to(draft)  # creates or fails, in one step
                    return _version(place.stat())
                with _locked(self.root / ".lock"):
                    if expect not in (ANY, _version(place.stat()) if place.exists() else None):
                        raise Moved(f"writing {key}: another writer was there first")
                    _sweep(place)
                    draft.replace(place)
                    return _version(place.stat())
            finally:
                draft.unlink(missing_ok=True)

    def names(self, prefix: str) -> list[str]:
        """List a folder; hidden names (drafts, locks) are not the lake's."""
        with store_errors(f"listing {prefix}"):
            folder = self.root / prefix
            return sorted(p.name for p in folder.iterdir() if not p.name.startswith(".")) if folder.is_dir() else []

    def delete(self, key: str) -> None:
        """Remove a file and the folders that it leaves empty."""
        place = self.root / key
        with store_errors(f"deleting {key}"):
            place.unlink(missing_ok=True)
            for folder in place.parents:
                if folder == self.root:
                    break
                try:
                    folder.rmdir()
                except OSError:
                    break  # not empty: somebody else's objects are in it, or have just been put there


def _created(draft: Path) -> IO[bytes]:
    """Create a file and its folder, which another writer's `delete` may remove in between."""
    for tries in count(1):
        try:
            with suppress(FileExistsError):  # mkdir raises it too if the folder goes while it looks what is there
                draft.parent.mkdir(parents=True, exist_ok=True)
            return draft.open("xb")
        except FileNotFoundError:
            if tries == _ATTEMPTS:
                raise
    raise AssertionError  # count() does not end


def _version(status: os.stat_result) -> str:
    return f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"


def _sweep(place: Path) -> None:
    """Remove the drafts that killed processes left, an hour old by the clock of the file system."""
    drafts = list(place.parent.glob(f".{place.name}.*.tmp"))
    newest = max((draft.stat().st_mtime for draft in drafts if draft.exists()), default=0.0)  # our own is among them
    for draft in drafts:
        if draft.exists() and draft.stat().st_mtime < newest - 3600:
            draft.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go by the kernel when the process ends, however it ends
        yield


class S3Store:
    """A bucket, or a prefix in one, through s3fs."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        settings = {"use_listings_cache": False, "default_block_size": _CHUNK, **options}
        self.fs, path = fsspec.core.url_to_fs(url, **settings)
        self.bucket, _, self.prefix = path.strip("/").partition("/")
        if not self.bucket:
            raise ValueError("the address has no bucket: s3://bucket/prefix")
        self.url = f"s3://{path.strip('/')}"
        self.conditional = True

    def _place(self, key: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": f"{self.prefix}/{key}" if self.prefix else key}

    def read(self, key: str) -> Held | None:
        """Fetch an object whole into an unnamed file: one answer, hence one version."""
        with store_errors(f"reading {key}"):
            try:
                held: Held = sync(self.fs.loop, self._read, key)
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(getattr(error.__cause__, "response", "")):
                    raise
                return None
            return held

    async def _read(self, key: str) -> Held:
        answer = await self.fs._call_s3("get_object", **self._place(key))
        file = tempfile.TemporaryFile()  # noqa: SIM115 - handed to the caller
        size = 0
        with _closed_on_error(file):
            async with answer["Body"] as body:
                while chunk := await body.read(_CHUNK):
                    file.write(chunk)
                    size += len(chunk)
            if size != answer["ContentLength"]:
                raise ConnectionError(errno.ECONNRESET, "the answer ended early")
        file.seek(0)
        return Held(file, answer["ETag"], size)

    def put(self, key: str, file: IO[bytes], *, expect: str | None = ANY) -> str:
        """Put an object, in parts where it is large; the condition holds for both."""
        condition = {} if expect == ANY else {"IfNoneMatch": "*"} if expect is None else {"IfMatch": expect}
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        with store_errors(f"writing {key}"):
            if size <= _PART:
                answer = self.fs.call_s3("put_object", **self._place(key), Body=file.read(), **condition)
            else:
                answer = self._put_parts(key, file, condition)
            return str(answer["ETag"])

    def _put_parts(self, key: str, file: IO[bytes], condition: dict[str, str]) -> dict[str, Any]:
        place = self._place(key)
        upload = {**place, "UploadId": self.fs.call_s3("create_multipart_upload", **place)["UploadId"]}
        try:
            parts: list[dict[str, Any]] = []
            while body := file.read(_PART):
                number = len(parts) + 1
                tag = self.fs.call_s3("upload_part", **upload, PartNumber=number, Body=body)["ETag"]
                parts.append({"PartNumber": number, "ETag": tag})
            done: dict[str, Any] = self.fs.call_s3(
                "complete_multipart_upload", **upload, MultipartUpload={"Parts": parts}, **condition
            )
        except BaseException:
            with suppress(Exception):  # parts are left, which a bucket's lifecycle removes; why it failed matters more
                self.fs.call_s3("abort_multipart_upload", **upload)
            raise
        return done

    def names(self, prefix: str) -> list[str]:
        """List one level of keys."""
        with store_errors(f"listing {prefix}"):
            path = "/".join(part for part in (self.bucket, self.prefix, prefix.strip("/")) if part)
            try:
                found = self.fs.ls(path, detail=False, refresh=True)
            except FileNotFoundError:
                return []
            return sorted({name.rstrip("/").rsplit("/", 1)[-1] for name in found} - {""})

    def delete(self, key: str) -> None:
        """Delete a key."""
        with store_errors(f"deleting {key}"):
            self.fs.call_s3("delete_object", **self._place(key))


_MEMORY = threading.RLock()
"""All who open an object in memory get the same file, with one position."""


class OtherStore:
    """Any other fsspec file system. Only `memory://` can be conditional here: it is all in this process."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self.fs, self.root = fsspec.core.url_to_fs(url, **options)
        self.root = self.root.rstrip("/")
        self.url = url.rstrip("/")
        self._in_memory = "memory" in self.fs.protocol
        self.conditional = self._in_memory

    def read(self, key: str) -> Held | None:
        """Read an object whole into an unnamed file."""
        with store_errors(f"reading {key}"), _MEMORY if self._in_memory else nullcontext():
            digest, size = hashlib.sha256(), 0
            try:
                source = self.fs.open(f"{self.root}/{key}", "rb")
            except FileNotFoundError:
                return None
            file = tempfile.TemporaryFile()  # noqa: SIM115 - handed to the caller
            with source, _closed_on_error(file):
                while chunk := source.read(_CHUNK):
                    file.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
            file.seek(0)
            return Held(file, digest.hexdigest(), size)

    def put(self, key: str, file: IO[bytes], *, expect: str | None = ANY) -> str:
        """Write an object; outside memory the check and the write are two steps, which `conditional` admits."""
        path = f"{self.root}/{key}"
        with store_errors(f"writing {key}"), _MEMORY:
            if expect != ANY:
                held = self.read(key)
                if held:
                    held.file.close()
                if (held.version if held else None) != expect:
                    raise Moved(f"writing {key}: another writer was there first")
            file.seek(0)
            digest = hashlib.sha256()
            self.fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            target = self.fs.open(path, "wb")
            try:
                while chunk := file.read(_CHUNK):
                    target.write(chunk)
                    digest.update(chunk)
            except BaseException:
                target.discard() if hasattr(target, "discard") else None  # closing would publish the half
                raise
            target.close()
            return digest.hexdigest()

    def names(self, prefix: str) -> list[str]:
        """List one level, not from a cache."""
        with store_errors(f"listing {prefix}"):
            self.fs.invalidate_cache()
            try:
                found = self.fs.ls(f"{self.root}/{prefix}".rstrip("/"), detail=False)
            except FileNotFoundError:
                return []
            return sorted(name.rstrip("/").rsplit("/", 1)[-1] for name in found)

    def delete(self, key: str) -> None:
        """Remove an object."""
        with store_errors(f"deleting {key}"):
            try:
                self.fs.rm_file(f"{self.root}/{key}")
            except FileNotFoundError:
                return
