"""The clock of an Airflow task, in no DAG of its own: it starts at the try's start as Airflow wrote it down, and then runs on.

Not the run's logical date: these DAGs load whatever has been delivered, and the ledgers are ordered by time. A run cleared a month
later that wrote last month's time would put its deliveries behind newer ones; a clock standing still would tie two of one task.
"""

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True)
class TaskClock:
    """A `costlake.periods.Clock`: `started_at` (with its zone) plus the seconds since this object was made."""

    started_at: datetime
    _zero: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        """The current instant, later than the one before."""
        return self.started_at + timedelta(seconds=time.monotonic() - self._zero)
