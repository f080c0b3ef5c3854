"""From the spool to Kafka, in order, each message acknowledged before it is forgotten.

Data flow: `Spool.pending` → kafka-python's idempotent producer (acks=all, lz4, key = cluster/host) → all acknowledged → `Spool.delivered`.

When one message is not acknowledged, nothing after it counts as sent: the producer is thrown away and a new one sends again from there.
What the old one still delivers afterwards is the same event twice, with the same `event_id` (`streams.tables`). A broker that is away, or
says no, leaves everything on disk; the collector goes on measuring.
Run alone: costlake telemetry collect --once
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

from costlake.errors import BrokerRefused, CostlakeError, RetryableError
from costlake.settings import Settings
from streams.connection import answering, client_options
from streams.spool import Spool

LOG = logging.getLogger(__name__)
_BATCH = 500
_DELIVERY_SECONDS = 30
_BOOTSTRAP_SECONDS = 5  # a collector tries again by itself
_PATIENCE_SECONDS = (1, 30)  # between two tries: at first, at most


class Producer(Protocol):
    """What is used of kafka-python's KafkaProducer."""

    def send(self, topic: str, value: bytes, key: bytes) -> Any:
        """A future of the acknowledgement."""

    def flush(self, timeout: float) -> None:
        """Send all that was given, now."""

    def close(self, timeout: float) -> None:
        """End it; what is not acknowledged by then is given up."""


class DeliveryMetrics:
    """What Prometheus is told of the way to the broker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.delivered = Counter("costlake_collector_delivered", "Messages that the broker has acknowledged", registry=registry)
        self.failures = Counter("costlake_collector_delivery_failures", "Tries that ended without acknowledgement", registry=registry)
        self.broker_up = Gauge("costlake_collector_broker_up", "1 while the broker acknowledges", registry=registry)
        self.waiting = Gauge("costlake_collector_spool_messages", "Messages on disk that wait for the broker", registry=registry)
        self.size = Gauge("costlake_collector_spool_bytes", "What the spool takes on disk", registry=registry)


def kafka_producer(settings: Settings, delivery_seconds: int = _DELIVERY_SECONDS) -> Producer:
    """The producer of `settings.kafka_*`, which gives a message up after `delivery_seconds` (it stays in the spool).

    Raises BrokerUnavailable, BrokerRefused or ConfigError.
    """
    from kafka import KafkaProducer

    with answering(settings):
        producer: Producer = KafkaProducer(
            **client_options(settings) | {"bootstrap_timeout_ms": min(_BOOTSTRAP_SECONDS, delivery_seconds) * 1000},
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            linger_ms=20,
            batch_size=256 << 10,
            max_block_ms=delivery_seconds * 1000,
            request_timeout_ms=delivery_seconds * 1000 // 2,
            delivery_timeout_ms=delivery_seconds * 1000,
        )
    return producer


@contextmanager
def sending(settings: Settings) -> Iterator[Callable[[bytes, bytes], None]]:
    """A function (key, value) that sends without a spool, for what can be made again; on leaving, everything is acknowledged.

    Raises BrokerUnavailable, BrokerRefused or ConfigError at the first message that is not acknowledged.
    """
    refused: list[BaseException] = []
    producer: Any = kafka_producer(settings)
    with answering(settings):

        def send(key: bytes, value: bytes) -> None:
            if refused:
                raise refused[0]
            producer.send(settings.kafka_topic, value=value, key=key).add_errback(refused.append)

        try:
            yield send
            producer.flush(timeout=2 * _DELIVERY_SECONDS)
            if refused:
                raise refused[0]
        finally:
            producer.close(timeout=5)


class Forwarder:
    """Empties a spool into a topic.

    Args:
        spool: where messages wait.
        settings: names broker and topic.
        metrics: told of each step.
        connect: makes a producer; another one in tests.
    """

    def __init__(
        self, spool: Spool, settings: Settings, metrics: DeliveryMetrics, connect: Callable[[Settings], Producer] = kafka_producer
    ) -> None:
        self._spool, self._settings, self._metrics, self._connect = spool, settings, metrics, connect
        self._producer: Producer | None = None

    def drain(self) -> int:
        """Send what waits until nothing does; returns how many messages were delivered.

        Raises BrokerUnavailable, BrokerRefused or ConfigError. What was acknowledged before is delivered, the rest waits on disk.
        """
        count = 0
        while messages := self._spool.pending(_BATCH):
            futures = []
            try:
                with answering(self._settings):
                    if self._producer is None:
                        self._producer = self._connect(self._settings)
                    for message in messages:
                        futures.append(self._producer.send(self._settings.kafka_topic, value=message.value, key=message.key))
                    self._producer.flush(timeout=2 * _DELIVERY_SECONDS)
                    for future in futures:
                        future.get(timeout=1)
            except CostlakeError:
                self._metrics.failures.inc()
                self._metrics.broker_up.set(0)
                count += self._keep_acknowledged([message.sequence for message in messages], futures)
                self.close()
                raise
            finally:
                self._observe()
            count += self._keep_acknowledged([message.sequence for message in messages], futures)
            self._metrics.broker_up.set(1)
            self._observe()
        return count

    def _keep_acknowledged(self, sequences: list[int], futures: list[Any]) -> int:
        """Forget the messages up to the first one without acknowledgement."""
        done = 0
        for future in futures:
            if not future.succeeded():
                break
            done += 1
        if done:
            self._spool.delivered(sequences[done - 1])
            self._metrics.delivered.inc(done)
        return done

    def _observe(self) -> None:
        self._metrics.waiting.set(self._spool.waiting)
        self._metrics.size.set(self._spool.size_bytes)

    def close(self) -> None:
        """Give up the producer; the spool keeps what it has not acknowledged."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            producer.close(timeout=0)


class Sender(threading.Thread):
    """Drains the spool beside the measuring, so that a slow broker delays no interval.

    `wake` after an append; `finish` sends what waits, for a bounded time, and ends the thread.
    """

    def __init__(self, forwarder: Forwarder) -> None:
        super().__init__(name="costlake-sender", daemon=True)
        self._forwarder = forwarder
        self._wake, self._stop_asked = threading.Event(), threading.Event()
        self.last_error: CostlakeError | None = None

    def wake(self) -> None:
        """There is something to send."""
        self._wake.set()

    def finish(self, seconds: float) -> None:
        """Try once more, wait for it at most `seconds`, and end."""
        self._stop_asked.set()
        self._wake.set()
        self.join(seconds)

    def run(self) -> None:
        """Send until `finish`; the broker's absence makes the tries rarer and is logged once."""
        patience = _PATIENCE_SECONDS[0]
        while True:
            last = self._stop_asked.is_set()
            self._wake.clear()
            try:
                sent = self._forwarder.drain()
                if self.last_error is not None:
                    LOG.warning("the broker is back: %d messages sent from the spool", sent)
                self.last_error, patience = None, _PATIENCE_SECONDS[0]
            except (RetryableError, BrokerRefused) as error:
                if self.last_error is None or type(self.last_error) is not type(error):
                    LOG.error("messages wait in the spool: %s", error)
                self.last_error = error
                if not last:
                    # Not _wake: a message every second must not become a try every second.
                    self._stop_asked.wait(patience)
                    patience = min(2 * patience, _PATIENCE_SECONDS[1])
                    self._wake.set()
            except CostlakeError as error:
                self.last_error = error  # the collector sees that the thread has ended, and ends with this
                break
            if last:
                break
            self._wake.wait()
        self._forwarder.close()
