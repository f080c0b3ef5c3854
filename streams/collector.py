"""The collector: on a GPU host, what its accelerators did in each interval, as one message per host and interval, to Kafka.

Data flow: NVML or an exporter (`Source`), sampled several times in an interval → `readings.mean_of` → `HostTelemetry` → `Spool` (on disk)
→ `delivery.Sender` → Kafka.

The loop never ends for what can pass: a driver that is being upgraded, an exporter that restarts, a broker that is away, a full spool. It
says so in the log and in its metrics, and the interval is missing in the data, visibly. It ends where nothing can be measured from the
start (no driver, no accelerator) or its configuration is wrong.
Run alone: costlake telemetry collect --once --print
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge

from costlake.errors import ConfigError, CostlakeError, RetryableError
from costlake.periods import Clock
from streams.delivery import Sender
from streams.events import HostTelemetry, MalformedMessage, encode
from streams.exporters import MalformedScrape, Scrape
from streams.readings import NoAccelerator, SourceUnavailable, gpus_of, mean_of
from streams.sources import Source
from streams.spool import Spool, SpoolFailed, SpoolFull

LOG = logging.getLogger(__name__)
# How far wall clock and monotonic clock may part from one interval to the next before the wall clock counts as set.
_DRIFT = dt.timedelta(seconds=1)
_LONGEST_NAME, _MOST_GPUS = 256, 1024  # as streams.events has them
_GIVE_UP = 20  # intervals


@dataclass(frozen=True)
class Place:
    """What the message says of the machine, unless the source knows better.

    Attributes:
        cluster: our name of the cluster.
        host: name of this machine.
        resource_id: its id on the bill; None where it is not known.
    """

    cluster: str
    host: str
    resource_id: str | None = None


class CollectorMetrics:
    """What Prometheus is told of measuring."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.messages = Counter("costlake_collector_messages", "Messages made and put into the spool", registry=registry)
        self.refused = Counter("costlake_collector_messages_lost", "Messages that the spool could not take", ["reason"], registry=registry)
        self.failures = Counter("costlake_collector_source_failures", "Samples that failed", ["error"], registry=registry)
        self.dropped = Counter("costlake_collector_values_dropped", "Values out of their field's range", ["field"], registry=registry)
        self.accelerators = Gauge("costlake_collector_accelerators", "Accelerators in the last message", registry=registry)
        self.last = Gauge("costlake_collector_last_interval_end_seconds", "End of the last interval", registry=registry)


