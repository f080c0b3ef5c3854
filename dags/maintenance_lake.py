"""Airflow: DAG `maintenance`: weekly housekeeping of the Delta tables (checkpoints, files that no kept version needs)."""

from datetime import UTC, datetime

from airflow.sdk import DAG
from costlake_defaults import DEFAULTS
from costlake_steps import step

with DAG(
    dag_id="maintenance",
    schedule="41 3 * * 0",  # Sunday night, between two rounds of ingest
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["costlake", "maintenance"],
    doc_md=__doc__,
):
    step("maintain", "costlake.maintain:run")
