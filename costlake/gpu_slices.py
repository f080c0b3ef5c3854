"""Which UTC hours of telemetry have to be rebuilt, and which months of the GPU marts follow.

Data flow: files of `bronze.gpu_telemetry` per hourly partition → fingerprint → compared with `meta.built_slices` → `changed_gpu_hours` of
dbt; hours and dated rates of a month → one slice of the marts layer.

A late message changes the files of its hour: that hour is built again and the two next ones (a sample may reach into the first, a step of
the energy counter into the second), and the marts of their months. The month after is rebuilt too, for a bill may charge the last days of
a month late.
Not for direct use; see `costlake.transform`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from costlake.delta import Lake
from costlake.gpu_rates import fingerprint, newest
from costlake.periods import BillingPeriod
from costlake.slices import Slice

TELEMETRY = "gpu_telemetry"
HOURS_LAYER = "gpu_hours"
_HOUR = "%Y-%m-%dT%H"
# A longer list of hours is no filter any more; all of them are then built anew.
_MOST_HOURS = 1000


def hour_fingerprints(lake: Lake, project: str) -> dict[Slice, str]:
    """Per UTC hour that holds samples, a hash of its files' names and of the dbt project."""
    found: dict[str, list[str]] = {}
    for file in lake.files("bronze", TELEMETRY):
        path = Path(file)
        hour = next(part.split("=", 1)[1] for part in path.parts if part.startswith("event_hour="))
        found.setdefault(hour, []).append(path.name)
    return {Slice(TELEMETRY, hour): _hash([project, *sorted(names)]) for hour, names in found.items()}


def month_fingerprints(lake: Lake, hours: Mapping[Slice, str]) -> dict[Slice, str]:
    """Per month with telemetry, what its GPU marts are made of beside the bills: its hours, those of the month before, its rates."""
    by_month: dict[str, list[str]] = {}
    for hour, print_ in sorted(hours.items()):
        # The last hours of a month reach into the next one, which may hold no sample of its own.
        for month in {later[:7] for later in _reach(hour.billing_period)}:
            by_month.setdefault(month, []).append(f"{hour.billing_period} {print_}")
    rates = newest(lake).values() if by_month else ()
    prints = {}
    for label, lines in by_month.items():
        period = BillingPeriod.parse(label)
        before = by_month.get(period.previous().label, [])
        prints[Slice(TELEMETRY, label)] = _hash([*before, *lines, fingerprint(list(rates), period)])
    return prints


def changed_hours(wanted: Mapping[Slice, str], present: Mapping[Slice, str]) -> list[str] | None:
    """The hours to build: those that changed or went, and what they reach into. None: so many that all are built."""
    touched = {slice_.billing_period for slice_ in {*wanted, *present} if wanted.get(slice_) != present.get(slice_)}
    return None if len(touched) > _MOST_HOURS else sorted({later for hour in touched for later in _reach(hour)})


def _reach(hour: str) -> list[str]:
    """An hour and the two after it."""
    start = dt.datetime.strptime(hour, _HOUR).replace(tzinfo=dt.UTC)
    return [(start + dt.timedelta(hours=ahead)).strftime(_HOUR) for ahead in range(3)]


def _hash(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:20]
