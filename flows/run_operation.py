"""One of Kombo's operations, ad hoc."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact

from tasks import tables
from tasks.credentials import resolve_credentials
from tasks.operations import OPERATIONS, OperationName
from tasks.parameters import Arguments, Block, IntegrationId
from tasks.tables import RowLimit


@flow(name="kombo-run-operation", flow_run_name="{operation}", persist_result=False, validate_parameters=True)
def run_operation(
    operation: OperationName,
    integration: IntegrationId,
    arguments: Arguments = None,
    confirm: bool = False,
    row_limit: RowLimit = 100,
    credentials: Block = None,
) -> dict[str, Any]:
    """Carry out one of Kombo's operations, once, on one integration.

    Choose the operation, name the integration, and give the arguments as a JSON object with the operation's own names,
    for instance `{"outcomes": ["PENDING"]}` for get_applications, or `{"application_id": "…", "stage_id": "…"}` for
    move_application_to_stage. Arguments that do not fit are refused before anything is sent, and the error lists those
    that do. What an operation does is in the README's table.

    The result is an artifact: for a read a table of ids, dates and statuses, for a write its outcome. People's data is
    not shown, but Prefect keeps the arguments with the run: for writes with much personal data prefer a batch from a
    file.

    Args:
        operation: What to do. Those named `get_…` only read.
        integration: Integration id, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        arguments: The operation's own arguments, as a JSON object, such as `{"outcomes": ["PENDING"]}`; `{}` for none.
        confirm: Has to be on for an operation that changes something in the ATS.
        row_limit: Most rows that a read fetches, unless the arguments have a limit of their own, and that its table
            shows.
        credentials: Name of a Kombo Credentials block. Empty for the block `kombo`, else the environment's
            KOMBO_API_KEY.

    Returns:
        What was done: `operation`, `integration`, and `rows`, or `outcome` and `warnings`.

    Raises:
        ValueError: The arguments do not fit, or a write was not confirmed; nothing was sent.
        OutcomeUnknown: A write was sent and may have happened; look in the ATS before doing it again.
        KomboError: Kombo said no.
    """
    chosen = OPERATIONS[operation]
    checked = chosen.checked(integration, arguments)
    if chosen.writes and not confirm:
        raise ValueError(f"{operation} changes something in the customer's ATS: set confirm to true if that is meant")
    if "limit" in chosen.parameters and checked.get("limit") is None:
        checked["limit"] = row_limit
    key = "kombo-run-operation"
    access = resolve_credentials(credentials)
    try:
        answer = chosen.task(**checked, credentials=access)
    except Exception as error:
        if chosen.writes:
            row = tables.failed(chosen, integration, checked, error)
            tables.publish(row, key, tables.sentence(row))
        raise
    if chosen.writes:
        done = tables.done(chosen, integration, checked, answer)
        tables.publish(done, key, tables.sentence(done))
        return done
    shown = tables.rows(chosen, answer, row_limit)
    create_table_artifact(shown, key=key, description=tables.caption(chosen, integration, checked, answer, shown))
    return {"operation": operation, "integration": integration, "rows": len(shown)}
