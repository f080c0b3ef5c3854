"""What is modelled, and what a missing day means."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from costlake.delta import Lake
from costlake.settings import Settings
from insights.lakeside import open_marts
from insights.series import DailySeries, last_complete_date, parts_of_day, prepare_signal, provider_series, service_series, spans

Publish = Callable[..., Settings]


def _series(settings: Settings) -> list[DailySeries]:
    with open_marts(Lake(settings)) as con:
        prepare_signal(con)
        return provider_series(con)


def test_monthly_fees_credits_tax_and_unused_commitment_do_not_become_a_spike_on_the_first_of_each_month(
    estate_settings: Settings, make: Any
) -> None:
    aws = next(one for one in _series(estate_settings) if one.provider_name == "AWS")
    rows = make.estate()
    for month in range(1, 11):
        first = date(2026, month, 1)
        # The estate writes what is booked once a month as one line, and hourly usage as 24.
        daily = [row for row in rows if row["charge_date"] == first and row["provider_name"] == "AWS" and row["line_count"] == 24]
        assert aws.on(first) == sum((row["effective_cost"] for row in daily), Decimal(0))


def test_a_quiet_day_in_a_delivered_month_is_zero_and_a_day_in_a_missing_month_is_unknown(publish: Publish, make: Any) -> None:
    rows = [*make.days(date(2026, 1, 1), 10), *make.days(date(2026, 1, 20), 12), *make.days(date(2026, 3, 1), 31)]
    (series,) = _series(publish(rows, with_economics=False))
    assert series.on(date(2026, 1, 15)) == 0
    assert series.on(date(2026, 2, 15)) is None
    assert series.on(date(2026, 3, 15)) == 10


def test_the_last_day_of_a_growing_bill_is_not_modelled_as_a_collapse(publish: Publish, make: Any) -> None:
    rows = [*make.days(date(2026, 3, 1), 12), *make.days(date(2026, 3, 13), 1, cost="0.4")]
    settings = publish(rows, with_economics=False)
    (series,) = _series(settings)
    assert series.end == date(2026, 3, 12)
    with open_marts(Lake(settings)) as con:
        prepare_signal(con)
        assert last_complete_date(con) == date(2026, 3, 12)


def test_a_closed_month_keeps_its_last_day(publish: Publish, make: Any) -> None:
    (series,) = _series(publish(make.days(date(2026, 3, 1), 31), with_economics=False))
    assert series.end == date(2026, 3, 31)


def test_a_bill_of_a_single_unfinished_day_yields_no_series_instead_of_a_made_up_one(publish: Publish, make: Any) -> None:
    settings = publish(make.days(date(2026, 3, 5), 1), with_economics=False)
    with open_marts(Lake(settings)) as con:
        prepare_signal(con)
        assert spans(con) == []
        assert last_complete_date(con) is None


def test_currencies_are_never_added_into_one_series(publish: Publish, make: Any) -> None:
    rows = [*make.days(date(2026, 3, 1), 31), *make.days(date(2026, 3, 1), 31, cost="7", billing_currency="EUR")]
    found = {one.billing_currency: one.on(date(2026, 3, 9)) for one in _series(publish(rows, with_economics=False))}
    assert found == {"USD": Decimal(10), "EUR": Decimal(7)}


def test_service_series_add_up_to_their_provider_on_every_day(estate_settings: Settings) -> None:
    with open_marts(Lake(estate_settings)) as con:
        prepare_signal(con)
        providers, services = provider_series(con), service_series(con)
    for provider in providers:
        below = [one for one in services if one.provider_name == provider.provider_name]
        assert len(below) >= 1
        for index, value in enumerate(provider.values):
            assert sum((one.values[index] or Decimal(0) for one in below), Decimal(0)) == value


def test_a_part_that_did_not_charge_before_is_compared_with_zero_not_left_out(publish: Publish, make: Any) -> None:
    rows = [*make.days(date(2026, 3, 1), 31), make.charge(date(2026, 3, 31), "AWS", "Amazon EC2", Decimal(90), owner="newcomer")]
    with open_marts(Lake(publish(rows, with_economics=False))) as con:
        prepare_signal(con)
        (series,) = service_series(con)
        parts = {part.owner: part.excess for part in parts_of_day(con, series, date(2026, 3, 31))}
    assert parts == {"newcomer": Decimal(90), "platform": Decimal(0)}
