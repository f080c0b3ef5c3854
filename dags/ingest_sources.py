"""Airflow: a DAG `ingest_<source>` per source that config/accounts.yml names: [API →] provider files → landing → bronze Delta.

One mapped task per export; each that succeeds updates the source's bronze asset, so a refused delivery stops nobody else.
Exports with a `pull` block are pulled before. A failed pull is red and tried again; what the others brought is loaded all the same.
"""

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, task
from costlake_assets import BRONZE, EXPORTS, PULLED
from costlake_defaults import DEFAULTS
from costlake_docs import doc
from costlake_steps import call

PULL, INGEST = "ingest.pull.run:pull_export", "ingest.load:ingest_export"


def each(task_id: str, target: str, exports: list[str], **options: Any) -> Any:
    """One mapped task per export, one at a time: one writer per bronze table, one asker per API."""
    label = "{{ task.op_kwargs['arguments']['export_id'] }}"
    made = task(task_id=task_id, map_index_template=label, max_active_tis_per_dag=1, doc_md=doc(target), **options)(call)
    return made.partial(target=target).expand(arguments=[{"export_id": export} for export in exports])


for source, exports in EXPORTS.items():
    with DAG(
        f"ingest_{source}",
        schedule="17 */6 * * *",  # providers rewrite the open month up to three times a day
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,  # a run loads all that has been delivered: there is nothing to catch up
        max_active_runs=1,
        default_args=DEFAULTS,
        tags=["costlake", "ingest", source],
        doc_md=f"{__doc__}\n\n{doc(INGEST)}",
    ):
        before = [each("pull", PULL, PULLED[source])] if PULLED[source] else []
        before >> each("ingest", INGEST, exports, outlets=[BRONZE[source]], trigger_rule="all_done")
