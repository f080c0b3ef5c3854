"""Airflow: DAG `transform`: bronze → FOCUS 1.4 → marts → published, run when any source's bronze has changed.

Guards stand between: the suites on bronze and marts, then bill = bronze = FOCUS = marts; what fails is not published.
"""

from datetime import UTC, datetime

from airflow.sdk import DAG, AssetAny, chain
from costlake_assets import BRONZE, MARTS
from costlake_cosmos import layer
from costlake_defaults import DEFAULTS
from costlake_steps import step

with DAG(
    dag_id="transform",
    schedule=AssetAny(*BRONZE.values()) if BRONZE else None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # the warehouse is one DuckDB file, and DuckDB has one writer
    render_template_as_native_obj=True,  # the plan of a layer reaches dbt as lists, not as their text
    default_args=DEFAULTS,
    tags=["costlake", "transform"],
    doc_md=__doc__,
):
    chain(
        step("quality_bronze", "quality.checks:run", layer="bronze"),
        step("rates", "costlake.rates:run"),
        layer("focus"),
        step("prices", "costlake.prices:run"),
        layer("marts"),
        step("quality_marts", "quality.checks:run", layer="marts"),
        step("reconcile", "quality.reconcile:run"),
        step("publish", "costlake.publish:run", outlets=(MARTS,)),
    )
