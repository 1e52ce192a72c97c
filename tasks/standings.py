"""Where the rows of a plan are claimed, and where they stand."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.lake.claims import Claims, Outcome, Standing, batch_folder, rejections_folder
from tasks.lake.plans import Plan, PlanRow
from tasks.lake.store import Store
from tasks.subjects import REJECT


def claimed(plan: Plan, rows: Sequence[PlanRow], store: Store, run_id: str) -> dict[str, Standing]:
    """Read from the lake where rows stand, by key; those that were never claimed are left out.

    Raises:
        LakeError: The claims cannot be read.
    """
    found: dict[str, Standing] = {}
    for rejections in (True, False):
        if some := [row for row in rows if (row.operation == REJECT) is rejections]:
            found |= claims_of(plan, some[0].operation, store, run_id).standings(row.key for row in some)
    return found


def known_outcomes(plan: Plan, rows: Sequence[PlanRow], store: Store, run_id: str) -> dict[str, Outcome]:
    """Read from the lake what became of rows, sending nothing; rows that were not claimed are left out."""
    found = claimed(plan, rows, store, run_id)
    return {key: standing.outcome for key, standing in found.items() if standing.outcome}


def claims_of(plan: Plan, operation: str, store: Store, run_id: str) -> Claims:
    """Where an operation's rows are claimed: rejections for all plans together, all else in the plan."""
    folder = rejections_folder(plan.integration) if operation == REJECT else batch_folder(plan.plan_id)
    return Claims(store, folder, plan.plan_id, run_id)
