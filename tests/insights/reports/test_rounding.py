"""Cents that add up."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from insights.reports.rounding import CENT, cents, to_cents

AMOUNTS = st.lists(st.decimals(min_value=-(10**9), max_value=10**9, places=12), min_size=1, max_size=40)


@given(AMOUNTS)
def test_printed_parts_always_add_up_to_the_printed_total(parts: list[Decimal]) -> None:
    total = sum(parts, Decimal(0))
    printed = to_cents(parts, total)
    assert sum(printed, Decimal(0)) == cents(total)
    assert all(abs(shown - part) < CENT for shown, part in zip(printed, parts, strict=True))


def test_a_real_difference_between_parts_and_total_is_not_papered_over() -> None:
    assert to_cents([Decimal("1.00"), Decimal("2.00")], Decimal("3.50")) == [Decimal("1.00"), Decimal("2.00")]


def test_an_invoice_rounds_halves_up() -> None:
    assert cents(Decimal("0.005")) == Decimal("0.01")
