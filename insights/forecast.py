"""What the next 90 days will cost: marts.fct_cost_daily → Delta `insights.forecast_daily`, per provider and currency.

Prophet with weekly (and from two years of history on yearly) seasonality and an 80 % band; days that the anomaly detector finds odd are
left out of the fit, so that one mistake is not forecast for ever. Short histories get a simpler method under its own name, with the
reason beside each row. What is modelled, and what is left out: see `insights.series`.
Run alone: `costlake insights`, or `run(Settings.load(), as_of=None)`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from costlake.delta import Lake
from insights.detector import Rules, judge
from insights.lakeside import open_marts, stored_run_id
from insights.series import DailySeries, last_complete_date, prepare_signal, provider_series
from insights.tables import FORECAST_DAILY

if TYPE_CHECKING:
    from costlake.settings import Settings

MODEL_VERSION = "forecast-1"
HORIZON_DAYS = 90
MIN_DAYS_PROPHET = 60
MIN_DAYS_SEASONAL = 14
MIN_DAYS_BAND = 3
MIN_DAYS_YEARLY = 730
# A provider silent for this long before `as_of` is taken as ended, not as late.
DORMANT_DAYS = 45
LOWER, UPPER = 0.10, 0.90  # an 80 % band
_SEED = 20_261_001  # any fixed number: the band is sampled, and a second run must give the same rows
_SIX_PLACES = Decimal("0.000001")


@dataclass(frozen=True)
class Outlook:
    """The forecast of one series: (date, expected, lower, upper) per day in its billing currency; bounds None where unknown."""

    provider_name: str
    billing_currency: str
    method: str
    reason: str
    days: tuple[tuple[date, Decimal, Decimal | None, Decimal | None], ...]


@dataclass(frozen=True)
class ForecastResult:
    """What a run did.

    Attributes:
        as_of: the last day the models saw; None where no provider has a complete day of usage yet.
        outlooks: the forecasts by series, made now or found in the table.
        skipped: (provider, currency, reason) of series that cannot be forecast.
        written: the as-of dates of which rows were written.
    """

    run_id: str
    as_of: date | None
    outlooks: tuple[Outlook, ...]
    skipped: tuple[tuple[str, str, str], ...]
    written: tuple[date, ...]


def run(settings: Settings, as_of: date | None = None) -> ForecastResult:
    """Forecast every provider and currency for 90 days after `as_of`; a second run on the same marts writes nothing.

    Args:
        settings: where the lake is.
        as_of: the last day the models may see; default is the last complete charge date in the marts, never the clock. With the default,
            a forecast as of the end of the month before is added where none exists, so that the current month can be held against what
            was to be expected when it began.

    Raises:
        LakeError: the marts are missing or empty.
    """
    lake = Lake(settings)
    with open_marts(lake) as con:
        prepare_signal(con)
        day = as_of or last_complete_date(con)
        series = provider_series(con)
    if day is None:
        return ForecastResult("", None, (), (("all", "all", "no provider has one complete day of usage yet"),), ())
    written = []
    if as_of is None:
        eve = day.replace(day=1) - timedelta(days=1)
        if stored_run_id(lake, FORECAST_DAILY, eve) is None and _forecast_as_of(lake, series, eve)[3]:
            written.append(eve)
    run_id, outlooks, skipped, is_new = _forecast_as_of(lake, series, day)
    if is_new:
        written.append(day)
    return ForecastResult(run_id, day, outlooks, skipped, tuple(written))


def _forecast_as_of(
    lake: Lake, series: Sequence[DailySeries], as_of: date
) -> tuple[str, tuple[Outlook, ...], tuple[tuple[str, str, str], ...], bool]:
    known = [one.until(as_of) for one in series]
    usable, skipped = _usable(known, as_of)
    run_id = _run_id(usable, as_of)
    stored = stored_run_id(lake, FORECAST_DAILY, as_of)
    is_new = stored != run_id and (bool(usable) or stored is not None)
    outlooks = tuple(forecast_series(one, as_of) for one in usable) if is_new else _stored_outlooks(lake, as_of)
    if is_new:
        import pyarrow as pa

        rows = pa.Table.from_pylist([row for one in outlooks for row in _rows(run_id, as_of, one)], schema=FORECAST_DAILY.schema)
        lake.replace(FORECAST_DAILY, rows, where={"as_of_date": as_of.isoformat()})
    return run_id, outlooks, skipped, is_new


def _stored_outlooks(lake: Lake, as_of: date) -> tuple[Outlook, ...]:
    if not lake.exists(FORECAST_DAILY.layer, FORECAST_DAILY.name):
        return ()
    con = lake.connect()
    try:
        rows = con.execute(
            """
            select
                provider_name, billing_currency, max(method), max(method_reason),
                list((forecast_date, effective_cost, effective_cost_lower_80, effective_cost_upper_80) order by forecast_date)
            from insights.forecast_daily
            where as_of_date = ?
            group by all order by provider_name, billing_currency
            """,
            [as_of],
        ).fetchall()
    finally:
        con.close()
    return tuple(
        Outlook(provider, currency, method, reason, tuple(tuple(day) for day in days)) for provider, currency, method, reason, days in rows
    )


def _usable(series: Sequence[DailySeries], as_of: date) -> tuple[list[DailySeries], tuple[tuple[str, str, str], ...]]:
    usable, skipped = [], []
    for one in series:
        if not one.values:
            skipped.append((one.provider_name, one.billing_currency, f"no usage up to {as_of.isoformat()}"))
        elif (as_of - one.end).days > DORMANT_DAYS:
            skipped.append((one.provider_name, one.billing_currency, f"no charge since {one.end.isoformat()}: taken as ended"))
        else:
            usable.append(one)
    return usable, tuple(skipped)


def forecast_series(series: DailySeries, as_of: date) -> Outlook:
    """Forecast one series for the 90 days after `as_of`, by Prophet or by a named fallback where the history is short or flat."""
    known = [value for value in series.values if value is not None]
    dates = [as_of + timedelta(days=ahead) for ahead in range(1, HORIZON_DAYS + 1)]
    if len(known) < MIN_DAYS_SEASONAL or len(set(known)) == 1:
        method, days = "mean", _mean(known, dates)
        reason = "every known day costs the same" if len(set(known)) == 1 else f"{len(known)} known days, fewer than {MIN_DAYS_SEASONAL}"
        if len(known) < MIN_DAYS_BAND:
            reason += f"; no band from fewer than {MIN_DAYS_BAND} days"
    elif len(known) < MIN_DAYS_PROPHET:
        method, days = "seasonal_naive_7", _seasonal_naive(series, dates)
        reason = f"{len(known)} known days, fewer than {MIN_DAYS_PROPHET}: each day repeats its last known weekday"
    else:
        method, (days, reason) = "prophet", _prophet(series, dates)
    return Outlook(series.provider_name, series.billing_currency, method, reason, tuple(days))


Day = tuple[date, Decimal, Decimal | None, Decimal | None]


def _mean(known: Sequence[Decimal], dates: Sequence[date]) -> list[Day]:
    mean = _six(sum(known, Decimal(0)) / len(known))
    if len(known) < MIN_DAYS_BAND:
        return [(day, mean, None, None) for day in dates]
    ordered = sorted(known)
    return [_ordered(day, mean, _quantile(ordered, LOWER), _quantile(ordered, UPPER)) for day in dates]


def _seasonal_naive(series: DailySeries, dates: Sequence[date]) -> list[Day]:
    """Last known value of the same weekday; band from the quantiles of week-on-week changes, wider by the square root of weeks."""
    values = series.values
    changes = sorted(value - before for before, value in zip(values, values[7:], strict=False) if value is not None and before is not None)
    low, high = (_quantile(changes, LOWER), _quantile(changes, UPPER)) if changes else (Decimal(0), Decimal(0))
    last_by_weekday = {(series.start + timedelta(days=i)).weekday(): value for i, value in enumerate(values) if value is not None}
    overall = _quantile(sorted(value for value in values if value is not None), 0.5)
    days = []
    for day in dates:
        point = _six(last_by_weekday.get(day.weekday(), overall))
        width = Decimal((day - series.end).days // 7 + 1).sqrt()
        days.append(_ordered(day, point, point + low * width, point + high * width))
    return days


def _prophet(series: DailySeries, dates: Sequence[date]) -> tuple[list[Day], str]:
    import logging

    import numpy as np
    import pandas as pd

    logging.getLogger("cmdstanpy").disabled = True
    logging.getLogger("prophet.plot").disabled = True
    from prophet import Prophet

    odd = {verdict.index for verdict in judge(series.values, Rules())}
    history = [
        (series.start + timedelta(days=index), float(value))
        for index, value in enumerate(series.values)
        if value is not None and index not in odd
    ]
    frame = pd.DataFrame({"ds": pd.to_datetime([day for day, _ in history]), "y": [cost for _, cost in history]})
    yearly = len(series.values) >= MIN_DAYS_YEARLY
    model = Prophet(
        interval_width=UPPER - LOWER,
        weekly_seasonality=True,
        yearly_seasonality=yearly,
        daily_seasonality=False,
        # The weekend's saving grows with the bill.
        seasonality_mode="multiplicative",
    )
    model.fit(frame, seed=_SEED)
    state = np.random.get_state()  # Prophet samples from numpy's global generator; the caller's state is put back
    np.random.seed(_SEED)
    try:
        predicted = model.predict(pd.DataFrame({"ds": pd.to_datetime(list(dates))}))
    finally:
        np.random.set_state(state)
    columns = zip(dates, predicted["yhat"], predicted["yhat_lower"], predicted["yhat_upper"], strict=True)
    days = [_ordered(day, _from_float(point), _from_float(low), _from_float(high)) for day, point, low, high in columns]
    seasons = "weekly and yearly" if yearly else "weekly"
    left_out = f"; {len(odd)} odd {'day' if len(odd) == 1 else 'days'} left out of the fit" if odd else ""
    return days, f"{len(history)} days of history, {seasons} seasonality{left_out}"


def _ordered(day: date, point: Decimal, low: Decimal, high: Decimal) -> Day:
    """Usage never costs less than nothing, and a band always holds its point."""
    kept = max(_six(point), Decimal(0))
    return day, kept, max(min(_six(low), kept), Decimal(0)), max(_six(high), kept)


def _quantile(ordered: Sequence[Decimal], part: float) -> Decimal:
    position = Decimal(str(part)) * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def _six(amount: Decimal) -> Decimal:
    # A statistical estimate has no more than this to say; it also hides the last bits in which two processors differ.
    return amount.quantize(_SIX_PLACES)


def _from_float(number: float) -> Decimal:
    return _six(Decimal(repr(float(number))))


def _run_id(series: Sequence[DailySeries], as_of: date) -> str:
    """Names the input: the same series under the same model version give the same id, so that a second run has nothing to write."""
    digest = hashlib.sha256("\n".join([MODEL_VERSION, str(HORIZON_DAYS), *(repr(one) for one in series)]).encode()).hexdigest()
    return f"forecast-{as_of.isoformat()}-{digest[:12]}"


def _rows(run_id: str, as_of: date, outlook: Outlook) -> list[dict[str, object]]:
    return [
        {
            "run_id": run_id,
            "as_of_date": as_of,
            "provider_name": outlook.provider_name,
            "billing_currency": outlook.billing_currency,
            "forecast_date": day,
            "horizon_days": (day - as_of).days,
            "method": outlook.method,
            "method_reason": outlook.reason,
            "effective_cost": point,
            "effective_cost_lower_80": low,
            "effective_cost_upper_80": high,
        }
        for day, point, low, high in outlook.days
    ]
