"""A small fleet that produces telemetry with a known number of samples, and what the lake holds of it.

Data flow: seed → messages → Kafka (idempotent producer) → … → `landed`: rows, distinct rows, energy.
Run alone: `python -m tests.streams.fleet BOOTSTRAP TOPIC SECONDS` produces until the time is over, then prints what was acknowledged.
"""

from __future__ import annotations

import datetime as dt
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from costlake.delta import Lake
from costlake.settings import Settings
from streams.events import Gpu, GpuProcess, HostTelemetry, encode

START = dt.datetime(2026, 11, 20, 9, 0, tzinfo=dt.UTC)
GPUS = 2
POISON = b"\x00 no message"


def is_poison(number: int) -> bool:
    """Which of the producer's messages cannot be used."""
    return number % 97 == 5


def event(number: int, *, at: dt.datetime | None = None, hosts: int = 7, gpus: int = GPUS, prefix: str = "e") -> HostTelemetry:
    """The event of a number: its host, interval and readings follow from it."""
    begin = at or START + dt.timedelta(seconds=number // hosts)
    return HostTelemetry(
        event_id=f"{prefix}-{number}",
        cluster="c1",
        host=f"node-{number % hosts}",
        resource_id=f"i-{number % hosts:04x}",
        source="simulator",
        interval_start=begin,
        interval_end=begin + dt.timedelta(seconds=1),
        gpus=tuple(
            Gpu(
                gpu_uuid=f"GPU-{number % hosts:04d}-{index}",
                gpu_index=index,
                model_name="NVIDIA H100 80GB HBM3",
                gpu_utilization_percent=Decimal(number % 101),
                sm_active_ratio=Decimal("0.913"),
                memory_used_bytes=64 * 2**30,
                memory_total_bytes=80 * 2**30,
                power_watts=Decimal("612.345"),
                energy_joules=Decimal(number),
                temperature_celsius=Decimal(61),
                processes=(GpuProcess(pid=4242, memory_used_bytes=2**30, namespace="training", pod="llm-0", job_id="run-7"),),
            )
            for index in range(gpus)
        ),
    )


def producer(bootstrap: str, **options: Any) -> Any:
    """An idempotent producer that waits for a broker that is away."""
    from kafka import KafkaProducer

    return KafkaProducer(
        **{
            "bootstrap_servers": bootstrap,
            "acks": "all",
            "linger_ms": 10,
            "delivery_timeout_ms": 120_000,
            "compression_type": "lz4",
            **options,
        }
    )


def make_topic(bootstrap: str, name: str, partitions: int = 3, **configs: str) -> None:
    """A new topic."""
    from kafka.admin import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}})
    admin.close()


def send(bootstrap: str, topic: str, values: Iterable[HostTelemetry | bytes], partition: int | None = None) -> int:
    """Send messages (or raw bytes) and wait for all to be acknowledged; returns how many."""
    client, count = producer(bootstrap), 0
    futures = []
    for value in values:
        data, key = (value, None) if isinstance(value, bytes) else (encode(value), value.key)
        futures.append(client.send(topic, value=data, key=key, partition=partition))
        count += 1
    client.flush(60)
    for future in futures:
        future.get(60)
    client.close()
    return count


def landed(settings: Settings) -> tuple[int, int, int, int]:
    """Rows, distinct (event, GPU), distinct Kafka records, and the sum of event numbers over distinct events."""
    rows = Lake(settings).connect()
    found = rows.execute(
        "SELECT count(*), count(DISTINCT (event_id, gpu_uuid)), count(DISTINCT (_topic_id, _partition, _offset)), "
        "coalesce(sum(energy_joules), 0)::BIGINT FROM bronze.gpu_telemetry"
    ).fetchall()[0]
    rows.close()
    return tuple(found)


def expected(numbers: Sequence[int]) -> tuple[int, int, int, int]:
    """What `landed` gives where each of these events came once."""
    return len(numbers) * GPUS, len(numbers) * GPUS, len(numbers), sum(numbers) * GPUS


def main() -> None:
    """Produce about 400 messages a second, a few of them poison, for some seconds or until SIGTERM; then say how many were acknowledged."""
    bootstrap, topic, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    client, futures, deadline = producer(bootstrap), deque(), time.monotonic() + seconds
    count = acknowledged = 0
    print("go", flush=True)
    while time.monotonic() < deadline and not stop.is_set():
        for number in range(count, count + 20):
            message = event(number)
            futures.append(client.send(topic, value=POISON if is_poison(number) else encode(message), key=message.key))
        count += 20
        time.sleep(0.05)
        # Not faster than the broker answers: what is not acknowledged when the producer ends would be unknown.
        while len(futures) > 2_000:
            futures.popleft().get(120)
            acknowledged += 1
    client.flush(120)
    for future in futures:
        future.get(120)
        acknowledged += 1
    assert acknowledged == count
    print(count, flush=True)


if __name__ == "__main__":
    main()
