"""The independent readings of the smaller LLM providers, for `tests.fuzz.reading`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.fuzz.rows import NotReadable, Row, read_rows

Reading = tuple[Callable[[Path], list[Row]], Callable[[Sequence[Sequence[Row]]], Decimal]]


def cell_count(cell: Any) -> Decimal | None:
    """A whole number from 0 on in a cell; None for an empty one. NotReadable for anything else."""
    if cell is None or (isinstance(cell, str) and cell.strip(" ") == ""):
        return None
    text = repr(cell) if isinstance(cell, float) else str(cell).strip(" ")
    digits, point, rest = text.partition(".")
    if isinstance(cell, bool) or not (digits.isascii() and digits.isdigit()) or (point and rest.strip("0")) or len(digits) > 18:
        raise NotReadable(f"{cell!r} is no count")
    return Decimal(digits)


def column(row: Row, name: str) -> Any:
    """A cell by its column's name, whatever its case and separators."""
    wanted = "".join(sign for sign in name.lower() if sign.isalnum())
    return next((value for given, value in row.items() if "".join(s for s in given.lower() if s.isascii() and s.isalnum()) == wanted), None)


def _inside(record: Any, *path: str) -> Any:
    for name in path:
        record = record.get(name) if isinstance(record, Mapping) else None
    return record


def _litellm_tokens(files: Sequence[Sequence[Row]]) -> Decimal:
    total, seen = Decimal(0), set()
    for row in (row for file in files for row in file):
        if column(row, "request_id") in seen:
            raise NotReadable("a request comes twice")
        seen.add(column(row, "request_id"))
        prompt, completion = cell_count(column(row, "prompt_tokens")), cell_count(column(row, "completion_tokens"))
        if prompt is None or completion is None:
            raise NotReadable("a request has no tokens")
        said = json.loads(column(row, "metadata") or "{}")
        usage, older = _inside(said, "usage_object"), _inside(said, "additional_usage_values")
        details = _inside(usage, "prompt_tokens_details")
        reads = (_inside(details, "cached_tokens"), _inside(usage, "cache_read_input_tokens"), _inside(older, "cache_read_input_tokens"))
        writes = (
            _inside(details, "cache_creation_tokens"),
            _inside(usage, "cache_creation_input_tokens"),
            _inside(older, "cache_creation_input_tokens"),
        )
        cached = sum((max(cell_count(value) or Decimal(0) for value in values) for values in (reads, writes)), Decimal(0))
        if str(column(row, "cache_hit")).lower() != "true":
            total += prompt + completion + (cached if cached > prompt else 0)
    return total


PROVIDERS: dict[str, Reading] = {
    "litellm_requests": (read_rows, _litellm_tokens),
}
