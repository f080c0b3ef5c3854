"""The quality page: what was checked, what failed and whether the layers agree, readable without any tool.

Data flow: `ops.quality_results` + `ops.reconciliation` → lake/reports/quality/index.html (one file, nothing from outside).
Every text on it comes from providers' files in the end, so the template escapes all of it.
Run alone: python -c "from costlake.settings import Settings; from quality import page; print(page.build(Settings.load()))"
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from pathlib import Path

from costlake.settings import Settings
from quality.ledger import CheckResult, Reconciliation, newest_checks, newest_reconciliation, recent_checks

_RUNS = 10
_WORST_FIRST = ("fail", "warn", "pass")
_LABELS = {"fail": "✕ failed", "warn": "! warned", "pass": "✓ passed", "exact": "✓ exact", "failed": "✕ not exact"}


@dataclass(frozen=True)
class TableSummary:
    """One table (of one export) in one run."""

    table_name: str
    source_id: str | None
    status: str
    passed: int
    warned: int
    failed: int
    row_count: int | None
    findings: tuple[CheckResult, ...]
    held: tuple[CheckResult, ...]


@dataclass(frozen=True)
class SourceSummary:
    """The reconciliation of one source: its rows by period, newest first."""

    source_id: str
    status: str
    exact: int
    inexact: int
    first_period: str
    last_period: str
    rows: tuple[Reconciliation, ...]


@dataclass(frozen=True)
class RunSummary:
    """One run, its tables worst first."""

    run_id: str
    checked_at: dt.datetime
    layer: str
    status: str
    tables: tuple[TableSummary, ...]


def build(settings: Settings) -> Path:
    """Write the page from the ledgers, replacing the former one only when it is complete.

    Returns:
        The path of the page. It says so where nothing was checked yet.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("quality"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"amount": amount, "instant": _instant, "label": _LABELS.__getitem__, "names": _names}
    runs = summarise(recent_checks(settings, _RUNS))
    reconciliation = newest_reconciliation(settings)
    html = environment.get_template("quality.html.j2").render(
        runs=runs,
        sources=by_source(reconciliation),
        reconciled_at=reconciliation[0].checked_at if reconciliation else None,
        verdict=_verdict(newest_checks(settings), reconciliation),
    )
    folder = settings.reports / "quality"
    folder.mkdir(parents=True, exist_ok=True)
    draft, path = folder / ".index.html.draft", folder / "index.html"
    draft.write_text(html, encoding="utf-8")
    draft.replace(path)
    return path


def by_source(rows: Iterable[Reconciliation]) -> list[SourceSummary]:
    """Group reconciliation rows (sorted by source) by source; the sources with something that is not exact come first."""
    summaries = []
    for source_id, found in groupby(rows, lambda row: row.source_id):
        held = sorted(found, key=lambda row: (row.billing_period, row.status == "failed"), reverse=True)
        inexact = sum(row.status == "failed" for row in held)
        periods = [row.billing_period for row in held]
        status = "failed" if inexact else "exact"
        summaries.append(SourceSummary(source_id, status, len(held) - inexact, inexact, min(periods), max(periods), tuple(held)))
    return sorted(summaries, key=lambda summary: (summary.status == "exact", summary.source_id))


def summarise(results: Iterable[CheckResult]) -> list[RunSummary]:
    """Group results (newest run first) by run and layer, then by table."""
    return [
        RunSummary(run_id, checked_at, layer, _worst(table.status for table in tables), tables)
        for (run_id, checked_at, layer), found in groupby(results, lambda r: (r.run_id, r.checked_at, r.layer))
        if (tables := _tables(found))
    ]


def _tables(results: Iterable[CheckResult]) -> tuple[TableSummary, ...]:
    tables = []
    for (table_name, source_id), found in groupby(results, lambda r: (r.table_name, r.source_id)):
        held = list(found)
        counts = {status: sum(result.status == status for result in held) for status in _WORST_FIRST}
        findings = sorted((r for r in held if not r.success), key=lambda r: _WORST_FIRST.index(r.status))
        rows = next((result.element_count for result in held if result.element_count is not None), None)
        tables.append(
            TableSummary(
                table_name,
                source_id,
                _worst(result.status for result in held),
                counts["pass"],
                counts["warn"],
                counts["fail"],
                rows,
                tuple(findings),
                tuple(result for result in held if result.success),
            )
        )
    return tuple(sorted(tables, key=lambda table: (_WORST_FIRST.index(table.status), table.table_name, table.source_id or "")))


def _worst(statuses: Iterable[str]) -> str:
    return min(statuses, key=_WORST_FIRST.index, default="pass")


def _verdict(checks: list[CheckResult], reconciliation: list[Reconciliation]) -> tuple[str, str]:
    """Status and sentence for the top of the page, from the newest run of each layer and the newest reconciliation."""
    if not checks and not reconciliation:
        return "warn", "Nothing has been checked yet. Run costlake run."
    failed = sum(result.status == "fail" for result in checks)
    warned = sum(result.status == "warn" for result in checks)
    inexact = sum(row.status == "failed" for row in reconciliation)
    if failed or inexact:
        return "fail", f"Not to be published: {failed} expectations failed, {inexact} totals are not exact."
    unchecked = sorted({"bronze", "marts"} - {result.layer for result in checks})
    if unchecked:
        return "warn", f"Nothing failed, but {' and '.join(unchecked)} have not been checked yet."
    exact = f"{len(reconciliation)} totals are exact" if reconciliation else "totals have not been reconciled yet"
    if warned or not reconciliation:
        return "warn", f"Nothing failed, {warned} expectations warn; {exact}."
    return "pass", f"All expectations hold; {exact}."


def amount(value: Decimal | None) -> str:
    """A total with all its digits but trailing zeros, at least two decimals unless it is whole; thousands parted."""
    if value is None:
        return "–"
    text = f"{value:,f}"
    whole, _, decimals = text.partition(".")
    kept = decimals.rstrip("0")
    return f"{whole}.{kept.ljust(2, '0')}" if kept else whole


def _instant(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _names(text: str) -> list[tuple[str, str]]:
    return sorted(json.loads(text).items())
