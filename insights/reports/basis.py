"""Which month is reported, against what: marts.fct_cost_daily → `Basis` per billing currency.

A month in the making is compared with the same days of the month before, never with all of it.
Run alone: `currencies(con, "2026-10")`.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from costlake.errors import ConfigError
from costlake.periods import BillingPeriod

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Basis:
    """The compared months of one currency.

    Attributes:
        through_day: the last day of the month up to which both months are counted; 31 for a complete month.
        open_providers: (provider, last charge date) of bills that do not reach the end of the month.
    """

    currency: str
    period: BillingPeriod
    through_day: int
    open_providers: tuple[tuple[str, date], ...]

    @property
    def complete(self) -> bool:
        """Whether every provider's charges reach the last day of the month."""
        return not self.open_providers

    @property
    def previous(self) -> BillingPeriod:
        """The month compared with."""
        return self.period.previous()

    @property
    def against(self) -> str:
        """The comparison in words."""
        name = month_name(self.previous)
        return name if self.complete else f"{name} 1–{self.through_day}"


def month_name(period: BillingPeriod) -> str:
    """For example 'October 2026'."""
    return f"{calendar.month_name[period.month]} {period.year}"


def last_day(period: BillingPeriod) -> date:
    """The last calendar day of a period."""
    return period.end.date() - timedelta(days=1)


def reported_period(con: duckdb.DuckDBPyConnection, period: str | None, as_of: date) -> BillingPeriod:
    """The period asked for, or the latest that begins by `as_of`. Raises ConfigError where the marts know no such period."""
    known = [label for (label,) in con.execute("select distinct billing_period from marts.fct_cost_daily order by 1").fetchall()]
    wanted = period or max((label for label in known if label <= f"{as_of:%Y-%m}"), default=known[-1])
    if wanted not in known:
        raise ConfigError(
            f"no charges of billing period {wanted!r}",
            where="marts.fct_cost_daily",
            expected=f"one of {', '.join(known)}",
            next_step="ask for one of these periods, or ingest the bill of that month and run `costlake transform` and `costlake publish`",
        )
    return BillingPeriod.parse(wanted)


def currencies(con: duckdb.DuckDBPyConnection, period: BillingPeriod) -> list[Basis]:
    """One basis per currency charged in the period, by code."""
    found = con.execute(
        "select distinct billing_currency from marts.fct_cost_daily where billing_period = ? order by 1",
        [period.label],
    ).fetchall()
    return [_basis(con, currency, period) for (currency,) in found]


def _basis(con: duckdb.DuckDBPyConnection, currency: str, period: BillingPeriod) -> Basis:
    previous, month_end = period.previous(), last_day(period)
    rows = con.execute(
        """
        select
            provider_name, max(charge_date), bool_or(billing_period = ?),
            max(charge_date) filter (where billing_period = ?)
        from marts.fct_cost_daily
        where billing_currency = ?
        group by provider_name
        having bool_or(billing_period in (?, ?))
        order by provider_name
        """,
        [period.label, period.label, currency, period.label, previous.label],
    ).fetchall()
    # A provider whose charges stopped before the end of last month has left; one that stopped with it is late.
    open_providers = tuple(
        (provider, last) for provider, last, charged, _ in rows if last < month_end and (charged or last >= last_day(previous))
    )
    through = max((min(reached, month_end).day for *_, reached in rows if reached is not None), default=month_end.day)
    return Basis(currency, period, through if open_providers else 31, open_providers)


def ratio(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    """A fraction to six places; None where it has no meaning (nothing to divide by, or a negative whole)."""
    if part is None or whole is None or whole <= 0:
        return None
    return (part / whole).quantize(Decimal("0.000001"))
