"""Daily cost series: marts.fct_cost_daily → one series per provider and currency, and per service and account below it.

Run alone: `con = Lake(Settings.load()).connect(); prepare_signal(con); provider_series(con)`.

What is modelled is *usage* at effective cost. Left out, because they are booked on one day and say nothing about the day:
tax, credits, refunds and other adjustments, purchases (charge_category other than 'Usage'); unused commitment, which a legacy AWS bill
dates on the first of the month for the whole month (commitment_discount_status 'Unused'); support plans; and any
service-account-pricing group that charges on exactly one day in each of two or more months. They stay in every total of a report.

A day without a charge is 0 only where a bill of that month is in the marts: a delivered month lists all its usage, so silence is
knowledge. In a month without any charge of the provider nothing is known, and the day is None. Nothing is filled after the last complete
charge date: a bill that is still growing has a last day that is not over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

EXCLUDED_FROM_SIGNAL = (
    "Modelled signal: effective cost of usage. Tax, credits, refunds, adjustments, purchases, unused commitment, support plans and "
    "charges booked once a month are left out of the daily model and kept in every total."
)

_SIGNAL_SQL = """
create or replace temp table usage_signal as
with usage as (
    select
        provider_name, billing_currency, service_name, sub_account_id, sub_account_name, model_id, owner, pricing_category,
        charge_date, effective_cost
    from marts.fct_cost_daily
    where charge_category = 'Usage'
        and commitment_discount_status is distinct from 'Unused'
        and (service_name is null or service_name not ilike '%support%')
        and effective_cost is not null
),
monthly_lumps as (
    select provider_name, billing_currency, service_name, sub_account_id, pricing_category
    from usage
    group by all
    having count(distinct date_trunc('month', charge_date)) >= 2
        and count(distinct charge_date) = count(distinct date_trunc('month', charge_date))
)
select
    provider_name, billing_currency, service_name, sub_account_id, max(sub_account_name) as sub_account_name, model_id, owner,
    charge_date, sum(effective_cost) as effective_cost
from usage
where not exists (
    select 1 from monthly_lumps as lump
    where lump.provider_name = usage.provider_name
        and lump.billing_currency = usage.billing_currency
        and lump.service_name is not distinct from usage.service_name
        and lump.sub_account_id is not distinct from usage.sub_account_id
        and lump.pricing_category is not distinct from usage.pricing_category
)
group by provider_name, billing_currency, service_name, sub_account_id, model_id, owner, charge_date
"""

_SPANS_SQL = """
with days as (
    select
        provider_name, billing_currency, min(charge_date) as first_date, max(charge_date) as last_date,
        list(distinct date_trunc('month', charge_date)::date) as months
    from usage_signal
    group by all
)
select
    provider_name, billing_currency, first_date,
    -- the last day of a bill in the making is still filling up, unless it closes its month
    case when last_date = last_day(last_date) then last_date else last_date - 1 end::date as last_complete_date,
    months
from days
order by provider_name, billing_currency
"""


@dataclass(frozen=True)
class Span:
    """The days of one provider and currency on which cost is known: from `first` to `last` (both included), in `months`."""

    provider_name: str
    billing_currency: str
    first: date
    last: date
    months: frozenset[date]

    @property
    def days(self) -> int:
        """Length in days; 0 or less where no complete day exists yet."""
        return (self.last - self.first).days + 1

    def knows(self, day: date) -> bool:
        """Whether a bill covering `day` is in the marts, so that no charge means 0."""
        return self.first <= day <= self.last and day.replace(day=1) in self.months


@dataclass(frozen=True)
class DailySeries:
    """Effective usage cost per day from `start`, in `billing_currency`; None where the day is unknown."""

    provider_name: str
    billing_currency: str
    start: date
    values: tuple[Decimal | None, ...]
    service_name: str | None = None
    sub_account_id: str | None = None
    sub_account_name: str | None = None

    @property
    def end(self) -> date:
        """The last date of the series."""
        return self.start + timedelta(days=len(self.values) - 1)

    def on(self, day: date) -> Decimal | None:
        """The cost of `day`; None outside the series or where unknown."""
        index = (day - self.start).days
        return self.values[index] if 0 <= index < len(self.values) else None

    def between(self, first: date, last: date) -> DailySeries:
        """The days of the series from `first` to `last`, both included."""
        skipped = max(0, (first - self.start).days)
        kept = max(skipped, (last - self.start).days + 1)
        return replace(self, start=self.start + timedelta(days=skipped), values=self.values[skipped:kept])

    def until(self, day: date) -> DailySeries:
        """The same series as it was known on `day`."""
        return self.between(self.start, day)


def prepare_signal(con: duckdb.DuckDBPyConnection) -> None:
    """Reduce marts.fct_cost_daily to the modelled signal, as temp table `usage_signal` of this connection (see module docstring)."""
    con.execute(_SIGNAL_SQL)


def spans(con: duckdb.DuckDBPyConnection) -> list[Span]:
    """Known days per provider and currency; needs `prepare_signal`. A provider without one complete day is left out."""
    rows = con.execute(_SPANS_SQL).fetchall()
    found = [Span(provider, currency, first, last, frozenset(months)) for provider, currency, first, last, months in rows]
    return [span for span in found if span.days > 0]


def last_complete_date(con: duckdb.DuckDBPyConnection) -> date | None:
    """The latest complete charge date over all providers: the default `as_of`. None where the marts hold no complete day."""
    return max((span.last for span in spans(con)), default=None)


def provider_series(con: duckdb.DuckDBPyConnection) -> list[DailySeries]:
    """One series per provider and currency; needs `prepare_signal`."""
    return [_collect(con, span, by_service=False)[0] for span in spans(con)]


def service_series(con: duckdb.DuckDBPyConnection) -> list[DailySeries]:
    """One series per provider, currency, service and account, each over its provider's whole span, so that a new service starts from 0."""
    return [series for span in spans(con) for series in _collect(con, span, by_service=True)]


