"""Reject applications that have been pending for too long."""

from typing import Any

from prefect import flow, runtime

from tasks.approvals import Approval, ask, can_ask, check_age
from tasks.batch_reports import REJECTIONS
from tasks.batches import carry_out, plan_of
from tasks.credentials import resolve_credentials, resolve_lake
from tasks.parameters import ApplicationIds, Block, IntegrationId, Lake, MostRejections, Name, Names, StaleDays, Text
from tasks.planning import plan_rejections


@flow(name="kombo-reject-stale", flow_run_name="{approval}-of-{integration}", persist_result=False)
def reject_stale(
    integration: IntegrationId,
    rejection_reason: Name,
    stale_after_days: StaleDays = 90,
    stages: Names = None,
    jobs: Names = None,
    note: Text = None,
    limit: MostRejections = 100,
    approval: Approval = "dry-run",
    lake: Lake = None,
    credentials: Block = None,
    release: ApplicationIds = None,
) -> dict[str, Any]:
    """Reject applications that nothing has happened to for a long time.

    A rejection cannot be undone, and may start the customer's automated e-mail to the candidate. So there is a plan
    first: the artifact `kombo-reject-stale-plan` lists the applications and counts what was left alone and why. Nothing
    is sent unless *approval* says so, and each application is sent at most once, whatever crashes or starts twice. The
    artifact `kombo-reject-stale-report` says what became of each. The run is Completed only if every one is rejected or
    was skipped for a reason; "Retry" goes on with the rest. "Cancel" and "Suspend" stop after the requests in flight.

    Left alone are applications with an interview to come, with an offer that is not declined or abandoned, of unknown
    age, and those that an earlier batch has sent and Kombo does not show as settled yet.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        rejection_reason: One of the integration's rejection reasons, by Kombo id or exact name.
        stale_after_days: Days since creation, the last update in the ATS and the end of the last interview; 7 at least.
        stages: Only applications in these stages, by id or exact name. `*` is any stage; an empty list is refused.
        jobs: Only applications for these jobs, by id or exact name. `*` is any job; an empty list is refused.
        note: Goes with each rejection; people may see it in the ATS. Empty for none.
        limit: Reject so many at most, the oldest; the report says how many remain.
        approval: `dry-run` only plans. `ask` waits up to a day for somebody to type the number of applications into the
            run's form ("Resume"). `auto` rejects at once, for schedules.
        lake: URL or path, or the name of a Kombo Lake block. Empty for the block `kombo-lake`, else the environment's
            KOMBO_LAKE, else `./lake`. Plans, claims and outcomes are kept there, and only there is known what was sent:
            always use the same one, and none that is gone with a container.
        credentials: Name of a Kombo Credentials block. Empty for the block `kombo`, else the environment's
            KOMBO_API_KEY.
        release: Applications that were sent before with an unknown outcome and that you have found in the ATS not to be
            rejected, by Kombo id; they may be sent again. Not with `auto`.

    Returns:
        The plan's id and how many applications are planned, or how many are done and skipped.

    Raises:
        BatchFailed: At least one was refused, is of unknown outcome, or was not reached.
        NotApproved: The number typed was another one, or the answer was abort. Nothing was sent.
        PlanExpired: The plan is more than a day old. Nothing was sent.
    """
    can_ask(approval)
    if release and approval == "auto":
        raise ValueError("release is for a person who has just looked: use it with approval dry-run or ask")
    run_id, key, target = str(runtime.flow_run.id), resolve_credentials(credentials), resolve_lake(lake)
    plan = plan_of(target, run_id)
    if plan is None:
        plan_rejections(
            integration=integration,
            rejection_reason=rejection_reason,
            stale_after_days=stale_after_days,
            stages=stages,
            jobs=jobs,
            note=note,
            limit=limit,
            release=release,
            writes=approval != "dry-run",
            lake=target,
            run_id=run_id,
            credentials=key,
        )
        plan = plan_of(target, run_id)
    if plan is None:
        raise RuntimeError("the plan is not in the lake")
    if approval == "dry-run" or not plan.rows:
        return {"plan_id": plan.plan_id, "planned": len(plan.rows)}
    check_age(plan)
    if approval == "ask":
        ask(plan, REJECTIONS, lake=target, run_id=run_id)
    return carry_out(plan, lake=target, run_id=run_id, credentials=key, report="kombo-reject-stale-report")
