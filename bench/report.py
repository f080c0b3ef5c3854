"""`Results` → tables in Markdown, put between the markers of docs/benchmarks.md.

Everything outside the markers is written by people and stays.
Run alone: it has no output of its own; `python -m bench` uses it.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

import duckdb

from bench import ledger
from bench.converter import SideBySide
from bench.ledger import LedgerSpeed
from bench.measure import STEPS, VERTICAL, Cost, Measured
from bench.scenarios import ManyMonths, Results
from bench.sources import SourceSpeed

BEGIN, END = "<!-- bench: begin (written by `make bench`) -->", "<!-- bench: end -->"
_MIB = 1024 * 1024
_BUILD = list(STEPS)


def render(results: Results, date: str) -> str:
    """The generated block, without its markers."""
    parts = [_machine(results, date), _steps(results)]
    if results.sized:
        parts.append(_ratios(results))
    if results.many is not None:
        parts.append(_redelivery(results.many, results.tiny))
    if results.sources:
        parts.append(_sources(results.sources))
    if results.ledger is not None:
        parts.append(_ledger(results.ledger))
    if results.converter is not None:
        parts.append(_converter(results.converter))
    return "\n\n".join(parts)


def write(page: Path, block: str) -> None:
    """Replace the generated block of a page; a page without markers (or a new one) gets it at its end."""
    text = page.read_text(encoding="utf-8") if page.exists() else "# Benchmarks\n"
    before, found, rest = text.partition(BEGIN)
    after = rest.partition(END)[2] if found else ""
    page.write_text(f"{before if found else before + chr(10)}{BEGIN}\n\n{block}\n\n{END}{after or chr(10)}", encoding="utf-8")


def _machine(results: Results, date: str) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    loads = ", ".join(f"{value:.1f} before {name}" for name, value in results.loads.items())
    return (
        f"Measured {date} on {os.cpu_count()} cores ({_cpu_model()}), {memory:.0f} GiB of memory, {platform.system()}; "
        f"Python {platform.python_version()}, DuckDB {duckdb.__version__}; DuckDB with 2 threads and its memory limit as in "
        f"`costlake/settings.py`. Load average: {loads}."
    )


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _steps(results: Results) -> str:
    """A row per step: seconds on the clock / CPU seconds / peak memory, for the smallest lake and each size."""
    columns: list[tuple[str, Cost | None, Measured]] = [(f"{results.tiny.full.rows:,} rows", None, results.tiny.full)]
    columns += [(f"{month.lake.rows:,} rows", month.copy, month.lake) for month in results.sized]
    rows = [["wall s / CPU s / peak MiB", *(name for name, _, _ in columns)]]
    rows.append(["bare copy", *("" if copy is None else _cost(copy) for _, copy, _ in columns)])
    rows += [[name, *(_cost(lake.costs[name]) for _, _, lake in columns)] for name in STEPS]
    rows.append(["**land → bronze → FOCUS → marts**", *(_total(lake, list(VERTICAL)) for _, _, lake in columns)])
    rows.append(["**everything**", *(_total(lake, _BUILD) for _, _, lake in columns)])
    for name in sorted(results.tiny.full.dbt_seconds):
        rows.append([f"of it, dbt {name}", *(f"{lake.dbt_seconds.get(name, 0):.1f}" for _, _, lake in columns)])
    return "### Steps\n\n" + _table(rows)


def _ratios(results: Results) -> str:
    """The aims' own figures; the second of each pair leaves out what the smallest lake costs already."""
    fixed = results.tiny.full.wall(list(VERTICAL))
    walls = [month.lake.wall(list(VERTICAL)) for month in results.sized]
    both = list(zip(results.sized, walls, strict=True))
    rows = [["", *(f"{month.lake.rows:,} rows" for month in results.sized), "aim"]]
    rows.append(["vertical / bare copy", *(f"{wall / month.copy.wall:.1f} ×" for month, wall in both), "≤ 3 ×"])
    rows.append(["the same, without the fixed cost", *(f"{(wall - fixed) / month.copy.wall:.1f} ×" for month, wall in both), ""])
    rows.append(["rows/s of the vertical", *(f"{month.lake.rows / wall:,.0f}" for month, wall in both), "≥ 100,000"])
    rows.append(["the same, without the fixed cost", *(f"{month.lake.rows / (wall - fixed):,.0f}" for month, wall in both), ""])
    rows.append(["rows/s of land + bronze alone", *(f"{m.lake.rows / m.lake.costs['land + bronze'].wall:,.0f}" for m, _ in both), ""])
    peaks = [month.lake.peak(_BUILD) for month in results.sized]
    rows.append(["highest peak of any step, MiB", *(f"{peak / _MIB:,.0f}" for peak in peaks), "< 4,096, flat"])
    rows.append(["against the first size", *(f"{peak / peaks[0]:.2f} ×" for peak in peaks), "1 ×"])
    return "### Against the bare copy\n\n" + _table(rows)


