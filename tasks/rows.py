"""Rows of a file as requests: every one is checked completely before the first is sent.

A row has its operation in the column `operation`. Its arguments are columns of their own, nested ones with dots
(`candidate.email_address`), a whole object or list as JSON in one cell, or all of them as a JSON object in the column
`arguments`. Empty cells are not given. What is wrong is said with its line, and never with what the cell holds.
"""

from __future__ import annotations

import functools
import json
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Any

from pydantic import BaseModel

from tasks.bodies import shown
from tasks.credentials import KomboCredentials
from tasks.kombo.client import Client
from tasks.kombo.rehearsals import rehearsing_client
from tasks.lake.plans import PlanRow, row_key
from tasks.lake.sheets import Line, Sheet
from tasks.operations import OPERATIONS, Operation, OperationName
from tasks.subjects import REJECT

Problem = tuple[int, str]
"""A line's number and what is wrong there."""

WRITES = tuple(name for name, operation in OPERATIONS.items() if operation.writes)


class InvalidRows(ValueError):
    """The file has rows that cannot be sent; nothing was sent.

    Attributes:
        problems: All of them, by line.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems)
        told = "\n".join(f"line {line}: {text}" for line, text in self.problems[:_TOLD])
        more = len(self.problems) - _TOLD
        super().__init__(
            f"{len(self.problems)} problems; nothing was sent:\n{told}"
            + (f"\nand {more} more; the run's artifact and the lake have them all" if more > 0 else "")
        )


_TOLD = 100
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,15})(\.\d{1,15})?")


class Rehearsal(KomboCredentials):
    """Credentials that lead nowhere: an operation called with them checks everything and sends nothing."""

    _block_type_slug = "kombo-rehearsal"

    def get_client(self) -> Client:
        """Make a client that sends nothing."""
        return rehearsing_client()


def parse(sheet: Sheet, integration: str) -> tuple[list[PlanRow], list[Problem]]:
    """Turn a file's lines into rows to send, each once, and collect everything that is wrong.

    Args:
        sheet: The file.
        integration: Integration id.

    Returns:
        The rows in the file's order, and the problems.
    """
    problems = list(sheet.problems)
    rows: dict[str, PlanRow] = {}
    rehearsal = Rehearsal(api_key="rehearsal")  # type: ignore[arg-type]
    if "operation" not in sheet.columns:
        return [], [*problems, (1, "there is no column named operation")]
    for line in sheet.lines:
        try:
            row = _row(line, integration, rehearsal, text=sheet.text)
        except UnicodeError:
            problems.append((line.number, "has half a character (a lone surrogate), which cannot be sent"))
            continue
        except (ValueError, TypeError) as error:
            problems.append((line.number, str(error)))
            continue
        known = rows.get(row.key)
        if known is None:
            rows[row.key] = row
        elif known.arguments == row.arguments:
            rows[row.key] = _also(known, line.number)
        else:
            problems.append((line.number, f"line {known.lines} rejects the same application in another way"))
    if not rows and not problems:
        problems.append((1, "there are no rows"))
    return list(rows.values()), problems


def _also(row: PlanRow, line: int) -> PlanRow:
    return PlanRow(**{name: getattr(row, name) for name in PlanRow.__slots__} | {"lines": f"{row.lines}, {line}"})


def _row(line: Line, integration: str, rehearsal: KomboCredentials, *, text: bool) -> PlanRow:
    cells = dict(line.cells)
    name = cells.pop("operation", None)
    operation = OPERATIONS.get(name.strip()) if isinstance(name, str) else None  # type: ignore[call-overload]
    if operation is None or not operation.writes:
        raise ValueError(f"operation: expected one of {', '.join(WRITES)}")
    given = arguments(operation, cells, text=text)
    if any(isinstance(file, Mapping) and "path" in file for file in _files(given)):
        raise ValueError("path: not in a batch, whose content is fixed when it is planned; use data_url")
    checked = operation.checked(integration, given)
    operation.task.fn(**checked, credentials=rehearsal)
    written = json.dumps(given, sort_keys=True, ensure_ascii=False, allow_nan=False)
    ids = {name: given.get(name) for name in ("application_id", "candidate_id", "job_id")}
    key = str(given["application_id"]) if operation.name == REJECT else row_key(operation.name, written)
    return PlanRow(key, operation.name, written, str(line.number), **ids)


def _files(given: Mapping[str, Any]) -> Iterator[Any]:
    yield given.get("attachment")
    several = [given.get("attachments"), given.get("screening_question_answers")]
    for entry in (entry for some in several if isinstance(some, list) for entry in some):
        yield entry
        yield entry.get("answer") if isinstance(entry, Mapping) else None


def arguments(operation: Operation, cells: Mapping[str, Any], *, text: bool) -> dict[str, Any]:
    """Put a row's cells together as an operation's arguments.

    Args:
        operation: Which.
        cells: By column.
        text: Whether they are text of which lists, objects and booleans have to be read.

    Returns:
        The arguments, not yet checked.

    Raises:
        ValueError: Two cells say the same argument, or one is no JSON where it has to be.
    """
    found: dict[str, Any] = {}
    if "arguments" in cells:
        whole = cells["arguments"]
        whole = _json(whole, "arguments") if isinstance(whole, str) else whole
        if not isinstance(whole, dict):
            raise ValueError("arguments: expected a JSON object")
        found = dict(whole)
    hints = _hints(operation.name)
    for column, cell in cells.items():
        if column == "arguments":
            continue
        first, *rest = column.split(".")
        if first not in hints:
            raise ValueError(f"{operation.name}: {shown(first)} is not an argument; leave the cell empty")
        value = _typed(cell, _hint(hints[first], rest), column) if text else cell
        place = found
        for part in (first, *rest)[:-1]:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise ValueError(f"{shown(part)}: given twice, whole and in parts")  # noqa: TRY004 - the file's fault
        if (first, *rest)[-1] in place:
            raise ValueError(f"{_column(column)}: given twice")
        place[(first, *rest)[-1]] = value
    return found


@functools.cache
def _hints(name: OperationName) -> dict[str, Any]:
    """The types of an operation's arguments."""
    operation = OPERATIONS[name]
    hints = typing.get_type_hints(operation.task.fn)
    return {argument: hints[argument] for argument in operation.parameters}


