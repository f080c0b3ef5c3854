"""Google Cloud bills, ingested by the real loader and built to FOCUS by dbt in a warehouse of their own.

Data flow: files → bronze Delta table (ingest) → bronze.gcp_billing → dbt (staging, FOCUS) → warehouse.duckdb.
Alone: `build_gcp(folder, {"fixture": FIXTURE})`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from costlake.delta import Lake
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import ingest_file
from tests.dbt import bronze
from tests.dbt.aws_project import run_dbt

FIXTURE = Path(__file__).parents[1] / "fixtures" / "gcp_billing"
CLOCK = FixedClock(dt.datetime(2026, 11, 22, 8, 0, tzinfo=dt.UTC))
SELECTION = ("--select", "+focus__cost_and_usage", "--indirect-selection", "cautious")
ONLY_GCP = {"focus_sources": ["gcp_billing"]}


def ingest_into(folder: Path, files: Mapping[str, Path]) -> Settings:
    """A lake with each file or folder as an export of its own; a refusal fails the test that asks for it."""
    settings = Settings.load(home=folder, lake=folder / "lake", config_dir=folder / "config")
    for export, path in files.items():
        ingest_file(settings, path, CLOCK, source_name="gcp_billing", export_id=export).raise_if_refused()
    return settings


def build_gcp(folder: Path, files: Mapping[str, Path]) -> Path:
    """The warehouse with the FOCUS rows of these files, and every FOCUS rule passed on them."""
    lake = Lake(ingest_into(folder, files))
    warehouse = folder / "warehouse.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        bronze.create_bronze(connection)
        connection.execute("DROP TABLE bronze.gcp_billing")
        connection.execute(f"CREATE TABLE bronze.gcp_billing AS {lake.scan_sql('bronze', 'gcp_billing', bronze.source_named('gcp_billing').table)}")
    run_dbt(warehouse, "build", *SELECTION, variables=ONLY_GCP)
    return warehouse


def rows(warehouse: Path, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()
