"""The AWS estate built by dbt in a warehouse of its own, and one dbt command in this process.

Data flow: estate.py → bronze → dbt (staging, FOCUS) → warehouse.duckdb and the compiled SQL of its tests.
Alone: `build_estate(folder)`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from tests.dbt import bronze, estate

DBT = Path(__file__).parents[2] / "dbt"
FOCUS = ["--select", "+focus__cost_and_usage", "--resource-type", "seed", "--resource-type", "model"]
PROFILE = """
costlake:
  target: scratch
  outputs:
    scratch: {{type: duckdb, path: "{path}", schema: main, threads: 2, settings: {{TimeZone: UTC}}}}
"""


@dataclass(frozen=True)
class Estate:
    """A built warehouse and, by name, the compiled SQL of the FOCUS and AWS tests (each passes when it returns no row)."""

    warehouse: Path
    tests: Mapping[str, str]


def build_estate(folder: Path) -> Estate:
    """Write the estate to bronze, build FOCUS, compile the tests."""
    warehouse = folder / "warehouse.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        bronze.create_bronze(connection, {"aws_cur": estate.LEGACY_TAGS})
        bronze.insert(connection, "aws_cur2", estate.aws_cur2_rows())
        bronze.insert(connection, "aws_cur", estate.aws_cur_rows())
    run_dbt(warehouse, "build", *FOCUS)
    run_dbt(warehouse, "compile", "--select", "focus__cost_and_usage")
    return Estate(warehouse, compiled_tests(warehouse.parent / "target", ("focus_", "aws_")))


def run_dbt(warehouse: Path, *arguments: str, variables: Mapping[str, Any] | None = None) -> None:
    """One dbt command in this process; what it writes stays beside the warehouse. Raises with the failing nodes."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    folder = warehouse.parent
    os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "false"
    (folder / "profiles.yml").write_text(PROFILE.format(path=warehouse))
    places = ["--project-dir", str(DBT), "--profiles-dir", str(folder), "--target-path", str(folder / "target")]
    options = [*places, "--log-path", str(folder / "logs"), "--quiet", "--vars", json.dumps(dict(variables or {}))]
    result = dbtRunner().invoke([*arguments, *options])
    DuckDBConnectionManager.close_all_connections()  # or the file stays locked and its last writes unseen
    nodes = [node for node in getattr(result.result, "results", []) if node.status in ("error", "fail")]
    assert result.success, result.exception or [f"{node.node.name}: {node.message}" for node in nodes]


def compiled_tests(target: Path, prefixes: tuple[str, ...]) -> dict[str, str]:
    """Name → compiled SQL of the tests whose names begin so."""
    nodes = json.loads((target / "manifest.json").read_text())["nodes"].values()
    tests = [node for node in nodes if node["resource_type"] == "test" and node["name"].startswith(prefixes)]
    return {node["name"]: node["compiled_code"] for node in tests if node.get("compiled_code")}