def _redelivery(many: ManyMonths, tiny: ManyMonths) -> str:
    """One month of many again, with and without what the smallest lake's build and redelivery cost."""
    full, again = many.full.wall(_BUILD), many.again.wall(_BUILD)
    fixed_full, fixed_again = tiny.full.wall(_BUILD), tiny.again.wall(_BUILD)
    rows = [["seconds", f"full build, {many.months} months", "one month again", "share", "aim"]]
    for name in STEPS:
        one, other = many.full.costs[name].wall, many.again.costs[name].wall
        rows.append([name, f"{one:.1f}", f"{other:.1f}", _share(other, one), ""])
    rows.append(["**everything**", f"{full:.1f}", f"{again:.1f}", _share(again, full), "≤ 5 %"])
    rows.append(["of it fixed (the smallest lake)", f"{fixed_full:.1f}", f"{fixed_again:.1f}", "", ""])
    rows.append(
        [
            "without the fixed cost",
            f"{full - fixed_full:.1f}",
            f"{again - fixed_again:.1f}",
            _share(again - fixed_again, full - fixed_full),
            "",
        ]
    )
    title = f"### A month delivered again into {many.months} months of {many.again.rows:,} rows"
    return f"{title}\n\n{_table(rows)}"


def _sources(speeds: Sequence[SourceSpeed]) -> str:
    """A line per source and format; the second rate leaves out what a handful of rows costs already."""
    rows = [["source, format", "rows", "land + bronze s", "FOCUS s", "rows/s to FOCUS", "without the fixed cost", "peak MiB"]]
    for speed in speeds:
        own = speed.seconds - speed.fixed
        rows.append(
            [
                f"{speed.source}, {speed.format}",
                f"{speed.rows:,}",
                f"{speed.bronze.wall:.1f}",
                f"{speed.focus.wall:.1f}",
                f"{speed.rows / speed.seconds:,.0f}",
                f"{speed.rows / own:,.0f}" if own > 0 else "",
                f"{max(speed.bronze.peak_bytes, speed.focus.peak_bytes) / _MIB:,.0f}",
            ]
        )
    return "### Each source and format\n\n" + _table(rows)


def _ledger(speed: LedgerSpeed) -> str:
    title = f"### {speed.rows:,} requests (LiteLLM dump, {speed.dump_bytes / _MIB:,.0f} MiB) to the priced token ledger"
    told = f"fct_token_usage has {speed.ledger_rows:,} rows, {speed.priced_rows:,} of them priced; each query {ledger.REPEATS} times."
    return f"{title}\n\n{_table(ledger.lines(speed))}\n\n{told}"


def _converter(found: SideBySide) -> str:
    """The aims: bronze → FOCUS at least 10 times as fast as focus-converter, the whole vertical at least 3 times."""
    vertical = Cost(
        found.bronze.wall + found.focus.wall + found.marts.wall,
        found.bronze.cpu + found.focus.cpu + found.marts.cpu,
        max(found.bronze.peak_bytes, found.focus.peak_bytes, found.marts.peak_bytes),
    )
    own = max(found.focus.wall - found.fixed, 0.1)
    rows = [["wall s / CPU s / peak MiB", "", "against focus-converter", "aim"]]
    rows.append(["focus-converter 1.0.0, conversion alone", _cost(found.converter), "1 ×", ""])
    rows.append(["bare DuckDB copy", _cost(found.copy), f"{found.converter.wall / found.copy.wall:.1f} ×", ""])
    rows.append(["ours: land + bronze", _cost(found.bronze), f"{found.converter.wall / found.bronze.wall:.1f} ×", ""])
    rows.append(["ours: bronze → FOCUS", _cost(found.focus), f"{found.converter.wall / found.focus.wall:.1f} ×", "≥ 10 ×"])
    rows.append(
        [f"the same, without its fixed {found.fixed:.1f} s", f"{own:.1f}", f"{found.converter.wall / own:.1f} ×" if own > 0 else "", ""]
    )
    rows.append(["ours: land → bronze → FOCUS → marts", _cost(vertical), f"{found.converter.wall / vertical.wall:.1f} ×", "≥ 3 ×"])
    return f"### Beside the FinOps Foundation's converter: {found.rows:,} rows of a real CUR\n\n" + _table(rows)


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %"


def _cost(cost: Cost) -> str:
    return f"{cost.wall:.1f} / {cost.cpu:.1f} / {cost.peak_bytes / _MIB:,.0f}"


def _total(lake: Measured, names: Sequence[str]) -> str:
    cpu = sum(lake.costs[name].cpu for name in names)
    return _cost(Cost(lake.wall(names), cpu, lake.peak(names)))


def _table(rows: Sequence[Sequence[str]]) -> str:
    """The first row is the head; the first column is text, the others figures."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|---" + "|---:" * (len(rows[0]) - 1) + "|", *body])
