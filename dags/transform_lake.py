"""Airflow: DAG `transform`: bronze → FOCUS 1.4 → marts → published, run when any source's bronze has changed.

Guards stand between: the suites on bronze and marts, then bill = bronze = FOCUS = marts; what fails is not published.
"""

from datetime import UTC, datetime

from airflow.sdk import DAG, AssetAny, chain
from costlake_assets import BRONZE, MARTS
from costlake_defaults import DEFAULTS
from costlake_steps import step

with DAG(
    dag_id="transform",
    schedule=AssetAny(*BRONZE.values()) if BRONZE else None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # the warehouse is one DuckDB file, and DuckDB has one writer
    max_active_tasks=1,
    default_args=DEFAULTS,
    tags=["costlake", "transform"],
    doc_md=__doc__,
):
    chain(
        step("quality_bronze", "quality.checks:run", layer="bronze"),
        step("dbt_focus", "costlake.transform:run", layer="focus"),
        step("dbt_marts", "costlake.transform:run", layer="marts"),
        step("quality_marts", "quality.checks:run", layer="marts"),
        step("reconcile", "quality.reconcile:run"),
        step("publish", "costlake.publish:run", outlets=(MARTS,)),
    )