def _collect(con: duckdb.DuckDBPyConnection, span: Span, *, by_service: bool) -> list[DailySeries]:
    service, account = ("service_name", "sub_account_id") if by_service else ("null::varchar", "null::varchar")
    rows = con.execute(
        f"""
        select service, account, max(account_name), list(charge_date), list(cost)
        from (
            select
                {service} as service, {account} as account, max(sub_account_name) as account_name, charge_date,
                sum(effective_cost) as cost
            from usage_signal
            where provider_name = ? and billing_currency = ? and charge_date between ? and ?
            group by 1, 2, charge_date
        )
        group by service, account
        order by service nulls last, account nulls last
        """,
        [span.provider_name, span.billing_currency, span.first, span.last],
    ).fetchall()
    days = [span.first + timedelta(days=offset) for offset in range(span.days)]
    known = [span.knows(day) for day in days]
    found = []
    for service_name, account_id, account_name, dates, costs in rows:
        by_day: dict[date, Decimal] = dict(zip(dates, costs, strict=True))
        values = tuple(by_day.get(day, Decimal(0)) if is_known else None for day, is_known in zip(days, known, strict=True))
        found.append(DailySeries(span.provider_name, span.billing_currency, span.first, values, service_name, account_id, account_name))
    return found


@dataclass(frozen=True)
class Part:
    """Cost of one model and owner inside a service and account on a day, and its daily median over the comparison days before it."""

    model_id: str | None
    owner: str | None
    actual: Decimal
    usual: Decimal

    @property
    def excess(self) -> Decimal:
        """Actual minus usual cost."""
        return self.actual - self.usual


def parts_of_day(con: duckdb.DuckDBPyConnection, series: DailySeries, day: date, compare_days: int = 28) -> list[Part]:
    """Split one day of a service-account series into model and owner parts, each beside its median over the `compare_days` before.

    A part that did not charge on a comparison day counts as 0 on that day. Needs `prepare_signal`.
    """
    rows = con.execute(
        """
        with part_days as (
            select model_id, owner, charge_date, sum(effective_cost) as cost
            from usage_signal
            where provider_name = ? and billing_currency = ?
                and service_name is not distinct from ? and sub_account_id is not distinct from ?
                and charge_date between ? and ?
            group by model_id, owner, charge_date
        )
        select
            model_id, owner,
            coalesce(sum(cost) filter (where charge_date = ?), 0),
            list(cost) filter (where charge_date < ?)
        from part_days
        group by model_id, owner
        order by model_id nulls last, owner nulls last
        """,
        [
            series.provider_name,
            series.billing_currency,
            series.service_name,
            series.sub_account_id,
            day - timedelta(days=compare_days),
            day,
            day,
            day,
        ],
    ).fetchall()
    span_days = max(1, min(compare_days, (day - series.start).days))
    return [Part(model, owner, actual, _median_with_zeros(before or [], span_days)) for model, owner, actual, before in rows]


def _median_with_zeros(costs: list[Decimal], days: int) -> Decimal:
    padded = sorted([*costs, *([Decimal(0)] * (days - len(costs)))])
    middle = len(padded) // 2
    return padded[middle] if len(padded) % 2 else (padded[middle - 1] + padded[middle]) / 2
