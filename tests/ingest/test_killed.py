"""Law 9: kill -9 at random instants of an ingest loses nothing and doubles nothing; the next run mends what was left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from costlake.config import Export
from costlake.delta import Lake
from costlake.periods import SystemClock
from costlake.settings import Settings
from ingest.load import ingest_stream
from tests.ingest import cur

MONTHS = ("2026-08", "2026-09", "2026-10")
ROWS = 3000
KILLS = 12
_VICTIM = """
import sys
from costlake.config import Export
from costlake.periods import SystemClock
from costlake.settings import Settings
from ingest.load import ingest_stream
settings = Settings.load(home=sys.argv[1], lake=sys.argv[1] + "/lake", config_dir=sys.argv[1] + "/config")
print("go", flush=True)
ingest_stream(settings, Export(id="aws", source="aws_cur", location=sys.argv[2]), SystemClock())
print("done", flush=True)
"""


def _deliver(bucket: Path, round_: int) -> None:
    """Every round delivers each month anew, with one more row, so that every killed ingest had something to replace."""
    for month in MONTHS:
        cur.deliver(bucket, [cur.rows(ROWS + round_, month=month)], assembly=f"a{round_}", month=month)


@pytest.mark.slow
def test_killed_ingests_lose_and_double_nothing(settings: Settings, tmp_path: Path) -> None:
    chance = random.Random(20261122)
    bucket = tmp_path / "bucket"
    killed = 0
    for round_ in range(KILLS):
        _deliver(bucket, round_)
        victim = subprocess.Popen(
            [sys.executable, "-c", _VICTIM, str(settings.home), str(bucket)], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert victim.stdout is not None
        assert victim.stdout.readline() == "go\n"
        time.sleep(chance.uniform(0.0, 1.2))
        if victim.poll() is None:
            os.killpg(victim.pid, signal.SIGKILL)
            killed += 1
        victim.communicate()
        _no_month_is_torn(settings)
    assert killed >= KILLS // 2, "the kills came too late to prove anything"
    export = Export(id="aws", source="aws_cur", location=str(bucket))
    assert ingest_stream(settings, export, SystemClock()).refused == []
    expected = {month: (ROWS + KILLS - 1, Decimal("1.5") * (ROWS + KILLS - 1)) for month in MONTHS}
    assert _months(settings) == expected
    assert ingest_stream(settings, export, SystemClock()).unchanged == len(MONTHS)


def _no_month_is_torn(settings: Settings) -> None:
    """After every kill a reader sees whole months of one delivery each, or none."""
    lake = Lake(settings)
    if not lake.exists("bronze", "aws_cur"):
        return
    rows = (
        lake.connect().execute("SELECT _billing_period, count(*), count(DISTINCT _delivery_id) FROM bronze.aws_cur GROUP BY 1").fetchall()
    )
    for period, count, deliveries in rows:
        assert deliveries == 1, (period, deliveries)
        assert ROWS <= count < ROWS + KILLS, (period, count)


def _months(settings: Settings) -> dict[str, tuple[int, Decimal]]:
    rows = (
        Lake(settings)
        .connect()
        .execute("SELECT _billing_period, count(*), sum(line_item_unblended_cost) FROM bronze.aws_cur GROUP BY 1 ORDER BY 1")
        .fetchall()
    )
    return {period: (count, total) for period, count, total in rows}
