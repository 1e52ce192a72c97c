"""What carries out a flow run's plan: a task for each chunk of rows, and the report, however it ends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any
from uuid import UUID

from prefect import runtime
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.exceptions import Pause

from tasks import applying, batch_reports, standings
from tasks.applying import Applied, Course
from tasks.approvals import PlanExpired, check_age
from tasks.credentials import KomboCredentials, KomboLake
from tasks.lake import plans
from tasks.lake.claims import Outcome, Standing
from tasks.lake.errors import LakeError, LakeRefused
from tasks.lake.plans import Plan
from tasks.planning import checked_store
from tasks.policies import unsafe_writes

CHUNK = 500
"""Rows a task run: enough to be worth one, few enough to watch the batch go on."""

WATCH = 3.0
"""Seconds between two looks at whether the run was suspended."""

logger = logging.getLogger(__name__)


def plan_of(lake: KomboLake, run_id: str) -> Plan | None:
    """Return the plan that a flow run has made, None if it has made none: a restarted run goes on with its own.

    Raises:
        LakeRefused: It has made one, and the lake does not have it any more: nor has it what was sent.
        LakeError: The lake does not work.
    """
    plan = plans.of_run(lake.get_store(), run_id)
    if plan is None and (runtime.flow_run.run_count or 1) > 1 and _has_shown_a_plan(run_id):
        raise LakeRefused(
            "this run has made a plan before, and it is not in the lake any more: nothing was sent. A folder inside a "
            "container is gone with the container: batch writes need a lake that stays, such as s3://bucket/prefix"
        )
    return plan


def _has_shown_a_plan(run_id: str) -> bool:
    wanted = ArtifactFilter(
        flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(run_id)]), key=ArtifactFilterKey(like_="kombo-%-plan")
    )
    with get_client(sync_client=True) as client:
        return bool(client.read_artifacts(artifact_filter=wanted, limit=1))


@unsafe_writes(task_run_name="rows-{first}-to-{last}")
def apply_chunk(
    *,
    first: int,
    last: int,
    course: Course,
    standings: Mapping[str, Standing],
    lake: KomboLake,
    run_id: str,
    credentials: KomboCredentials,
) -> Applied:
    """Carry out some rows of the plan that a flow run has made; each is claimed in the lake before it is sent.

    Args:
        first: Position in the plan, from 1.
        last: The last position.
        course: How the batch has gone so far.
        standings: What the lake says of those rows that were claimed before.
        lake: Has the plan and the claims.
        run_id: The flow run.
        credentials: For Kombo.

    Returns:
        What became of them.

    Raises:
        PlanExpired: It is more than a day old.
        LakeError: The lake does not work, or cannot keep claims apart; nothing was sent.
    """
    store = checked_store(lake, writes=True)
    plan = plans.of_run(store, run_id, first, last)
    if plan is None:
        raise LakeError("this run's plan is not in the lake any more: nothing was sent")
    check_age(plan)
    with _watched(run_id) as suspended:
        return applying.apply_rows(
            plan,
            plan.rows,
            store=store,
            run_id=run_id,
            credentials=credentials,
            course=course,
            standings=standings,
            suspended=suspended,
        )


@contextmanager
def _watched(run_id: str) -> Iterator[threading.Event]:
    """Yield an event that is set once somebody has suspended the run.

    Of a cancellation Prefect tells the process, of a suspension it does not: the page says "Suspended", and the rows
    would go on being sent.
    """
    suspended, over = threading.Event(), threading.Event()

    def watch() -> None:
        with get_client(sync_client=True) as client:
            while not over.wait(WATCH):
                try:
                    state = client.read_flow_run(UUID(run_id)).state
                except Exception as error:
                    logger.debug("Prefect does not say how the run is (%s)", type(error).__name__)
                    continue
                if state and state.is_paused():
                    suspended.set()
                    return

    thread = threading.Thread(target=copy_context().run, args=(watch,), name="kombo-watch", daemon=True)
    thread.start()
    try:
        yield suspended
    finally:
        over.set()
        thread.join(WATCH)


def carry_out(
    plan: Plan, *, lake: KomboLake, run_id: str, credentials: KomboCredentials, report: str
) -> dict[str, Any]:
    """Carry out a plan and report what became of every row, however it ends.

    Args:
        plan: The flow run's plan.
        lake: The lake.
        run_id: The flow run.
        credentials: For Kombo.
        report: Key of the artifact.

    Returns:
        The plan's id, and counts by outcome.

    Raises:
        BatchFailed: Not every row is done or skipped.
    """
    outcomes: dict[str, Outcome] = {}
    course = Course()
    try:
        # Once for all chunks: what is claimed later is met when it is claimed again.
        known = standings.claimed(plan, plan.rows, lake.get_store(), run_id)
        for start in range(0, len(plan.rows), CHUNK):
            rows = plan.rows[start : start + CHUNK]
            applied = apply_chunk(
                first=start + 1,
                last=start + len(rows),
                course=course,
                standings={row.key: known[row.key] for row in rows if row.key in known},
                lake=lake,
                run_id=run_id,
                credentials=credentials,
            )
            outcomes |= applied.outcomes
            course = applied.course
            if course.stopped:
                break
    except BaseException as error:
        # Also when the run is cancelled: whoever did that wants to know how far it got.
        course.stopped = _why(error)
        _report(plan, outcomes, course.stopped, lake, run_id, report)
        raise
    outcomes = _report(plan, outcomes, course.stopped, lake, run_id, report)
    if not batch_reports.is_complete(outcomes):
        said = batch_reports.sentence(outcomes, course.stopped)
        raise batch_reports.BatchFailed(f"{said}. The artifact {report} says more")
    return {"plan_id": plan.plan_id, **batch_reports.counts(outcomes)}


def _report(
    plan: Plan, known: Mapping[str, Outcome], stopped: str | None, lake: KomboLake, run_id: str, key: str
) -> dict[str, Outcome]:
    """Store and show what became of the rows; what was done must not look otherwise because of that."""
    place = ""
    outcomes = dict(known)
    try:
        store = lake.get_store()
        rest = [row for row in plan.rows if row.key not in outcomes]
        outcomes = batch_reports.complete(plan, standings.known_outcomes(plan, rest, store, run_id) | outcomes)
        place = plans.keep_outcomes(store, run_id, plan, outcomes)
    except LakeError as error:
        logger.warning("The outcomes could not be stored in the lake: %s", error)
        outcomes = batch_reports.complete(plan, outcomes)
    logger.info("%s", batch_reports.sentence(outcomes, stopped))
    try:
        create_table_artifact(
            batch_reports.report_table(plan, outcomes),
            key=key,
            description=batch_reports.report_text(plan, outcomes, stopped, place),
        )
    except Exception as error:
        logger.warning("The report could not be shown (%s); the lake has it", type(error).__name__)
    return outcomes


def _why(error: BaseException) -> str:
    """Say why a batch ended early, without the text of an error that might quote anything."""
    if isinstance(error, LakeError | PlanExpired):
        return str(error)
    if isinstance(error, Pause):
        return 'the run was suspended; "Resume" goes on with it'
    return type(error).__name__ if isinstance(error, Exception) else "the run was cancelled, or its process ended"
