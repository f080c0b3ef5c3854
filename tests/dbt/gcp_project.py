"""Google Cloud bills, ingested by the real loader and built to FOCUS by dbt in a warehouse of their own.

Data flow: files → bronze Delta table (ingest) → bronze.gcp_billing → dbt (staging, FOCUS, their tests) → warehouse.duckdb.
Alone: `build_gcp(folder, {"fixture": FIXTURE})`.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from costlake.delta import Lake
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import ingest_file
from ingest.source import source_named
from tests.conftest import SHARED
from tests.dbt import bronze
from tests.dbt.aws_project import run_dbt
from tests.ingest import gcp_files

CLOCK = FixedClock(dt.datetime(2026, 11, 22, 8, 0, tzinfo=dt.UTC))
SELECTION = ("--select", "+focus__cost_and_usage", "--indirect-selection", "cautious")
# The same bill in three formats is the point of these tests; anywhere else it would count three times.
SAME_BILL = [f"{one}|{other}" for one, other in itertools.combinations(("csv", "fixture", "lines", "parquet"), 2)]
ONLY_GCP = {"focus_sources": ["gcp_billing"], "overlapping_exports": SAME_BILL}
# export id → file below ../shared, its billed cost as its own text spells it out, at 12 decimals
REAL_FILES = {
    "july": ("data/nise_gcp/202607_8957c8cd-1ef3-4138-8850-324f14d7e9bd_2026-07-01_2026-08-01.csv.gz", "308277.468644136000"),
    "trial": ("data/gcp_billing_export_small/koku_gcp_2020-11-08_11.csv.gz", "0"),
    "constructed": ("samples/constructed/gcp/detailed_export.ndjson", "75.88"),
}


def estate(folder: Path) -> dict[str, Path]:
    """The fixture in its layout, its rows as lone files in three formats, and the real files that are at hand."""
    rows = gcp_files.rows()
    rows[10]["cost"] = "0.45"  # a double does not hold the fixture's 18th decimal
    files = {"lines": folder / "bill.ndjson", "parquet": folder / "bill.parquet", "csv": folder / "bill.csv"}
    files["lines"].write_text(gcp_files.json_lines(rows), encoding="utf-8")
    gcp_files.write_parquet(rows, files["parquet"], pa.float64())
    gcp_files.write_csv(rows, files["csv"])
    real = {export: SHARED / path for export, (path, _) in REAL_FILES.items()}
    return {"fixture": gcp_files.FIXTURE, **files, **{export: path for export, path in real.items() if path.exists()}}


def build_gcp(folder: Path, files: Mapping[str, Path]) -> Path:
    """The warehouse with the FOCUS rows of these files, each an export of its own, and every FOCUS rule passed on them."""
    settings = Settings.load(home=folder, lake=folder / "lake", config_dir=folder / "config")
    for export, path in files.items():
        ingest_file(settings, path, CLOCK, source_name="gcp_billing", export_id=export).raise_if_refused()
    scan = Lake(settings).scan_sql("bronze", "gcp_billing", source_named("gcp_billing").table)
    warehouse = folder / "warehouse.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        bronze.create_bronze(connection)
        connection.execute("DROP TABLE bronze.gcp_billing")
        connection.execute(f"CREATE TABLE bronze.gcp_billing AS {scan}")
    run_dbt(warehouse, "build", *SELECTION, variables=ONLY_GCP)
    return warehouse


def rows(warehouse: Path, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()
