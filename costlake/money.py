"""The only place where text becomes money: exact decimals, in Python and as DuckDB expressions.

Bronze keeps amounts as DECIMAL(38,18): 18 decimals hold every amount seen in a real bill but for a few of 19 (koku's
2018 CUR); 20 integer digits remain. FOCUS and marts hold DECIMAL(38,12); what that cuts off is a named residual of the
reconciliation. Nothing is rounded to cents before a report.

Run alone: python -c "from costlake.money import parse_money; print(parse_money('5.64902E-05'))"
"""

from __future__ import annotations

import re
from decimal import Context, Decimal

BRONZE_SCALE = 18
FOCUS_SCALE = 12
BRONZE_SQL_TYPE = f"DECIMAL(38,{BRONZE_SCALE})"
FOCUS_SQL_TYPE = f"DECIMAL(38,{FOCUS_SCALE})"

# Plain or scientific notation. DuckDB itself also takes '1_000', which no provider means as a thousand.
NUMBER_PATTERN = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?"
_NUMBER = re.compile(NUMBER_PATTERN)
_WIDE = Context(prec=76)


def parse_money(text: str) -> Decimal:
    """Read one amount exactly. Raises ValueError for anything but a plain or scientific decimal number."""
    stripped = text.strip()
    if _NUMBER.fullmatch(stripped) is None:
        raise ValueError(f"{text!r} is not a decimal number")
    return Decimal(stripped)


def at_scale(amount: Decimal, scale: int = BRONZE_SCALE) -> Decimal:
    """The amount with exactly `scale` decimals, rounded half to even. Python's default context stops at 28 digits."""
    return amount.quantize(Decimal(1).scaleb(-scale), context=_WIDE)


def exact_product(amount: Decimal, factor: Decimal | int) -> Decimal:
    """The whole product. Python's default context would round it to 28 digits, which a price per token times a count may have."""
    return _WIDE.multiply(amount, Decimal(factor))


def text_to_decimal_sql(column: str) -> str:
    """DuckDB expression: a trimmed VARCHAR column as DECIMAL(38,18); NULL where it is not a number or too large."""
    return f"CASE WHEN regexp_full_match({column}, '{NUMBER_PATTERN}') THEN {_exact_cast(column)} END"


def double_to_decimal_sql(column: str) -> str:
    """DuckDB expression: a DOUBLE column as DECIMAL(38,18), by its shortest decimal notation.

    AWS writes costs as DOUBLE into Parquet. The amount meant is the shortest decimal that reads back as that double, so
    the exact way goes through text: a direct cast to 18 decimals multiplies in binary and leaves digits that were never
    billed (4064.4831315379 becomes …899999993). Below 1,000 a value of 12 decimals has at most 15 significant digits; if
    it reads back as the same double it is that shortest decimal (IEEE 754: 15 digits survive), which is 4 times faster.
    NaN and infinity give NULL.
    """
    short = f"try_cast({column} AS {FOCUS_SQL_TYPE})"
    return (
        f"CASE WHEN abs({column}) < 1000 AND CAST({short} AS DOUBLE) = {column} THEN CAST({short} AS {BRONZE_SQL_TYPE}) "
        f"ELSE {_exact_cast(f'CAST({column} AS VARCHAR)')} END"
    )


def _exact_cast(text: str) -> str:
    # DuckDB 1.5.5 rounds '6e-25' up to 1e-18: it looks at the first digit, not at its place. Below half a unit it is 0.
    return f"CASE WHEN abs(try_cast({text} AS DOUBLE)) < 5e-19 THEN 0 ELSE try_cast({text} AS {BRONZE_SQL_TYPE}) END"
