"""The forecast job: repeatable, ordered, honest about short histories, exact in type."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from costlake.delta import Lake
from costlake.errors import LakeError
from costlake.settings import Settings
from insights import forecast
from insights.series import DailySeries
from insights.tables import FORECAST_DAILY

Publish = Callable[..., Settings]
AS_OF = date(2026, 10, 31)


def _series(values: list[Decimal | None], start: date = date(2026, 1, 1)) -> DailySeries:
    return DailySeries("AWS", "USD", start, tuple(values))


def _rows(settings: Settings) -> list[dict[str, Any]]:
    con = Lake(settings).connect()
    try:
        found: list[dict[str, Any]] = con.execute("select * from insights.forecast_daily").to_arrow_table().to_pylist()
    finally:
        con.close()
    return found


def _weekly(days: int) -> list[Decimal | None]:
    return [Decimal(100 + day) * (Decimal("0.6") if day % 7 in (2, 3) else Decimal(1)) for day in range(days)]


@pytest.fixture(scope="module")
def forecasted(own_estate: Settings) -> tuple[Settings, forecast.ForecastResult]:
    return own_estate, forecast.run(own_estate)


def test_every_provider_gets_ninety_days_and_a_hindcast_for_the_month_just_closed(
    forecasted: tuple[Settings, forecast.ForecastResult],
) -> None:
    settings, result = forecasted
    assert result.as_of == AS_OF
    assert result.written == (date(2026, 9, 30), AS_OF)
    rows = [row for row in _rows(settings) if row["as_of_date"] == AS_OF]
    assert {(row["provider_name"], row["method"]) for row in rows} == {("AWS", "prophet"), ("OpenAI", "prophet"), ("Anthropic", "prophet")}
    assert {row["forecast_date"] for row in rows} == {AS_OF + timedelta(days=ahead) for ahead in range(1, 91)}
    assert len(rows) == 270
    assert all(row["horizon_days"] == (row["forecast_date"] - AS_OF).days for row in rows)


def test_a_second_run_writes_no_new_version(forecasted: tuple[Settings, forecast.ForecastResult]) -> None:
    settings, first = forecasted
    before = Lake(settings).version("insights", "forecast_daily")
    again = forecast.run(settings)
    assert again.written == ()
    assert again.run_id == first.run_id
    key = operator.attrgetter("provider_name")
    assert [(one.method, [day[1] for day in one.days]) for one in sorted(again.outlooks, key=key)] == [
        (one.method, [day[1] for day in one.days]) for one in sorted(first.outlooks, key=key)
    ]
    assert Lake(settings).version("insights", "forecast_daily") == before


def test_the_same_history_gives_the_same_rows_to_the_last_digit() -> None:
    series = _series(_weekly(200))
    outlooks = []
    for state in (1, 2):
        np.random.seed(state)  # another process would start from another state
        outlooks.append(forecast.forecast_series(series, series.end))
    assert outlooks[0] == outlooks[1]


def test_a_restated_history_replaces_its_own_forecast_and_no_other(publish: Publish, make: Any) -> None:
    settings = publish(make.days(date(2026, 9, 1), 61), with_economics=False)
    forecast.run(settings)
    restated = make.days(date(2026, 9, 1), 60) + make.days(date(2026, 10, 31), 1, cost="12")
    publish(restated, with_economics=False)
    eve_before = [row for row in _rows(settings) if row["as_of_date"] == date(2026, 9, 30)]
    result = forecast.run(settings)
    rows = _rows(settings)
    assert result.written == (AS_OF,)
    assert [row for row in rows if row["as_of_date"] == date(2026, 9, 30)] == eve_before
    assert {row["run_id"] for row in rows if row["as_of_date"] == AS_OF} == {result.run_id}
    assert len(rows) == 180


def test_bands_hold_their_point_and_never_promise_money_back(forecasted: tuple[Settings, forecast.ForecastResult]) -> None:
    rows = _rows(forecasted[0])
    assert rows
    for row in rows:
        assert Decimal(0) <= row["effective_cost_lower_80"] <= row["effective_cost"] <= row["effective_cost_upper_80"]
    assert any(row["effective_cost_lower_80"] < row["effective_cost_upper_80"] for row in rows)


def test_money_is_stored_as_exact_decimals(forecasted: tuple[Settings, forecast.ForecastResult]) -> None:
    schema = Lake(forecasted[0]).schema("insights", "forecast_daily")
    for name in ("effective_cost", "effective_cost_lower_80", "effective_cost_upper_80"):
        assert schema.field(name).type == pa.decimal128(38, 12)
    assert schema.names == FORECAST_DAILY.schema.names


def test_forecast_of_a_known_pattern_is_close_and_follows_the_week() -> None:
    history = _weekly(200)
    future = {date(2026, 1, 1) + timedelta(days=day): value for day, value in enumerate(_weekly(290)) if value is not None}
    outlook = forecast.forecast_series(_series(history), _series(history).end)
    missed = sum((abs(point - future[day]) for day, point, _, _ in outlook.days), Decimal(0))
    assert outlook.method == "prophet"
    assert missed / sum((future[day] for day, *_ in outlook.days), Decimal(0)) < Decimal("0.05")


def test_one_odd_day_is_not_forecast_for_ever() -> None:
    clean, spiked = _weekly(200), _weekly(200)
    spiked[-2] = Decimal(20_000)
    as_of = _series(clean).end
    plain, robust = (forecast.forecast_series(_series(values), as_of) for values in (clean, spiked))
    assert "1 odd day left out" in robust.reason
    ratio = sum((day[1] for day in robust.days), Decimal(0)) / sum((day[1] for day in plain.days), Decimal(0))
    assert abs(ratio - 1) < Decimal("0.02")


@pytest.mark.parametrize(
    ("days", "method"), [(1, "mean"), (13, "mean"), (14, "seasonal_naive_7"), (59, "seasonal_naive_7"), (60, "prophet")]
)
def test_a_short_history_is_forecast_by_a_named_fallback_that_says_why(days: int, method: str) -> None:
    series = _series(_weekly(days))
    outlook = forecast.forecast_series(series, series.end)
    assert outlook.method == method
    assert str(days) in outlook.reason or days == 1
    assert len(outlook.days) == 90


def test_too_few_days_for_a_band_give_no_band_rather_than_a_false_one() -> None:
    series = _series([Decimal(5), Decimal(6)])
    outlook = forecast.forecast_series(series, series.end)
    assert outlook.days[0][1:] == (Decimal("5.500000"), None, None)
    assert "no band" in outlook.reason


def test_the_seasonal_fallback_repeats_the_weekday_and_widens_with_time() -> None:
    series = _series([value and value + Decimal(day % 5) for day, value in enumerate(_weekly(40))])
    outlook = forecast.forecast_series(series, series.end)
    assert outlook.days[0][1] == series.values[-7]
    first, last = outlook.days[0], outlook.days[84]
    assert first[2] is not None
    assert first[3] is not None
    assert last[2] is not None
    assert last[3] is not None
    assert last[3] - last[2] > first[3] - first[2]


def test_unknown_days_are_not_taken_for_free_days() -> None:
    values = _weekly(200)
    values[100:130] = [None] * 30
    as_of = _series(values).end
    with_gap, whole = (forecast.forecast_series(_series(v), as_of) for v in (values, _weekly(200)))
    assert sum((day[1] for day in with_gap.days), Decimal(0)) > sum((day[1] for day in whole.days), Decimal(0)) * Decimal("0.97")


def test_a_provider_that_left_is_skipped_with_a_reason(publish: Publish, make: Any) -> None:
    rows = make.days(date(2026, 1, 1), 59, provider="Gone") + make.days(date(2026, 1, 1), 151)
    result = forecast.run(publish(rows, with_economics=False))
    assert {one.provider_name for one in result.outlooks} == {"AWS"}
    ((provider, currency, reason),) = result.skipped
    assert (provider, currency) == ("Gone", "USD")
    assert "taken as ended" in reason


def test_an_empty_lake_says_what_to_run_first(settings: Settings) -> None:
    with pytest.raises(LakeError) as caught:
        forecast.run(settings)
    assert "costlake" in caught.value.next_step
    assert caught.value.where == "marts.fct_cost_daily"


def test_an_empty_mart_is_an_error_not_a_forecast_of_nothing(publish: Publish) -> None:
    with pytest.raises(LakeError, match="empty"):
        forecast.run(publish([], with_economics=False))
