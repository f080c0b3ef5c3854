"""Where a partition is to be read: from the table's position, held against what the broker has.

Data flow: the group's news (`listener`) → the consumer → table's position, first and last offset of the broker → an offset, or a gap.
Not for direct use; see streams.consumer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from costlake.errors import RecordsLost
from streams.positions import Partition, Position


def listener(kafka: Any, events: deque[tuple[str, list[Any]]]) -> Any:
    """The group's news, put aside for the consumer's own thread: kafka-python calls this in its own, which must not wait for an answer."""
    from kafka import ConsumerRebalanceListener

    class Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
        def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
            partitions = list(assigned)
            for tp in partitions:
                # Nothing is read before the table was asked.
                kafka.seek(tp, 0)
            kafka.pause(*partitions)
            events.append(("assigned", partitions))

        def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
            events.append(("revoked", list(revoked)))

        def on_partitions_lost(self, lost: Iterable[Any]) -> None:
            events.append(("revoked", list(lost)))

    return Listener()


def where_to_read(place: Partition, position: Position, first: int, last: int, *, beyond: bool) -> tuple[int, str | None]:
    """Where to read, and what is wrong with going on there without a word.

    An end before our position is believed only after the broker has refused to read there (`beyond`): some brokers give it too low.
    """
    if position.offset is None:
        return first, None
    if place.generation is not None and position.generation not in (None, place.generation):
        return first, "the topic was deleted and made anew; what the old one held behind this offset is gone"
    if position.offset < first:
        return first, f"the topic begins at {first}: the broker has deleted records before they were read"
    if position.offset > last and beyond:
        if position.generation is not None:
            return last, f"the topic ends at {last}: the broker lost records that are in the table, and gives their offsets again"
        return first, f"the topic ends at {last}: it was made anew, or the broker lost records"
    return position.offset, None


def records_lost(place: Partition, position: Position, what: str) -> RecordsLost:
    """The error of a gap: what happened, where, and that another run goes on behind it."""
    return RecordsLost(
        what,
        where=f"topic {place.topic}, partition {place.number}, offset {position.offset}",
        expected=f"a topic of the same id that holds offset {position.offset}",
        next_step="start the consumer again: it goes on behind the gap, which is in bronze.gpu_dead_letters (step gap); "
        "then give the topic a longer retention, or find out who made it anew",
    )
