"""Housekeeping of the stream's tables: fewer files, the same rows, the same positions, readers undisturbed, staging files gone."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest

from costlake import maintain
from costlake.delta import Lake
from costlake.errors import ConfigError
from costlake.periods import FixedClock, SystemClock
from costlake.settings import Settings
from streams.positions import Position
from streams.sink import Sink
from tests.streams import fleet
from tests.streams.test_sink import PARTITION, at, events, stretch

STREAM = ["bronze.gpu_telemetry", "bronze.gpu_dead_letters"]


def _fill(settings: Settings, batches: int, size: int = 4) -> Sink:
    sink = Sink(Lake(settings), SystemClock())
    for number in range(batches):
        before = at(number * size) if number else Position()
        sink.write([stretch(before, number * size, events(number * size, (number + 1) * size))])
    return sink


def test_small_files_of_an_hour_become_one_and_the_stream_goes_on_where_it_was(settings: Settings) -> None:
    sink = _fill(settings, 12)
    lake = Lake(settings)
    before = len(lake.files("bronze", "gpu_telemetry"))
    result = maintain.run(settings, SystemClock(), only=STREAM)
    assert (before, result.merged["bronze.gpu_telemetry"], len(lake.files("bronze", "gpu_telemetry"))) == (12, 12, 1)
    assert fleet.landed(settings) == fleet.expected(range(48))
    assert sink.positions([PARTITION]) == {PARTITION: at(48)}
    sink.write([stretch(at(48), 48, events(48, 50))])
    assert fleet.landed(settings) == fleet.expected(range(50))


def test_a_reader_that_began_before_housekeeping_reads_to_its_end(settings: Settings) -> None:
    _fill(settings, 12)
    reader = Lake(settings).connect()
    result = maintain.run(settings, SystemClock(), only=STREAM)
    assert result.merged["bronze.gpu_telemetry"] == 12
    assert reader.execute("SELECT count(*) FROM bronze.gpu_telemetry").fetchall() == [(48 * fleet.GPUS,)]


def test_replaced_files_go_after_two_days_and_the_positions_stay(settings: Settings) -> None:
    """The files' own age and the commit's time decide; both are set back, for nobody waits two days for a test."""
    sink = _fill(settings, 12)
    lake = Lake(settings)
    old = lake.files("bronze", "gpu_telemetry")
    three_days_ago = SystemClock().now() - dt.timedelta(days=3)
    from costlake.compact import compact

    compact(lake, "bronze", "gpu_telemetry", FixedClock(three_days_ago))
    for file in old:
        os.utime(file, (three_days_ago.timestamp(), three_days_ago.timestamp()))
    result = maintain.run(settings, SystemClock(), only=STREAM)
    assert result.vacuumed["bronze.gpu_telemetry"] >= 12
    assert not any(Path(file).exists() for file in old)
    assert fleet.landed(settings) == fleet.expected(range(48))
    assert sink.positions([PARTITION]) == {PARTITION: at(48)}


def test_checkpoints_carry_the_positions(settings: Settings) -> None:
    """A reader of the newest checkpoint alone must still know where the stream is."""
    sink = _fill(settings, 3)
    log = Lake(settings).path("bronze", "gpu_telemetry") / "_delta_log"
    maintain.run(settings, SystemClock(), only=STREAM)
    assert list(log.glob("*.checkpoint.parquet"))
    for commit in sorted(log.glob("*.json"))[:-1]:
        commit.unlink()
    assert sink.positions([PARTITION]) == {PARTITION: at(12)}


def test_staging_files_of_killed_writers_go_and_those_of_living_ones_stay(settings: Settings, clock: FixedClock) -> None:
    _fill(settings, 1)
    table = Lake(settings).path("bronze", "gpu_telemetry")
    hour = next(table.glob("event_hour=*"))
    left = [hour / "part-0.parquet#1", table / "_delta_log" / "00000000000000000009.json#1", table / "_delta_log" / "_last_checkpoint#1"]
    living = hour / "part-1.parquet#1"
    for file in (*left, living):
        file.write_bytes(b"half")
    yesterday = SystemClock().now().timestamp() - 2 * 86_400
    for file in left:
        os.utime(file, (yesterday, yesterday))
    assert maintain.run(settings, SystemClock(), only=STREAM).swept == 3
    assert not any(file.exists() for file in left)
    assert living.exists()
    assert fleet.landed(settings) == fleet.expected(range(4))


def test_a_staging_file_that_its_writer_renames_meanwhile_does_not_stop_housekeeping(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen in the kill test: listed, then committed by a living consumer before it was looked at."""
    _fill(settings, 1)
    gone = Lake(settings).path("bronze", "gpu_dead_letters") / "_delta_log" / "00000000000000000038.json#1"
    found = Lake.leftovers
    monkeypatch.setattr(Lake, "leftovers", lambda lake: [*found(lake), gone])
    assert maintain.run(settings, SystemClock(), only=STREAM).swept == 0


def test_a_file_that_is_about_to_be_committed_is_not_vacuumed(settings: Settings) -> None:
    _fill(settings, 1)
    hour = next(Lake(settings).path("bronze", "gpu_telemetry").glob("event_hour=*"))
    pending = hour / "stream-pending.parquet"
    pending.write_bytes(b"rows")
    maintain.run(settings, SystemClock(), retention_days=1, only=STREAM)
    assert pending.exists()
    with pytest.raises(ConfigError, match="0 days"):
        maintain.run(settings, SystemClock(), retention_days=0)
