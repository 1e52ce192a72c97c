"""The receiver of Kombo's webhook, spoken to over real sockets; behind it stands what it says to Prefect."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import uvicorn
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments import automations, manifest, webhook
from deployments.changed import Change, Inbox
from deployments.processes import free_port
from deployments.webhook import NotStarted, application, deliver, flush
from tests.deployments.test_changed import ONE, OTHER, message

SECRET = "secret-of-the-tests"
Parameters = dict[str, list[str]]


class Nightly:
    """Stands for the deployment: has the slot or not, and takes events, unless it is told otherwise."""

    def __init__(self) -> None:
        self.emitted: queue.SimpleQueue[Parameters] = queue.SimpleQueue()
        self.busy_for = 0
        self.failures: list[Exception] = []  # of emitting, one after another
        self.cancellations: list[Exception] = []  # of the runs
        self.during: Callable[[], object] = lambda: None  # called once, while a run starts

    async def busy(self) -> bool:
        self.busy_for -= 1
        return self.busy_for >= 0

    async def emit(self, change: Change) -> set[UUID]:
        if self.failures:
            raise self.failures.pop(0)
        self.emitted.put(change.parameters())
        return {uuid4()}

    async def started(self, change: Change, before: set[UUID]) -> None:
        during, self.during = self.during, lambda: None
        during()
        if self.cancellations:
            raise self.cancellations.pop(0)

    def event(self) -> Parameters:
        """Wait for the next event."""
        return self.emitted.get(timeout=20)


@dataclass
class Site:
    """A running receiver."""

    url: str
    inbox: Inbox
    nightly: Nightly

    def post(self, body: bytes, headers: dict[str, str] | list[tuple[str, str]] | None = None) -> int:
        given = {"X-Kombo-Signature": sign(body)} if headers is None else headers
        return httpx.post(self.url, content=body, headers=given, timeout=20, trust_env=False).status_code

    def send(self, models: list[str], integration: str = ONE, id: str | None = None, kind: str = "data-changed") -> int:  # noqa: A002 - Kombo's name
        body = message(models, kind, integration) | {"id": id or uuid4().hex}
        return self.post(json.dumps(body).encode())

    def nothing_came(self) -> bool:
        """Whether nothing of before is emitted: what is sent now comes next."""
        assert self.send(["ats_rejection_reasons"], "last:one") == 202
        return self.nightly.event() == {"integrations": ["last:one"], "collections": ["rejection_reasons"]}


def sign(body: bytes, secret: str = SECRET) -> str:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@contextmanager
def serving(nightly: Nightly, *, quiet: float = 0, integrations: list[str] | None = None) -> Iterator[Site]:
    """Run a receiver in a thread; on leaving it is told to end, and has."""
    inbox, port = Inbox(quiet=quiet), free_port()
    app = application(SECRET, inbox, nightly, integrations=integrations or (), poll=0.01)  # type: ignore[arg-type]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        yield Site(f"http://127.0.0.1:{port}/", inbox, nightly)
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Nightly()) as made:
        yield made


@pytest.fixture(scope="module")
def strict() -> Iterator[Site]:
    """For messages that are refused, of which nothing comes."""
    with serving(Nightly(), quiet=1000) as made:
        yield made


def test_what_changed_is_emitted_for_that_integration_alone(site: Site) -> None:
    assert site.send(["ats_jobs"]) == 202
    assert site.nightly.event() == {
        "integrations": [ONE],
        "collections": ["applications", "candidates", "jobs", "offers", "interviews"],
    }


def test_it_watches_the_deployment_that_the_automation_runs() -> None:
    (action,) = automations.read()["kombo-data-changed"]["actions"]
    assert action["deployment_id"] == webhook.DEPLOYMENT
    assert webhook.DEPLOYMENT in {one.full_name for one in manifest.load().deployments}


BODY = json.dumps(message(["ats_jobs"])).encode()


@pytest.mark.parametrize(
    "signature",
    [
        "",
        sign(BODY) + "=",
        sign(BODY)[:-1],
        sign(BODY, "another secret"),
        sign(json.dumps(json.loads(BODY), indent=2).encode()),
        hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest(),
        "ü" * 43,
        "x" * 8000,
    ],
)
def test_a_message_with_another_signature_is_refused(strict: Site, signature: str) -> None:
    assert strict.post(BODY, [("X-Kombo-Signature", signature.encode("latin-1"))]) == 401  # type: ignore[list-item]


def test_a_message_without_signature_is_refused(strict: Site) -> None:
    assert strict.post(BODY, {}) == 401


def test_a_message_with_two_signatures_is_refused(strict: Site) -> None:
    assert strict.post(BODY, [("X-Kombo-Signature", sign(BODY)), ("X-Kombo-Signature", sign(BODY))]) == 401


def test_the_signature_is_of_the_bytes_as_they_were_sent(strict: Site) -> None:
    odd = json.dumps(message(["ats_jobs"]), indent=7).encode() + b"\n \n"
    assert strict.post(odd) == 202


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"[" * 5000,
        json.dumps({"id": "1", "type": "data-changed"}).encode(),
        json.dumps({"type": "data-changed", "data": message([])["data"]}).encode(),
        json.dumps(message(["ats_jobs"], integration="no id")).encode(),
        json.dumps(message(["ats_jobs"], integration="x:y\nz")).encode(),
        json.dumps(message(["ats_jobs"]) | {"id": "1" * 201}).encode(),
    ],
)
def test_a_signed_message_that_is_not_as_documented_is_refused(strict: Site, body: bytes) -> None:
    assert strict.post(body) == 400


def test_a_body_that_says_it_is_too_large_is_refused(strict: Site) -> None:
    assert strict.post(b"x" * (webhook.MOST_BYTES + 1)) == 413


def test_a_body_that_grows_too_large_is_refused_before_its_end(strict: Site) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", httpx.URL(strict.url).port or 0), timeout=20) as connection:
        connection.sendall(head + b"10001\r\n" + b"x" * 0x10001 + b"\r\n")  # and no end
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_the_largest_body_that_is_taken_is_read_to_its_end(strict: Site) -> None:
    assert strict.post(BODY + b" " * (webhook.MOST_BYTES - len(BODY))) in (200, 202)


@contextmanager
def half_a_message(site: Site) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", httpx.URL(site.url).port or 0), timeout=20) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        yield connection


def test_a_sender_that_hangs_up_disturbs_nobody(strict: Site, caplog: pytest.LogCaptureFixture) -> None:
    with half_a_message(strict):
        pass
    assert strict.send(["ats_jobs"]) == 202
    assert "Exception" not in caplog.text


def test_a_sender_that_does_not_go_on_is_not_waited_for(strict: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "MOST_SECONDS", 0.05)
    with half_a_message(strict) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("kind", ["sync-finished", "integration-state-changed", "of-next-year"])
def test_another_type_of_message_is_ignored(site: Site, kind: str) -> None:
    assert site.send(["ats_jobs"], kind=kind) == 200
    assert site.nothing_came()


@pytest.mark.parametrize("models", [[], ["ats_of_next_year"], ["hris_employees", "lms_users"]])
def test_models_of_no_collection_are_ignored(site: Site, models: list[str]) -> None:
    assert site.send(models) == 200
    assert site.nothing_came()


def test_a_new_model_beside_a_known_one_does_not_hide_it(site: Site) -> None:
    assert site.send(["ats_of_next_year", "ats_roles"]) == 202
    assert site.nightly.event()["collections"] == ["roles"]


def test_keys_that_kombo_adds_are_no_error(strict: Site) -> None:
    added = message(["ats_jobs"]) | {"id": "a", "new": 1}
    added["data"]["new"] = {"deep": [1]}
    assert strict.post(json.dumps(added).encode()) == 202


def test_an_integration_that_is_not_to_be_exported_is_ignored() -> None:
    with serving(Nightly(), integrations=[OTHER, "last:one"]) as site:
        assert site.send(["ats_jobs"], ONE) == 200
        assert site.send(["ats_roles"], OTHER) == 202
        assert site.nightly.event()["integrations"] == [OTHER]
        assert site.nothing_came()


def test_a_message_that_comes_twice_is_taken_once(site: Site) -> None:
    assert site.send(["ats_roles"], id="the same") == 202
    assert site.nightly.event()["collections"] == ["roles"]
    assert site.send(["ats_roles"], id="the same") == 200
    assert site.nothing_came()


def test_more_integrations_than_there_is_room_for_are_sent_back(strict: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.changed.MOST_WAITING", len(strict.inbox))
    assert strict.send(["ats_jobs"], "no:room", id="a first try") == 503
    monkeypatch.undo()
    assert strict.send(["ats_jobs"], "no:room", id="a first try") == 202


def test_only_messages_are_taken_and_nothing_is_given(strict: Site) -> None:
    assert httpx.get(strict.url, trust_env=False).status_code == 405
    assert httpx.post(strict.url + "health", trust_env=False).status_code == 405
    assert httpx.get(strict.url + "docs", trust_env=False).status_code == 404


def test_it_says_that_it_is_well(strict: Site) -> None:
    assert httpx.get(strict.url + "health", trust_env=False).status_code == 200


def test_it_is_not_well_when_nobody_emits_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ends(*_: object, **__: object) -> None:
        pass

    monkeypatch.setattr(webhook, "deliver", ends)
    with serving(Nightly()) as site:
        assert httpx.get(site.url + "health", trust_env=False).status_code == 503


def test_nothing_of_a_message_is_logged_but_the_integration(caplog: pytest.LogCaptureFixture, site: Site) -> None:
    caplog.set_level(logging.INFO)
    person = "ada.lovelace@example.com"
    private = message(["ats_jobs", person]) | {"id": person, "note": person}
    private["data"]["integration_tool"] = person
    assert site.post(json.dumps(private).encode()) == 202
    assert site.nightly.event()
    assert site.post(json.dumps(private | {"data": person}).encode()) == 400
    assert site.post(json.dumps(private).encode(), {"X-Kombo-Signature": person}) == 401
    assert site.send([person], kind=person) == 200
    assert site.nothing_came()
    assert ONE in caplog.text
    assert person not in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("api", "secret", "said"),
    [("http://127.0.0.1:9/api", "", "KOMBO_WEBHOOK_SECRET is not set"), (None, SECRET, "PREFECT_API_URL is not set")],
)
def test_it_does_not_start_without_a_secret_or_a_server(
    api: str | None, secret: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["webhook"])
    monkeypatch.setenv("KOMBO_WEBHOOK_SECRET", secret)
    settings: dict[str, Any] = {"updates": {PREFECT_API_URL: api}} if api else {"restore_defaults": {PREFECT_API_URL}}
    with temporary_settings(**settings), pytest.raises(SystemExit, match=said):
        webhook.main()


def test_what_comes_while_an_export_runs_waits_and_is_exported_once_after_it() -> None:
    nightly = Nightly()
    nightly.busy_for = 1000
    with serving(nightly) as site:
        assert site.send(["ats_roles"]) == 202
        assert site.send(["ats_tags"]) == 202
        assert site.nightly.emitted.empty()
        nightly.busy_for = 0
        assert nightly.event() == {
            "integrations": [ONE],
            "collections": ["applications", "candidates", "tags", "roles"],
        }


def test_what_comes_while_the_run_of_its_own_integration_starts_is_exported_after_it(site: Site) -> None:
    site.nightly.during = lambda: site.inbox.add("during", ONE, ["tags"])
    assert site.send(["ats_roles"]) == 202
    assert site.nightly.event()["collections"] == ["roles"]
    assert site.nightly.event()["collections"] == ["tags"]


def test_a_burst_of_integrations_is_exported_one_after_another(site: Site) -> None:
    integrations = [f"tool:{number}" for number in range(20)]
    for integration in integrations:
        assert site.send(["ats_roles"], integration) == 202
    assert [site.nightly.event()["integrations"] for _ in integrations] == [[one] for one in integrations]


def test_what_was_cancelled_for_another_export_is_emitted_again(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.nightly.cancellations = [NotStarted("another export had the slot")]
    assert site.send(["ats_roles"]) == 202
    assert site.nightly.event() == site.nightly.event()
    assert "another export had the slot" in caplog.text


def test_while_prefect_does_not_answer_it_is_tried_again(site: Site) -> None:
    site.nightly.failures = [ConnectionError("refused")]
    assert site.send(["ats_roles"]) == 202
    assert site.nightly.event() == {"integrations": [ONE], "collections": ["roles"]}


def test_between_attempts_it_pauses_longer_and_longer_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    here, wait = threading.get_ident(), asyncio.sleep

    async def sleep(seconds: float) -> None:
        if threading.get_ident() != here:  # a receiver of another test
            return await wait(seconds)
        pauses.append(seconds)
        if len(pauses) > 12:
            raise asyncio.CancelledError
        return None

    monkeypatch.setattr(webhook.asyncio, "sleep", sleep)
    nightly, inbox = Nightly(), Inbox(quiet=0)
    nightly.failures = [ConnectionError()] * 100
    inbox.add("1", ONE, ["roles"])
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(deliver(inbox, nightly, poll=3))  # type: ignore[arg-type]
    assert pauses == [3, 6, 12, 24, 48, 96, 192, *[300] * 6]


def test_one_that_cannot_be_exported_does_not_keep_the_others_back(site: Site) -> None:
    site.nightly.during = lambda: site.inbox.add("other", OTHER, ["tags"])
    site.nightly.cancellations = [NotStarted("no run came")]
    assert site.send(["ats_roles"]) == 202
    assert [site.nightly.event()["integrations"] for _ in range(3)] == [[ONE], [OTHER], [ONE]]


def test_what_waits_when_the_receiver_ends_is_emitted_as_one_event() -> None:
    nightly = Nightly()
    with serving(nightly, quiet=1000) as site:
        assert site.send(["ats_roles"], ONE) == 202
        assert site.send(["ats_tags"], OTHER) == 202
    assert nightly.event() == {
        "integrations": [ONE, OTHER],
        "collections": ["applications", "candidates", "tags", "roles"],
    }
    assert nightly.emitted.empty()


def test_an_event_that_was_emitted_is_not_repeated_when_the_receiver_ends() -> None:
    nightly, under_way = Nightly(), threading.Event()

    async def started(*_: object) -> None:
        under_way.set()
        await asyncio.Event().wait()

    nightly.started = started  # type: ignore[method-assign]
    with serving(nightly) as site:
        assert site.send(["ats_roles"]) == 202
        assert under_way.wait(20)
    assert nightly.event()["integrations"] == [ONE]
    assert nightly.emitted.empty()


@pytest.mark.parametrize(
    ("busy_for", "failures", "said"), [(1, [], "an export runs"), (0, [ConnectionError("refused")], "ConnectionError")]
)
def test_what_cannot_be_emitted_at_the_end_is_named(
    busy_for: int, failures: list[Exception], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    nightly, inbox = Nightly(), Inbox()
    nightly.busy_for, nightly.failures = busy_for, failures
    inbox.add("1", ONE, ["roles"])
    asyncio.run(flush(inbox, nightly))  # type: ignore[arg-type]
    assert f"left to the nightly export ({said}): {ONE}" in caplog.text


def test_the_end_does_not_wait_for_a_prefect_that_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    nightly, inbox = Nightly(), Inbox()

    async def busy() -> bool:
        await asyncio.Event().wait()
        return True

    nightly.busy = busy  # type: ignore[method-assign]
    inbox.add("1", ONE, ["roles"])
    asyncio.run(flush(inbox, nightly, within=0))  # type: ignore[arg-type]
    assert f"left to the nightly export (TimeoutError): {ONE}" in caplog.text
