"""Rates of the months billed: locked once, never changed in silence, unknown where unknown, written once."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from costlake import rates
from costlake.config import Currency, load_currency
from costlake.delta import Lake
from costlake.errors import ConfigError
from costlake.periods import FixedClock
from costlake.runs import ControlTotal, DeliveryEvent, record_deliveries
from costlake.settings import PROJECT_ROOT, Settings

OCTOBER_NOK = Decimal("0.108339798293250582")  # 1.1172 / 10.312, published on 30 October 2026
NOVEMBER = FixedClock(dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC))


def billed(settings: Settings, *bills: tuple[str, str]) -> None:
    """Deliveries in the ledger: (month, currency)."""
    amount = Decimal(1)
    events = [
        DeliveryEvent("loaded", "aws", "aws_cur2", f"d{n}", f"k{n}", ControlTotal(month, month, currency, 1, amount, amount))
        for n, (month, currency) in enumerate(bills)
    ]
    record_deliveries(Lake(settings), events, NOVEMBER)


def configure(settings: Settings, text: str) -> None:
    settings.config_dir.mkdir(exist_ok=True)
    (settings.config_dir / "currency.yml").write_text(text, encoding="utf-8")


def override(rate: str, month: str = "2026-10", currency: str = "NOK", reason: str = "treasury") -> str:
    return f"overrides:\n  - {{month: {month}, from: {currency}, to: USD, rate: {rate}, reason: {reason}}}\n"


def rate_of(settings: Settings, month: str, currency: str, target: str = "USD") -> rates.Rate:
    return rates.newest(Lake(settings))[month, currency, target]


def test_only_what_was_billed_gets_a_rate_and_a_second_run_writes_no_version(settings: Settings) -> None:
    assert rates.run(settings, NOVEMBER).written == ()
    assert not Lake(settings).exists("ops", "exchange_rates")
    billed(settings, ("2026-10", "NOK"), ("2026-10", "USD"), ("2026-11", "NOK"))
    written = rates.run(settings, NOVEMBER).written
    assert [(r.month, r.from_currency, r.rate, r.origin, r.locked) for r in written] == [
        ("2026-10", "NOK", OCTOBER_NOK, "ecb", True),
        ("2026-10", "USD", Decimal(1), "identity", True),
        ("2026-11", "NOK", OCTOBER_NOK, "ecb", False),
    ]
    version = Lake(settings).version("ops", "exchange_rates")
    assert rates.run(settings, FixedClock(NOVEMBER.moment + dt.timedelta(hours=5))).written == ()
    assert Lake(settings).version("ops", "exchange_rates") == version


@pytest.mark.parametrize(("now", "locked"), [("2026-10-31", False), ("2026-11-05", False), ("2026-11-06", True)])
def test_a_month_is_locked_five_days_after_its_end(settings: Settings, now: str, locked: bool) -> None:
    billed(settings, ("2026-10", "NOK"))
    rates.run(settings, FixedClock(dt.datetime.fromisoformat(f"{now}T00:00:00+00:00")))
    assert rate_of(settings, "2026-10", "NOK").locked is locked


def test_an_earlier_clock_does_not_unlock(settings: Settings) -> None:
    billed(settings, ("2026-10", "NOK"))
    rates.run(settings, NOVEMBER)
    assert rates.run(settings, FixedClock(dt.datetime(2026, 10, 15, tzinfo=dt.UTC))).written == ()
    assert rate_of(settings, "2026-10", "NOK").locked


def test_a_locked_rate_never_changes_in_silence_and_a_relock_is_a_restatement(settings: Settings) -> None:
    billed(settings, ("2026-09", "NOK"), ("2026-10", "NOK"))
    rates.run(settings, NOVEMBER)
    version = Lake(settings).version("ops", "exchange_rates")
    configure(settings, override("0.11"))
    held = rates.run(settings, NOVEMBER)
    assert [str(OCTOBER_NOK) in error.what and "--relock 2026-10" in error.next_step for error in held.held] == [True]
    assert Lake(settings).version("ops", "exchange_rates") == version

    result = rates.run(settings, NOVEMBER, relock=["2026-10"])
    assert result.held == ()
    assert [(r.month, r.rate, r.restated_rate, r.revision, r.locked) for r in result.written] == [
        ("2026-10", Decimal("0.11"), OCTOBER_NOK, 2, True)
    ]
    assert rates.run(settings, NOVEMBER).written == ()

    configure(settings, "")
    assert len(rates.run(settings, NOVEMBER).held) == 1, "an override that is taken back is a change too"
    assert rate_of(settings, "2026-10", "NOK").rate == Decimal("0.11")
    rates.run(settings, NOVEMBER, relock=["2026-10"])
    assert (rate_of(settings, "2026-10", "NOK").rate, rate_of(settings, "2026-10", "NOK").revision) == (OCTOBER_NOK, 3)


def test_a_relock_of_a_month_that_is_not_locked_is_a_mistake(settings: Settings) -> None:
    billed(settings, ("2026-11", "NOK"))
    rates.run(settings, NOVEMBER)
    with pytest.raises(ConfigError, match="no rate of 2026-11 is locked"):
        rates.run(settings, NOVEMBER, relock=["2026-11"])


def test_an_open_month_follows_its_override(settings: Settings) -> None:
    billed(settings, ("2026-11", "NOK"))
    rates.run(settings, NOVEMBER)
    configure(settings, override("0.1", "2026-11"))
    rates.run(settings, NOVEMBER)
    configure(settings, override("0.1050", "2026-11"))
    rates.run(settings, NOVEMBER)
    found = rate_of(settings, "2026-11", "NOK")
    assert (found.rate, found.origin, found.locked, found.restated_rate, found.revision) == (Decimal("0.105"), "override", False, None, 3)


@pytest.mark.parametrize(("month", "currency"), [("2026-10", "ARS"), ("1998-12", "NOK"), ("2022-05", "RUB")])
def test_no_rate_is_no_rate_until_an_override_gives_one(settings: Settings, month: str, currency: str) -> None:
    billed(settings, (month, currency))
    assert rates.run(settings, NOVEMBER).missing == ((month, currency),)
    unknown = rate_of(settings, month, currency)
    assert (unknown.rate, unknown.origin, unknown.locked) == (None, None, False)
    assert rates.run(settings, NOVEMBER).written == ()
    configure(settings, override("0.000702", month, currency))
    result = rates.run(settings, NOVEMBER)
    assert result.missing == ()
    found = rate_of(settings, month, currency)
    assert (found.rate, found.note, found.locked, found.restated_rate) == (Decimal("0.000702"), "treasury", True, None)


def test_another_reporting_currency_and_back_keeps_what_was_locked(settings: Settings) -> None:
    billed(settings, ("2026-10", "NOK"), ("2026-10", "USD"))
    configure(settings, override("0.11"))
    rates.run(settings, NOVEMBER)
    configure(settings, "reporting_currency: EUR\n")
    rates.run(settings, NOVEMBER)
    active = {rate.pair for rate in rates.newest(Lake(settings)).values() if rate.active}
    assert active == {("2026-10", "NOK", "EUR"), ("2026-10", "USD", "EUR")}
    configure(settings, "")
    assert len(rates.run(settings, NOVEMBER).held) == 1, "back in dollars, without the override of the locked month"
    assert {rate.to_currency for rate in rates.newest(Lake(settings)).values() if rate.active} == {"USD"}
    assert rate_of(settings, "2026-10", "NOK").rate == Decimal("0.11")


def test_a_changed_rate_changes_its_month_and_no_other(settings: Settings) -> None:
    billed(settings, ("2026-09", "NOK"), ("2026-10", "NOK"))
    rates.run(settings, NOVEMBER)
    before = rates.month_fingerprints(Lake(settings))
    configure(settings, override("0.11"))
    rates.run(settings, NOVEMBER, relock=["2026-10"])
    after = rates.month_fingerprints(Lake(settings))
    assert set(before) == {"2026-09", "2026-10"}
    assert [month for month in before if before[month] != after[month]] == ["2026-10"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("reporting_currency: XYZ", "'XYZ' is no ISO 4217 currency code"),
        ("reporting_currency: usd", "'usd' is no ISO 4217"),
        (override("0"), "no exchange rate"),
        (override("-0.1"), "no exchange rate"),
        (override("about 0.1"), "is not a decimal number"),
        (override("NaN"), "is not a decimal number"),
        (override("100000000"), "no exchange rate"),
        (override("0.1234567890123456789"), "more than 18 decimals"),
        (override("0.11", month="2026-13"), "not a billing period"),
        (override("0.11", currency="NKR"), "'NKR' is no ISO 4217"),
        (override("0.11", currency="USD"), "and `from` another"),
        (override("0.11", reason='""'), "at least 3 characters"),
        (override("0.11").replace("to: USD", "to: EUR"), "`to` has to be USD"),
        (override("0.11") + override("0.12").removeprefix("overrides:\n"), "two overrides for 2026-10 NOK"),
        ("lock_after_days: -1", "greater than or equal to 0"),
        ("reporting: EUR", "Extra inputs"),
    ],
)
def test_a_wrong_currency_file_is_refused_before_a_rate_is_written(settings: Settings, text: str, told: str) -> None:
    billed(settings, ("2026-10", "NOK"))
    configure(settings, text)
    with pytest.raises(ConfigError, match=r"currency\.yml") as caught:
        rates.run(settings, NOVEMBER)
    assert told in caught.value.what
    assert not Lake(settings).exists("ops", "exchange_rates")


@pytest.mark.parametrize("text", ["0.10833979829325058", "0.3", "1e-3", "'0.000000000000000001'"])
def test_an_override_keeps_every_digit_that_was_written(tmp_path: Path, text: str) -> None:
    (tmp_path / "currency.yml").write_text(override(text), encoding="utf-8")
    assert load_currency(tmp_path / "currency.yml").overrides[0].rate == Decimal(text.strip("'"))


def test_the_example_can_be_copied_and_says_the_defaults() -> None:
    assert load_currency(PROJECT_ROOT / "config" / "currency.example.yml") == Currency()
