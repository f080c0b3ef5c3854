"""The FinOps Foundation's focus-converter beside ours, on the same Parquet CUR in one run.

Data flow: the real CUR of October 2018 (../shared/data), eight times over, with the four columns that the converter asks for →
focus-converter in its own environment (`scripts/focus-converter`), a bare DuckDB copy, and our steps → `SideBySide`.
Run alone: it has no output of its own; `python -m bench` uses it, and says why where data or environment are missing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import duckdb

from bench import measure
from bench.measure import Cost
from costlake.settings import PROJECT_ROOT
from costlake.sql import literal

REAL_CUR = PROJECT_ROOT.parent / "shared/data/aws_cur_workshop_2018/Oct2018-WorkshopCUR-00001.snappy.parquet"
ENVIRONMENT = PROJECT_ROOT / ".venv-converter"
_TIMES = 8
# focus-converter 1.0.0 stops without these; the report of 2018 is older than they are.
_ADDED = {
    "bill_invoicing_entity": "'Amazon Web Services, Inc.'",
    "pricing_rate_code": "pricing_rate_id",
    "product_region_code": "product_region",
    "savings_plan_savings_plan_effective_cost": "CAST(0 AS DOUBLE)",
}


@dataclass(frozen=True)
class SideBySide:
    """The same file through the converter, a bare copy, and our steps; `fixed` is our FOCUS step on a handful of rows."""

    rows: int
    converter: Cost
    copy: Cost
    bronze: Cost
    focus: Cost
    marts: Cost
    fixed: float


def missing() -> str | None:
    """Why the comparison cannot be made here; None when it can."""
    if not REAL_CUR.exists():
        return f"the real CUR is not beside the project (../{REAL_CUR.relative_to(PROJECT_ROOT.parent)})"
    if not (ENVIRONMENT / "bin" / "focus-converter").exists():
        return "focus-converter is not installed (scripts/focus-converter)"
    return None


def compare() -> SideBySide:
    """Run everything once, one after the other. Raises StepFailed when a step fails."""
    with tempfile.TemporaryDirectory(prefix="costlake-bench-") as name:
        folder = Path(name)
        # In a process of its own: Linux counts what a parent holds when it forks into the child's peak, also after exec.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
            rows = apart.submit(_write, folder / "cur.parquet", _TIMES).result()
            apart.submit(_write, folder / "tiny.parquet", 1, limit=100).result()
        tiny = _ours(folder / "tiny", folder / "tiny.parquet")
        copy = measure.run(["-c", measure.COPY, "copy", str(folder / "copy.parquet"), str(folder / "cur.parquet")])
        converter = measure.run(_converter_command(folder), executable=ENVIRONMENT / "bin" / "python")
        bronze, focus, marts = _ours(folder / "ours", folder / "cur.parquet")
        return SideBySide(rows, converter, copy, bronze, focus, marts, tiny[1].wall)


def _converter_command(folder: Path) -> Sequence[str]:
    source = ["--data-format", "parquet", "--parquet-data-format", "file", "--data-path", str(folder / "cur.parquet")]
    target = ["--export-format", "parquet", "--export-path", str(folder / "converted")]
    return [str(ENVIRONMENT / "bin" / "focus-converter"), "convert", "--provider", "aws", *source, *target]


def _write(target: Path, times: int, limit: int | None = None) -> int:
    connection = duckdb.connect()
    known = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(str(REAL_CUR))})").fetchall()}
    added = "".join(f", {sql} AS {name}" for name, sql in _ADDED.items() if name not in known)
    rows = f"SELECT cur.*{added} FROM read_parquet({literal(str(REAL_CUR))}) cur, range({times})"
    rows += f" LIMIT {limit}" if limit else ""
    return int(connection.execute(f"COPY ({rows}) TO {literal(str(target))} (FORMAT parquet)").fetchall()[0][0])


def _ours(home: Path, file: Path) -> tuple[Cost, Cost, Cost]:
    environment = {"COSTLAKE_HOME": str(home), "COSTLAKE_LAKE": str(home / "lake"), "COSTLAKE_CONFIG_DIR": str(home / "config")}
    steps = (["ingest", str(file), "--as", "bench"], ["transform", "focus"], ["transform", "marts"])
    bronze, focus, marts = (measure.run(["-m", "costlake.cli", *step], environment) for step in steps)
    return bronze, focus, marts
