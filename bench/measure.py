"""One command → its wall time, CPU time and peak memory, in a process of its own; one lake → all its steps.

The steps are the commands of `costlake` as an operator runs them, so that the start of Python and of dbt is part of each.
Run alone: it has no output of its own; `python -m bench` uses it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.generate import EXPORT_ID
from costlake.settings import PROJECT_ROOT

# In the order of `costlake run`. `vertical` = land → bronze → FOCUS → marts, what the aim of the speed is about.
VERTICAL = {"land + bronze": ["ingest"], "FOCUS": ["transform", "focus"], "marts": ["transform", "marts"]}
REST = {"reconcile": ["reconcile"], "publish": ["publish"]}
STEPS = VERTICAL | REST
COPY = """
import sys, duckdb
connection = duckdb.connect()
connection.execute("SET threads = 2")
connection.execute("SET memory_limit = '2GB'")
connection.execute(f"SET temp_directory = '{sys.argv[2]}.spill'")
connection.execute(f"COPY (SELECT * FROM read_parquet({sys.argv[3:]})) TO '{sys.argv[2]}' (FORMAT parquet)")
"""


class StepFailed(Exception):
    """A measured command did not succeed; its output is the message."""


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds on the clock, seconds of CPU (user and system), most bytes of memory at once."""

    wall: float
    cpu: float
    peak_bytes: int


@dataclass
class Measured:
    """A lake's steps by name, and how dbt's time divides into models and data tests (seconds, over both threads)."""

    rows: int
    costs: dict[str, Cost] = field(default_factory=dict)
    dbt_seconds: dict[str, float] = field(default_factory=dict)

    def wall(self, names: Sequence[str]) -> float:
        """Seconds of several steps together."""
        return sum(self.costs[name].wall for name in names)

    def peak(self, names: Sequence[str]) -> int:
        """The highest peak of several steps, in bytes."""
        return max(self.costs[name].peak_bytes for name in names)


def run(command: Sequence[str], environment: dict[str, str] | None = None, executable: str | Path = sys.executable) -> Cost:
    """Run a Python command to its end. Raises StepFailed with its output when it fails."""
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        # wait4 below gives the usage of this one process, which RUSAGE_CHILDREN would mix with its forerunners'.
        process = subprocess.Popen(
            [str(executable), *command], env={**os.environ, **(environment or {})}, stdout=output, stderr=output, cwd=PROJECT_ROOT
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - started
        if process.returncode != 0:
            output.seek(0)
            raise StepFailed(f"{' '.join(command[:6])} ended with {process.returncode}:\n{output.read().decode(errors='replace')[-3000:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def generate(folder: Path, rows: int, *, months: int = 1, period: str = "2026-10", delivery: int = 1) -> None:
    """Bills below `folder`/bills and the configuration that names them."""
    options = ["--rows", str(rows), "--months", str(months), "--period", period, "--delivery", str(delivery)]
    run(["-m", "bench.generate", str(folder / "bills"), *options])
    (folder / "config").mkdir(exist_ok=True)
    exports = {"exports": [{"id": EXPORT_ID, "source": "aws_cur2", "location": "../bills", "owner": "bench"}]}
    # JSON is YAML.
    (folder / "config" / "accounts.yml").write_text(json.dumps(exports), encoding="utf-8")


def bare_copy(folder: Path) -> Cost:
    """DuckDB reads the bill and writes it again, with 2 threads and the same memory limit: what no tool of ours can beat."""
    files = sorted(str(path) for path in (folder / "bills" / "data").rglob("*.parquet"))
    target = folder / "copy.parquet"
    cost = run(["-c", COPY, "copy", str(target), *files])
    target.unlink()
    return cost


def measure_lake(folder: Path, rows: int) -> Measured:
    """Every step of the vertical on the lake below `folder`; a second call measures what the next delivery costs."""
    measured = Measured(rows)
    environment = {"COSTLAKE_HOME": str(folder), "COSTLAKE_LAKE": str(folder / "lake"), "COSTLAKE_CONFIG_DIR": str(folder / "config")}
    for name, arguments in STEPS.items():
        measured.costs[name] = run(["-m", "costlake.cli", *arguments], environment)
        if arguments[0] == "transform":
            _add_dbt_seconds(measured, name, folder / "lake" / ".dbt" / "target" / "run_results.json")
    return measured


def _add_dbt_seconds(measured: Measured, step: str, results: Path) -> None:
    for result in json.loads(results.read_text(encoding="utf-8"))["results"]:
        kind = result["unique_id"].split(".", 1)[0]
        key = f"{step}: {'data tests' if kind == 'test' else 'models and seeds'}"
        measured.dbt_seconds[key] = measured.dbt_seconds.get(key, 0.0) + float(result["execution_time"])
