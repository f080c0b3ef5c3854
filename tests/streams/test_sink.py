"""Law 9 without a broker: one commit holds rows and offsets, whoever comes second is refused, and no dead letter is lost or doubled."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from costlake.delta import Lake
from costlake.errors import ConcurrentWrite
from costlake.periods import FixedClock
from costlake.settings import Settings
from streams.dead_letters import DeadLetter, DeadLetters
from streams.events import MalformedMessage, encode
from streams.positions import Partition, Position
from streams.sink import Sink, Stretch
from streams.tables import GPU_DEAD_LETTERS, GPU_TELEMETRY, distinct_samples
from tests.streams import fleet

TOPIC_ID = "36167195-3ecb-4ca1-8b9b-0cddc0429bb6"
PARTITION = Partition("gpu", 0, TOPIC_ID)


def stretch(before: Position, start: int, values: Sequence[bytes], partition: Partition = PARTITION) -> Stretch:
    return Stretch(partition, before, start, start + len(values), list(range(start, start + len(values))), list(values))


def events(first: int, end: int) -> list[bytes]:
    return [encode(fleet.event(number)) for number in range(first, end)]


def at(offset: int) -> Position:
    return Position(offset, PARTITION.generation)


def letters(settings: Settings) -> list[tuple[Any, ...]]:
    connection = Lake(settings).connect()
    return connection.execute(
        'SELECT "partition", "offset", offset_end, step, payload FROM bronze.gpu_dead_letters ORDER BY 1, 2, 4'
    ).fetchall()


@pytest.fixture
def sink(settings: Settings, clock: FixedClock) -> Sink:
    return Sink(Lake(settings), clock)


def test_rows_and_offset_are_one_commit(sink: Sink, settings: Settings) -> None:
    version = sink.write([stretch(Position(), 0, events(0, 10))]).version
    assert version == Lake(settings).version("bronze", "gpu_telemetry")
    assert sink.positions([PARTITION]) == {PARTITION: at(10)}
    assert fleet.landed(settings) == fleet.expected(range(10))


def test_a_batch_that_is_written_again_is_refused_and_leaves_no_file(sink: Sink, settings: Settings) -> None:
    sink.write([stretch(Position(), 0, events(0, 10))])
    for again in (stretch(Position(), 0, events(0, 10)), stretch(at(5), 5, events(5, 10))):
        with pytest.raises(ConcurrentWrite):
            sink.write([again])
    assert fleet.landed(settings) == fleet.expected(range(10))
    files = list(Lake(settings).path("bronze", "gpu_telemetry").rglob("*.parquet"))
    assert len([file for file in files if "_delta_log" not in file.parts]) == 1


def test_a_zombie_that_lost_its_partition_takes_its_whole_batch_with_it(settings: Settings, clock: FixedClock) -> None:
    """The other partition of the refused batch must not advance either: its rows would be lost."""
    other = Partition("gpu", 1, TOPIC_ID)
    zombie, heir = Sink(Lake(settings), clock), Sink(Lake(settings), clock)
    zombie.write([stretch(Position(), 0, events(0, 4)), stretch(Position(), 0, events(4, 8), other)])
    heir.write([stretch(at(4), 4, events(8, 12))])
    with pytest.raises(ConcurrentWrite):
        zombie.write([stretch(at(4), 4, events(8, 12)), stretch(at(4), 4, events(12, 16), other)])
    assert heir.positions([PARTITION, other]) == {PARTITION: at(8), other: at(4)}
    assert fleet.landed(settings) == fleet.expected(range(12))


def test_the_positions_of_partitions_do_not_stand_in_each_others_way(settings: Settings, clock: FixedClock) -> None:
    """Two writers in turn, each with a look at the table from before the other's commit."""
    other = Partition("gpu", 1, TOPIC_ID)
    one, two = Sink(Lake(settings), clock), Sink(Lake(settings), clock)
    for number in range(5):
        one.write([stretch(at(number * 2) if number else Position(), number * 2, events(number * 4, number * 4 + 2))])
        two.write([stretch(at(number * 2) if number else Position(), number * 2, events(number * 4 + 2, number * 4 + 4), other)])
    assert fleet.landed(settings) == fleet.expected(range(20))


def test_an_event_lands_in_the_hour_it_is_of_however_late_or_early_it_comes(sink: Sink, settings: Settings) -> None:
    moments = [fleet.START, fleet.START - dt.timedelta(days=400), fleet.START + dt.timedelta(days=3650), fleet.START]
    sink.write([stretch(Position(), 0, [encode(fleet.event(number, at=moment)) for number, moment in enumerate(moments)])])
    right = "bool_and(strftime(interval_start, '%Y-%m-%dT%H') = event_hour)"
    rows = Lake(settings).connect().execute(f"SELECT event_hour, count(*), {right} FROM bronze.gpu_telemetry GROUP BY 1 ORDER BY 1")
    assert rows.fetchall() == [("2025-10-16T09", 2, True), ("2026-11-20T09", 4, True), ("2036-11-17T09", 2, True)]


def test_poison_goes_to_the_dead_letters_with_its_bytes_and_the_stream_goes_on(sink: Sink, settings: Settings) -> None:
    newer = encode(fleet.event(1)).replace(b'"schema_version":1', b'"schema_version":7')
    done = sink.write([stretch(Position(), 0, [*events(0, 3), b"\xffpoison", newer, *events(3, 5)])])
    assert (done.rows, done.messages, len(done.dead_letters)) == (5 * fleet.GPUS, 5, 2)
    assert letters(settings) == [(0, 3, 4, "decode", b"\xffpoison"), (0, 4, 5, "version", newer)]
    assert sink.positions([PARTITION]) == {PARTITION: at(7)}