@dataclass
class Collector:
    """Measures interval after interval.

    Attributes:
        source: what measures.
        place: of the machine.
        interval: length of an interval; samples: how often it is looked in each.
        clock: wall time; monotonic: seconds that nobody sets.
        take: gets each message (the spool, or a printer).
        metrics: told of each step.
    """

    source: Source
    place: Place
    interval: dt.timedelta
    clock: Clock
    take: Callable[[HostTelemetry], None]
    metrics: CollectorMetrics
    samples: int = 1
    monotonic: Callable[[], float] = time.monotonic
    _last_error: CostlakeError | None = field(default=None, init=False)
    _last: tuple[dt.datetime, float] | None = field(default=None, init=False)  # end of the last interval by both clocks

    def __post_init__(self) -> None:
        if self.interval < dt.timedelta(milliseconds=100) or self.samples < 1:
            raise ConfigError(
                "the collector's interval cannot be kept",
                where=f"interval {self.interval}, {self.samples} samples",
                expected="at least 0.1 seconds, and at least one sample in it",
                next_step="choose another --interval or --sample-every",
            )
        names = (self.place.cluster, self.place.host, self.place.resource_id or "-")
        if not all(0 < len(name) <= _LONGEST_NAME for name in names):
            raise ConfigError(
                "the collector's place has no name",
                where=f"cluster {self.place.cluster!r}, host {self.place.host!r}, resource id {self.place.resource_id!r}",
                expected=f"1 to {_LONGEST_NAME} characters each",
                next_step="give --cluster, --host and --resource-id as the bill and the scheduler have them",
            )

    def run(self, stop: threading.Event, healthy: Callable[[], None] = lambda: None) -> None:
        """Measure until `stop`; what is begun then is left out. `healthy` is called after each interval and may raise.

        Raises SourceUnavailable after many intervals without anything measured: the library of a driver that was upgraded under us works
        again only in a new process, and whoever runs us starts one.
        """
        empty = 0
        while not stop.is_set():
            empty = 0 if self.one(stop.wait) else empty + 1
            healthy()
            if empty >= _GIVE_UP and self._last_error is not None:
                raise SourceUnavailable(
                    f"nothing was measured in {empty} intervals ({self._last_error.what})",
                    where=self._last_error.where,
                    expected=self._last_error.expected,
                    next_step="start a new process (systemd and Kubernetes do by themselves); if that does not help: "
                    + self._last_error.next_step,
                ) from self._last_error

    def one(self, wait: Callable[[float], object]) -> list[HostTelemetry]:
        """One interval, from now on: wait, sample, make the messages and hand them over.

        What the source fails in is logged and counted.
        """
        begun = self.monotonic()
        taken: list[list[Scrape]] = []
        step = self.interval.total_seconds() / self.samples
        for number in range(1, self.samples + 1):
            if wait(max(0.0, begun + number * step - self.monotonic())):
                return []
            try:
                taken.append(self.source.read())
            except (SourceUnavailable, MalformedScrape, NoAccelerator) as error:
                self._last_error = error
                self.metrics.failures.labels(type(error).__name__).inc()
                LOG.error("a sample is missing: %s", error)
        end = self.clock.now()
        start = self._start(begun, end)
        messages = [] if start is None or start >= end else self._messages(taken, start, end)
        for message in messages:
            self._hand_over(message)
        return messages

    def _start(self, begun: float, end: dt.datetime) -> dt.datetime | None:
        """Where the interval that ends now starts. Intervals of a host follow one another without gap or overlap; where the wall clock was
        set meanwhile, the time that really passed counts. None: the clock was set back, and this time has been told already."""
        now = self.monotonic()
        if self._last is None:
            start: dt.datetime | None = end - dt.timedelta(seconds=now - begun)
        else:
            last_end, last_now = self._last
            elapsed = dt.timedelta(seconds=now - last_now)
            drift = (end - last_end) - elapsed
            if abs(drift) > _DRIFT:
                LOG.warning("the clock was set by about %s before %s", drift, end.isoformat())
            if abs(drift) <= _DRIFT or (drift < dt.timedelta(0) and last_end < end):
                start = last_end
            elif drift < dt.timedelta(0) and last_end - end <= self.interval:
                return None
            else:
                start = end - elapsed
        self._last = end, now
        return start

    def _messages(self, taken: Sequence[list[Scrape]], start: dt.datetime, end: dt.datetime) -> list[HostTelemetry]:
        by_host: dict[str, list[Scrape]] = {}
        for sample in taken:
            for scrape in sample:
                by_host.setdefault(scrape.host or self.place.host, []).append(scrape)
        messages = []
        for host, of_host in by_host.items():
            try:
                gpus, dropped = gpus_of(mean_of([scrape.readings for scrape in of_host]))
            except NoAccelerator as error:
                self.metrics.failures.labels(type(error).__name__).inc()
                LOG.error("the interval of host %r is missing: %s", host, error)
                continue
            for name in dropped:
                self.metrics.dropped.labels(name).inc()
            if not gpus or not 0 < len(host) <= _LONGEST_NAME or len(gpus) > _MOST_GPUS:
                LOG.error("the interval of host %.80r with %d accelerators is missing: no such host", host, len(gpus))
                continue
            latest = of_host[-1]
            # The machine's own id on the bill belongs to the machine: a scrape of another host must not get it.
            own = self.place.resource_id if len(by_host) == 1 else None
            messages.append(
                HostTelemetry(
                    event_id=event_id(self.place.cluster, host, self.source.name, start, end),
                    cluster=self.place.cluster,
                    host=host,
                    resource_id=latest.resource_id or own,
                    source=self.source.name,  # type: ignore[arg-type]  # a mapping's source is one of the message's
                    driver_version=latest.driver_version,
                    interval_start=start,
                    interval_end=end,
                    gpus=gpus,
                )
            )
        return messages

    def _hand_over(self, message: HostTelemetry) -> None:
        try:
            self.take(message)
        except (SpoolFull, SpoolFailed, MalformedMessage) as error:
            self.metrics.refused.labels(type(error).__name__).inc()
            LOG.critical("the interval until %s is lost: %s", message.interval_end.isoformat(), error)
            return
        self.metrics.messages.inc()
        self.metrics.accelerators.set(len(message.gpus))
        self.metrics.last.set(message.interval_end.timestamp())


def event_id(cluster: str, host: str, source: str, start: dt.datetime, end: dt.datetime) -> str:
    """The message's id: the same for the same interval of the same host by the same source, so that a message sent again is known."""
    text = "\n".join((cluster, host, source, start.isoformat(), end.isoformat()))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def into_spool(spool: Spool, sender: Sender | None) -> Callable[[HostTelemetry], None]:
    """`Collector.take` for production: on disk first, then the sender is told."""

    def take(message: HostTelemetry) -> None:
        spool.append(message.key, encode(message))
        if sender is not None:
            sender.wake()

    return take


def still_sending(sender: Sender) -> Callable[[], None]:
    """A check for `Collector.run`: a sender that has ended must not end in silence, with messages piling up."""

    def check() -> None:
        if not sender.is_alive():
            raise sender.last_error or RetryableError(
                "the sending thread has ended",
                where="streams.delivery.Sender",
                expected="a thread that runs as long as the collector",
                next_step="look at the traceback above; the messages are in the spool, start the collector again",
            )

    return check
