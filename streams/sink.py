"""Records of Kafka into Delta, exactly once: rows and the offsets they came from are one commit.

Data flow: stretches of partitions (`Stretch`) → `streams.samples` → dead letters → one Parquet file per hour → one commit of
`bronze.gpu_telemetry` with the rows, and for each partition its next offset (streams.positions).

Kafka's own offsets play no part. A writer that lost its partition to another (a zombie) is refused, for the table is no longer where it
took over; a writer that is killed leaves a file that no commit names, and the records are read again. An event lands in the hour it
is of, however late it comes.
Run alone: costlake telemetry consume
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from costlake.datafiles import Moves, NewFile
from costlake.delta import Lake
from costlake.errors import ConcurrentWrite
from costlake.periods import Clock
from costlake.tables import COUNT, TEXT, TIMESTAMP
from streams import samples
from streams.dead_letters import DeadLetter, DeadLetters
from streams.files import new_file
from streams.positions import Partition, Position, moves, read_positions
from streams.tables import GPU_TELEMETRY


@dataclass
class Stretch:
    """Records of one partition, one after the other.

    Attributes:
        partition: where they are.
        before: where the table must be for them to be written.
        start: offset that the reading began at.
        end: offset after the last.
        offsets, values: of the records.
    """

    partition: Partition
    before: Position
    start: int
    end: int
    offsets: list[int] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)


@dataclass(frozen=True)
class Written:
    """What a commit holds: rows, messages they came from, dead letters (those of the batch, new or not)."""

    rows: int
    messages: int
    dead_letters: tuple[DeadLetter, ...]
    version: int


class Sink:
    """The writer of `bronze.gpu_telemetry` and `bronze.gpu_dead_letters`."""

    def __init__(self, lake: Lake, clock: Clock) -> None:
        self._lake, self._clock = lake, clock
        lake.ensure(GPU_TELEMETRY)
        self._dead_letters = DeadLetters(lake, clock)

    def positions(self, partitions: Iterable[Partition]) -> dict[Partition, Position]:
        """Where reading goes on, by partition."""
        return read_positions(self._lake, GPU_TELEMETRY, partitions)

    def write(self, stretches: Sequence[Stretch]) -> Written:
        """Commit the rows of some stretches, one per partition, and that their partitions have advanced.

        Raises:
            ConcurrentWrite: another consumer has written one of the partitions since `before`; nothing of this batch is written.
        """
        values = [value for stretch in stretches for value in stretch.values]
        found = samples.read(values)
        places = [(stretch.partition, offset) for stretch in stretches for offset in stretch.offsets]
        letters = [DeadLetter.of_message(*places[number], values[number], error) for number, error in sorted(found.refused.items())]
        if letters:
            starts = {stretch.partition: stretch.start for stretch in stretches}
            self._dead_letters.add(letters, starts, {stretch.partition: stretch.end for stretch in stretches})
        moved = {key: move for stretch in stretches for key, move in moves(stretch.partition, stretch.before, stretch.end).items()}
        version = self._commit(self._files(found.rows, places), moved)
        return Written(found.rows.num_rows, len(values) - len(letters), tuple(letters), version)

    def skip(self, gap: DeadLetter, before: Position, after: int) -> None:
        """Put a gap on record and go on behind it. Raises ConcurrentWrite when another consumer was first."""
        self._dead_letters.add([gap], {gap.partition: gap.offset}, {gap.partition: after})
        self._commit([], moves(gap.partition, before, after))

    def _commit(self, files: list[NewFile], moved: Moves) -> int:
        try:
            return self._lake.advance(GPU_TELEMETRY, files, moved, {})
        except ConcurrentWrite:
            for file in files:
                file.path.unlink(missing_ok=True)
            raise

    def _files(self, rows: pa.Table, places: Sequence[tuple[Partition, int]]) -> list[NewFile]:
        if not rows.num_rows:
            return []
        number = rows["_message"]
        where = {
            "_topic": pa.array([partition.topic for partition, _ in places], TEXT).take(number),
            "_topic_id": pa.array([partition.topic_id for partition, _ in places], TEXT).take(number),
            "_partition": pa.array([partition.number for partition, _ in places], COUNT).take(number),
            "_offset": pa.array([offset for _, offset in places], COUNT).take(number),
            "_ingested_at": pa.repeat(pa.scalar(self._clock.now(), TIMESTAMP), rows.num_rows),
        }
        names = [name for name in GPU_TELEMETRY.schema.names if name != "event_hour"]
        whole = pa.table([where[name] if name in where else rows[name] for name in names], names=names)
        hours = pc.floor_temporal(rows["interval_start"], unit="hour")
        files = []
        for hour in pc.unique(hours):
            of_hour = whole.filter(pc.equal(hours, hour))
            files.append(new_file(self._lake, GPU_TELEMETRY, {"event_hour": f"{hour.as_py():%Y-%m-%dT%H}"}, of_hour))
        return files
