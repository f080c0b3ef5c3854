"""All currencies together, in the reporting currency: marts.fct_cost_monthly_reporting → the `Section` before the currencies' own.

The only place of the report where bills in different currencies meet: each at its month's rate, which stands beside it with its date and
whether it is locked. A sum of which one part has no rate is unknown, never the sum of the rest.
Run alone: `section(con, period, True, {"marts"}, {"ops"})`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from insights.reports.basis import month_name, ratio
from insights.reports.model import Cell, Column, Figure, Section, Table
from insights.reports.rounding import cents

if TYPE_CHECKING:
    import duckdb

    from costlake.periods import BillingPeriod

MART = "fct_cost_monthly_reporting"
SOURCE = f"marts.{MART}"
_ORIGINS = {"ecb": "ECB reference rate", "identity": "the reporting currency itself"}
_RATES_NOTE = "ECB rates are the last published on or before the month's last day. Shown to 6 digits; the workbook has them whole."
# A sum over currencies exists only where every part of it has a rate.
_KNOWN_SUM = "case when bool_and({0} is not null) then sum({0}) end"


@dataclass(frozen=True)
class Part:
    """One billing currency of the month: what was billed in it, its rate, and the same in the reporting currency (None without a rate)."""

    currency: str
    reporting: str
    rate: Decimal | None
    rate_date: date | None
    origin: str | None
    note: str | None
    locked: bool
    billed: Decimal
    effective: Decimal
    billed_reporting: Decimal | None
    effective_reporting: Decimal | None

    @property
    def state(self) -> str:
        """What a reader may rely on."""
        return "no rate" if self.rate is None else "locked" if self.locked else "provisional"


def parts(con: duckdb.DuckDBPyConnection, period: BillingPeriod, marts: frozenset[str]) -> list[Part]:
    """The month by billing currency, the largest in the reporting currency first; empty before `costlake rates` has run."""
    if MART not in marts:
        return []
    rows = con.execute(
        f"""
        select
            billing_currency, reporting_currency, exchange_rate, exchange_rate_date, exchange_rate_origin, exchange_rate_note,
            coalesce(exchange_rate_locked, false), sum(billed_cost), sum(effective_cost),
            {_KNOWN_SUM.format("billed_cost_reporting")}, {_KNOWN_SUM.format("effective_cost_reporting")} as size
        from {SOURCE}
        where billing_period = ? and reporting_currency is not null
        group by all
        order by abs(size) desc nulls last, billing_currency
        """,
        [period.label],
    ).fetchall()
    return [Part(*row) for row in rows]


def section(
    con: duckdb.DuckDBPyConnection, period: BillingPeriod, is_complete: bool, marts: frozenset[str], ops: frozenset[str]
) -> Section | None:
    """The month over all currencies; None where all bills are in the reporting currency anyway, or no rates are there."""
    found = parts(con, period, marts)
    if all(part.currency == part.reporting for part in found):
        return None
    reporting = found[0].reporting
    unrated = [part.currency for part in found if part.rate is None]
    return Section(
        currency=reporting,
        name="all",
        title=f"All currencies in {reporting}",
        headline=_headline(period, found, unrated),
        figures=_figures(found, unrated),
        tables=(
            _by_currency(found, unrated),
            _rates(con, period, found, ops),
            _by_provider(con, period, reporting, unrated),
            _by_month(con, period, reporting, is_complete),
        ),
    )


def _total(values: list[Decimal | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if len(known) == len(values) else None


def _headline(period: BillingPeriod, found: list[Part], unrated: list[str]) -> str:
    rated = [part.effective_reporting for part in found if part.rate is not None]
    amount = cents(_total(rated) or Decimal(0))
    name, reporting = month_name(period), found[0].reporting
    text = f"{name} cost {amount:,.2f} {reporting} over {_counted(len(found), 'billing currency', 'billing currencies')}."
    if unrated:
        left = ", ".join(unrated)
        text = f"{name} cost {amount:,.2f} {reporting} without {left}: there is no exchange rate for {left}, and so no total."
    provisional = [part.currency for part in found if part.state == "provisional"]
    if provisional:
        return f"{text} Rates of {', '.join(provisional)} are provisional until they are locked after the month's end."
    return f"{text} All rates are locked." if not unrated else text


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _figures(found: list[Part], unrated: list[str]) -> tuple[Figure, ...]:
    reporting = found[0].reporting
    effective, billed = _total([part.effective_reporting for part in found]), _total([part.billed_reporting for part in found])
    foreign = _total([part.effective_reporting for part in found if part.currency != reporting])
    lacking = f"no exchange rate for {', '.join(unrated)}"
    others = ", ".join(part.currency for part in found if part.currency != reporting)
    return (
        Figure(f"Effective cost, {reporting}", effective, lacking if unrated else "all currencies, each at its month's rate"),
        Figure(f"Billed, {reporting}", billed, lacking if unrated else "as on the invoices, at the same rates"),
        Figure("In other currencies", ratio(foreign, effective), others, kind="percent"),
    )


def _by_currency(found: list[Part], unrated: list[str]) -> Table:
    reporting = found[0].reporting
    billed, effective = _total([part.billed_reporting for part in found]), _total([part.effective_reporting for part in found])
    rows: list[tuple[Cell, ...]] = [
        (
            part.currency, part.billed, part.effective, part.billed_reporting, part.effective_reporting,
            ratio(part.effective_reporting, effective), part.state,
        )
        for part in found
    ]  # fmt: skip
    return Table(
        key="currencies",
        title="By billing currency",
        columns=(
            Column("Currency"), Column("Billed, original", "money"), Column("Effective, original", "money"),
            Column(f"Billed {reporting}", "money"), Column(f"Effective {reporting}", "money"), Column("Share", "percent"),
            Column("Rate is"),
        ),
        rows=tuple(rows),
        total=("Total", None, None, billed, effective, ratio(effective, effective), None),
        source=SOURCE,
        empty="No charges in this month.",
        note=f"No total: there is no rate for {', '.join(unrated)}. An override in config/currency.yml gives one." if unrated else "",
    )  # fmt: skip


def _rates(con: duckdb.DuckDBPyConnection, period: BillingPeriod, found: list[Part], ops: frozenset[str]) -> Table:
    reporting = found[0].reporting
    before = {part.currency: part.rate for part in parts(con, period.previous(), frozenset({MART})) if part.reporting == reporting}
    rows: list[tuple[Cell, ...]] = []
    for part in found:
        earlier = before.get(part.currency)
        change = None if part.rate is None or earlier is None else ratio(part.rate - earlier, earlier)
        origin = _ORIGINS.get(part.origin or "", "none published: an override is needed" if part.rate is None else "override")
        told = f"{origin}: {part.note}" if part.note else origin
        rows.append((part.currency, part.rate, part.rate_date, part.state, earlier, change, told))
    return Table(
        key="exchange_rates",
        title="Exchange rates",
        columns=(
            Column("Currency"), Column(f"{reporting} for 1", "rate"), Column("Published", "date"), Column("Rate is"),
            Column(month_name(period.previous()), "rate"), Column("Change %", "percent"), Column("By"),
        ),
        rows=tuple(rows),
        source=SOURCE,
        empty="No rates.",
        note=" ".join([_RATES_NOTE, *_restated(con, period, ops)]),
    )  # fmt: skip


def _restated(con: duckdb.DuckDBPyConnection, period: BillingPeriod, ops: frozenset[str]) -> list[str]:
    """A sentence per locked rate of the month that was changed on purpose."""
    if "exchange_rates" not in ops:
        return []
    rows = con.execute(
        """
        select from_currency, restated_rate, rate, to_currency, recorded_at::date, note from ops.exchange_rates
        where month = ? and restated_rate is not null order by recorded_at, from_currency
        """,
        [period.label],
    ).fetchall()
    return [
        f"Restated on {on:%-d %B %Y}: {code} from {old.normalize():f} to {'no rate' if new is None else f'{new.normalize():f}'} {target}"
        f"{f' ({note})' if note else ''}."
        for code, old, new, target, on, note in rows
    ]


def _by_provider(con: duckdb.DuckDBPyConnection, period: BillingPeriod, reporting: str, unrated: list[str]) -> Table:
    rows = con.execute(
        f"""
        select
            provider_name, string_agg(distinct billing_currency, ', ' order by billing_currency),
            {_KNOWN_SUM.format("billed_cost_reporting")}, {_KNOWN_SUM.format("effective_cost_reporting")} as effective
        from {SOURCE} where billing_period = ?
        group by provider_name order by effective desc nulls last, provider_name
        """,
        [period.label],
    ).fetchall()
    billed, effective = _total([row[2] for row in rows]), _total([row[3] for row in rows])
    return Table(
        key="all_providers",
        title=f"All providers in {reporting}",
        columns=(
            Column("Provider"), Column("Billed in"), Column(f"Billed {reporting}", "money"), Column(f"Effective {reporting}", "money"),
            Column("Share", "percent"),
        ),
        rows=tuple((*row, ratio(row[3], effective)) for row in rows),
        total=("Total", None, billed, effective, ratio(effective, effective)),
        source=SOURCE,
        empty="No charges in this month.",
        note=f"A dash: part of the cost is in {', '.join(unrated)}, for which there is no rate." if unrated else "",
    )  # fmt: skip


def _by_month(con: duckdb.DuckDBPyConnection, period: BillingPeriod, reporting: str, is_complete: bool) -> Table:
    rows = con.execute(
        f"""
        select
            billing_period, {_KNOWN_SUM.format("billed_cost_reporting")}, {_KNOWN_SUM.format("effective_cost_reporting")},
            string_agg(distinct billing_currency, ', ' order by billing_currency),
            case
                when bool_or(exchange_rate is null) then 'no rate'
                when bool_and(exchange_rate_locked) then 'locked' else 'provisional'
            end
        from {SOURCE} where billing_period <= ?
        group by billing_period order by billing_period desc limit 13
        """,
        [period.label],
    ).fetchall()[::-1]
    shown: list[tuple[Cell, ...]] = []
    before: Decimal | None = None
    for label, billed, effective, currencies, state in rows:
        change = None if before is None or effective is None else effective - before
        progress = "in progress" if label == period.label and not is_complete else "complete"
        shown.append((label, billed, effective, change, ratio(change, before), currencies, state, progress))
        before = effective
    return Table(
        key="all_months",
        title=f"All months in {reporting}",
        columns=(
            Column("Month"), Column(f"Billed {reporting}", "money"), Column(f"Effective {reporting}", "money"),
            Column("Change", "money", minus_above=2), Column("Change %", "percent"), Column("Billed in"), Column("Rates are"),
            Column("State"),
        ),
        rows=tuple(shown),
        source=SOURCE,
        empty="No months.",
        note="Each month at its own rates: a change holds both what was used and what the currencies did.",
    )  # fmt: skip
