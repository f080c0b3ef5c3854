"""The finance report: marts.*, insights.*, ops.* → `<reports>/finance-YYYY-MM.html` and `.xlsx`.

Reads only what was published. Rounds only when it prints. Currencies are separate sections and are never added up; what they cost together
is said in the reporting currency, in a section of its own (`insights.reports.combined`).
Run alone: `costlake report`, or `build(Settings.load(), None, None)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from costlake.delta import Lake
from insights.lakeside import open_marts
from insights.reports import (
    ai,
    audit,
    charts,
    combined,
    cost_tables,
    economics,
    efficiency,
    gpus,
    outlook_tables,
    page,
    restatements,
    workbook,
)
from insights.reports.basis import Basis, currencies, month_name, ratio, reported_period
from insights.reports.model import Chart, Figure, Report, Section, Table
from insights.reports.rounding import cents
from insights.series import EXCLUDED_FROM_SIGNAL, last_complete_date, prepare_signal

if TYPE_CHECKING:
    import duckdb

    from costlake.settings import Settings

NOTES = (
    "Billed cost is what the invoice says. Effective cost spreads commitments and upfront fees over what they pay for; judge by it.",
    "Amounts are exact up to this report and rounded only here, to cents that add up to the rounded total; a part can so be a cent off.",
    "The workbook holds the unrounded amounts.",
    "A month in progress is compared with the same days of the month before.",
    EXCLUDED_FROM_SIGNAL,
    "A dash means unknown or without meaning; it never stands for 0.",
    "Amounts in different currencies are never added up. A total over currencies is in the reporting currency, each month at its own rate.",
)


@dataclass(frozen=True)
class FinanceReport:
    """What was written: the two files, the period, and whether its sources reconcile ('exact', 'failed' or 'unchecked')."""

    html: Path
    xlsx: Path
    period: str
    checks: str


def build(settings: Settings, period: str | None = None, as_of: date | None = None) -> FinanceReport:
    """Write the report of a billing period.

    Args:
        settings: where lake and reports are.
        period: 'YYYY-MM'; default is the latest period in the marts that begins by `as_of`.
        as_of: which forecast and anomaly run to show (the newest not later); default is the last complete charge date in the marts.

    Raises:
        LakeError: the marts are missing or empty.
        ConfigError: the marts have no such period.
    """
    report = gather(Lake(settings), period, as_of)
    settings.reports.mkdir(parents=True, exist_ok=True)
    html, xlsx = (settings.reports / f"finance-{report.period}.{suffix}" for suffix in ("html", "xlsx"))
    html.write_text(page.render(report), encoding="utf-8")
    workbook.write(report, xlsx)
    return FinanceReport(html, xlsx, report.period, report.checks)


def gather(lake: Lake, period: str | None, as_of: date | None) -> Report:
    """Collect everything the report says, exact and unformatted."""
    insights, ops, marts = (frozenset(lake.tables(layer)) for layer in ("insights", "ops", "marts"))
    with open_marts(lake) as con:
        prepare_signal(con)
        day = as_of or last_complete_date(con) or _last_date(con)
        month = reported_period(con, period, day)
        sizes = {part.currency: place for place, part in enumerate(combined.parts(con, month, marts))}
        bases = sorted(currencies(con, month), key=lambda basis: (sizes.get(basis.currency, len(sizes)), basis.currency))
        is_complete = all(basis.complete for basis in bases)
        together = combined.section(con, month, is_complete, marts, ops)
        sections = tuple(_section(con, basis, day, insights, marts) for basis in bases)
        spared = efficiency.section(con, month, marts)
        reconciled, checks = audit.reconciliation(con, month, "reconciliation" in ops)
        delivered = audit.deliveries(con, month, "deliveries" in ops)
    return Report(
        period=month.label,
        month_name=month_name(month),
        previous_name=month_name(month.previous()),
        as_of=day,
        completeness=_completeness(bases),
        is_complete=is_complete,
        sections=sections,
        audit=(reconciled, delivered),
        checks=checks,
        notes=NOTES,
        combined=together,
        efficiency=spared,
    )


def _last_date(con: duckdb.DuckDBPyConnection) -> date:
    found: date = con.execute("select max(charge_date) from marts.fct_cost_daily").fetchall()[0][0]
    return found


def _completeness(bases: list[Basis]) -> str:
    late = sorted({f"{provider} ends on {last:%d %B}" for basis in bases for provider, last in basis.open_providers})
    return f"The month is in progress: {', '.join(late)}." if late else "The month is complete: all charges reach its last day."


def _section(con: duckdb.DuckDBPyConnection, basis: Basis, day: date, insights: frozenset[str], marts: frozenset[str]) -> Section:
    has_forecast = "forecast_daily" in insights
    costs = cost_tables.by_dimensions(con, basis)
    moved, trend = cost_tables.movers(con, basis), cost_tables.trend(con, basis)
    daily = outlook_tables.daily(con, basis, day, has_forecast)
    ahead = outlook_tables.against_forecast(con, basis, has_forecast)
    heading = () if basis.complete else (outlook_tables.month_end(con, basis, day, has_forecast),)
    odd, sentences = outlook_tables.anomalies(con, basis, day, "anomalies" in insights)
    units = (
        *((economics.model_units(con, basis),) if "fct_model_economics_daily" in marts else ()),
        *((economics.token_prices(con, basis),) if "fct_token_economics_daily" in marts else ()),
    )
    inside = (*((ai.inside(con, basis),) if "fct_ai_cost_daily" in marts else ()), *gpus.tables(con, basis, marts))
    providers, *others = costs
    odd_days = [(row[0], str(row[1])) for row in odd.rows if isinstance(row[0], date)]
    drawn: list[Chart | None] = [
        charts.trend_chart(con, basis), charts.movers_chart(moved, basis), charts.daily_chart(daily, odd_days, basis)
    ]  # fmt: skip
    whole = cost_tables.totals(con, basis)
    return Section(
        currency=basis.currency,
        headline=_headline(basis, whole, moved),
        figures=_figures(basis, whole, ahead, heading),
        tables=(
            *heading, trend, providers, moved, daily, ahead, odd, outlook_tables.next_months(con, basis, day, has_forecast),
            *others, cost_tables.commitments(con, basis), *inside, *units,
            restatements.since_first_reported(con, basis, "fct_restatements" in marts),
        ),
        charts=tuple(chart for chart in drawn if chart is not None),
        sentences=sentences,
    )  # fmt: skip


def _headline(basis: Basis, whole: cost_tables.Totals, moved: Table) -> str:
    """The month in one or two sentences."""
    name, currency = month_name(basis.period), basis.currency
    subject = f"{name} cost" if basis.complete else f"{name} has cost, up to day {basis.through_day},"
    text = f"{subject} {cents(whole.effective):,.2f} {currency}"
    if whole.change is None or whole.previous is None:
        return f"{text}. There is no bill of the month before to compare with."
    change = cents(whole.effective) - cents(whole.previous)
    share = ratio(abs(whole.change), whole.previous)
    percent = f" ({share * 100:,.1f} %)" if share is not None else ""
    if change == 0:
        return f"{text}, the same as {basis.against}."
    text += f", {abs(change):,.2f}{percent} {'more' if change > 0 else 'less'} than {basis.against}."
    same_way = [row for row in moved.rows if isinstance(row[5], Decimal) and (row[5] > 0) == (change > 0)]
    if same_way:
        service, account, _, _, _, moved_by, *_ = same_way[0]
        where = f" in {account}" if account != "–" else ""
        text += f" The largest part: {service}{where}, {'+' if change > 0 else '−'}{abs(cents(Decimal(str(moved_by)))):,.2f}."
    return text


def _figures(basis: Basis, whole: cost_tables.Totals, ahead: Table, heading: tuple[Table, ...]) -> tuple[Figure, ...]:
    change = None if whole.change is None or whole.previous is None else whole.change
    share = ratio(change, whole.previous)
    figures = [
        Figure(f"Effective cost, {basis.currency}", whole.effective, "commitments spread over their use"),
        Figure(f"Billed, {basis.currency}", whole.billed, _billed_context(basis, whole)),
        Figure(
            f"Against {basis.against}",
            change,
            f"{share * 100:+,.1f} % effective".replace("-", "−") if share is not None else "no bill to compare with",
            minus=None if whole.previous is None else (whole.effective, whole.previous),
        ),
    ]
    if heading and heading[0].total is not None:
        outlook = heading[0].total[4]
        figures.append(
            Figure("Month outlook", outlook if isinstance(outlook, Decimal) else None, "booked plus forecast usage of the days to come")
        )
    elif ahead.total is not None:
        _, _, actual, expected, _, off = ahead.total
        percent = f"{off * 100:+,.1f} % of the usage forecast before".replace("-", "−") if isinstance(off, Decimal) else ""
        if isinstance(actual, Decimal) and isinstance(expected, Decimal):
            figures.append(Figure("Against forecast", actual - expected, percent, minus=(actual, expected)))
    else:
        figures.append(Figure("Against forecast", None, "no forecast was made before the month"))
    return tuple(figures)


def _billed_context(basis: Basis, whole: cost_tables.Totals) -> str:
    if whole.previous_billed is None:
        return "as on the invoices"
    change = cents(whole.billed) - cents(whole.previous_billed)
    return f"{change:+,.2f} against {basis.against}".replace("-", "−")
