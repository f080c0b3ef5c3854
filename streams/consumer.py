"""The consumer of GPU telemetry: polls Kafka, collects, hands batches to the sink, and starts again from the table whenever in doubt.

Data flow: Kafka → poll → `Stretch` per partition, until old or large enough → `streams.sink` (in a thread, while polling goes on).

The group only decides who reads what. Where to read is what the table says: partitions are paused when they are assigned, looked up, and
then let go. Whatever goes wrong with a batch (another consumer was first, the store did not answer), it is dropped and its partitions are
looked up anew. Records that Kafka no longer has are an error, after the gap has been put on record.
Run alone: costlake telemetry consume --once
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from costlake.errors import ConcurrentWrite, RetryableError
from costlake.settings import Settings
from streams.connection import answering, client_options
from streams.dead_letters import DeadLetter
from streams.metrics import ConsumerMetrics
from streams.placement import listener, records_lost, where_to_read
from streams.positions import Partition, Position
from streams.sink import Sink, Stretch, Written

log = logging.getLogger(__name__)

_POLL_MS = 200
_BACKOFF_SECONDS = 2.0
_MOST = 4


@dataclass(frozen=True)
class Batching:
    """When a batch is handed to the sink: at whichever comes first, once the batch before it is written.

    Attributes:
        seconds: age of its first record.
        messages, bytes: its size. While the sink is busy it grows, up to `_MOST` times as large; then reading waits.
    """

    seconds: float = 5.0
    messages: int = 10_000
    bytes: int = 32 << 20


@dataclass
class Totals:
    """What a consumer has committed since it started."""

    rows: int = 0
    messages: int = 0
    dead_letters: int = 0
    commits: int = 0
    refused: int = 0


class Consumer:
    """One member of the group. `run` is called once.

    Args:
        settings: brokers, topic, group.
        sink: where batches go.
        metrics: what Prometheus is told.
        batching: when a batch is full.
        monotonic: seconds that never jump; the machine's clock may.
        options: more options for kafka-python.
    """

    def __init__(
        self,
        settings: Settings,
        sink: Sink,
        metrics: ConsumerMetrics | None = None,
        batching: Batching | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.totals = Totals()
        self.metrics = metrics or ConsumerMetrics()
        self._settings, self._sink, self._monotonic = settings, sink, monotonic
        self._batching = batching or Batching()
        self._options = options or {}
        self._events: deque[tuple[str, list[Any]]] = deque()  # from kafka-python's thread
        self._lost: set[Any] = set()  # assigned, but where to read is not known (any more)
        self._beyond: set[Any] = set()  # the broker says that it does not have what was to be read next
        self._reached: dict[Any, tuple[Partition, Position, int]] = {}  # partition, what the table says (soon), next offset to read
        self._committed: dict[Any, int] = {}  # next offset by the table
        self._buffer: dict[Any, Stretch] = {}
        self._buffered = [0, 0]  # messages, bytes
        self._since = 0.0
        self._in_flight: tuple[Future[Written], list[Any], list[Stretch], float] | None = None
        self._failures = 0
        self._idle = False  # the last poll brought nothing

    def run(self, stop: threading.Event, *, once: bool = False) -> Totals:
        """Consume until `stop` is set, then commit what was read; with `once`, until all that the topic has is in the table.

        Raises:
            RecordsLost: Kafka no longer has records that were to be read next; the gap is on record, another run goes on behind it.
            BrokerUnavailable, BrokerRefused: no broker answers at the start, or Kafka says no.
            FatalError: the table cannot be written.
        """
        with answering(self._settings):
            self._kafka = self._connect()
        with ThreadPoolExecutor(1, "sink") as self._pool:
            try:
                with answering(self._settings):
                    while not stop.is_set() and not (once and self._caught_up()):
                        self._turn()
                    self._flush()
            finally:
                self._kafka.close(autocommit=False, timeout_ms=5_000)
        return self.totals

    def _connect(self) -> Any:
        from kafka import KafkaConsumer
        from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

        options = {
            **client_options(self._settings),
            "group_id": self._settings.kafka_group,
            "enable_auto_commit": False,
            "auto_offset_reset": "none",
            "isolation_level": "read_committed",
            "allow_auto_create_topics": False,
            "metadata_max_age_ms": 30_000,
            # Heartbeats have a thread of their own: a long commit does not delay them.
            "session_timeout_ms": self._settings.kafka_session_seconds * 1000,
            "heartbeat_interval_ms": self._settings.kafka_session_seconds * 1000 // 5,
            "partition_assignment_strategy": (CooperativeStickyAssignor,),
            "max_poll_records": 4_000,
            "max_partition_fetch_bytes": 8 << 20,
            "default_offset_commit_callback": lambda offsets, response: True,
            **self._options,
        }
        kafka = KafkaConsumer(**options)
        # Before it joins: a group's leader that does not know the topic's partitions yet gives none to anybody.
        if not kafka.partitions_for_topic(self._settings.kafka_topic):
            log.warning("topic %s does not exist yet", self._settings.kafka_topic)
        kafka.subscribe([self._settings.kafka_topic], listener=listener(kafka, self._events))
        return kafka

    def _turn(self) -> None:
        """One round: news of the group, positions, records, and what became of the batch on its way."""
        self._hear()
        self._place()
        records = self._poll()
        self._idle = not records
        self._hear()
        self._check_generation()
        self._take(records)
        if self._in_flight is not None and self._in_flight[0].done():
            self._settle()
        if self._is_due():
            self._settle()
            self._hand_over()

    def _hear(self) -> None:
        """Apply what the group has decided: what is revoked is dropped, its next owner reads it from the table's position."""
        while self._events:
            what, partitions = self._events.popleft()
            self._forget(partitions)
            if what == "assigned":
                self._lost |= set(partitions)
            else:
                self._lost -= set(partitions)
                for tp in partitions:
                    self._committed.pop(tp, None)
                    for gauge in (self.metrics.lag, self.metrics.position):
                        gauge.remove(tp.topic, str(tp.partition))

    def _forget(self, partitions: Iterable[Any]) -> None:
        for tp in partitions:
            self._reached.pop(tp, None)
            stretch = self._buffer.pop(tp, None)
            if stretch is not None:
                self._buffered[0] -= len(stretch.values)
                self._buffered[1] -= sum(len(value or b"") for value in stretch.values)

    def _look_up_again(self, partitions: Iterable[Any]) -> None:
        """Stop reading these where we are: the table is asked."""
        mine = self._kafka.assignment()
        again = [tp for tp in partitions if tp in mine]
        self._kafka.pause(*again)
        self._forget(again)
        self._lost |= set(again)

    def _place(self) -> None:
        """Seek from the table; a gap is recorded and raised."""
        from kafka.errors import RetriableError

        if not self._lost:
            return
        self._settle()
        wanted = sorted(self._lost & set(self._kafka.assignment()))
        try:
            first, last = self._kafka.beginning_offsets(wanted), self._kafka.end_offsets(wanted)
        except RetriableError as error:
            self._wait_for_broker(error)
            return
        places = {tp: Partition(tp.topic, tp.partition, self._topic_id(tp.topic)) for tp in wanted}
        positions = self._sink.positions(places.values())
        gaps = []
        for tp, place in places.items():
            position = positions[place]
            offset, what = where_to_read(place, position, first[tp], last[tp], beyond=tp in self._beyond)
            if what is not None:
                known_end = offset if offset > (position.offset or 0) else None
                gaps.append(
                    (DeadLetter(place, position.offset or 0, known_end, "gap", records_lost(place, position, what)), position, offset)
                )
            else:
                self._kafka.seek(tp, offset)
                self._reached[tp] = (place, position, offset)
                self._committed[tp] = offset
        for gap, position, offset in gaps:
            log.error("%s", gap.error)
            self._sink.skip(gap, position, offset)
            self.metrics.gaps.inc()
        if gaps:
            raise gaps[0][0].error
        self._kafka.resume(*self._lost & set(self._kafka.assignment()))
        self._lost.clear()
        self._beyond.clear()

    def _topic_id(self, topic: str) -> str | None:
        # kafka-python learns the id with the topic's metadata and offers it nowhere else on the consumer.
        found = self._kafka._cluster.topic_id(topic)
        return str(found) if found is not None and found.int else None

    def _check_generation(self) -> None:
        """A topic made anew under our feet: what was read after the change is of offsets that mean something else."""
        changed = [tp for tp, (place, _, _) in self._reached.items() if self._topic_id(tp.topic) not in (None, place.topic_id)]
        if changed:
            self._look_up_again(changed)

    def _poll(self) -> dict[Any, list[Any]]:
        from kafka.errors import LogTruncationError, NoOffsetForPartitionError, OffsetOutOfRangeError, RetriableError

        try:
            return dict(self._kafka.poll(timeout_ms=_POLL_MS))
        except (OffsetOutOfRangeError, LogTruncationError, NoOffsetForPartitionError) as error:
            log.warning("reading position lost: %s", error)
            self._beyond |= set(self._reached)
            self._look_up_again(list(self._reached))
        except RetriableError as error:
            self._wait_for_broker(error)
        return {}

    def _wait_for_broker(self, error: Exception) -> None:
        """A broker that was there and does not answer now is waited for: what is read so far is not at risk."""
        log.warning("Kafka does not answer, trying again: %s", error)
        time.sleep(1.0)

    def _take(self, records: dict[Any, list[Any]]) -> None:
        if records and not self._buffer:
            self._since = self._monotonic()
        for tp, batch in records.items():
            if tp not in self._reached:
                continue
            place, before, start = self._reached[tp]
            stretch = self._buffer.get(tp)
            if stretch is None:
                stretch = self._buffer[tp] = Stretch(place, before, start, start)
            stretch.offsets += [record.offset for record in batch]
            values = [record.value for record in batch]
            stretch.values += values
            stretch.end = batch[-1].offset + 1
            self._reached[tp] = (place, before, stretch.end)
            self._buffered[0] += len(values)
            self._buffered[1] += sum(len(value or b"") for value in values)
            self._tell_lag(tp)

    def _tell_lag(self, tp: Any) -> None:
        highwater = self._kafka.highwater(tp)
        if highwater is not None and tp in self._committed:
            self.metrics.lag.labels(tp.topic, str(tp.partition)).set(highwater - self._committed[tp])

    def _is_due(self) -> bool:
        if not self._buffer:
            return False
        size = max(self._buffered[0] / self._batching.messages, self._buffered[1] / self._batching.bytes)
        if self._in_flight is not None and not self._in_flight[0].done():
            return size >= _MOST
        return size >= 1 or self._monotonic() - self._since >= self._batching.seconds

    def _hand_over(self) -> None:
        """The buffer becomes the batch on its way; reading goes on as if it were committed."""
        if not self._buffer:
            return
        keys, stretches = list(self._buffer), list(self._buffer.values())
        self._in_flight = (self._pool.submit(self._sink.write, stretches), keys, stretches, self._monotonic())
        self._buffer, self._buffered = {}, [0, 0]
        for tp, stretch in zip(keys, stretches, strict=True):
            generation = stretch.before.generation if stretch.partition.generation is None else stretch.partition.generation
            self._reached[tp] = (stretch.partition, Position(stretch.end, generation), stretch.end)

    def _settle(self) -> None:
        """Wait for the batch on its way. What failed for now is read again from where the table is."""
        if self._in_flight is None:
            return
        (future, keys, stretches, started), self._in_flight = self._in_flight, None
        try:
            written = future.result()
        except ConcurrentWrite as error:
            log.warning("batch dropped, another consumer was first: %s", error.what)
            self.totals.refused += 1
            self.metrics.refused_commits.inc()
            self._look_up_again(keys)
            return
        except RetryableError as error:
            self._failures += 1
            log.warning("batch not committed, trying again: %s", error)
            self.metrics.failed_commits.inc()
            time.sleep(min(_BACKOFF_SECONDS * self._failures, 30.0))
            self._look_up_again(keys)
            return
        self._failures = 0
        self._count(written, keys, stretches, started)

    def _count(self, written: Written, keys: list[Any], stretches: list[Stretch], started: float) -> None:
        from kafka.structs import OffsetAndMetadata

        self.totals.rows += written.rows
        self.totals.messages += written.messages
        self.totals.dead_letters += len(written.dead_letters)
        self.totals.commits += 1
        self.metrics.rows.inc(written.rows)
        self.metrics.messages.inc(written.messages)
        self.metrics.commit_seconds.observe(self._monotonic() - started)
        self.metrics.last_commit.set_to_current_time()
        for letter in written.dead_letters:
            self.metrics.dead_letters.labels(letter.step).inc()
            log.warning("dead letter %s/%d at %d: %s", letter.partition.topic, letter.partition.number, letter.offset, letter.error.what)
        mine = self._kafka.assignment()
        for tp, stretch in zip(keys, stretches, strict=True):
            if tp in mine:
                self.metrics.position.labels(tp.topic, str(tp.partition)).set(stretch.end)
                self._committed[tp] = stretch.end
                self._tell_lag(tp)
        # For people who watch the group with Kafka's tools; nothing reads it back.
        ends = {tp: OffsetAndMetadata(s.end, "", -1) for tp, s in zip(keys, stretches, strict=True) if tp in mine}
        if ends:
            self._kafka.commit_async(ends)

    def _flush(self) -> None:
        """Commit what was read, at the end."""
        self._hear()
        self._settle()
        self._hand_over()
        self._settle()

    def _caught_up(self) -> bool:
        """Whether all that the assigned partitions have is in the table."""
        self._hear()
        mine = self._kafka.assignment()
        if not mine or self._lost:
            return False
        if not self._idle:
            return False
        last = self._kafka.end_offsets(sorted(mine))
        if any(tp not in self._reached or self._kafka.position(tp) < end for tp, end in last.items()):
            return False
        self._flush()
        return not self._lost
