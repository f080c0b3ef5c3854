"""Airflow: a DAG `ingest_<source>` per source that config/accounts.yml names: provider files → landing → bronze Delta.

One mapped task per export; each that succeeds updates the source's bronze asset, so a refused delivery stops nobody else.
"""

from datetime import UTC, datetime

from airflow.sdk import DAG, task
from costlake_assets import BRONZE, EXPORTS
from costlake_defaults import DEFAULTS
from costlake_docs import doc
from costlake_steps import call

TARGET = "ingest.load:ingest_export"

for source, exports in EXPORTS.items():
    with DAG(
        dag_id=f"ingest_{source}",
        schedule="17 */6 * * *",  # providers rewrite the open month up to three times a day
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,  # a run loads all that has been delivered: there is nothing to catch up
        max_active_runs=1,
        default_args=DEFAULTS,
        tags=["costlake", "ingest", source],
        doc_md=f"{__doc__}\n\n{doc(TARGET)}",
    ):
        task(
            task_id="ingest",
            outlets=[BRONZE[source]],
            map_index_template="{{ task.op_kwargs['arguments']['export_id'] }}",
            max_active_tis_per_dag=1,  # one writer per bronze table
            doc_md=doc(TARGET),
        )(call).partial(target=TARGET).expand(arguments=[{"export_id": export} for export in exports])
