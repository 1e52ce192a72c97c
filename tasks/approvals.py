"""A person's approval of a plan: the run ends and waits, and goes on when somebody types what the plan says.

The form is checked here and not only in the browser: what counts is what the flow itself compares.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from prefect import runtime
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from pydantic import Field, ValidationError

from tasks import batch_reports
from tasks.credentials import KomboLake
from tasks.lake import plans
from tasks.lake.plans import Plan

Approval = Literal["dry-run", "ask", "auto"]

_NOTHING = 'nothing was sent. "Retry" shows the same plan and asks again'


class NotApproved(Exception):
    """The operator refused, or typed another number than the plan's; nothing was sent."""


class PlanExpired(Exception):
    """The plan is older than a day; nothing was sent. Start a new run."""


class ApproveRejections(RunInput):
    """The form of `reject_stale`."""

    applications: int = Field(
        ge=0,
        description="Type how many applications are to be rejected, as the plan says it. Another number rejects none.",
    )
    decision: Literal["abort", "reject"] = Field(
        "abort", description="reject: this cannot be undone, and candidates may be mailed. abort: nothing happens."
    )


class ApproveBatch(RunInput):
    """The form of `apply_batch`."""

    rows: int = Field(
        ge=0, description="Type how many requests are to be sent, as the plan says it. Another number sends none."
    )
    decision: Literal["abort", "send"] = Field(
        "abort", description="send: the ATS is changed, and people may be mailed. abort: nothing happens."
    )


def can_ask(approval: Approval) -> None:
    """Refuse to plan for an approval that could never be given.

    Raises:
        ValueError: This run is not of a deployment, so nothing could start it again after the approval.
    """
    if approval == "ask" and runtime.deployment.id is None:
        raise ValueError(
            'approval "ask" ends the process and waits for the form in the Prefect UI, which needs a deployment to '
            'start it again: run it from a deployment, or use "dry-run" to see the plan and "auto" to carry it out'
        )


def check_age(plan: Plan) -> None:
    """Refuse a plan that has expired.

    Raises:
        PlanExpired: It has.
    """
    if datetime.now(UTC) > plan.expires_at:
        raise PlanExpired(
            f"plan {plan.plan_id} expired at {plan.expires_at:%Y-%m-%d %H:%M} UTC: nothing was sent; start a new run"
        )


def ask(plan: Plan, kind: str, *, lake: KomboLake, run_id: str) -> None:
    """Wait until an operator approves a plan; the process ends meanwhile, and the run starts again from its top.

    Which plan was shown, and that it was approved, is kept in the lake under the run's id, so neither a restart nor a
    retry asks for, or sends, anything else.

    Args:
        plan: The plan.
        kind: `batch_reports.REJECTIONS` or `BATCH`.
        lake: The lake.
        run_id: The flow run.

    Raises:
        NotApproved: It was refused, or another number was typed.
        PlanExpired: It is too late.
    """
    store = lake.get_store()
    check_age(plan)
    if plans.is_approved(store, run_id, plan):
        return
    left = int((plan.expires_at - datetime.now(UTC)).total_seconds())
    unanswered = f"If nobody answers until {plan.expires_at:%Y-%m-%d %H:%M} UTC, the run fails and nothing is sent."
    text = f"{batch_reports.plan_text(plan, kind)}\n\n{unanswered}"
    key, count = f"approve-{plan.plan_id}", len(plan.rows)
    try:
        if kind == batch_reports.REJECTIONS:
            form = ApproveRejections.with_initial_data(description=text)
            answer = suspend_flow_run(wait_for_input=form, timeout=max(1, left), key=key)
            decided, typed = answer.decision == "reject", answer.applications
        else:
            other = ApproveBatch.with_initial_data(description=text)
            reply = suspend_flow_run(wait_for_input=other, timeout=max(1, left), key=key)
            decided, typed = reply.decision == "send", reply.rows
    except ValidationError:
        # Somebody has set the run going in another way than by the form.
        raise NotApproved(f"the form was not answered: {_NOTHING}") from None
    if not decided:
        raise NotApproved(f"the operator chose abort: {_NOTHING}")
    if typed != count:
        raise NotApproved(f"{typed:,} was typed and the plan has {count:,}: {_NOTHING}")
    check_age(plan)
    plans.approve(store, run_id, plan)
