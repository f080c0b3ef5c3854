"""How the demo's usage moves through time: (seed, label) → random stream → a factor per day.

Growth is anchored at the last day of the estate, so a month looks the same however many months stand before it.
Factors are dimensionless and may be floats; everything that becomes money is a Decimal from `scaled` on.

Run alone: python -c "from ingest.demo.shape import spike_date; print(spike_date('2026-10'))"
"""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from dataclasses import dataclass
from decimal import Decimal

from costlake.periods import BillingPeriod

_SATURDAY = 5
_THURSDAY = 3
SPIKE_DAYS_BEFORE_END = 20


@dataclass(frozen=True)
class Shape:
    """Weekly and yearly movement of one kind of usage.

    Attributes:
        weekend: level on Saturday and Sunday relative to a weekday (1.0 = no difference).
        yearly: level now divided by the level 365 days ago.
        noise: relative standard deviation from day to day.
    """

    weekend: float
    yearly: float
    noise: float

    def factor(self, day: dt.date, anchor: dt.date, rng: random.Random) -> float:
        """The level of `day` relative to a weekday at `anchor`; always positive."""
        trend = float(self.yearly ** ((day - anchor).days / 365))
        week = self.weekend if day.weekday() >= _SATURDAY else 1.0
        return trend * week * max(0.2, 1 + self.noise * max(-3.0, min(3.0, rng.gauss(0, 1))))


def stream(seed: int, *labels: object) -> random.Random:
    """An independent random stream per label: adding a meter doesn't shift the numbers of another."""
    return random.Random("/".join(str(part) for part in (seed, *labels)))  # noqa: S311 - reproducible on purpose, no secret


def opaque(label: str, length: int = 17) -> str:
    """A stable identifier that looks like the vendor's."""
    return hashlib.sha256(label.encode()).hexdigest()[:length]


def scaled(value: float, digits: int) -> Decimal:
    """A quantity as a Decimal with at most `digits` decimals; the last place where a float decides anything."""
    return Decimal(round(value * 10**digits)).scaleb(-digits)


def days_of(period: BillingPeriod) -> list[dt.date]:
    """Every UTC day of the month, in order."""
    first = period.start.date()
    return [first + dt.timedelta(days=n) for n in range((period.end - period.start).days)]


def periods_until(last_month: str, months: int) -> list[BillingPeriod]:
    """`months` consecutive billing periods that end with `last_month`, oldest first."""
    periods = [BillingPeriod.parse(last_month)]
    while len(periods) < months:
        periods.append(periods[-1].previous())
    return periods[::-1]


def last_day(last_month: str) -> dt.date:
    """The day to which growth is anchored."""
    return days_of(BillingPeriod.parse(last_month))[-1]


def spike_date(last_month: str) -> dt.date:
    """The day of the planted cost spike: the Thursday on or before the 20th day before the end (no weekend to hide in)."""
    day = last_day(last_month) - dt.timedelta(days=SPIKE_DAYS_BEFORE_END)
    return day - dt.timedelta(days=(day.weekday() - _THURSDAY) % 7)


def redelivered_period(periods: list[BillingPeriod]) -> BillingPeriod:
    """The closed month that the second delivery restates: the fourth from the end, or the oldest of a shorter estate."""
    return periods[-4] if len(periods) >= 4 else periods[0]
