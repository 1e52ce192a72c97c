"""Every fault that Kombo may have, from a server that has it: what is read is what the server holds, or an error."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deployments.demo.server import DemoKombo
from tasks.kombo import client as client_module
from tasks.kombo.client import Client
from tasks.kombo.collections import NAMES, Collection
from tasks.kombo.errors import (
    BadAnswer,
    IntegrationRefused,
    InvalidRequest,
    KeyRefused,
    KomboError,
    NotOffered,
    OutcomeUnknown,
    PermissionMissing,
    SetupPending,
    Unavailable,
)
from tasks.kombo.limits import Limiter
from tasks.kombo.pages import pages
from tasks.kombo.retries import Repeat
from tests.tasks.kombo.stand_ins import FakeClock


@pytest.fixture(scope="module")
def server() -> Iterator[DemoKombo]:
    with DemoKombo() as running:
        yield running


@pytest.fixture
def demo(server: DemoKombo) -> Iterator[DemoKombo]:
    server.clear_log()
    yield server
    server.clear_faults()
    for integration in server.integrations:
        server.settings(integration, error=None, models={}, actions={}, concurrency_limit=30)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def client(demo: DemoKombo, clock: FakeClock) -> Iterator[Client]:
    with Client(demo.api_key, demo.base_url, clock=clock, limiter=Limiter()) as made:
        yield made


def read(client: Client, integration: str, collection: Collection = "applications", **filters: Any) -> dict[str, Any]:
    """Read a collection in small pages; records by id, the last one counting."""
    walk = pages(
        client, collection, integration=integration, page_size=10, filters={"include_deleted": True, **filters}
    )
    return {record["id"]: record for page in walk for record in map(json.loads, map(bytes, page.records))}


def held(demo: DemoKombo, integration: str, collection: Collection = "applications") -> dict[str, Any]:
    return {record["id"]: record for record in demo.records(integration, collection)}


def statuses(demo: DemoKombo) -> list[int | None]:
    return [request["status"] for request in demo.requests]


@pytest.mark.parametrize("collection", NAMES)
def test_what_is_read_is_what_the_server_holds(demo: DemoKombo, client: Client, collection: Collection) -> None:
    for integration in demo.integrations:
        assert read(client, integration, collection) == held(demo, integration, collection) != {}


def test_deleted_records_come_only_when_asked_for(demo: DemoKombo, client: Client) -> None:
    integration = demo.integrations[0]
    demo.evolve(integration, kinds=["delete"], collections=["applications"])
    live = {key for key, record in held(demo, integration).items() if record["remote_deleted_at"] is None}
    assert set(read(client, integration, include_deleted=False)) == live < set(held(demo, integration))


def test_a_filter_holds_on_every_page(demo: DemoKombo, client: Client) -> None:
    integration = demo.integrations[0]
    found = read(client, integration, outcomes=["HIRED", "DECLINED"])
    assert len(demo.requests) > 1
    assert {record["outcome"] for record in found.values()} == {"HIRED", "DECLINED"}
    assert found == {
        key: record for key, record in held(demo, integration).items() if record["outcome"] in ("HIRED", "DECLINED")
    }


def test_only_what_was_updated_after_a_time_in_any_zone_is_read(demo: DemoKombo, client: Client) -> None:
    integration = demo.integrations[0]
    everything = read(client, integration)
    now = datetime.now(UTC)
    assert read(client, integration, updated_after=now - timedelta(days=20_000)) == everything
    assert read(client, integration, updated_after=now + timedelta(days=1)) == {}


@pytest.mark.parametrize("page", [1, 2])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error", "status": 500, "code": "PLATFORM.UNKNOWN_ERROR"},
        {"kind": "error", "status": 503, "code": "REMOTE.SERVICE_UNAVAILABLE", "times": 5},
        {"kind": "error", "status": 503, "code": "PLATFORM.NEVER_HEARD_OF", "times": 5},
        {"kind": "error", "status": 504, "code": "PLATFORM.TASK_TIMED_OUT"},
        {"kind": "error", "status": 429, "code": "REMOTE.RATE_LIMIT_EXCEEDED"},
        {"kind": "html"},
        {"kind": "html", "status": 200, "times": 2},
        {"kind": "text"},
        {"kind": "empty"},
        {"kind": "empty", "status": 200},
        {"kind": "data_null"},
        {"kind": "status_error"},
        {"kind": "drop", "times": 5},
        {"kind": "truncate", "times": 5},
        {"kind": "slow", "seconds": 0.1},
        {"kind": "hang"},
        {"kind": "short_page", "count": 3},
        {"kind": "short_page", "count": 0},
        {"kind": "older_first"},
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else str(value),
)
def test_a_fault_that_passes_loses_nothing(
    demo: DemoKombo, client: Client, fault: dict[str, Any], page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault["kind"] == "hang":
        monkeypatch.setattr(client_module, "READ_TIMEOUT", 0.2)
    demo.fault(**fault, collection="applications", page=page)
    integration = demo.integrations[0]
    found = read(client, integration)
    assert found.keys() == held(demo, integration).keys()
    assert fault["kind"] in demo.faults["applied"]


def test_a_cursor_that_expires_loses_nothing(demo: DemoKombo, client: Client) -> None:
    demo.fault("expired_cursor", collection="applications", page=3)
    integration = demo.integrations[0]
    assert read(client, integration) == held(demo, integration)
    assert statuses(demo)[:4] == [200, 200, 400, 200]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "error", "status": 503, "code": "REMOTE.SERVICE_UNAVAILABLE"}, Unavailable),
        ({"kind": "html"}, Unavailable),
        ({"kind": "empty"}, Unavailable),
        ({"kind": "drop"}, Unavailable),
        ({"kind": "truncate"}, Unavailable),
        ({"kind": "html", "status": 200}, BadAnswer),
        ({"kind": "data_null"}, BadAnswer),
        ({"kind": "status_error"}, BadAnswer),
        ({"kind": "repeat_cursor"}, BadAnswer),
        ({"kind": "expired_cursor"}, InvalidRequest),
        ({"kind": "error", "status": 400, "code": "PLATFORM.INPUT_INVALID"}, InvalidRequest),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else value.__name__,
)
def test_a_fault_that_stays_is_an_error_that_names_collection_and_page(
    demo: DemoKombo, client: Client, fault: dict[str, Any], kind: type[KomboError]
) -> None:
    demo.fault(**fault, collection="applications", page=2, times=None)
    with pytest.raises(kind, match="applications, page 2: "):
        read(client, demo.integrations[0])


@pytest.mark.parametrize(
    "said", [{"ratelimit_reset": 7}, {"retry_after": 7}, {"retry_after": 7, "retry_after_date": True}], ids=str
)
def test_a_429_is_waited_out_as_told(demo: DemoKombo, client: Client, clock: FakeClock, said: dict[str, Any]) -> None:
    demo.fault("error", status=429, code="PLATFORM.RATE_LIMIT_EXCEEDED", collection="tags", **said)
    integration = demo.integrations[0]
    assert read(client, integration, "tags") == held(demo, integration, "tags")
    assert sum(clock.waits) >= 6  # an HTTP date has whole seconds


def test_a_small_budget_is_kept_to_by_many_threads_without_a_single_429() -> None:
    with DemoKombo(rate_limit=30, rate_window_s=1) as demo, Client(demo.api_key, demo.base_url) as client:
        with ThreadPoolExecutor(4) as pool:
            done = pool.map(
                lambda _: client.get("/ats/tags", integration=demo.integrations[0], params={"page_size": "1"}),
                range(70),
            )
            assert len(list(done)) == 70
        assert set(statuses(demo)) == {200}


def test_a_wrong_key_is_tried_once(demo: DemoKombo) -> None:
    with Client("another-key", demo.base_url) as client, pytest.raises(KeyRefused):
        read(client, demo.integrations[0])
    assert len(demo.requests) == 1


def test_an_unknown_integration_is_tried_once(demo: DemoKombo, client: Client) -> None:
    with pytest.raises(IntegrationRefused):
        read(client, "workday:HWUTwvyx2wLoSUHphiWVrp28")
    assert len(demo.requests) == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("INTEGRATION.SETUP_SYNC_PENDING", SetupPending),
        ("INTEGRATION.SETUP_INCOMPLETE", IntegrationRefused),
        ("INTEGRATION.QA_FAILED", IntegrationRefused),
        ("INTEGRATION.INACTIVE", IntegrationRefused),
        ("INTEGRATION.AUTHENTICATION_INVALID", IntegrationRefused),
        ("INTEGRATION.PERMISSION_MISSING", PermissionMissing),
    ],
)
def test_an_integration_that_will_not_answer_is_asked_once(
    demo: DemoKombo, client: Client, code: str, kind: type[KomboError]
) -> None:
    demo.settings(demo.integrations[0], error=code)
    with pytest.raises(kind):
        read(client, demo.integrations[0])
    assert len(demo.requests) == 1


@pytest.mark.parametrize("code", ["INTEGRATION.MODEL_NOT_AVAILABLE", "INTEGRATION.MODEL_DISABLED"])
def test_a_collection_that_is_not_offered_is_asked_for_once(demo: DemoKombo, client: Client, code: str) -> None:
    demo.settings(demo.integrations[0], models={"offers": code})
    with pytest.raises(NotOffered):
        read(client, demo.integrations[0], "offers")
    assert len(demo.requests) == 1
    assert read(client, demo.integrations[0], "tags") == held(demo, demo.integrations[0], "tags")


def test_a_walk_closed_while_the_server_hangs_ends_with_that_request(demo: DemoKombo, client: Client) -> None:
    demo.fault("hang", collection="applications", page=2)
    walk = pages(client, "applications", integration=demo.integrations[0], page_size=10)
    next(walk)
    closing = threading.Thread(target=walk.close)
    closing.start()
    while "hang" not in demo.faults["applied"]:
        closing.join(0.01)
    demo.release()
    closing.join(10)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("kombo-pages")] == []


def test_a_page_tells_how_wrong_our_clock_is() -> None:
    with DemoKombo(clock_skew_s=3600) as demo, Client(demo.api_key, demo.base_url) as client:
        page = next(pages(client, "tags", integration=demo.integrations[0], prefetch=0))
    assert page.skew == pytest.approx(-3600, abs=60)
    assert page.sent_at > datetime.now(UTC) + timedelta(minutes=50)


# Writes.


def write(demo: DemoKombo, client: Client, repeat: Repeat = "unsafe") -> Any:
    integration = demo.integrations[0]
    application = next(
        record
        for record in demo.records(integration, "applications", include_deleted=False)
        if record["outcome"] == "PENDING"
    )
    demo.clear_log()
    return client.call(
        "POST",
        "/ats/applications/{application_id}/notes",
        integration=integration,
        operation="add_application_note",
        repeat=repeat,
        path_ids={"application_id": application["id"]},
        json={"content": "a note", "content_type": "PLAIN_TEXT"},
    )


def test_a_write_arrives_once(demo: DemoKombo, client: Client) -> None:
    assert write(demo, client).data == {}
    assert statuses(demo) == [200]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop"},
        {"kind": "drop", "after": True},
        {"kind": "truncate", "after": True},
        {"kind": "hang"},
        {"kind": "html"},
        {"kind": "empty", "after": True},
        {"kind": "text"},
        {"kind": "data_null", "after": True},
        {"kind": "status_error"},
        {"kind": "error", "status": 504, "code": "PLATFORM.TASK_TIMED_OUT", "after": True},
        {"kind": "error", "status": 500, "code": "PLATFORM.UNKNOWN_ERROR"},
        {"kind": "error", "status": 503, "code": "REMOTE.SERVICE_UNAVAILABLE"},
    ],
    ids=lambda value: "-".join(map(str, value.values())),
)
def test_a_write_without_a_clear_answer_arrives_once_and_is_unknown(
    demo: DemoKombo, client: Client, fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault["kind"] == "hang":
        monkeypatch.setattr(client_module, "WRITE_TIMEOUT", 0.2)
    demo.fault(**fault, path="/ats/applications/*/notes")
    with pytest.raises(OutcomeUnknown):
        write(demo, client)
    assert len(demo.requests) == 1


def test_a_safe_write_without_a_clear_answer_is_sent_again(demo: DemoKombo, client: Client) -> None:
    demo.fault("drop", path="/ats/applications/*/notes")
    write(demo, client, repeat="safe")
    assert len(demo.requests) == 2


@pytest.mark.parametrize(
    "code", ["PLATFORM.CONCURRENCY_LIMIT_EXCEEDED", "PLATFORM.RATE_LIMIT_EXCEEDED", "REMOTE.RATE_LIMIT_EXCEEDED"]
)
def test_a_write_that_met_a_limit_is_sent_until_it_arrives(demo: DemoKombo, client: Client, code: str) -> None:
    demo.fault("error", status=429, code=code, path="/ats/applications/*/notes", times=3)
    write(demo, client)
    assert statuses(demo) == [429, 429, 429, 200]


def test_more_writes_at_once_than_there_are_slots_all_arrive(demo: DemoKombo) -> None:
    demo.settings(demo.integrations[0], concurrency_limit=2)
    with Client(demo.api_key, demo.base_url, clock=Impatient()) as client, ThreadPoolExecutor(6) as pool:
        done = [pool.submit(write, demo, client) for _ in range(12)]
        assert [future.result().status for future in done] == [200] * 12


class Impatient(FakeClock):
    """Real time, with waits a hundredth as long."""

    def monotonic(self) -> float:
        return super(FakeClock, self).monotonic() * 100

    def wait(self, seconds: float, stop: threading.Event | None = None) -> None:
        super(FakeClock, self).wait(seconds / 100, stop)


def test_a_refused_write_is_not_repeated(demo: DemoKombo, client: Client) -> None:
    demo.settings(demo.integrations[0], actions={"add_application_note": "INTEGRATION.ACTION_DISABLED"})
    with pytest.raises(NotOffered):
        write(demo, client)
    assert len(demo.requests) == 1
