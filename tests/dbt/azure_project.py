"""Azure exports ingested for real and built by dbt: what the tests of the Azure mapping look at.

Data flow: folders and files → ingest → a lake of its own → bronze tables in a scratch DuckDB → dbt → focus.cost_and_usage, and the
compiled SQL of the tests.
Alone: `build_azure(folder, {"azure": Delivered("azure_actual", path)})`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from costlake.config import Export
from costlake.delta import Lake
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import ingest_stream
from tests.dbt import bronze
from tests.dbt.aws_project import FOCUS, compiled_tests, run_dbt


@dataclass(frozen=True)
class Delivered:
    """One export as accounts.yml would have it."""

    source: str
    location: Path
    amortized_by: str | None = None


@dataclass(frozen=True)
class Azure:
    """A built warehouse and, by name, the compiled SQL of the FOCUS and Azure tests (each passes when it returns no row)."""

    warehouse: Path
    tests: Mapping[str, str]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()


def build_azure(folder: Path, exports: Mapping[str, Delivered]) -> Azure:
    """Ingest the exports into an empty lake below `folder`, build FOCUS of them, compile the tests."""
    settings = Settings.load(home=folder, lake=folder / "lake", config_dir=folder / "config")
    clock = FixedClock(dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC))
    for name, delivered in exports.items():
        export = Export(id=name, source=delivered.source, location=str(delivered.location), amortized_by=delivered.amortized_by)
        assert [str(error) for error in ingest_stream(settings, export, clock).refused] == []
    warehouse = folder / "warehouse.duckdb"
    lake = Lake(settings)
    with duckdb.connect(str(warehouse)) as connection:
        bronze.create_bronze(connection)
        for table in lake.tables("bronze"):
            connection.register("found", lake.connect().execute(f"SELECT * FROM bronze.{table}").to_arrow_table())
            connection.execute(f"CREATE OR REPLACE TABLE bronze.{table} AS SELECT * FROM found")
    run_dbt(warehouse, "build", *FOCUS)
    run_dbt(warehouse, "compile", "--select", "focus__cost_and_usage", "stg_azure_actual__focus", "stg_azure_amortized__focus")
    return Azure(warehouse, compiled_tests(warehouse.parent / "target", ("focus_", "azure_")))
