"""The only place where money is rounded: exact amounts → cents that still add up to the rounded total.

Run alone: `to_cents([Decimal("0.005")] * 2, Decimal("0.01"))`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")


def cents(amount: Decimal) -> Decimal:
    """One amount to the cent, halves away from zero as on an invoice."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def to_cents(parts: Sequence[Decimal], total: Decimal) -> list[Decimal]:
    """Round parts so that they sum to the rounded total (largest remainder).

    Every part moves by less than a cent. Where the parts do not sum to the total in the first place, each is rounded on its own: a real
    difference must stay visible.
    """
    if sum(parts, Decimal(0)) != total:
        return [cents(part) for part in parts]
    floors = [part.quantize(CENT, ROUND_FLOOR) for part in parts]
    missing = int((cents(total) - sum(floors, Decimal(0))) / CENT)
    by_remainder = sorted(range(len(parts)), key=lambda index: (floors[index] - parts[index], index))
    raised = set(by_remainder[:missing])
    return [floor + CENT if index in raised else floor for index, floor in enumerate(floors)]
