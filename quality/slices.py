"""A selection of slices as SQL.

Data flow: an optional selection of slices → a WHERE clause over bronze, FOCUS or marts.
Not for direct use.
"""

from __future__ import annotations

from collections.abc import Collection

from costlake.slices import Slice
from costlake.sql import literal


def slice_filter(slices: Collection[Slice] | None, source_column: str, period_column: str) -> str:
    """A condition that holds for the rows of the slices; for every row when there is no selection."""
    if slices is None:
        return "true"
    if not slices:
        return "false"
    pairs = ", ".join(f"({literal(each.source_id)}, {literal(each.billing_period)})" for each in sorted(set(slices)))
    return f"({source_column}, {period_column}) IN ({pairs})"
