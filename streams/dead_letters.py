"""What could not be used, kept with its bytes, the step and the error: `bronze.gpu_dead_letters`.

Data flow: a message that `streams.samples` refused, or a gap in the topic → one row here, then the offset advances in gpu_telemetry.

Two tables have no common commit. The dead letters are written first, under their own application transactions: a writer killed between
the two leaves letters whose offset gpu_telemetry has not passed yet, and whoever reads those records again finds them here.
Run alone: costlake telemetry dead-letters
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from costlake.delta import Lake
from costlake.errors import CostlakeError
from costlake.periods import Clock
from costlake.sql import literal
from streams.events import UnsupportedVersion
from streams.files import new_file
from streams.positions import Partition, moves, read_positions
from streams.tables import GPU_DEAD_LETTERS

_LAYER, _NAME = GPU_DEAD_LETTERS.layer, GPU_DEAD_LETTERS.name


@dataclass(frozen=True)
class DeadLetter:
    """A record that could not be used, or records that are gone.

    Attributes:
        partition: where it was.
        offset: its offset; of a gap the first that is missing.
        end: the offset after it; None where nobody knows how far a gap went.
        step: decode (no message), version (a schema version not read here) or gap.
        error: why.
        payload: its bytes.
    """

    partition: Partition
    offset: int
    end: int | None
    step: str
    error: CostlakeError
    payload: bytes | None = None

    @classmethod
    def of_message(cls, partition: Partition, offset: int, payload: bytes | None, error: CostlakeError) -> DeadLetter:
        """A record that `streams.samples` refused."""
        return cls(partition, offset, offset + 1, "version" if isinstance(error, UnsupportedVersion) else "decode", error, payload)


class DeadLetters:
    """The table of dead letters."""

    def __init__(self, lake: Lake, clock: Clock) -> None:
        self._lake, self._clock = lake, clock
        lake.ensure(GPU_DEAD_LETTERS)

    def add(self, letters: Sequence[DeadLetter], starts: dict[Partition, int], ends: dict[Partition, int]) -> int:
        """Write the letters that are not there yet; returns how many those were.

        Args:
            letters: all of some stretches of partitions.
            starts: partition → offset at which its stretch begins.
            ends: partition → offset after its stretch.

        Raises:
            ConcurrentWrite: another consumer writes letters of the same partition.
        """
        touched = sorted({letter.partition for letter in letters})
        before = read_positions(self._lake, GPU_DEAD_LETTERS, touched)
        ahead = [partition for partition in touched if (before[partition].offset or 0) > starts[partition]]
        known = self._known(ahead) if ahead else set()
        fresh = [letter for letter in letters if _identity(letter) not in known]
        if not fresh:
            return 0
        moved: dict[str, tuple[int | None, int]] = {}
        for partition in touched:
            was = before[partition]
            # A zombie may have come further: what it wrote must stay known as written.
            ahead_by_zombie = was.offset or 0 if was.generation == partition.generation else 0
            moved |= moves(partition, was, max(ends[partition], ahead_by_zombie))
        rows = pa.Table.from_pylist([self._row(letter) for letter in fresh], schema=GPU_DEAD_LETTERS.schema)
        self._lake.advance(GPU_DEAD_LETTERS, [new_file(self._lake, GPU_DEAD_LETTERS, {}, rows)], moved, {})
        return len(fresh)

    def _row(self, letter: DeadLetter) -> dict[str, object]:
        return {
            "topic": letter.partition.topic,
            "topic_id": letter.partition.topic_id,
            "partition": letter.partition.number,
            "offset": letter.offset,
            "offset_end": letter.end,
            "step": letter.step,
            "error_type": type(letter.error).__name__,
            "error": str(letter.error),
            "payload": letter.payload,
            "recorded_at": self._clock.now(),
        }

    def _known(self, partitions: Sequence[Partition]) -> set[tuple[object, ...]]:
        """Identities of the letters of these partitions; read only after a writer was killed between the two tables."""
        from costlake.delta import open_duckdb

        connection = open_duckdb(self._lake.settings)
        chosen = " OR ".join(f'(topic = {literal(p.topic)} AND "partition" = {p.number})' for p in partitions)
        scan = self._lake.scan_sql(_LAYER, _NAME)
        try:
            found = connection.execute(f'SELECT topic, "partition", topic_id, "offset", step FROM ({scan}) WHERE {chosen}').fetchall()
        finally:
            connection.close()
        return set(found)


def _identity(letter: DeadLetter) -> tuple[object, ...]:
    return letter.partition.topic, letter.partition.number, letter.partition.topic_id, letter.offset, letter.step