def _hint(hint: Any, path: Sequence[str]) -> tuple[Any, ...]:
    """The types that a place in the arguments may have; empty if that is not known."""
    options = _options(hint)
    for part in path:
        models = [one for one in options if isinstance(one, type) and issubclass(one, BaseModel)]
        if not models or part not in models[0].model_fields:
            return ()
        options = _options(models[0].model_fields[part].annotation)
    return options


def _options(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) is typing.Annotated:
        return _options(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (typing.Union, UnionType):
        return tuple(part for option in typing.get_args(hint) for part in _options(option))
    return (hint,)


def _typed(cell: str, options: tuple[Any, ...], column: str) -> Any:
    kinds = {typing.get_origin(option) or option for option in options}
    if bool in kinds and cell.strip().lower() in ("true", "false"):
        return cell.strip().lower() == "true"
    if str not in kinds and cell.lstrip()[:1] in ("[", "{"):
        return _json(cell, _column(column))
    if kinds & {int, float} and str not in kinds and _NUMBER.fullmatch(cell.strip()):
        return json.loads(cell)
    if list in kinds and str not in kinds:
        return [part.strip() for part in cell.split(",")]
    return cell.strip()


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        raise ValueError(f"{name}: this is not valid JSON, or says the same thing twice") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError
    return dict(pairs)


def _column(name: str) -> str:
    return ".".join(shown(part) for part in name.split("."))
