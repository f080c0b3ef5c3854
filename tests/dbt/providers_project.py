"""The fixtures of the smaller LLM providers, ingested by the real loader and built to FOCUS and the unit economics in one warehouse.

Data flow: tests/fixtures/<source> → bronze Delta tables (ingest) → bronze.* of a scratch DuckDB → dbt build, with every data and unit test.
Alone: `build_providers(folder)`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from costlake.config import Export
from costlake.delta import Lake
from costlake.periods import FixedClock
from costlake.settings import PROJECT_ROOT, Settings
from ingest.load import ingest_stream
from ingest.source import source_named
from tests.dbt.aws_project import run_dbt
from tests.dbt.bronze import create_bronze

CLOCK = FixedClock(dt.datetime(2026, 11, 22, 8, 0, tzinfo=dt.UTC))
FIXTURES = PROJECT_ROOT / "tests" / "fixtures"
BILLS = [
    "cursor_events",
    "databricks_usage",
    "deepseek_costs",
    "fireworks_costs",
    "github_billing",
    "mistral_usage",
    "openrouter_activity",
]
USAGE = ["bedrock_logs", "deepseek_usage", "fireworks_metrics", "litellm_requests"]
# whose own report stands beside the gateway's log of the same requests
REPORTS = ["anthropic_usage"]
SELECT = ["+focus__cost_and_usage", "+fct_token_economics_daily", "+fct_model_economics_daily"]


@dataclass(frozen=True)
class Providers:
    """The built warehouse."""

    warehouse: Path

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query gives, in UTC."""
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()


def build_providers(folder: Path) -> Providers:
    """Ingest and build; raises with the nodes that fail, data and unit tests among them."""
    settings = Settings.load(home=folder, lake=folder / "lake", config_dir=folder / "config")
    names = [*BILLS, *USAGE, *REPORTS]
    for name in names:
        export = Export(
            id=name.replace("_", "-"), source=name, location=str(FIXTURES / name), billing_account_id=f"{name.split('_')[0]}-org"
        )
        ingest_stream(settings, export, CLOCK).raise_if_refused()
    warehouse = folder / "warehouse.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        create_bronze(connection)
        for name in names:
            connection.execute(f"DROP TABLE bronze.{name}")
            connection.execute(f"CREATE TABLE bronze.{name} AS {Lake(settings).scan_sql('bronze', name, source_named(name).table)}")
    tokens = [name for name in names if source_named(name).counts_tokens]
    run_dbt(
        warehouse,
        "build",
        "--select",
        *SELECT,
        "--indirect-selection",
        "buildable",
        variables={"focus_sources": BILLS, "token_sources": tokens},
    )
    return Providers(warehouse)
