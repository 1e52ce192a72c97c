"""What a run with every operation and every error leaves behind: no key, no body, nobody's data.

What a caller gets returned is data by purpose, and so are the arguments that an operator types into a form, which
Prefect keeps with the run. Everything else is searched.
"""

from __future__ import annotations

import base64
import json
import logging
import pickle
import traceback
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from prefect.client.orchestration import get_client
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, PREFECT_RESULTS_PERSIST_BY_DEFAULT, temporary_settings

from flows.run_operation import run_operation
from tasks.attachments import download_attachment
from tasks.kombo.errors import CODES, KomboError
from tasks.operations import OPERATIONS, OperationName
from tests.contract.cases import FULL, SECRETS, WRONG
from tests.contract.server import INTEGRATION, KEY, Answer, Asked, Kombo, failure, success

NAMES: tuple[OperationName, ...] = get_args(OperationName)
REPRESENTATIVES: tuple[OperationName, ...] = ("get_candidates", "move_application_to_stage", "create_application")
ERRORS: list[str | None] = [*CODES, "NEW.CODE", "odd code", None]


class Ears(logging.Handler):
    """Hears every log line of every level, with its traceback."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(self.format(record) + repr(record.args))


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """The log lines of a test, from the root, from whoever does not pass them on, and down to the HTTP library's."""
    ears = Ears()
    loggers = [logging.getLogger(name) for name in ("", "prefect", "prefect.flow_runs", "prefect.task_runs", "tasks")]
    loggers += [logging.getLogger(name) for name in ("httpx", "httpcore", "h11")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(ears)
        logger.setLevel(logging.DEBUG)
    yield ears.heard
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(ears)
        logger.setLevel(level)


def leaks(text: str) -> list[str]:
    """Name the secrets in a text, in clear or, where that is long enough not to occur by chance, in base64."""
    return [secret for secret in SECRETS if secret in text or (len(secret) > 5 and in_base64(secret) in text)]


def in_base64(secret: str) -> str:
    """Encode as far as it does not depend on what follows."""
    return base64.b64encode(secret.encode()[: len(secret) // 3 * 3]).decode()


def left_by(error: BaseException) -> str:
    """Everything that is written down of an error somewhere."""
    told = [str(error), repr(error), *traceback.format_exception(error), str(getattr(error, "__notes__", ""))]
    told.append(pickle.dumps(error).decode("latin-1"))
    if isinstance(error, KomboError):
        told.append(str(error.detail))
    return "\n".join(told)


def html(asked: Asked) -> Answer:
    """Answer with a page that quotes what was sent."""
    return 500, f"<html>{asked.body}{asked.query}".encode(), "text/html"


def nonsense(asked: Asked) -> Answer:
    """Answer with a success that holds what does not belong there."""
    return success(["Ada Lovelace"])


def refuse(asked: Asked) -> Answer:
    """Say no, quoting what was sent."""
    return failure("REMOTE.INPUT_INVALID", 400, asked)


def left_by_call(contract: Kombo, name: OperationName) -> str:
    """Everything that is written down of a call that fails."""
    with pytest.raises(KomboError) as failed:
        OPERATIONS[name].task.fn(integration=INTEGRATION, **FULL[name][0], credentials=contract.credentials)
    return left_by(failed.value)


@pytest.mark.parametrize("name", NAMES)
def test_no_failing_operation_tells_what_was_sent(contract: Kombo, heard: list[str], name: OperationName) -> None:
    contract.strict = False
    for answer in (refuse, html):
        contract.answers["*"] = answer
        assert leaks(left_by_call(contract, name)) == []
    assert leaks("\n".join(heard)) == []


@pytest.mark.parametrize("code", ERRORS)
@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_no_error_code_tells_what_was_sent(
    contract: Kombo, heard: list[str], name: OperationName, code: str | None
) -> None:
    contract.strict = False
    contract.answers["*"] = lambda asked: failure(code, 400, asked)
    assert leaks(left_by_call(contract, name)) == []
    assert leaks("\n".join(heard)) == []


@pytest.mark.parametrize("name", ["get_candidates", "get_candidate_attachments", "get_create_candidate_action"])
def test_no_unreadable_answer_is_quoted(contract: Kombo, heard: list[str], name: OperationName) -> None:
    contract.strict = False
    contract.answers["*"] = nonsense
    assert leaks(left_by_call(contract, name)) == []
    assert leaks("\n".join(heard)) == []


def test_no_refusal_of_ours_tells_what_was_given(contract: Kombo, heard: list[str]) -> None:
    for name, _, arguments in WRONG:
        with pytest.raises((ValueError, TypeError)) as refused:
            OPERATIONS[name].task.fn(integration=INTEGRATION, **arguments, credentials=contract.credentials)
        assert leaks(left_by(refused.value)) == []
    assert leaks("\n".join(heard)) == []


def test_no_success_is_told_in_the_log(contract: Kombo, heard: list[str], lake: Path) -> None:
    contract.strict = False
    contract.files["/Ada-Lovelace"] = (b"%PDF-Ada", "application/pdf")
    for name in NAMES:
        OPERATIONS[name].task.fn(integration=INTEGRATION, **FULL[name][0], credentials=contract.credentials)
    link = contract.url.removesuffix("/v1") + "/Ada-Lovelace"
    row = {"id": "Ada", "file_name": "Ada.pdf", "content_type": "application/pdf", "data_url": link}
    assert leaks(download_attachment.fn(integration=INTEGRATION, attachment=row, lake=str(lake))) == []
    assert heard
    assert leaks("\n".join(heard)) == []


def as_json(value: Any) -> Any:
    """Write a call's arguments as an operator would."""
    return json.loads(json.dumps(value, default=lambda moment: moment.isoformat()))


def test_prefect_keeps_nothing_of_it(
    contract: Kombo,
    heard: list[str],
    events: list[str],
    prefect_server: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    contract.strict = False
    monkeypatch.setenv("KOMBO_API_KEY", KEY)
    monkeypatch.setenv("KOMBO_BASE_URL", contract.url)
    settings = {PREFECT_RESULTS_PERSIST_BY_DEFAULT: True, PREFECT_LOCAL_STORAGE_PATH: tmp_path / "results"}
    with temporary_settings(settings):
        for name in NAMES:
            run_operation(name, INTEGRATION, as_json(FULL[name][0]), confirm=True)
        contract.answers["*"] = refuse
        for name in REPRESENTATIVES:
            with pytest.raises(KomboError):
                run_operation(name, INTEGRATION, as_json(FULL[name][0]), confirm=True)
    assert leaks("\n".join(kept_by_prefect())) == []
    assert sum("prefect.task-run.Completed" in event for event in events) >= len(NAMES)
    assert sum("prefect.task-run.Failed" in event for event in events) >= len(REPRESENTATIVES)
    assert leaks("\n".join(events)) == []
    assert leaks("\n".join(heard)) == []
    stored = [path.read_text(errors="replace") for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert leaks("\n".join(stored)) == []


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The events that Prefect is told: all that it learns of a task's run, its states included."""
    seen: list[str] = []
    send = EventsWorker.send

    def noted(worker: EventsWorker, event: Any) -> None:
        seen.append(event.model_dump_json())
        send(worker, event)

    monkeypatch.setattr(EventsWorker, "send", noted)
    return seen


def kept_by_prefect() -> list[str]:
    """All flow runs with their states, and all artifacts, that Prefect's API has; without the flow runs' arguments."""
    with get_client(sync_client=True) as client:
        flow_runs = all_of(client.read_flow_runs)
        artifacts = all_of(client.read_artifacts)
    assert len(flow_runs) >= len(NAMES)
    assert len(artifacts) >= len(NAMES)
    kept = [run.model_dump_json(exclude={"parameters"}) for run in flow_runs]
    return kept + [artifact.model_dump_json() for artifact in artifacts]


def all_of(read: Any) -> list[Any]:
    """Read all pages."""
    found: list[Any] = []
    while page := read(limit=200, offset=len(found)):
        found += page
    return found


def test_the_search_finds_what_is_there() -> None:
    assert leaks(f"a{KEY}b") == [KEY]
    assert leaks(base64.b64encode(b"Enchantress of").decode()) == ["Enchantress"]
    assert leaks(f"{datetime(2026, 1, 1)} {INTEGRATION}") == []  # noqa: DTZ001
