"""Rows of a plan are sent at most once, whatever goes wrong; and every row has an outcome."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import tasks.kombo.client
from deployments.demo.server import DemoKombo, DemoProcess, Surface
from tasks import applying, sending
from tasks.lake import plans
from tasks.lake.claims import Claims, check_exclusive, rejections_folder
from tasks.lake.errors import LakeRefused, LakeUnavailable, Moved
from tasks.lake.plans import PlanRow
from tasks.lake.store import FolderStore, Store, open_store
from tests.servers import Bucket
from tests.tasks.batch_runs import apply, keep, kinds, ledger, notes, pending, plan, rejections, sent


@pytest.fixture(scope="module")
def started() -> Iterator[DemoKombo]:
    with DemoKombo("small", odd=False) as demo:
        yield demo


@pytest.fixture
def demo(started: DemoKombo) -> DemoKombo:
    started.reset()
    for name in started.integrations:
        started.settings(name, actions={}, error=None, concurrency_limit=30, refuse_settled=True, warnings={})
    return started


@pytest.fixture
def store(lake: Path) -> Store:
    return open_store(str(lake))


REJECT = "/ats/applications/*/reject"


def test_every_row_is_sent_once_and_done(demo: DemoKombo, store: Store) -> None:
    what = rejections(demo, 20)
    assert kinds(apply(demo, what, store)) == ["done"] * 20
    assert Counter(sent(demo)) == Counter(row.key for row in what.rows)


def test_no_more_than_five_are_in_flight(demo: DemoKombo, store: Store) -> None:
    demo.configure(action_latency_ms=10)
    apply(demo, rejections(demo, 40), store)
    demo.configure(action_latency_ms=None)
    assert demo.most_in_flight[demo.integrations[0]] == 5


def test_a_second_run_of_a_plan_sends_nothing(demo: DemoKombo, store: Store) -> None:
    what = rejections(demo, 5)
    apply(demo, what, store)
    assert kinds(apply(demo, what, store, "again")) == ["done"] * 5
    assert len(demo.writes) == 5


def test_another_plan_does_not_reject_what_one_has_sent(demo: DemoKombo, store: Store) -> None:
    apply(demo, rejections(demo, 5), store)
    applied = apply(demo, rejections(demo, 8), store)
    assert kinds(applied) == ["done"] * 3 + ["skipped"] * 5
    assert len(demo.writes) == 8


def test_a_note_may_come_again_in_another_plan(demo: DemoKombo, store: Store) -> None:
    apply(demo, notes(demo, 3), store)
    assert kinds(apply(demo, notes(demo, 4), store)) == ["done"] * 4
    assert len(demo.writes) == 7


@pytest.mark.parametrize("kind", ["drop", "error", "html", "empty", "truncate"])
def test_what_failed_after_it_was_carried_out_is_unknown_and_not_sent_again(
    demo: DemoKombo, store: Store, kind: str
) -> None:
    what = rejections(demo, 6)
    demo.fault(kind, path=REJECT, after=True, skip=2)
    assert kinds(apply(demo, what, store)) == ["done"] * 5 + ["unknown"]
    assert kinds(apply(demo, what, store, "again")) == ["done"] * 5 + ["unknown"]
    assert Counter(sent(demo)).most_common(1)[0][1] == 1


def test_a_5xx_before_it_was_carried_out_is_unknown_all_the_same(demo: DemoKombo, store: Store) -> None:
    what = rejections(demo, 6)
    demo.fault("error", path=REJECT, status=500, skip=2)
    apply(demo, what, store)
    assert kinds(apply(demo, what, store, "again")) == ["done"] * 5 + ["unknown"]
    assert len(demo.writes) == 5


def test_a_hang_past_the_timeout_is_unknown(demo: DemoKombo, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.kombo.client, "WRITE_TIMEOUT", 0.3)
    demo.fault("hang", path=REJECT, after=True, skip=1)
    what = rejections(demo, 6)
    applied = apply(demo, what, store)
    demo.release()
    assert kinds(applied) == ["done"] * 5 + ["unknown"]
    assert len(sent(demo)) == len(set(sent(demo))) == 6


def test_a_storm_of_429_is_waited_out_and_nothing_is_sent_twice(demo: DemoKombo, store: Store) -> None:
    demo.fault(
        "error", path=REJECT, status=429, code="PLATFORM.RATE_LIMIT_EXCEEDED", retry_after=0.01, times=10, skip=3
    )
    what = rejections(demo, 12)
    assert kinds(apply(demo, what, store)) == ["done"] * 12
    assert len(sent(demo)) == len(set(sent(demo))) == 12


def test_an_integration_with_few_slots_is_not_pressed(demo: DemoKombo, store: Store) -> None:
    demo.settings(demo.integrations[0], concurrency_limit=2)
    demo.configure(action_latency_ms=20)
    applied = apply(demo, rejections(demo, 4), store)
    demo.configure(action_latency_ms=None)
    assert kinds(applied) == ["done"] * 4


@pytest.mark.parametrize("code", ["INTEGRATION.ACTION_DISABLED", "INTEGRATION.ACTION_NOT_AVAILABLE"])
def test_an_action_that_is_not_offered_stops_at_the_first_row(demo: DemoKombo, store: Store, code: str) -> None:
    demo.settings(demo.integrations[0], actions={"reject_application": code})
    applied = apply(demo, rejections(demo, 10), store)
    assert kinds(applied) == ["refused"]
    assert "not allowed" in str(applied.course.stopped)
    assert len([one for one in demo.requests if one["method"] == "POST"]) == 1


def test_a_refused_login_stops_at_the_first_row(demo: DemoKombo, store: Store) -> None:
    demo.fault("error", path=REJECT, status=401, code="PLATFORM.AUTHENTICATION_INVALID", times=None)
    assert len(apply(demo, rejections(demo, 10), store).outcomes) == 1
    assert len([one for one in demo.requests if one["method"] == "POST"]) == 1


def test_what_was_not_allowed_is_sent_by_the_next_run_once_it_is(demo: DemoKombo, store: Store) -> None:
    what = rejections(demo, 4)
    demo.settings(demo.integrations[0], actions={"reject_application": "INTEGRATION.ACTION_DISABLED"})
    apply(demo, what, store)
    demo.settings(demo.integrations[0], actions={})
    assert kinds(apply(demo, what, store, "again")) == ["done"] * 4


def test_five_refusals_in_a_row_stop_the_batch(demo: DemoKombo, store: Store) -> None:
    demo.fault("error", path=REJECT, status=400, code="REMOTE.INPUT_INVALID", times=None)
    applied = apply(demo, rejections(demo, 30), store)
    assert 5 <= len(applied.outcomes) <= 9  # those in flight end too
    assert set(kinds(applied)) == {"refused"}
    assert "in a row" in str(applied.course.stopped)


def test_four_refusals_do_not(demo: DemoKombo, store: Store) -> None:
    demo.fault("error", path=REJECT, status=400, code="REMOTE.INPUT_INVALID", times=4)
    assert Counter(kinds(apply(demo, rejections(demo, 30), store))) == {"done": 26, "refused": 4}


def test_a_refused_row_is_not_repeated_by_its_plan_and_may_be_planned_again(demo: DemoKombo, store: Store) -> None:
    demo.fault("error", path=REJECT, status=400, code="REMOTE.INPUT_INVALID")
    what = rejections(demo, 2)
    apply(demo, what, store)
    assert kinds(apply(demo, what, store, "again")) == ["done", "refused"]
    refused = next(row for row in what.rows if row.key not in sent(demo))
    assert kinds(apply(demo, plan(what.integration, [refused]), store)) == ["done"]


def test_an_application_that_changed_since_the_plan_is_skipped(demo: DemoKombo, store: Store) -> None:
    what = rejections(demo, 3)
    apply(demo, notes(demo, 3), store)
    demo.sync()
    applied = apply(demo, what, store)
    assert [one.why for one in applied.outcomes.values()] == ["changed since the plan"] * 3
    assert len(demo.writes) == 3  # the notes


def test_an_application_that_is_settled_meanwhile_is_skipped(demo: DemoKombo, store: Store) -> None:
    what = rejections(demo, 2)
    apply(demo, plan(what.integration, what.rows[:1]), store)
    demo.sync()
    applied = apply(demo, what, open_store(f"{store.url}-other"))
    assert [applied.outcomes[row.key].why for row in what.rows] == ["no longer pending", None]
    assert len(demo.writes) == 2


def test_an_application_that_is_gone_is_skipped(demo: DemoKombo, store: Store) -> None:
    what = rejections(demo, 1)
    gone = plan(what.integration, [type(what.rows[0])("2" * 24, "reject_application", "{}", application_id="2" * 24)])
    assert "gone" in str(apply(demo, gone, store).outcomes["2" * 24].why)


def test_an_expired_plan_sends_nothing(demo: DemoKombo, store: Store) -> None:
    fresh = rejections(demo, 3)
    old = plan(fresh.integration, fresh.rows, timedelta(hours=24, seconds=1))
    applied = apply(demo, old, store)
    assert applied.outcomes == {}
    assert "expired" in str(applied.course.stopped)
    assert demo.writes == []


def test_a_claim_without_an_outcome_is_unknown_and_not_sent(demo: DemoKombo, store: Store) -> None:
    what = rejections(demo, 2)
    claims = Claims(store, rejections_folder(what.integration), what.plan_id, "killed")
    assert claims.claim(what.rows[0].key, 1)
    applied = apply(demo, what, store)
    assert [applied.outcomes[row.key].kind for row in what.rows] == ["unknown", "done"]
    assert sent(demo) == [what.rows[1].key]


def test_a_released_row_is_sent_again_and_no_other(demo: DemoKombo, store: Store) -> None:
    what = rejections(demo, 2)
    claims = Claims(store, rejections_folder(what.integration), what.plan_id, "killed")
    assert all(claims.claim(row.key, 1) for row in what.rows)
    assert claims.close([what.rows[0].key], "released") == [what.rows[0].key]
    apply(demo, what, store)
    assert sent(demo) == [what.rows[0].key]


def test_rows_of_one_application_go_in_their_order(demo: DemoKombo, store: Store) -> None:
    first, *_ = rejections(demo, 1).rows
    note = notes(demo, 1).rows[0]
    demo.configure(action_latency_ms=20)
    apply(demo, plan(demo.integrations[0], [note, first]), store)
    demo.configure(action_latency_ms=None)
    assert [write["operation"] for write in demo.writes] == ["add_application_note", "reject_application"]


class Away(FolderStore):
    """A folder that stops taking outcomes."""

    def put(self, key: str, file: Any, *, expect: str | None = "*") -> str:
        if key.endswith(".done"):
            raise LakeUnavailable("away")
        return super().put(key, file, expect=expect)


def test_an_outcome_that_cannot_be_recorded_stops_the_batch_and_is_told(
    demo: DemoKombo, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.lake.claims._PAUSES", (0.0,))
    applied = apply(demo, rejections(demo, 9), Away(lake))
    assert [one.unrecorded for one in applied.outcomes.values()] == [True]
    assert "could not be recorded" in str(applied.course.stopped)
    assert len(demo.writes) == 1


class Conflicting(FolderStore):
    """A folder that calls it a conflict once, and has taken nobody's object, as S3 may when two requests meet."""

    def __init__(self, root: Path, name: str) -> None:
        super().__init__(root)
        self.name = name
        self.conflicts = 1

    def put(self, key: str, file: Any, *, expect: str | None = "*") -> str:
        if key.endswith(self.name) and self.conflicts:
            self.conflicts -= 1
            raise Moved("a conflict")
        return super().put(key, file, expect=expect)


