"""Cells that many providers write in the same few ways: counts, flags, instants, days, as SQL that is NULL where a cell is none of them.

Data flow: quoted raw column and its physical type → SQL of the bronze value; used as `Layout.parsers` (ingest.parts), which refuses what
is filled and gives NULL. None of them guesses: a count is a whole number from 0 on, "3.0" included (spreadsheets and console exports
write that), an instant without zone is UTC.
Run alone: python -c "from ingest.cells import count_cell; print(count_cell('tokens', 'VARCHAR'))"
"""

from __future__ import annotations

_INTEGERS = frozenset(f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")) | {"INTEGER", "UINTEGER"}
_WHOLE = r"([0-9]{1,18})(\.0*)?"
_EPOCH = "[0-9]{10}([0-9]{3})?"
_UTC_WORD = " UTC$"


def count_cell(column: str, kind: str) -> str:
    """A whole number from 0 on, as BIGINT."""
    if kind in _INTEGERS:
        return f"CASE WHEN {column} >= 0 THEN try_cast({column} AS BIGINT) END"
    if kind in ("DOUBLE", "FLOAT") or kind.startswith("DECIMAL"):
        return f"CASE WHEN {column} >= 0 AND {column} = trunc({column}) AND {column} < 1e18 THEN try_cast({column} AS BIGINT) END"
    if kind in ("VARCHAR", "JSON"):
        return f"try_cast(nullif(regexp_extract(trim({column}), '^{_WHOLE}$', 1), '') AS BIGINT)"
    return "CAST(NULL AS BIGINT)"


def flag_cell(column: str, kind: str) -> str:
    """True or false, as BOOLEAN."""
    if kind == "BOOLEAN":
        return column
    text = f"lower(trim(CAST({column} AS VARCHAR)))"
    return f"CASE WHEN {text} IN ('true', '1', 'yes') THEN true WHEN {text} IN ('false', '0', 'no') THEN false END"


def instant_cell(column: str, kind: str) -> str:
    """An instant, as TIMESTAMPTZ: ISO 8601, "2025-10-20 17:16:48 UTC", or seconds or milliseconds since 1970 as text or whole number."""
    if kind.startswith("TIMESTAMP") or kind == "DATE":
        return f"try_cast({column} AS TIMESTAMPTZ)"
    if kind not in (*_INTEGERS, "VARCHAR", "JSON"):
        return "CAST(NULL AS TIMESTAMPTZ)"
    text = f"trim(CAST({column} AS VARCHAR))"
    epoch = f"CASE length({text}) WHEN 10 THEN 1000 ELSE 1 END * try_cast({text} AS BIGINT)"
    # DuckDB reads "5" and "x-1-1" and "infinity" as times too; what is meant begins with a year, a month and a day.
    return (
        f"CASE WHEN regexp_full_match({text}, '{_EPOCH}') THEN try(epoch_ms({epoch}) AT TIME ZONE 'UTC') "
        f"WHEN regexp_matches({text}, '^[12][0-9]{{3}}-[01][0-9]-[0-3][0-9]') "
        f"THEN try_cast(regexp_replace({text}, '{_UTC_WORD}', '+00') AS TIMESTAMPTZ) END"
    )


def day_cell(column: str, kind: str) -> str:
    """A UTC day, as DATE, of a date or of an instant."""
    return f"CAST({instant_cell(column, kind)} AT TIME ZONE 'UTC' AS DATE)"


def letters(name: str) -> str:
    """A column's name without case and separators: `Total Cost`, `totalCost` and `total_cost` are one."""
    return "".join(sign for sign in name.lower() if sign.isascii() and sign.isalnum())


def key_cell(column: str, _: str) -> str:
    """An API key's id or masked text; a whole key, which is a secret, becomes its SHA-256."""
    text = f"nullif(trim(CAST({column} AS VARCHAR)), '')"
    return f"CASE WHEN regexp_full_match({text}, '(sk|fw|key)[-_][A-Za-z0-9_-]{{16,}}') THEN sha256({text}) ELSE {text} END"
