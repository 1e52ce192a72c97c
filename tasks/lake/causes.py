"""Tell from what a store or a disk raises which of the lake's few errors it is, and say what to do about it."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tasks.lake.errors import LakeError, LakeRefused, LakeUnavailable, Moved


@contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turn what a store raises into the few errors that a caller acts on."""
    try:
        yield
    except LakeError:
        raise
    except Exception as error:
        raise _translated(error, doing) from error


@contextmanager
def temporary_files(doing: str) -> Iterator[None]:
    """Say what is wrong with this machine's disk, where rows wait in temporary files."""
    try:
        yield
    except OSError as error:
        raise _translated(error, f"{doing}, in the folder for temporary files") from error


def _translated(error: Exception, doing: str) -> LakeError:
    cause = error.__cause__
    answer: dict[str, Any] = getattr(error, "response", None) or getattr(cause, "response", None) or {}
    code = str(answer.get("Error", {}).get("Code", ""))
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    said = code or (os.strerror(error.errno) if isinstance(error, OSError) and error.errno else type(error).__name__)
    if (
        code in ("PreconditionFailed", "ConditionalRequestConflict")
        or status == 412
        or isinstance(error, FileExistsError)
    ):
        return Moved(f"{doing}: another writer was there first")
    if code == "RequestTimeTooSkewed":
        return LakeRefused(f"{doing}: this machine's clock is wrong; correct it (NTP) and run again")
    if isinstance(error, PermissionError) or status in (401, 403):
        return LakeRefused(f"{doing}: not permitted ({said}); check the credentials and their rights on the lake")
    if code == "NoSuchBucket" or isinstance(error, FileNotFoundError):
        return LakeRefused(f"{doing}: the bucket or folder does not exist ({said}); create it or correct the address")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return LakeRefused(f"{doing}: no space left ({said}); free some and run again")
    if isinstance(error, OSError) and error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EROFS, errno.ENAMETOOLONG):
        return LakeRefused(f"{doing}: {said}; correct the address")
    if status is not None and 400 <= status < 500 and status != 429:
        return LakeRefused(f"{doing}: refused ({said}, HTTP {status})")
    return LakeUnavailable(f"{doing}: the store did not do it ({said}); the lake is as before")
