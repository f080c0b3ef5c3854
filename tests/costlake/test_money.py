"""Law 1: text becomes an exact decimal or nothing, never a neighbour of it."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from costlake.money import at_scale, double_to_decimal_sql, exact_product, parse_money, text_to_decimal_sql

connection = duckdb.connect()


def _sql(expression: str, value: object) -> object:
    return connection.execute(f"SELECT {expression} FROM (SELECT ? AS x)", [value]).fetchall()[0][0]


@pytest.mark.parametrize("text", ["", " ", "1,5", "1_000", "0x10", "NaN", "inf", "1e", "--1", "1.2.3", "12 USD", "١٢"])
def test_what_is_no_number_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="not a decimal number"):
        parse_money(text)
    assert _sql(text_to_decimal_sql("x"), text) is None


@pytest.mark.parametrize("text", ["0", "-1.5", "+2", ".5", "5.", "5.64902E-05", "1.416E-5", "12345678901234567890.123456789012345678"])
def test_what_is_a_number_is_read_exactly(text: str) -> None:
    assert parse_money(text) == Decimal(text)
    assert _sql(text_to_decimal_sql("x"), text) == Decimal(text)


@given(st.floats(min_value=-1e15, max_value=1e15, allow_nan=False))
@example(4064.4831315379)
@example(0.1 + 0.2)
@example(999.9999999999995)
@example(12345678.12)
def test_a_double_is_the_decimal_that_was_billed(value: float) -> None:
    meant = Decimal(repr(value)).quantize(Decimal("1e-18"), ROUND_HALF_UP, Context(prec=60))
    assert _sql(double_to_decimal_sql("x"), value) == meant


@given(st.from_regex(r"-?[0-9]{1,9}(\.[0-9]{1,22})?([eE]-?[0-9]{1,2})?", fullmatch=True))
@example("6e-25")
@example("-0.0007458096045417008")
def test_a_text_is_the_decimal_it_says(text: str) -> None:
    """DuckDB 1.5.5 alone reads 6e-25 as 1e-18."""
    meant = Decimal(text).quantize(Decimal("1e-18"), ROUND_HALF_UP, Context(prec=160))
    assert _sql(text_to_decimal_sql("x"), text) == (meant if abs(meant) < Decimal("1e20") else None)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e30])
def test_a_double_that_is_no_amount_is_null_and_not_zero(value: float) -> None:
    assert _sql(double_to_decimal_sql("x"), value) is None


def test_large_totals_keep_their_decimals() -> None:
    total = Decimal("123456789012345678901.123456789012345678")
    assert at_scale(total) == total


def test_a_price_per_token_times_a_count_keeps_all_its_digits() -> None:
    """30 digits, of which Python's default context drops two."""
    assert exact_product(Decimal("0.000000123456789013"), 1_234_567_890_123_456_789) == Decimal("152415787533.196171321795459257")
