"""Control totals of one demo delivery: what the generator put in → what every layer of the product must still find.

Run alone: it has no output of its own; `expected.json` of a written demo holds the totals of every export and month.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True)
class Totals:
    """One export, month and delivery.

    Attributes:
        rows: bill rows, or result objects of an API.
        billed, effective: USD; None for usage reports, which carry no money.
        tokens: sums of the report's own counters, for usage reports.
    """

    rows: int
    billed: Decimal | None
    effective: Decimal | None
    tokens: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """Money as plain decimal text, so that no reader can round it."""
        said: dict[str, object] = {"rows": self.rows, "billed": _text(self.billed), "effective": _text(self.effective)}
        return said | {"tokens": self.tokens} if self.tokens else said


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value.normalize():f}"
