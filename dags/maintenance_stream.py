"""Airflow: DAG `maintenance_stream`: hourly housekeeping of GPU telemetry, which gets a small file every few seconds."""

from datetime import UTC, datetime

from airflow.sdk import DAG
from costlake_defaults import DEFAULTS
from costlake_steps import step

with DAG(
    dag_id="maintenance_stream",
    schedule="17 * * * *",  # when the hour before has come in whole
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["costlake", "maintenance"],
    doc_md=__doc__,
):
    step("maintain", "costlake.maintain:run", only=["bronze.gpu_telemetry", "bronze.gpu_dead_letters"])
