"""Slices as this room names them: (source_id, billing_period), the partitions of bronze and the unit that dbt rebuilds.

Data flow: an optional selection of slices → a WHERE clause over bronze, FOCUS or marts.
Not for direct use.
"""

from __future__ import annotations

from collections.abc import Collection

Slice = tuple[str, str]


def sql_text(value: str) -> str:
    """An SQL literal of a text."""
    return "'" + value.replace("'", "''") + "'"


def slice_filter(slices: Collection[Slice] | None, source_column: str, period_column: str) -> str:
    """A condition that holds for the rows of the slices; for every row when there is no selection."""
    if slices is None:
        return "true"
    if not slices:
        return "false"
    pairs = ", ".join(f"({sql_text(source)}, {sql_text(period)})" for source, period in sorted(set(slices)))
    return f"({source_column}, {period_column}) IN ({pairs})"
