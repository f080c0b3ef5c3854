"""Billing periods as half-open UTC intervals, and the clock that tasks are given instead of `now()`.

Run alone: python -c "from costlake.periods import BillingPeriod; print(BillingPeriod.parse('2026-10').end)"
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Protocol

UTC = dt.UTC
_LABEL = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, order=True)
class BillingPeriod:
    """One calendar month in UTC: `start` belongs to it, `end` (the next month's first instant) does not."""

    year: int
    month: int

    @classmethod
    def parse(cls, label: str) -> BillingPeriod:
        """Read `YYYY-MM`; raises ValueError for anything else."""
        match = _LABEL.fullmatch(label)
        if match is None:
            raise ValueError(f"{label!r} is not a billing period; expected YYYY-MM")
        return cls(int(match[1]), int(match[2]))

    @property
    def label(self) -> str:
        """`YYYY-MM`, the text used as partition value."""
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def start(self) -> dt.datetime:
        """First instant, inclusive."""
        return dt.datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def end(self) -> dt.datetime:
        """First instant of the next period, exclusive."""
        return self.next().start

    def next(self) -> BillingPeriod:
        """The following month."""
        return BillingPeriod(self.year + self.month // 12, self.month % 12 + 1)

    def previous(self) -> BillingPeriod:
        """The month before."""
        return BillingPeriod(self.year - (self.month == 1), (self.month - 2) % 12 + 1)

    def __str__(self) -> str:
        return self.label


class Clock(Protocol):
    """Where a task gets the time from, so that a rerun can be given the same one."""

    def now(self) -> dt.datetime:
        """The current instant, with a UTC zone."""
        ...


@dataclass(frozen=True)
class SystemClock:
    """The machine's clock; used at the edges (CLI, DAG) only."""

    def now(self) -> dt.datetime:
        """The current instant in UTC."""
        return dt.datetime.now(tz=UTC)


@dataclass(frozen=True)
class FixedClock:
    """A clock that stands still, for tests and reproducible runs."""

    moment: dt.datetime

    def now(self) -> dt.datetime:
        """Always the same instant."""
        return self.moment
