"""Every tabular source and format: rows per second to FOCUS, and the memory for it.

Data flow: a fixture's data file, its rows repeated → one file of N rows → `costlake ingest FILE` and `costlake transform focus` in a
lake of its own → `SourceSpeed`. LLM reports are left out: an API page holds some hundred rows.
Run alone: it has no output of its own; `python -m bench` uses it.
"""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from bench import measure
from bench.measure import Cost
from costlake.settings import PROJECT_ROOT
from costlake.sql import literal
from ingest.source import all_sources

FIXTURES = PROJECT_ROOT / "tests" / "fixtures"
_FORMATS = (".csv", ".csv.gz", ".parquet", ".ndjson", ".ndjson.gz", ".json.gz")
# Bills whose rows have an id: copies of a fixture's rows are refused.
_EACH_ROW_ONCE = frozenset({"databricks_usage", "deepseek_costs", "mistral_usage", "openrouter_activity"})
# So few rows that what is left is the start of Python and dbt.
_TINY = 100


@dataclass(frozen=True)
class SourceSpeed:
    """One source in one format: land + bronze, then FOCUS, and the same steps for a handful of rows."""

    source: str
    format: str
    rows: int
    bronze: Cost
    focus: Cost
    fixed: float

    @property
    def seconds(self) -> float:
        """Bill to FOCUS on the clock."""
        return self.bronze.wall + self.focus.wall


def measure_sources(rows: int) -> Iterator[SourceSpeed]:
    """Measure each bill's formats in the order of their names."""
    for name, source in sorted(all_sources().items()):
        for ending, file in sorted(_files(name).items()) if source.feeds == "focus" and name not in _EACH_ROW_ONCE else ():
            tiny = _lake_of(name, file, ending, _TINY)
            large = _lake_of(name, file, ending, rows)
            yield SourceSpeed(name, ending.removeprefix("."), large[0], large[1], large[2], tiny[1].wall + tiny[2].wall)


def _files(source: str) -> dict[str, Path]:
    """Format → the largest data file of the fixture."""
    found: dict[str, Path] = {}
    for path in sorted((FIXTURES / source).rglob("*"), key=lambda path: path.stat().st_size):
        ending = next((one for one in sorted(_FORMATS, key=len, reverse=True) if path.name.endswith(one)), None)
        if ending is not None and path.is_file():
            found[ending] = path
    return found


def _lake_of(source: str, file: Path, ending: str, rows: int) -> tuple[int, Cost, Cost]:
    with tempfile.TemporaryDirectory(prefix="costlake-bench-") as name:
        folder = Path(name)
        target = folder / f"bill{ending}"
        written = _repeat(file, target, ending, rows)
        environment = {"COSTLAKE_HOME": name, "COSTLAKE_LAKE": f"{name}/lake", "COSTLAKE_CONFIG_DIR": f"{name}/config"}
        command = ["-m", "costlake.cli", "ingest", str(target), "--source", source, "--as", "bench"]
        bronze = measure.run(command, environment)
        focus = measure.run(["-m", "costlake.cli", "transform", "focus"], environment)
        return written, bronze, focus


def _repeat(file: Path, target: Path, ending: str, rows: int) -> int:
    """The file's rows over and over until there are about `rows`; returns how many there are."""
    if ending == ".parquet":
        connection = duckdb.connect()
        held = int(connection.execute(f"SELECT count(*) FROM read_parquet({literal(str(file))})").fetchall()[0][0])
        times = max(1, rows // held)
        scan = f"SELECT bill.* FROM read_parquet({literal(str(file))}) bill, range({times})"
        connection.execute(f"COPY ({scan}) TO {literal(str(target))} (FORMAT parquet)")
        return held * times
    text = (gzip.open if ending.endswith(".gz") else open)(file, "rb").read()
    head, body = text.split(b"\n", 1) if ".csv" in ending else (b"", text)
    body = body if body.endswith(b"\n") else body + b"\n"
    held = body.count(b"\n")
    times = max(1, rows // held)
    with gzip.open(target, "wb", compresslevel=1) if ending.endswith(".gz") else target.open("wb") as sink:
        if head:
            sink.write(head + b"\n")
        for _ in range(times):
            sink.write(body)
    return held * times
