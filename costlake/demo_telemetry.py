"""Telemetry for the demo's GPU machines: the simulator's, under the instance ids of the demo's AWS bill and for the hours it charges.

Data flow: `ingest.demo.gpu_hosts` (machines, hours billed) + `streams.simulator` → messages; `stream_demo` sends them through a small
broker and the real consumer into the lake. It stands at the edge because those two rooms do not know each other.
Run alone: costlake telemetry simulate --demo-days 1 --print, or costlake telemetry demo
"""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costlake.delta import Lake
from costlake.periods import BillingPeriod, Clock
from costlake.settings import Settings

if TYPE_CHECKING:
    from ingest.demo.gpu_hosts import GpuHost
    from streams.events import HostTelemetry
    from streams.fleet import Role, SimulatedHost

HOUR_SECONDS = 3_600.0
# Somebody left a machine hanging that many days before the estate ends.
_FORGOTTEN_DAYS = 3


def demo_fleet(seed: int = 7, last_month: str = "2026-10") -> tuple[SimulatedHost, ...]:
    """The demo company's GPU machines as a fleet to simulate: research trains, product serves (some replicas are warm and never asked),
    platform has one machine cut by MIG and one that was left hanging, data shares its GPUs in time slices and has one that nobody uses."""
    from ingest.demo.gpu_hosts import CLUSTER, gpu_hosts
    from streams.fleet import MODELS, SimulatedHost

    end = BillingPeriod.parse(last_month).end
    seen: dict[tuple[str, str], int] = {}
    fleet = []
    for number, host in enumerate(gpu_hosts()):
        place = seen[host.gpu_name, host.team] = seen.get((host.gpu_name, host.team), -1) + 1
        role = _role(host, place)
        fleet.append(
            SimulatedHost(
                number=number,
                host=host.host,
                cluster=CLUSTER,
                resource_id=host.resource_id,
                gpus=host.gpu_count,
                model=MODELS[host.gpu_name],
                role=role,
                team=host.team,
                project=host.project,
                seed=seed,
                left_at=end - dt.timedelta(days=_FORGOTTEN_DAYS) if role == "forgotten" else None,
            )
        )
    return tuple(fleet)


def _role(host: GpuHost, place: int) -> Role:
    if host.team == "research":
        return "training"
    if host.team == "platform":
        return "mig" if place == 0 else "forgotten"
    if host.team == "data":
        return "idle" if place == 0 else "timesliced"
    return "warm" if place % 5 == 4 else "inference"


def demo_telemetry(
    days: int, *, seed: int = 7, last_month: str = "2026-10", sample_seconds: float = HOUR_SECONDS
) -> Iterator[HostTelemetry]:
    """Messages of the estate's last `days` days, a message per host and `sample_seconds`.

    A machine runs from midnight for as long as the bill charges it that day (the last interval is shorter), so that the intervals of a
    machine add up to its billed hours exactly.
    """
    from ingest.demo.gpu_hosts import hours_on
    from streams.simulator import series

    fleet = {host.resource_id: host for host in demo_fleet(seed, last_month)}
    first = BillingPeriod.parse(last_month).end.date() - dt.timedelta(days=days)
    for machine, day, hours in hours_on(seed, last_month, first):
        start = dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)
        end = start + dt.timedelta(microseconds=int(hours * 3_600 * 10**6))
        yield from series([fleet[machine.resource_id]], start, end, sample_seconds)


@dataclass(frozen=True)
class DemoStream:
    """What the demo's stream did: messages sent, and the rows that the consumer wrote of them."""

    messages: int
    rows: int


def stream_demo(
    settings: Settings, clock: Clock, days: int, *, seed: int = 7, last_month: str = "2026-10", sample_seconds: float = HOUR_SECONDS
) -> DemoStream:
    """The demo's telemetry through Kafka's protocol into `bronze.gpu_telemetry`: production's producer and consumer, a broker in memory.

    Events that the table has already are not sent again, so a second run writes nothing and starts no broker.

    Raises ConfigError where the extra `demo` is not installed, and what producer and consumer raise.
    """
    from streams.broker import demo_broker
    from streams.consumer import Batching, Consumer
    from streams.delivery import sending
    from streams.events import encode
    from streams.metrics import ConsumerMetrics
    from streams.sink import Sink

    lake = Lake(settings)
    known = _known_events(lake)
    made = demo_telemetry(days, seed=seed, last_month=last_month, sample_seconds=sample_seconds)
    told = [message for message in made if message.event_id not in known]
    if not told:
        return DemoStream(0, 0)
    told.sort(key=lambda message: message.interval_start)  # as they would have come, so that a batch is of few hours
    # A topic of its own for each load: the broker forgets, and to the consumer a topic made anew under an old name has lost its records.
    topic = "demo-" + hashlib.sha256("".join(message.event_id for message in told).encode()).hexdigest()[:16]
    with demo_broker(topic) as address:
        there = settings.model_copy(update={"kafka_bootstrap": address, "kafka_security": "PLAINTEXT", "kafka_topic": topic})
        with sending(there) as send:
            for message in told:
                send(message.key, encode(message))
        totals = Consumer(there, Sink(lake, clock), ConsumerMetrics(), Batching(seconds=5.0)).run(threading.Event(), once=True)
    return DemoStream(len(told), totals.rows)


def _known_events(lake: Lake) -> set[str]:
    from ingest.demo.gpu_hosts import CLUSTER
    from streams.tables import GPU_TELEMETRY

    if not lake.exists(GPU_TELEMETRY.layer, GPU_TELEMETRY.name):
        return set()
    connection = lake.connect()
    try:
        rows = connection.execute(
            f"SELECT DISTINCT event_id FROM {GPU_TELEMETRY.layer}.{GPU_TELEMETRY.name} WHERE cluster = ?", [CLUSTER]
        ).fetchall()
    finally:
        connection.close()
    return {event for (event,) in rows}
