"""Vendors' FOCUS files through the real reader into a scratch warehouse, and dbt's FOCUS, faults and tests of it.

Data flow: files → ingest.sources.focus → bronze.focus_files → dbt build (with every data test) → focus, marts.
Alone: `build(folder, {"saas": [path]})`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from costlake.config import Export
from ingest.source import Delivery, LandedObject, LoadContext, source_named
from tests.dbt.aws_project import run_dbt
from tests.dbt.bronze import TABLES, create_bronze

SELECT = ["+focus__cost_and_usage", "+fct_focus_faults"]
VARS: dict[str, Any] = {"focus_sources": ["focus_files"], "overlapping_exports": ["friend | clean"]}


@dataclass(frozen=True)
class Warehouse:
    """A built warehouse."""

    path: Path

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query gives, in UTC."""
        with duckdb.connect(str(self.path), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def faults(self, source_id: str) -> dict[str, int]:
        """Rule → rows of an export."""
        found = self.rows(f"SELECT rule_id, sum(row_count)::INT FROM marts.fct_focus_faults WHERE source_id = '{source_id}' GROUP BY 1")
        return dict(found)

    def compiled_test(self, name: str) -> str:
        """The SQL of a test as dbt ran it; it passes when it returns no row."""
        return next((self.path.parent / "target" / "compiled" / "costlake").rglob(f"{name}.sql")).read_text()


def build(folder: Path, exports: Mapping[str, Sequence[Path]], *, tests: bool = True) -> Warehouse:
    """Load the files of each export and build; raises with the nodes that fail, data tests among them."""
    warehouse = Warehouse(folder / "warehouse.duckdb")
    with duckdb.connect(str(warehouse.path)) as connection:
        create_bronze(connection)
        for source_id, paths in exports.items():
            for path in paths:
                load(connection, source_id, path)
    kinds = ["seed", "model", *(["test"] if tests else [])]
    run_dbt(warehouse.path, "build", "--select", *SELECT, "--indirect-selection", "buildable", *_kinds(kinds), variables=VARS)
    return warehouse


def load(connection: duckdb.DuckDBPyConnection, source_id: str, path: Path) -> None:
    """One file's rows into bronze as the loader would put them there; columns that FOCUS does not know are left out."""
    source = source_named("focus_files")
    connection.execute("SET TimeZone = 'UTC'")
    delivery = Delivery(Export(id=source_id, source=source.name, location=str(path)), path.name, ())
    opened = source.open(LoadContext(connection), delivery, (LandedObject(path.name, f"etag-{path.name}", path, path.stat().st_size),))
    described = connection.execute(f"DESCRIBE {opened.select_sql}").fetchall()
    names = ", ".join(f'"{name}"' for name, *_ in described if name in TABLES["focus_files"])
    connection.execute(
        f"INSERT INTO bronze.focus_files BY NAME SELECT '{source_id}' AS _source_id, 'delivery' AS _delivery_id, {names} "
        f"FROM ({opened.select_sql})"
    )


def _kinds(kinds: Sequence[str]) -> list[str]:
    return [part for kind in kinds for part in ("--resource-type", kind)]
