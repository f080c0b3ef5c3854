"""How far a partition of a topic has been written: kept by the table itself, in the commit of the rows (law 9).

Data flow: Kafka's topic id and offsets → application transactions of a Delta table → where a consumer starts.

A partition's position is two application transactions: `gpu/<topic>/<partition>`, the next offset, and `…/generation`, a number made
from the topic's id, for a topic that is deleted and made anew starts again at 0 under the same name.
Run alone: see streams.sink.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from costlake.datafiles import Moves
from costlake.delta import Lake
from costlake.tables import TableSpec


@dataclass(frozen=True, order=True)
class Partition:
    """A partition of one generation of a topic.

    Attributes:
        topic: its name.
        number: the partition.
        topic_id: the broker's id of the topic (UUID); None where a broker has none.
    """

    topic: str
    number: int
    topic_id: str | None = None

    @property
    def stream(self) -> str:
        """Application id of its next offset."""
        return f"gpu/{self.topic}/{self.number}"

    @property
    def generation(self) -> int | None:
        """The topic's id as a number of 62 bits, which a transaction can hold."""
        return None if self.topic_id is None else uuid.UUID(self.topic_id).int >> 66


@dataclass(frozen=True)
class Position:
    """What a table says of a partition; both None before its first rows.

    Attributes:
        offset: the next one.
        generation: of the topic that it belongs to.
    """

    offset: int | None = None
    generation: int | None = None


def read_positions(lake: Lake, spec: TableSpec, partitions: Iterable[Partition]) -> dict[Partition, Position]:
    """Where each partition stands in a table."""
    wanted = list(partitions)
    streams = [name for partition in wanted for name in (partition.stream, f"{partition.stream}/generation")]
    found = lake.positions(spec.layer, spec.name, streams)
    return {p: Position(found.get(p.stream), found.get(f"{p.stream}/generation")) for p in wanted}


def moves(partition: Partition, before: Position, after: int) -> Moves:
    """The application transactions of a commit that takes a partition from one offset to another."""
    made: dict[str, tuple[int | None, int]] = {partition.stream: (before.offset, after)}
    generation = before.generation if partition.generation is None else partition.generation
    if generation is not None:
        made[f"{partition.stream}/generation"] = (before.generation, generation)
    return made
