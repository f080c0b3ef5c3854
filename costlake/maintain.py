"""Housekeeping: small files merged, checkpoints, files that no kept version needs, left-overs of killed writers.

Data flow: bronze tables → fewer files; every Delta table of the lake → checkpoint, vacuum;
lake/.incoming and staging files of dead writers → gone.

Vacuum keeps 400 days by default: what we reported a year ago stays answerable (law 7). Landing is never touched.
Run alone: costlake maintain
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from costlake.compact import compact
from costlake.delta import Lake
from costlake.errors import ConfigError
from costlake.periods import Clock
from costlake.settings import Settings
from costlake.tables import LAYERS

# A load or publish takes minutes; what is a day old belongs to nobody any more.
_ABANDONED_AFTER = dt.timedelta(days=1)


@dataclass(frozen=True)
class MaintenanceResult:
    """What went: small files merged and files vacuumed, per table, and left-overs removed."""

    vacuumed: dict[str, int]
    swept: int
    merged: dict[str, int]


def run(settings: Settings, clock: Clock, retention_days: int = 400, only: Sequence[str] = ()) -> MaintenanceResult:
    """Maintain every table, or those of `only` (`layer.name`); readers of current versions are not disturbed.

    Raises:
        ConfigError: a retention below a day, which would take files that a living writer is about to commit.
    """
    if retention_days < 1:
        raise ConfigError(
            f"replaced files would stay for {retention_days} days",
            where="retention_days",
            expected="at least 1: a writer that is at work needs files that no version names yet",
            next_step="choose a longer retention",
        )
    lake = Lake(settings)
    chosen = [(layer, name) for layer in LAYERS for name in lake.tables(layer) if not only or f"{layer}.{name}" in only]
    merged = {f"{layer}.{name}": compact(lake, layer, name, clock) for layer, name in chosen if layer == "bronze"}
    vacuumed = {f"{layer}.{name}": len(lake.maintain(layer, name, retention_days * 24)) for layer, name in chosen}
    return MaintenanceResult(vacuumed, _sweep(settings, clock.now()), merged)


def _sweep(settings: Settings, now: dt.datetime) -> int:
    """Remove incoming folders, half-written files, and what killed writers of tables left, which vacuum never removes."""
    candidates = [*(settings.lake / ".incoming").glob("*"), *settings.serving.parent.glob(f".{settings.serving.name}.*")]
    candidates += Lake(settings).leftovers()
    old = [path for path in candidates if _is_abandoned(path, now)]
    for path in old:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return len(old)


def _is_abandoned(path: Path, now: dt.datetime) -> bool:
    """Whether nobody has touched it for a day; what is gone since it was listed was a living writer's, or another sweeper's."""
    try:
        modified = dt.datetime.fromtimestamp(path.stat().st_mtime, tz=dt.UTC)
    except FileNotFoundError:
        return False
    return modified < now - _ABANDONED_AFTER
