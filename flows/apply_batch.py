"""Carry out the write operations of a file, a row each."""

from typing import Any

from prefect import flow, runtime

from tasks.approvals import Approval, ask, can_ask, check_age
from tasks.batch_reports import BATCH
from tasks.batches import carry_out, plan_of
from tasks.credentials import resolve_credentials, resolve_lake
from tasks.parameters import Block, File, IntegrationId, Lake, RowKeys, Text
from tasks.planning import plan_batch


@flow(name="kombo-apply-batch", flow_run_name="{approval}-of-{integration}", persist_result=False)
def apply_batch(
    integration: IntegrationId,
    file: File,
    approval: Approval = "dry-run",
    batch: Text = None,
    lake: Lake = None,
    credentials: Block = None,
    release: RowKeys = None,
) -> dict[str, Any]:
    """Carry out the write operations that a CSV or Parquet file lists, a row each.

    The column `operation` says what to do, such as `move_application_to_stage`, `add_candidate_tag`,
    `add_application_note` or `reject_application`; the other columns are the operation's arguments by name, nested ones
    with dots (`candidate.email_address`), lists and objects as JSON, or all together as a JSON object in the column
    `arguments`. Every row is checked before the first is sent; all that is wrong is said at once, with its line.

    The artifact `kombo-apply-batch-plan` shows what would be sent, `kombo-apply-batch-report` what became of it. A row
    is sent at most once, whatever crashes, is started twice or tried again; equal rows are sent once. A file with the
    same content is the same batch, also tomorrow: what was done stays done. "Retry" goes on with the rest; "Cancel" and
    "Suspend" stop after the requests in flight.

    Args:
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        file: The file, a path as the worker sees it or a URL such as `s3://bucket/rows.csv`.
        approval: `dry-run` only plans. `ask` waits up to a day for somebody to type the number of requests into
            the run's form ("Resume"). `auto` sends at once.
        batch: Empty, or any name that is new, to send the same content once more on purpose. It is no way to repeat a
            rejection.
        lake: URL or path, or the name of a Kombo Lake block. Empty for the block `kombo-lake`, else the environment's
            KOMBO_LAKE, else `./lake`. Plans, claims and outcomes are kept there, and only there is known what was sent:
            always use the same one, and none that is gone with a container.
        credentials: Name of a Kombo Credentials block. Empty for the block `kombo`, else the environment's
            KOMBO_API_KEY.
        release: Rows that were sent before with an unknown outcome and that you have found in the ATS not to have
            happened, by the report's column *release*; they may be sent again. Not with `auto`.

    Returns:
        The plan's id and how many requests are planned, or how many are done and skipped.

    Raises:
        InvalidRows: Rows cannot be sent. Nothing was sent.
        BatchFailed: At least one row was refused, is of unknown outcome, or was not reached.
        NotApproved: The number typed was another one, or the answer was abort. Nothing was sent.
        PlanExpired: The plan is more than a day old. Nothing was sent.
    """
    can_ask(approval)
    if release and approval == "auto":
        raise ValueError("release is for a person who has just looked: use it with approval dry-run or ask")
    run_id, key, target = str(runtime.flow_run.id), resolve_credentials(credentials), resolve_lake(lake)
    plan = plan_of(target, run_id)
    if plan is None:
        plan_batch(
            integration=integration,
            file=file,
            batch=batch,
            release=release,
            writes=approval != "dry-run",
            lake=target,
            run_id=run_id,
            credentials=key,
        )
        plan = plan_of(target, run_id)
    if plan is None:
        raise RuntimeError("the plan is not in the lake")
    if approval == "dry-run":
        return {"plan_id": plan.plan_id, "planned": len(plan.rows)}
    check_age(plan)
    if approval == "ask":
        ask(plan, BATCH, lake=target, run_id=run_id)
    return carry_out(plan, lake=target, run_id=run_id, credentials=key, report="kombo-apply-batch-report")
