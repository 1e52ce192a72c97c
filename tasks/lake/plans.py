"""Plans of batch writes in the lake: what would be done, row by row, and what became of it, as Parquet.

::

    batches/<plan_id>/plans/<run_id>.parquet       the plan as that run made and showed it; created once, never replaced
    batches/<plan_id>/outcomes/<run_id>.parquet    what became of each row, as that run saw it in the end
    batches/runs/<run_id>.json                     which plan a run made, so that it goes on with it after a restart
    batches/runs/<run_id>.approved.json            that an operator approved it, and how many rows

A plan's id is a digest of its content and of nothing else: the same rows for the same integration are the same plan,
and their claims the same, whenever and by whomever they are planned. A plan may be carried out for 24 hours after it
was made. The same content planned again later gets a new file under the same id and another 24 hours, while what was
done under that id stays done: a row that was sent once is reported as such and not sent again. Who means the same
content once more gives the batch another name, which is part of the digest.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.lake.claims import Outcome
from tasks.lake.errors import CurrentUnreadable, LakeRefused, Moved
from tasks.lake.parquet import ObjectWriter, key_values
from tasks.lake.store import Store, put_bytes, read_bytes

LIFETIME = dt.timedelta(hours=24)

_TIME = pa.timestamp("us", "UTC")
_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One request to be made.

    Attributes:
        key: What it is claimed under.
        operation: Name of the operation.
        arguments: Its arguments as JSON text, keys sorted; may hold personal data.
        lines: Where in the file it stands; several if it stands there more than once.
        application_id: Of the application that it concerns, if any.
        candidate_id: Likewise.
        job_id: Likewise.
        job: The job's name.
        stage: The name of the stage that it is in.
        idle_since: Since when nothing has happened, UTC.
        days_idle: Whole days since then, when planned.
        link: To the application in the ATS.
        seen: What must not have changed when it is sent.
    """

    key: str
    operation: str
    arguments: str
    lines: str | None = None
    application_id: str | None = None
    candidate_id: str | None = None
    job_id: str | None = None
    job: str | None = None
    stage: str | None = None
    idle_since: dt.datetime | None = None
    days_idle: int | None = None
    link: str | None = None
    seen: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Rows to be carried out, and when that was decided.

    Attributes:
        plan_id: Digest of the content.
        integration: Integration id.
        made_at: When it was planned, UTC.
        rows: In the order in which they are to be sent.
        notes: What the report says about the planning, such as the exclusions counted; no personal data.
    """

    plan_id: str
    integration: str
    made_at: dt.datetime
    rows: tuple[PlanRow, ...]
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def expires_at(self) -> dt.datetime:
        """Until when it may be carried out, UTC."""
        return self.made_at + LIFETIME


def plan_id(integration: str, rows: Iterable[PlanRow], name: str | None = None, *, with_seen: bool) -> str:
    """Digest a plan's content.

    Args:
        integration: Integration id.
        rows: Its rows, in any order.
        name: Tells apart batches of equal content.
        with_seen: Whether the state that the rows were chosen by is part of the content.
    """
    rows = sorted((row.operation, row.arguments, row.seen if with_seen else None) for row in rows)  # type: ignore[assignment]
    content = json.dumps([integration, name, rows], sort_keys=True, ensure_ascii=False)
    return f"plan-{hashlib.sha256(content.encode()).hexdigest()[:24]}"


def row_key(operation: str, arguments: str) -> str:
    """Digest one row's content, as what it is claimed under."""
    return hashlib.sha256(f"{operation}\n{arguments}".encode()).hexdigest()[:32]


_TEXTS = ("key", "operation", "arguments", "lines", "application_id", "candidate_id", "job_id", "job", "stage")
_PLAN = pa.schema(
    [
        pa.field("row", pa.int64(), metadata={"description": "Position in the plan, from 1."}),
        *(pa.field(name, pa.string()) for name in _TEXTS),
        pa.field("idle_since", _TIME),
        pa.field("days_idle", pa.int64()),
        pa.field("link", pa.string()),
        pa.field("seen", pa.string()),
    ]
)
_OUTCOMES = pa.schema(
    [
        ("plan_id", pa.string()),
        ("row", pa.int64()),
        ("lines", pa.string()),
        ("key", pa.string()),
        ("operation", pa.string()),
        ("application_id", pa.string()),
        ("candidate_id", pa.string()),
        ("job_id", pa.string()),
        ("outcome", pa.string()),
        ("code", pa.string()),
        ("why", pa.string()),
        ("run_id", pa.string()),
        ("sent_at", _TIME),
        ("ended_at", _TIME),
        ("log_url", pa.string()),
        ("warnings", pa.list_(pa.string())),
        ("created_id", pa.string()),
        ("unrecorded", pa.bool_()),
        ("reported_at", _TIME),
    ]
)


def _metadata(plan: Plan) -> dict[str, str]:
    return {
        "kombo.plan_id": plan.plan_id,
        "kombo.integration_id": plan.integration,
        "kombo.made_at": plan.made_at.isoformat(),
        "kombo.notes": json.dumps(plan.notes),
    }