@pytest.mark.parametrize("name", [".claimed", ".done"])
def test_a_conflict_that_left_nothing_is_tried_again(
    demo: DemoKombo, lake: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("tasks.lake.claims._PAUSES", (0.0,))
    what = rejections(demo, 1)
    store = Conflicting(lake, name)
    assert kinds(apply(demo, what, store)) == ["done"]
    assert list(ledger(what, store).values()) == ["done"]
    assert len(demo.writes) == 1


def test_a_store_without_exclusive_creates_is_refused(lake: Path) -> None:
    store = FolderStore(lake)
    store.conditional = False
    with pytest.raises(LakeRefused, match="exclusive create"):
        check_exclusive(store)


def test_one_of_many_claims_at_once_wins(lake: Path) -> None:
    won: list[bool] = []
    barrier = threading.Barrier(12)

    def claim() -> None:
        claims = Claims(open_store(str(lake)), "batches/x/claims", "plan", "run")
        barrier.wait()
        won.append(claims.claim("k" * 24, 1))

    threads = [threading.Thread(target=claim) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won.count(True) == 1


def test_rows_that_were_claimed_ahead_when_the_batch_stopped_are_free_for_the_next_run(
    demo: DemoKombo, store: Store
) -> None:
    what = rejections(demo, 30)
    demo.configure(action_latency_ms=20)
    demo.fault("error", path=REJECT, status=401, code="PLATFORM.AUTHENTICATION_INVALID", times=None, skip=8)
    assert apply(demo, what, store).course.stopped
    demo.configure(action_latency_ms=None)
    demo.clear_faults()
    assert "unknown" not in ledger(what, store).values()
    assert kinds(apply(demo, what, store, "again")) == ["done"] * 30
    assert Counter(sent(demo)) == Counter(row.key for row in what.rows)


def test_what_is_claimed_since_the_claims_were_listed_is_not_sent_again(demo: DemoKombo, store: Store) -> None:
    what = rejections(demo, 4)
    apply(demo, what, store, "another")
    assert kinds(apply(demo, what, store, standings={})) == ["done"] * 4
    assert len(demo.writes) == 4


def test_what_another_plan_has_claimed_since_is_not_sent_again(demo: DemoKombo, store: Store) -> None:
    apply(demo, rejections(demo, 4), store, "another")
    applied = apply(demo, rejections(demo, 5), store, standings={})
    assert kinds(applied) == ["done"] + ["skipped"] * 4
    assert len(demo.writes) == 5


def test_a_row_that_waited_long_for_its_turn_is_read_once_more(
    demo: DemoKombo, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = rejections(demo, 3)
    real = applying.outdated
    seen = []

    def settled(row: PlanRow, records: Mapping[str, Any]) -> str | None:
        if not seen:  # somebody else rejects the others meanwhile
            seen.append(row.key)
            apply(demo, plan(what.integration, what.rows[1:]), open_store(f"{store.url}-other"))
            demo.sync()
            monkeypatch.setattr(applying, "READ_AGAIN", 0.0)
        return real(row, records)

    monkeypatch.setattr(applying, "outdated", settled)
    applied = apply(demo, what, store)
    assert [applied.outcomes[row.key].kind for row in what.rows] == ["done", "skipped", "skipped"]
    assert len(demo.writes) == 3


def test_what_kombo_puts_in_place_of_a_code_or_a_link_is_not_shown(demo: DemoKombo, store: Store) -> None:
    demo.fault("error", path=REJECT, status=400, code="about Ada Lovelace", message="Ada Lovelace")
    (outcome,) = apply(demo, rejections(demo, 1), store).outcomes.values()
    assert outcome.kind == "refused"
    assert "Ada" not in str(outcome)


def test_an_error_that_nobody_foresaw_is_unknown_and_not_quoted(
    demo: DemoKombo, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told = "about Ada Lovelace"

    def fail(*_: Any) -> None:
        raise RuntimeError(told)

    monkeypatch.setattr(sending, "_request", fail)
    applied = apply(demo, rejections(demo, 3), store)
    assert kinds(applied) == ["unknown"]
    assert "RuntimeError" in str(applied.course.stopped)
    assert "in fail" in caplog.text
    assert "Ada" not in f"{caplog.text}{applied}"


def test_a_release_may_be_said_again_by_the_run_that_said_it(demo: DemoKombo, store: Store) -> None:
    what = rejections(demo, 1)
    key = what.rows[0].key
    first, second = (Claims(store, rejections_folder(what.integration), "", run) for run in ("one", "two"))
    assert Claims(store, rejections_folder(what.integration), what.plan_id, "killed").claim(key, 1)
    assert first.close([key], "released") == [key]
    assert first.close([key], "released") == [key]  # its task is tried again after Kombo did not answer
    assert second.close([key], "released") == []


def test_a_part_of_a_kept_plan_has_its_rows_only(demo: DemoKombo, store: Store) -> None:
    what = rejections(demo, 5)
    plans.keep(store, "run", what)
    part = plans.of_run(store, "run", 2, 3)
    assert part == replace(what, rows=what.rows[1:3])


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, lake: Path) -> tuple[str, dict[str, Any]]:
    """A lake on this machine, and one on S3."""
    if request.param == "folder":
        return str(lake), {}
    bucket: Bucket = request.getfixturevalue("bucket")
    return bucket.new_url(), bucket.options


@pytest.fixture(scope="module")
def process() -> Iterator[DemoProcess]:
    with DemoProcess("small", odd=False, action_latency_ms=20) as demo:
        yield demo


def worker(
    demo: Surface, place: tuple[str, dict[str, Any]], out: Path, run_id: str, **more: Any
) -> subprocess.Popen[str]:
    given = {
        "lake": place[0],
        "options": place[1],
        "key": demo.api_key,
        "base_url": demo.base_url,
        "plan_of": "planned",
    }
    given |= {"run_id": run_id, "out": str(out), **more}
    command = [sys.executable, "-m", "tests.tasks.batch_runs", json.dumps(given)]
    started = subprocess.Popen(  # noqa: S603 - our own
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout
    assert started.stdout.readline() == "ready\n"
    return started


def ended(process: subprocess.Popen[str]) -> int:
    process.communicate()
    return process.returncode


def test_a_process_killed_again_and_again_sends_nothing_twice_and_loses_nothing(
    process: DemoProcess, place: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    process.reset()
    what = rejections(process, 60)
    keep(what, *place, "planned")
    for number, seen in enumerate((1, 8, 25), 1):
        started = worker(process, place, tmp_path / "out", "run", grace=0, wait=True)
        assert started.stdin
        started.stdin.write("\n")
        started.stdin.flush()
        while len(process.writes) < seen and started.poll() is None:
            pass
        started.kill()
        assert ended(started) == -9, number
    assert ended(worker(process, place, tmp_path / "out", "run", grace=0)) == 0
    outcomes = json.loads((tmp_path / "out").read_text())
    assert outcomes.keys() == {row.key for row in what.rows}
    assert set(outcomes.values()) <= {"done", "unknown"}
    times = Counter(sent(process))
    assert max(times.values()) == 1
    assert all(times[key] == 1 for key, kind in outcomes.items() if kind == "done")
    most = applying.CONCURRENCY + applying.AHEAD + applying.BEHIND
    assert list(outcomes.values()).count("unknown") <= 3 * most


def test_two_workers_on_one_plan_share_it(
    process: DemoProcess, place: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    process.reset()
    what = rejections(process, 60)
    keep(what, *place, "planned")
    both = [worker(process, place, tmp_path / name, name, wait=True) for name in ("one", "two")]
    for one in both:
        assert one.stdin
        one.stdin.write("\n")
        one.stdin.flush()
    assert [ended(one) for one in both] == [0, 0]
    assert Counter(sent(process)) == Counter(row.key for row in what.rows)
    for name in ("one", "two"):
        assert Counter(json.loads((tmp_path / name).read_text()).values()) == {"done": 60}
    assert Counter(ledger(what, open_store(place[0], place[1])).values()) == {"done": 60}


def test_the_demo_has_enough_to_reject(demo: DemoKombo) -> None:
    assert len(pending(demo)) > 100