def test_a_batch_of_poison_alone_advances_too(sink: Sink, settings: Settings) -> None:
    sink.write([stretch(Position(), 0, [b"a", b"b"])])
    assert sink.positions([PARTITION]) == {PARTITION: at(2)}
    assert Lake(settings).files("bronze", "gpu_telemetry") == []


def _letter(offset: int) -> DeadLetter:
    error = MalformedMessage("x", where="y", expected="z", next_step="w")
    return DeadLetter.of_message(PARTITION, offset, b"bad", error)


def test_a_kill_between_the_two_tables_neither_loses_nor_doubles_a_dead_letter(sink: Sink, settings: Settings, clock: FixedClock) -> None:
    """The killed writer had written its letters up to offset 8, the table of rows stayed at 0; the next batches are cut otherwise."""
    DeadLetters(Lake(settings), clock).add([_letter(3), _letter(6)], {PARTITION: 0}, {PARTITION: 8})
    sink.write([stretch(Position(), 0, [*events(0, 3), b"bad", *events(3, 4)])])
    sink.write([stretch(at(5), 5, [b"bad", b"bad", *events(4, 5), b"bad"])])
    assert [row[1] for row in letters(settings)] == [3, 5, 6, 8]
    assert fleet.landed(settings) == fleet.expected(range(5))


def test_a_letter_of_a_topic_made_anew_is_another_letter(sink: Sink, settings: Settings, clock: FixedClock) -> None:
    anew = Partition("gpu", 0, "b1c2ae3e-0000-4000-8000-000000000000")
    sink.write([stretch(Position(), 0, [b"bad", b"bad"])])
    sink.write([stretch(at(2), 0, [b"bad"], anew)])
    assert sink.positions([anew]) == {anew: Position(1, anew.generation)}
    assert [row[1] for row in letters(settings)] == [0, 0, 1]


def test_two_writers_of_the_same_letters_write_them_once(settings: Settings, clock: FixedClock) -> None:
    first, second = DeadLetters(Lake(settings), clock), DeadLetters(Lake(settings), clock)
    assert first.add([_letter(3)], {PARTITION: 0}, {PARTITION: 4}) == 1
    assert second.add([_letter(3)], {PARTITION: 0}, {PARTITION: 5}) == 0
    assert [row[1] for row in letters(settings)] == [3]


def test_an_event_that_a_collector_sent_twice_is_counted_once_by_its_readers(sink: Sink, settings: Settings) -> None:
    """A collector that crashed before it saw the answer sends the same event again: two records, one event."""
    sink.write([stretch(Position(), 0, [*events(0, 4), *events(2, 4)])])
    lake = Lake(settings)
    scan = distinct_samples(lake.scan_sql(GPU_TELEMETRY.layer, GPU_TELEMETRY.name))
    rows = lake.connect().execute(f"SELECT count(*), sum(energy_joules)::BIGINT FROM ({scan})").fetchall()
    assert rows == [(4 * fleet.GPUS, sum(range(4)) * fleet.GPUS)]
    assert fleet.landed(settings)[0] == 6 * fleet.GPUS


_RACER = """
import sys
from costlake.delta import Lake
from costlake.errors import ConcurrentWrite
from costlake.periods import SystemClock
from costlake.settings import Settings
from streams.events import encode
from streams.positions import Partition, Position
from streams.sink import Sink, Stretch
from tests.streams import fleet
root, partitions, end = sys.argv[1], [int(n) for n in sys.argv[2].split(",")], int(sys.argv[3])
sink = Sink(Lake(Settings.load(home=root, lake=root + "/lake", config_dir=root + "/config")), SystemClock())
refused = 0
for number in partitions * end:
    place = Partition("gpu", number)
    before = sink.positions([place])[place]
    start = before.offset or 0
    if start >= end:
        continue
    offsets = list(range(start, min(start + 3, end)))
    values = [encode(fleet.event(number * 1000 + offset)) for offset in offsets]
    try:
        sink.write([Stretch(place, before, start, offsets[-1] + 1, offsets, values)])
    except ConcurrentWrite:
        refused += 1
print(refused)
"""


@pytest.mark.slow
def test_four_processes_that_fight_for_the_same_partitions_write_every_record_once(sink: Sink, settings: Settings) -> None:
    """Delta's own check, without ours between: each takes any partition as if it were its own."""
    end = 30
    racers = [
        subprocess.Popen([sys.executable, "-c", _RACER, str(settings.home), order, str(end)], stdout=subprocess.PIPE, text=True)
        for order in ("0,1,2", "2,1,0", "1,0,2", "0,2,1")
    ]
    refused = [int(racer.communicate()[0]) for racer in racers]
    assert all(racer.returncode == 0 for racer in racers)
    assert sum(refused) > 0, "they never met, so nothing was proved"
    numbers = [partition * 1000 + offset for partition in range(3) for offset in range(end)]
    found = fleet.landed(settings)
    assert (found[0], found[1], found[3]) == (len(numbers) * fleet.GPUS, len(numbers) * fleet.GPUS, sum(numbers) * fleet.GPUS)


def test_the_stream_keeps_neither_years_of_versions_nor_of_replaced_files(sink: Sink, settings: Settings) -> None:
    """A version every few seconds for ten years would be sixty million files in the log."""
    for spec in (GPU_TELEMETRY, GPU_DEAD_LETTERS):
        assert spec.configuration == {
            "delta.logRetentionDuration": "interval 30 days",
            "delta.deletedFileRetentionDuration": "interval 48 hours",
        }