def keep(store: Store, run_id: str, plan: Plan) -> Plan:
    """Store a run's plan, and return the one that the run goes on with: the first that it ever stored.

    Args:
        store: The lake.
        run_id: The flow run.
        plan: As just made.

    Raises:
        LakeError: It could not be stored.
    """
    place = _place(plan.plan_id, run_id)
    with suppress(Moved):  # by an earlier attempt of this run, with the same content; which one counts is decided next
        _put(store, place, _PLAN, [{"row": n, **asdict(row)} for n, row in enumerate(plan.rows, 1)], plan, expect=None)
    content = json.dumps({"plan_id": plan.plan_id, "made_at": plan.made_at.isoformat(), "plan": place})
    with suppress(Moved):
        put_bytes(store, f"batches/runs/{run_id}.json", content.encode(), expect=None)
    found = of_run(store, run_id)
    if found is None:
        raise LakeRefused("the plan was stored and is not there: the lake does not keep what it takes")
    return found


def of_run(store: Store, run_id: str, first: int = 1, last: int | None = None) -> Plan | None:
    """Return the plan that a run made, None if it has made none yet.

    Args:
        store: The lake.
        run_id: The flow run.
        first: Position of the first row that is wanted, from 1.
        last: Of the last one; None for all.

    Raises:
        LakeError: It cannot be read.
    """
    pointer = read_bytes(store, f"batches/runs/{run_id}.json")
    return load(store, json.loads(pointer)["plan"], first, last) if pointer else None


def load(store: Store, place: str, first: int = 1, last: int | None = None) -> Plan:
    """Read a plan, or some rows of it.

    Args:
        store: The lake.
        place: The plan's object.
        first: Position of the first row that is wanted, from 1.
        last: Of the last one; None for all.

    Raises:
        LakeError: It is not there or cannot be read.
    """
    held = store.read(place)
    if held is None:
        raise LakeRefused(f"the plan {place} is not in the lake any more: plan again")
    with held.file:
        try:
            file = pq.ParquetFile(pa.PythonFile(held.file, "r"))
            about = key_values(file.metadata)
            records = file.read()[first - 1 : last].to_pylist()
            rows = tuple(PlanRow(**{k: v for k, v in record.items() if k != "row"}) for record in records)
            made_at = dt.datetime.fromisoformat(about["kombo.made_at"])
            notes = json.loads(about["kombo.notes"])
            return Plan(about["kombo.plan_id"], about["kombo.integration_id"], made_at, rows, notes)
        except (pa.ArrowException, KeyError, TypeError, ValueError, OSError) as error:
            raise CurrentUnreadable(f"{place} is not a plan ({type(error).__name__}): plan again") from None


def approve(store: Store, run_id: str, plan: Plan) -> None:
    """Record that an operator approved a run's plan."""
    content = {"plan_id": plan.plan_id, "rows": len(plan.rows), "at": dt.datetime.now(dt.UTC).isoformat()}
    try:
        put_bytes(store, f"batches/runs/{run_id}.approved.json", json.dumps(content).encode(), expect=None)
    except Moved:
        return


def is_approved(store: Store, run_id: str, plan: Plan) -> bool:
    """Whether an operator approved this very plan in this run."""
    content = read_bytes(store, f"batches/runs/{run_id}.approved.json")
    found = json.loads(content) if content else {}
    return found.get("plan_id") == plan.plan_id and found.get("rows") == len(plan.rows)


def keep_outcomes(store: Store, run_id: str, plan: Plan, outcomes: Mapping[str, Outcome]) -> str:
    """Store what became of every row; returns the object's key."""
    now = dt.datetime.now(dt.UTC)
    records = []
    for number, row in enumerate(plan.rows, 1):
        one = outcomes[row.key]
        about = {
            name: getattr(row, name) for name in ("lines", "operation", "application_id", "candidate_id", "job_id")
        }
        known = {k: getattr(one, k) for k in ("code", "why", "run_id", "sent_at", "ended_at", "log_url", "warnings")}
        records.append(
            {
                "plan_id": plan.plan_id,
                "row": number,
                "key": row.key,
                "outcome": one.kind,
                "reported_at": now,
                **about,
                **known,
                "created_id": one.created.get("id"),
                "unrecorded": one.unrecorded,
            }
        )
    place = f"batches/{plan.plan_id}/outcomes/{run_id}.parquet"
    _put(store, place, _OUTCOMES, records, plan)
    return place


def _place(plan_id: str, run_id: str) -> str:
    return f"batches/{plan_id}/plans/{run_id}.parquet"


def _put(
    store: Store, place: str, schema: pa.Schema, records: Sequence[Mapping[str, Any]], plan: Plan, **condition: None
) -> None:
    with ObjectWriter(schema) as writer:
        for start in range(0, len(records), _BATCH):
            writer.write(pa.RecordBatch.from_pylist(list(records[start : start + _BATCH]), schema=schema))
        writer.finish(_metadata(plan))
        store.put(place, writer.file, **condition)
