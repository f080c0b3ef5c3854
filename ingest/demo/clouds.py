"""What the demo company runs beside AWS: resources on Azure, Google Cloud, Oracle and a GPU cloud → quantities per day.

Prices are near the public ones and rounded; amounts have few decimals, so that price × quantity is exact in the vendors' files.
Run alone: it has no output of its own; `ingest.demo.azure` and its neighbours write through it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from costlake.periods import BillingPeriod
from ingest.demo.shape import Shape, days_of, last_day, scaled, stream

STEADY = Shape(weekend=1.0, yearly=1.25, noise=0.02)
SERVING = Shape(weekend=0.75, yearly=1.7, noise=0.06)
TRAINING = Shape(weekend=0.85, yearly=1.3, noise=0.05)
TOKENS = Shape(weekend=0.5, yearly=2.3, noise=0.08)
FLAT = Shape(weekend=1.0, yearly=1.0, noise=0.0)


@dataclass(frozen=True)
class Use:
    """One resource's use of one meter: one bill row a day.

    Attributes:
        sku: the provider's id of the meter; meter: its text; service: the provider's name of the service.
        unit: as the provider writes it; rate: price per `unit`; daily: units on a weekday at the end of the estate.
        resource: the provider's id of it; team: its owner's tag.
        machine: machine type; zone: where.
        committed_rate: price under the reservation that covers it; None where nothing does.
        digits: decimals of the quantity; cap: most units a day.
    """

    sku: str
    meter: str
    service: str
    unit: str
    rate: Decimal
    daily: float
    shape: Shape
    resource: str
    team: str
    machine: str = ""
    zone: str = ""
    committed_rate: Decimal | None = None
    digits: int = 2
    cap: Decimal | None = None


def uses_of(seed: int, cloud: str, uses: tuple[Use, ...], period: BillingPeriod, last_month: str) -> Iterator[tuple[dt.date, Use, Decimal]]:
    """(day, use, quantity in its unit), day after day; days without use are left out."""
    anchor = last_day(last_month)
    streams = {use: stream(seed, cloud, use.sku, use.resource, period.label) for use in uses}
    for day in days_of(period):
        for use in uses:
            quantity = scaled(use.daily * use.shape.factor(day, anchor, streams[use]), use.digits)
            if use.cap is not None:
                quantity = min(quantity, use.cap)
            if quantity > 0:
                yield day, use, quantity


def plain(value: Decimal) -> str:
    """A number as the vendors write it: no exponent, no trailing zeros."""
    return f"{value.normalize():f}"
