"""Airflow: DAG `insights`: marts → forecast and anomalies (Delta) → the BI file, run when the marts have been published.

No date is handed in: both look as far as the marts' last complete day. One after the other, so that the asset means both are there.
"""

from datetime import UTC, datetime

from airflow.sdk import DAG, chain
from costlake_assets import INSIGHTS, MARTS
from costlake_defaults import DEFAULTS
from costlake_steps import step

with DAG(
    dag_id="insights",
    schedule=[MARTS],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={**DEFAULTS, "owner": "finops"},
    tags=["costlake", "insights"],
    doc_md=__doc__,
):
    chain(
        step("forecast", "insights.forecast:run"),
        step("anomalies", "insights.anomalies:run", outlets=(INSIGHTS,)),
        step("serve", "costlake.publish:serve"),
    )
