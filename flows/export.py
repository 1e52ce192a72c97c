"""The nightly export: Kombo's collections of one or many integrations into a lake of Parquet files."""

import datetime as dt
import time
from typing import Any, cast
from uuid import UUID

from prefect import flow, runtime
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from tasks.credentials import resolve_credentials, resolve_lake
from tasks.exports import COLLECTIONS, Mode, check_lake, export_collection, record_run
from tasks.parameters import Block, Collections, Copies, Days, Integrations, Lake, Share
from tasks.reports import CollectionReport, ExportFailed, failure, markdown, sentence

RUNNER = cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=8))  # a collection each
PROGRESS_SECONDS = 5


@flow(name="kombo-export", task_runner=RUNNER, persist_result=False)
def export(
    integrations: Integrations,
    lake: Lake = None,
    collections: Collections = None,
    mode: Mode = "auto",
    full_every_days: Days = 7,
    keep_snapshots: Copies = 7,
    max_shrink: Share = 0.5,
    credentials: Block = None,
) -> list[CollectionReport]:
    """Bring Kombo's collections into the lake as Parquet.

    Each collection of each integration is fetched, merged into one Parquet object and committed on its own: one that
    fails stops no other. The run then fails and names it; running it again (or "Retry") repeats nothing that was
    committed. The artifact `kombo-export` has a table of what was done.

    Args:
        integrations: Whose data: integration ids, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.
        lake: URL or path, such as `s3://bucket/prefix`, or the name of a Kombo Lake block. Empty for the block
            `kombo-lake`, else the environment's KOMBO_LAKE, else `./lake`.
        collections: What to export: all ten, unless you take some out. An empty list is refused.
        mode: `incremental` fetches what changed, `full` everything. `auto` is incremental, and full where there is
            nothing yet or the last full export is older than the next parameter says.
        full_every_days: After how many days `auto` is full again, which finds rows that vanished silently. 0: always.
        keep_snapshots: How many dated copies of each collection to keep. 0: none.
        max_shrink: A full export that would lose more than this share of a collection's rows is refused; 0.5 is half. 1
            accepts any loss, for instance after rows were deleted on purpose.
        credentials: Name of a Kombo Credentials block. Empty for the block `kombo`, else the environment's
            KOMBO_API_KEY.

    Returns:
        A report for each collection of each integration.

    Raises:
        ExportFailed: At least one collection failed; the others are in the lake.
    """
    started_at = dt.datetime.now(dt.UTC)
    run_id = str(runtime.flow_run.id)
    key, target = resolve_credentials(credentials), resolve_lake(lake)
    warnings = check_lake(target)
    futures = {
        export_collection.submit(
            integration=integration,
            collection=collection,
            lake=target,
            run_id=run_id,
            mode=mode,
            full_every_days=full_every_days,
            keep_snapshots=keep_snapshots,
            max_shrink=max_shrink,
            credentials=key,
        ): (integration, collection)
        for integration in dict.fromkeys(integrations)
        for collection in dict.fromkeys(collections or COLLECTIONS)
    }
    progress = cast("UUID", create_progress_artifact(0.0, key="kombo-export-progress", description="Collections done."))
    said, reports = time.monotonic(), []
    for done, future in enumerate(as_completed(list(futures)), 1):
        outcome = future.result(raise_on_failure=False)
        reports.append(outcome if isinstance(outcome, CollectionReport) else failure(*futures[future], outcome))
        if time.monotonic() - said > PROGRESS_SECONDS or done == len(futures):
            said = time.monotonic()
            update_progress_artifact(progress, 100.0 * done / len(futures))
    order = [f"{integration} {collection}" for integration, collection in futures.values()]
    reports.sort(key=lambda report: order.index(f"{report.integration} {report.collection}"))
    create_markdown_artifact(markdown(reports, warnings), key="kombo-export", description=sentence(reports))
    record_run(target, run_id, started_at, reports, warnings)
    if any(report.status == "failed" for report in reports):
        raise ExportFailed(sentence(reports))
    return reports
