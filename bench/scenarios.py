"""What is measured: one month of many rows beside a bare copy, the smallest lake, and a redelivery into a lake of many months.

Data flow: generated bills in a temporary folder → `bench.measure` → `Results`; the folder goes when the measurement ends.
Run alone: it has no output of its own; `python -m bench` uses it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import converter, ledger, measure, sources
from bench.converter import SideBySide
from bench.ledger import LedgerSpeed
from bench.measure import Cost, Measured
from bench.sources import SourceSpeed

Progress = Callable[[str], None]
# So few rows that what is left is the start of Python, of dbt, and its checks.
TINY = 1_000
_LAST_MONTH = "2026-10"
# A closed month in the middle of the year, as AWS restates one.
_REDELIVERED = "2026-06"


@dataclass(frozen=True)
class OneMonth:
    """A bill of one month, copied barely and taken through the vertical."""

    copy: Cost
    lake: Measured


@dataclass(frozen=True)
class ManyMonths:
    """A lake of many months: its full build, then one month delivered again."""

    months: int
    full: Measured
    again: Measured


@dataclass
class Results:
    """Everything measured; `loads` is the machine's load of one minute before each part began."""

    tiny: ManyMonths
    sized: list[OneMonth] = field(default_factory=list)
    many: ManyMonths | None = None
    sources: list[SourceSpeed] = field(default_factory=list)
    converter: SideBySide | None = None
    ledger: LedgerSpeed | None = None
    loads: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What to measure: sizes of one month in their order; 0 leaves a part out."""

    sizes: Sequence[int]
    months: int
    rows_a_month: int
    source_rows: int
    converter: bool
    ledger_rows: int = 0


def measure_all(plan: Plan, progress: Progress = lambda _: None) -> Iterator[Results]:
    """Measure everything; yields what there is after each part."""
    progress("once unmeasured, so that Python's bytecode is there")
    _many_months(1, TINY, _LAST_MONTH)
    loads = {"smallest lake": os.getloadavg()[0]}
    progress(f"the smallest lake: {TINY:,} rows")
    # Two months, so that the redelivery is a part of the lake as it is in a big one.
    results = Results(_many_months(2, TINY // 2, _LAST_MONTH), loads=loads)
    for rows in plan.sizes:
        loads[f"{rows:,} rows"] = os.getloadavg()[0]
        progress(f"one month of {rows:,} rows")
        results.sized.append(_one_month(rows))
        yield results
    if plan.months:
        loads[f"{plan.months} months"] = os.getloadavg()[0]
        redelivered = _REDELIVERED if plan.months > 4 else _LAST_MONTH
        progress(f"{plan.months} months of {plan.rows_a_month:,} rows, then {redelivered} again")
        results.many = _many_months(plan.months, plan.rows_a_month, redelivered)
        yield results
    if plan.source_rows:
        loads["sources"] = os.getloadavg()[0]
        for speed in sources.measure_sources(plan.source_rows):
            progress(f"{speed.source}, {speed.format}: {speed.rows:,} rows in {speed.seconds:.1f} s")
            results.sources.append(speed)
        yield results
    if plan.ledger_rows:
        reason = ledger.missing()
        progress(f"token ledger of {plan.ledger_rows:,} requests" if reason is None else f"no token ledger: {reason}")
        if reason is None:
            loads["token ledger"] = os.getloadavg()[0]
            with _folder() as folder:
                results.ledger = ledger.measure(folder, plan.ledger_rows)
            yield results
    if plan.converter:
        reason = converter.missing()
        progress("focus-converter on the same CUR" if reason is None else f"no focus-converter: {reason}")
        if reason is None:
            loads["focus-converter"] = os.getloadavg()[0]
            results.converter = converter.compare()
            yield results


def _one_month(rows: int) -> OneMonth:
    with _folder() as folder:
        measure.generate(folder, rows)
        # The first copy only warms the page cache, from which the ingest reads as well.
        measure.bare_copy(folder)
        return OneMonth(measure.bare_copy(folder), measure.measure_lake(folder, rows))


def _many_months(months: int, rows_a_month: int, redelivered: str) -> ManyMonths:
    with _folder() as folder:
        measure.generate(folder, rows_a_month, months=months, period=_LAST_MONTH)
        full = measure.measure_lake(folder, months * rows_a_month)
        measure.generate(folder, rows_a_month, period=redelivered, delivery=2)
        return ManyMonths(months, full, measure.measure_lake(folder, rows_a_month))


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="costlake-bench-") as folder:
        yield Path(folder)
