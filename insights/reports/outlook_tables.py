"""Forecast and anomalies as report tables: insights.forecast_daily, insights.anomalies and the modelled signal → `Table`s.

Needs `prepare_signal` on the connection. A daily 80 % band says nothing of a month's sum, so months carry the expected value only.
Run alone: `outlook(con, basis, as_of)`.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from insights.reports.basis import Basis, last_day, month_name, ratio
from insights.reports.model import Column, Table

if TYPE_CHECKING:
    import duckdb

FORECAST_SOURCE = "insights.forecast_daily, marts.fct_cost_daily"


def forecast_date(con: duckdb.DuckDBPyConnection, has_forecast: bool, before: date) -> date | None:
    """The newest as-of date of a forecast not later than `before`; None where there is none."""
    if not has_forecast:
        return None
    found: date | None = con.execute("select max(as_of_date) from insights.forecast_daily where as_of_date <= ?", [before]).fetchall()[0][0]
    return found


def against_forecast(con: duckdb.DuckDBPyConnection, basis: Basis, has_forecast: bool) -> Table:
    """Usage of the month so far against what was forecast, before the month began, for the same days."""
    month_start = basis.period.start.date()
    made_on = forecast_date(con, has_forecast, month_start.replace(day=1))
    eve = last_day(basis.previous)
    rows: list[tuple[Any, ...]] = []
    if made_on is not None and made_on <= eve:
        rows = con.execute(
            """
                with reached as (
                    select provider_name, max(charge_date) as through
                    from usage_signal where billing_currency = $currency and charge_date between $first and $last
                    group by provider_name
                ),
                actual as (
                    select provider_name, sum(effective_cost) as cost
                    from usage_signal where billing_currency = $currency and charge_date between $first and $last
                    group by provider_name
                ),
                expected as (
                    select forecast.provider_name, sum(forecast.effective_cost) as cost, max(method) as method
                    from insights.forecast_daily as forecast
                    inner join reached on reached.provider_name = forecast.provider_name
                        and forecast.forecast_date between $first and reached.through
                    where forecast.as_of_date = $made_on and forecast.billing_currency = $currency
                    group by forecast.provider_name
                )
                select provider_name, expected.method, actual.cost, expected.cost
                from expected inner join actual using (provider_name)
                order by actual.cost desc
                """,
            {"currency": basis.currency, "first": month_start, "last": last_day(basis.period), "made_on": made_on},
        ).fetchall()
    shown = [(*row, row[2] - row[3], ratio(row[2] - row[3], row[3])) for row in rows]
    actual, expected = (sum((row[index] for row in shown), Decimal(0)) for index in (2, 3))
    return Table(
        key="against_forecast",
        title="Against the forecast",
        columns=(
            Column("Provider"), Column("Method"), Column(f"Usage {basis.currency}", "money"), Column("Forecast for the same days", "money"),
            Column("Difference", "money", minus=(2, 3)), Column("Difference %", "percent"),
        ),
        rows=tuple(shown),
        total=("Total", None, actual, expected, actual - expected, ratio(actual - expected, expected)) if shown else None,
        source=FORECAST_SOURCE,
        empty=f"No forecast was made from data up to {eve:%d %B %Y} or earlier.",
        note=f"Forecast from data up to {made_on:%d %B %Y}." if made_on else "",
    )  # fmt: skip


def month_end(con: duckdb.DuckDBPyConnection, basis: Basis, as_of: date, has_forecast: bool) -> Table:
    """Where an open month is heading: what is booked, plus the forecast of the days still to come, by provider."""
    made_on = forecast_date(con, has_forecast, as_of)
    rows = con.execute(
        """
        with booked as (
            select provider_name, sum(effective_cost) as cost, max(charge_date) as through
            from marts.fct_cost_daily where billing_currency = $currency and billing_period = $period
            group by provider_name
        ),
        recent as (
            select signal.provider_name, sum(signal.effective_cost) / 28 as per_day
            from usage_signal as signal inner join booked using (provider_name)
            where signal.billing_currency = $currency and signal.charge_date between booked.through - 28 and booked.through - 1
            group by signal.provider_name
        )
        select booked.provider_name, booked.cost, booked.through, recent.per_day
        from booked left join recent using (provider_name)
        order by booked.cost desc
        """,
        {"currency": basis.currency, "period": basis.period.label},
    ).fetchall()
    shown: list[tuple[Any, ...]] = []
    end = last_day(basis.period)
    for provider, booked, through, per_day in rows:
        expected = _still_to_come(con, basis, made_on, provider, through)
        days_left = max(0, (end - through).days)
        run_rate = None if per_day is None else Decimal(per_day).quantize(Decimal("0.000001")) * days_left
        ahead = expected if expected is not None else run_rate
        method = "forecast" if expected is not None else "run rate of 28 days"
        shown.append((provider, booked, days_left, ahead, None if ahead is None else booked + ahead, run_rate, method))
    known = all(row[3] is not None for row in shown)
    booked_sum = sum((row[1] for row in shown), Decimal(0))
    ahead_sum = sum((row[3] for row in shown), Decimal(0)) if known else None
    return Table(
        key="month_end",
        title="Where the month is heading",
        columns=(
            Column("Provider"), Column(f"Booked {basis.currency}", "money"), Column("Days to come", "count"),
            Column("Still to come", "money"),
            Column("Month outlook", "money"), Column("By run rate", "money"), Column("Method"),
        ),
        rows=tuple(shown),
        total=("Total", booked_sum, None, ahead_sum, None if ahead_sum is None else booked_sum + ahead_sum, None, None) if shown else None,
        source=FORECAST_SOURCE,
        empty="No charges in this month.",
        note="Booked: all charges so far. Still to come: forecast usage of the remaining days; monthly fees not yet booked are not in it.",
    )  # fmt: skip


def _still_to_come(con: duckdb.DuckDBPyConnection, basis: Basis, made_on: date | None, provider: str, through: date) -> Decimal | None:
    if made_on is None:
        return None
    found: Decimal | None = con.execute(
        """
        select sum(effective_cost) from insights.forecast_daily
        where as_of_date = ? and billing_currency = ? and provider_name = ? and forecast_date > ? and forecast_date <= ?
        """,
        [made_on, basis.currency, provider, through, last_day(basis.period)],
    ).fetchall()[0][0]
    return found


def next_months(con: duckdb.DuckDBPyConnection, basis: Basis, as_of: date, has_forecast: bool) -> Table:
    """Forecast usage by calendar month and provider."""
    made_on = forecast_date(con, has_forecast, as_of)
    rows = (
        con.execute(
            """
            select
                strftime(forecast_date, '%Y-%m') as month, provider_name, count(*), sum(effective_cost), max(method), max(method_reason)
            from insights.forecast_daily
            where as_of_date = ? and billing_currency = ?
            group by all order by month, sum(effective_cost) desc
            """,
            [made_on, basis.currency],
        ).fetchall()
        if made_on
        else []
    )
    return Table(
        key="next_months",
        title="The next 90 days",
        columns=(
            Column("Month"), Column("Provider"), Column("Days", "count"), Column(f"Forecast usage {basis.currency}", "money"),
            Column("Method"), Column("Because"),
        ),
        rows=tuple(rows),
        source=FORECAST_SOURCE,
        empty="No forecast yet: run `costlake insights`.",
        note=f"From data up to {made_on:%d %B %Y}. Usage only: see notes." if made_on else "",
    )  # fmt: skip


def anomalies(con: duckdb.DuckDBPyConnection, basis: Basis, as_of: date, has_anomalies: bool) -> tuple[Table, tuple[str, ...]]:
    """The month's odd days with their causes, and the same as sentences."""
    rows = (
        con.execute(
            """
            select
                anomaly_date, provider_name, actual_cost, expected_cost, excess_cost, cause_service_name,
                coalesce(cause_sub_account_name, cause_sub_account_id), cause_model_id, cause_owner, cause_share, message
            from insights.anomalies
            where as_of_date = (select max(as_of_date) from insights.anomalies where as_of_date <= $as_of)
                and billing_currency = $currency and anomaly_date between $first and $last
            order by anomaly_date, abs(excess_cost) desc
            """,
            {"as_of": as_of, "currency": basis.currency, "first": basis.period.start.date(), "last": last_day(basis.period)},
        ).fetchall()
        if has_anomalies
        else []
    )
    table = Table(
        key="anomalies",
        title="Anomalies",
        columns=(
            Column("Date", "date"), Column("Provider"), Column(f"Cost {basis.currency}", "money"), Column("Expected", "money"),
            Column("Difference", "money"), Column("Caused by"), Column("Account"), Column("Model"), Column("Owner"),
            Column("Share", "percent"),
        ),
        rows=tuple(row[:10] for row in rows),
        source="insights.anomalies",
        empty=f"No day of {month_name(basis.period)} was out of line." if has_anomalies else "Not looked for yet: run `costlake insights`.",
    )  # fmt: skip
    return table, tuple(row[10] for row in rows)


