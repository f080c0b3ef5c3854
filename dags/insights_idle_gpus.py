"""Airflow: DAG `idle_gpus`: the newest hour of GPU telemetry → GPUs that do nothing (Delta), every hour.

It reads the stream's own table, so that a forgotten GPU is found an hour after it fell idle, whenever the next bill comes.
"""

from datetime import UTC, datetime

from airflow.sdk import DAG
from costlake_defaults import DEFAULTS
from costlake_steps import step

with DAG(
    dag_id="idle_gpus",
    schedule="7 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={**DEFAULTS, "owner": "finops"},
    tags=["costlake", "insights", "gpu"],
    doc_md=__doc__,
):
    step("idle_gpus", "insights.idle_gpus:run")
