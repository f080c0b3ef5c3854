"""python -m bench: measure, print the tables, write them into docs/benchmarks.md.

Takes some 30 minutes with the defaults and wants a quiet machine: what else runs is measured too.
Run alone: python -m bench --rows 100000 --months 0 --source-rows 0 --no-converter --output bench.md
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import report, scenarios
from bench.measure import StepFailed
from costlake.periods import SystemClock
from costlake.settings import PROJECT_ROOT


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure as asked; exit status 1 when a step fails, with its output."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rows", type=_numbers, default=(1_000_000, 5_000_000), help="sizes of one month, with commas between")
    parser.add_argument("--months", type=int, default=36, help="months of the lake that gets a month again; 0 leaves it out")
    parser.add_argument("--rows-a-month", type=int, default=50_000)
    parser.add_argument("--source-rows", type=int, default=200_000, help="rows of each source and format; 0 leaves them out")
    parser.add_argument("--ledger-rows", type=int, default=10_000_000, help="requests of the token ledger; 0 leaves it out")
    parser.add_argument("--converter", action=argparse.BooleanOptionalAction, default=True, help="focus-converter on the same CUR")
    parser.add_argument("--date", help="YYYY-MM-DD to write beside the figures; default: today")
    parser.add_argument("--output", type=Path, default=PROJECT_ROOT / "docs" / "benchmarks.md")
    given = parser.parse_args(arguments)
    date = given.date or f"{SystemClock().now():%Y-%m-%d}"
    with tempfile.TemporaryDirectory(prefix="costlake-bench-") as cache:
        # Where bytecode may not be written each start of dbt compiles 1,800 modules: 5 s that no installation pays twice.
        os.environ["PYTHONPYCACHEPREFIX"] = cache
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        block = "nothing measured"
        try:
            plan = scenarios.Plan(given.rows, given.months, given.rows_a_month, given.source_rows, given.converter, given.ledger_rows)
            for results in scenarios.measure_all(plan, lambda text: print(f"• {text}", flush=True)):
                # After each part, so that an hour's figures are not lost with the last one.
                block = report.render(results, date)
                report.write(given.output, block)
        except StepFailed as error:
            print(error, file=sys.stderr)
            return 1
    print(f"\n{block}\n")
    return 0


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number)


if __name__ == "__main__":
    sys.exit(main())