def daily(con: duckdb.DuckDBPyConnection, basis: Basis, as_of: date, has_forecast: bool, days_back: int = 60) -> Table:
    """Modelled usage per day and provider: the last two months, then the forecast with its 80 % band."""
    made_on = forecast_date(con, has_forecast, as_of)
    first = date.fromordinal(min(as_of, last_day(basis.period)).toordinal() - days_back)
    actual = con.execute(
        """
        select charge_date, provider_name, sum(effective_cost), null, null, null
        from usage_signal where billing_currency = ? and charge_date between ? and ? group by all
        """,
        [basis.currency, first, as_of],
    ).fetchall()
    ahead = (
        con.execute(
            """
            select forecast_date, provider_name, null, effective_cost, effective_cost_lower_80, effective_cost_upper_80
            from insights.forecast_daily where as_of_date = ? and billing_currency = ? and horizon_days <= 45
            """,
            [made_on, basis.currency],
        ).fetchall()
        if made_on
        else []
    )
    return Table(
        key="daily",
        title="Day by day",
        columns=(
            Column("Date", "date"), Column("Provider"), Column(f"Usage {basis.currency}", "money"), Column("Forecast", "money"),
            Column("80 % band from", "money"), Column("to", "money"),
        ),
        rows=tuple(sorted([*actual, *ahead], key=lambda row: (row[1], row[0]))),
        source=FORECAST_SOURCE,
        empty="No days of usage.",
        note="Usage as modelled; the page shows it as a chart.",
    )  # fmt: skip
