"""Airflow: DAG `reports`: marts and insights → finance report (HTML, XLSX) and quality page, run when the insights are new."""

from datetime import UTC, datetime

from airflow.sdk import DAG
from costlake_assets import INSIGHTS
from costlake_defaults import DEFAULTS
from costlake_steps import step

with DAG(
    dag_id="reports",
    schedule=[INSIGHTS],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={**DEFAULTS, "owner": "finops"},
    tags=["costlake", "reports"],
    doc_md=__doc__,
):
    step("finance_report", "insights.reports.finance:build")
    step("quality_page", "quality.page:build")
