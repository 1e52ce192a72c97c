"""Single files beside the tables: what is read to be uploaded, and what is downloaded into the lake.

A file's name is often a person's name, so no error here repeats a path, and a file in the lake is named by us.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import fsspec

from tasks.lake import paths
from tasks.lake.errors import LakeError, LakeRefused, LakeUnavailable
from tasks.lake.store import open_store

_CHUNK = 3 * 2**18  # a multiple of three bytes becomes base64 without padding in the middle

# By the content type that was announced; the name that a file came with decides nothing.
_ENDINGS = {
    "application/msword": "doc",
    "application/pdf": "pdf",
    "application/rtf": "rtf",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "image/jpeg": "jpg",
    "image/png": "png",
    "text/plain": "txt",
    "text/rtf": "rtf",
}


def size(url: str) -> int:
    """Say how large a file is.

    Args:
        url: A path or any fsspec URL.

    Returns:
        Bytes.

    Raises:
        LakeError: It cannot be reached; the text does not repeat the path.
    """
    with _opened(url) as (_, length):
        return length


def copy_base64(url: str, into: IO[bytes], expected: int) -> None:
    """Write a file's content in base64, a chunk at a time.

    Args:
        url: A path or any fsspec URL.
        into: Where to.
        expected: The size that was checked, in bytes.

    Raises:
        LakeError: It cannot be read, or no longer has the size that was checked.
    """
    left = b""
    read = 0
    with _opened(url) as (file, _):
        while chunk := file.read(_CHUNK):
            read += len(chunk)
            if read > expected:
                break
            chunk = left + chunk
            whole = len(chunk) - len(chunk) % 3
            into.write(base64.b64encode(chunk[:whole]))
            left = chunk[whole:]
    if read != expected:
        raise LakeRefused("the file to upload changed while it was being read")
    into.write(base64.b64encode(left))


def attachment_key(integration_id: str, attachment_id: str, content_type: str) -> str:
    """Name a downloaded attachment, below the lake's root, from what we know and never from the file's own name.

    Args:
        integration_id: Whose it is.
        attachment_id: Kombo's id of it; what is no such id is hashed.
        content_type: As announced; decides the ending.

    Returns:
        The object's key.
    """
    if not re.fullmatch(r"[1-9A-HJ-NP-Za-km-z]{24}", attachment_id):
        attachment_id = hashlib.sha256(attachment_id.encode()).hexdigest()
    ending = _ENDINGS.get(content_type, "bin")
    return f"attachments/integration={paths.slug(integration_id)}/{attachment_id}.{ending}"


def store_file(lake: str, key: str, file: IO[bytes], options: dict[str, Any] | None = None) -> str:
    """Put a finished file into the lake, whole or not at all.

    Args:
        lake: The lake's URL or path.
        key: Below the lake's root.
        file: Read from its beginning.
        options: fsspec's storage options for the lake.

    Returns:
        The object's URL or path.

    Raises:
        LakeError: The lake did not take it.
    """
    store = open_store(lake, options)
    store.put(key, file)
    return f"{store.url.rstrip('/')}/{key}"


@contextmanager
def _opened(url: str) -> Iterator[tuple[IO[bytes], int]]:
    """Open a file and say how large it is."""
    try:
        fs, path = fsspec.core.url_to_fs(url)
        fs.invalidate_cache()
        length = fs.size(path)
        if length is None or fs.isdir(path):
            raise LakeRefused("the file to upload is a folder, or its size cannot be told")  # noqa: TRY301 - not a store's
        with fs.open(path, "rb") as file:
            yield file, int(length)
    except LakeError:
        raise
    except FileNotFoundError:
        raise LakeRefused("the file to upload does not exist") from None
    except PermissionError:
        raise LakeRefused("the file to upload may not be read") from None
    except (ValueError, ImportError) as error:
        raise LakeRefused(f"the file to upload cannot be opened ({type(error).__name__})") from None
    except Exception as error:  # each store has errors of its own, and many quote the address
        raise LakeUnavailable(f"the file to upload could not be read ({type(error).__name__})") from None
