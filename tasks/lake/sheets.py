"""Files that people make, read as rows: CSV however a spreadsheet writes it, or Parquet.

Cells may be personal data, and so may the file's name: no error here repeats either.
"""

import codecs
import csv
import datetime as dt
import io
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.lake.errors import LakeRefused, LakeUnavailable

MOST_BYTES = 256 * 2**20

_INDEX = re.compile(r"__index_level_\d+__")  # pandas keeps its row numbers in the file


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a file.

    Attributes:
        number: The line that it begins on, from 1, the heading included; in Parquet the row, from 1.
        cells: What is not empty, by column. CSV: text. Parquet: what JSON can hold.
    """

    number: int
    cells: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file's rows.

    Attributes:
        columns: Their names, in order.
        lines: The rows that are not empty.
        problems: What is wrong with the file's form, line and text, without what it says.
        text: Whether all cells are text (CSV), so that numbers and lists have to be read out of it.
    """

    columns: list[str]
    lines: list[Line]
    problems: list[tuple[int, str]] = field(default_factory=list)
    text: bool = True


def read_sheet(url: str, options: Mapping[str, Any] | None = None) -> Sheet:
    """Read a CSV or Parquet file.

    Args:
        url: A path or any fsspec URL.
        options: fsspec's storage options.

    Returns:
        Its rows.

    Raises:
        LakeError: It cannot be reached or is neither of the two; the text does not repeat the path.
    """
    content = _content(url, dict(options or {}))
    if content[:4] == b"PAR1" == content[-4:]:
        return _parquet(content)
    return _csv(content)


def _content(url: str, options: dict[str, Any]) -> bytes:
    try:
        fs, path = fsspec.core.url_to_fs(url, **options)
        fs.invalidate_cache()
        usable = (fs.size(path) or 0) <= MOST_BYTES and not fs.isdir(path)  # some servers do not tell the size
        content: bytes = fs.cat_file(path) if usable else b""
    except FileNotFoundError:
        raise LakeRefused(
            "the file of rows does not exist, or is out of reach, where the worker looks for it"
        ) from None
    except PermissionError:
        raise LakeRefused("the file of rows may not be read") from None
    except (ValueError, ImportError) as error:
        raise LakeRefused(f"the file of rows cannot be opened ({type(error).__name__})") from None
    except Exception as error:  # each store has errors of its own, and many quote the address
        raise LakeUnavailable(f"the file of rows could not be read ({type(error).__name__})") from None
    if not usable or len(content) > MOST_BYTES:
        raise LakeRefused(f"the file of rows is a folder, or larger than {MOST_BYTES // 2**20} MB: split it")
    return content


def decoded(content: bytes) -> str:
    """Decode a text file: by its byte order mark, else UTF-8, else UTF-16 by its zeros, else Windows-1252."""
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if content.startswith(mark):
            return _strict(content, name)
    if b"\0" in content[:2000]:  # text has no zeros but as the upper half of UTF-16's Latin letters
        zeros = content[:2000]
        return _strict(content, "utf-16-le" if zeros[1::2].count(0) >= zeros[::2].count(0) else "utf-16-be")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return _strict(content, "cp1252")


def _strict(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise LakeRefused(
            "the file of rows is neither Parquet nor text in UTF-8, UTF-16 or Windows-1252; save a spreadsheet as CSV"
        ) from None


def _csv(content: bytes) -> Sheet:
    text = decoded(content)
    skipped = 0
    if announced := re.match(r"sep=(.)\r?\n", text):  # Excel's own way to say it
        text, skipped, separator = text[announced.end() :], 1, announced[1]
    else:
        separator = _separator(text)
    csv.field_size_limit(min(sys.maxsize, MOST_BYTES))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    columns: list[str] = []
    lines: list[Line] = []
    problems: list[tuple[int, str]] = []
    while True:
        number = reader.line_num + 1 + skipped
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error:
            problems.append((number, "the quotes do not match; what follows was not read"))
            break
        if not any(cell.strip() for cell in cells):
            continue
        if not columns:
            columns = [cell.strip() for cell in cells]
            problems += [(number, text) for text in _flaws(columns)]
            continue
        if any(cell.strip() for cell in cells[len(columns) :]):
            problems.append((number, f"has {len(cells)} cells and the heading has {len(columns)}"))
            continue
        lines.append(Line(number, {n: c for n, c in zip(columns, cells, strict=False) if n and c.strip()}))
    return Sheet(columns, lines, problems)


def _separator(text: str) -> str:
    """Take the character that the heading has most of, outside quotes."""
    heading = re.sub(r'"[^"]*"', "", text.lstrip("\r\n").split("\n", 1)[0])
    return max(",;\t", key=heading.count)


def _flaws(columns: list[str]) -> list[str]:
    named = [name for name in columns if name]
    twice = sorted({name for name in named if named.count(name) > 1 and re.fullmatch(r"[\w.-]{1,60}", name)})
    found = [f"the heading has these columns more than once: {', '.join(twice)}"] if twice else []
    return found if len(named) == len(set(named)) or found else ["the heading has a column more than once"]


def _parquet(content: bytes) -> Sheet:
    try:
        table = pq.read_table(pa.BufferReader(content))
        records = table.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise LakeRefused(f"the file of rows is no readable Parquet file ({type(error).__name__})") from None
    lines, problems = [], [(0, text) for text in _flaws(table.column_names)]
    for number, record in enumerate(records, 1):
        try:
            cells = {
                name: _plain(value)
                for name, value in record.items()
                if value is not None and value != "" and not _INDEX.fullmatch(name)
            }
        except TypeError as error:
            problems.append((number, str(error)))
            continue
        if cells:
            lines.append(Line(number, cells))
    return Sheet(table.column_names, lines, problems, text=False)


def _plain(value: Any) -> Any:
    """Turn a Parquet value into what JSON can hold; raises TypeError where there is no one way."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise TypeError("a time has no time zone: store it as a timestamp in UTC")
        return f"{value.astimezone(dt.UTC).replace(tzinfo=None).isoformat()}Z"  # as people write it into a CSV file
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError("a number is not a number, or infinite")
    if isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"a cell has a type that is not supported here: {type(value).__name__}")
