"""The consumer's speed beside bare poll loops on the same topic in one run, and how soon an event can be queried at 10,000 GPUs and 1 Hz.

Data flow: a topic of messages (8 GPUs each) → a bare kafka-python loop, a bare confluent-kafka loop, our consumer with its Delta commits,
each in a process of its own; then 1,250 messages a second for some seconds → consumer → time from sending to commit.
Needs Apache Kafka (`make kafka`, or KAFKA_BOOTSTRAP) and a quiet machine: broker and producer share it.
Run alone: python -m bench.stream --messages 60000 --seconds 30
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from costlake.delta import Lake
from costlake.periods import SystemClock
from costlake.settings import Settings
from streams.consumer import Batching, Consumer
from streams.events import encode
from streams.sink import Sink
from tests.streams import broker, fleet

HOSTS, GPUS = 1_250, 8
PARTITIONS = 4


def main() -> int:
    """Measure and print; exit status 1 where there is no Kafka."""
    parser = argparse.ArgumentParser(prog="python -m bench.stream", description=__doc__)
    parser.add_argument("--messages", type=int, default=60_000, help="in the topic that is read as fast as possible")
    parser.add_argument("--repeat", type=int, default=2, help="times that each loop reads it; the best counts")
    parser.add_argument("--seconds", type=int, default=30, help="of the sustained load")
    parser.add_argument("--loop", choices=sorted(LOOPS), help=argparse.SUPPRESS)
    parser.add_argument("--place", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.loop:
        print(json.dumps(_timed(LOOPS[given.loop], *given.place, given.messages)))
        return 0
    try:
        with _kafka() as bootstrap:
            print(_fast(bootstrap, given.messages, given.repeat))
            print(_sustained(bootstrap, given.seconds))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


@contextmanager
def _kafka() -> Iterator[str]:
    given = os.environ.get("KAFKA_BOOTSTRAP")
    if given:
        yield given
        return
    reason = broker.why_not()
    if reason:
        raise RuntimeError(f"nothing measured: {reason}")
    with tempfile.TemporaryDirectory(prefix="costlake-bench-") as folder:
        kafka = broker.Kafka(Path(folder) / "kafka").start()
        try:
            yield kafka.bootstrap
        finally:
            kafka.stop()


class Messages:
    """Encoded once per host; each one sent gets its own id and interval."""

    def __init__(self) -> None:
        marked = (fleet.event(number, at=fleet.START, hosts=HOSTS, gpus=GPUS) for number in range(HOSTS))
        self._of_host = [(message.key, encode(message).replace(f'"e-{number}"'.encode(), b'"%b"')) for number, message in enumerate(marked)]
        self._start, self._end = (
            moment.isoformat().replace("+00:00", "Z").encode() for moment in (fleet.START, fleet.START + timedelta(seconds=1))
        )

    def at(self, number: int, start: bytes, end: bytes) -> tuple[bytes, bytes]:
        """Key and value of a message."""
        key, value = self._of_host[number % HOSTS]
        return key, value.replace(b"%b", b"e-%d" % number).replace(self._end, end).replace(self._start, start)


def _producer(bootstrap: str):  # type: ignore[no-untyped-def]
    from confluent_kafka import Producer

    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 20,
            "queue.buffering.max.messages": 500_000,
        }
    )


def _topic(bootstrap: str) -> str:
    name = f"bench-{uuid.uuid4().hex[:6]}"
    fleet.make_topic(bootstrap, name, PARTITIONS)
    return name


def _iso(moment: datetime) -> bytes:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z").encode()


def _fast(bootstrap: str, count: int, repeat: int) -> str:
    topic, messages, client = _topic(bootstrap), Messages(), _producer(bootstrap)
    size = 0
    for number in range(count):
        start = fleet.START + timedelta(seconds=number // HOSTS)
        key, value = messages.at(number, _iso(start), _iso(start + timedelta(seconds=1)))
        size = len(value)
        client.produce(topic, value=value, key=key)
        client.poll(0)
    client.flush()
    best: dict[str, dict[str, float]] = {}
    for _ in range(repeat):
        for loop in ("kafka-python", "confluent-kafka", "costlake"):
            command = [sys.executable, "-m", "bench.stream", "--loop", loop, "--place", bootstrap, topic, "--messages", str(count)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(done.stderr[-3000:])
            found = json.loads(done.stdout.splitlines()[-1])
            if loop not in best or found["seconds"] < best[loop]["seconds"]:
                best[loop] = found
    lines = [
        f"{count} messages of {size} bytes, {GPUS} GPUs each, lz4, {PARTITIONS} partitions; load of the machine {os.getloadavg()[0]:.1f}"
    ]
    lines.append("| loop | messages/s | GPU samples/s | of bare kafka-python | CPU s |\n|---|---|---|---|---|")
    bare = count / best["kafka-python"]["seconds"]
    for loop, found in best.items():
        rate = count / found["seconds"]
        lines.append(f"| {loop} | {rate:,.0f} | {rate * GPUS:,.0f} | {rate / bare:.2f} | {found['cpu']:.1f} |")
    return "\n".join(lines)


def _timed(loop: Callable[[str, str, int], float], bootstrap: str, topic: str, count: int) -> dict[str, float]:
    seconds = loop(bootstrap, topic, count)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime}


def _bare_kafka_python(bootstrap: str, topic: str, count: int) -> float:
    from kafka import KafkaConsumer, TopicPartition

    # The same tuning as ours has.
    client = KafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", max_poll_records=4_000,
        max_partition_fetch_bytes=8 << 20, isolation_level="read_committed",
    )  # fmt: skip
    client.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
    begin, seen = time.perf_counter(), 0
    while seen < count:
        seen += sum(len(records) for records in client.poll(timeout_ms=200).values())
    return time.perf_counter() - begin


def _bare_confluent(bootstrap: str, topic: str, count: int) -> float:
    from confluent_kafka import Consumer as Client
    from confluent_kafka import TopicPartition

    client = Client(
        {"bootstrap.servers": bootstrap, "group.id": f"bare-{topic}", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    )
    client.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    begin, seen = time.perf_counter(), 0
    while seen < count:
        seen += len(client.consume(4_000, timeout=0.2))
    seconds = time.perf_counter() - begin
    client.close()
    return seconds


def _ours(bootstrap: str, topic: str, count: int) -> float:
    with tempfile.TemporaryDirectory(prefix="costlake-bench-") as folder:
        settings = _settings(folder, bootstrap, topic)
        consumer = Consumer(settings, Sink(Lake(settings), SystemClock()))
        begin = time.perf_counter()
        totals = consumer.run(threading.Event(), once=True)
        seconds = time.perf_counter() - begin
        assert totals.messages == count
        assert totals.rows == count * GPUS
    return seconds


LOOPS = {"kafka-python": _bare_kafka_python, "confluent-kafka": _bare_confluent, "costlake": _ours}


def _settings(folder: str, bootstrap: str, topic: str) -> Settings:
    return Settings.load(
        home=folder, lake=f"{folder}/lake", kafka_bootstrap=bootstrap, kafka_topic=topic, kafka_group=f"g-{uuid.uuid4().hex[:6]}"
    )


def _sustained(bootstrap: str, seconds: int) -> str:
    topic, messages, client = _topic(bootstrap), Messages(), _producer(bootstrap)
    with tempfile.TemporaryDirectory(prefix="costlake-bench-") as folder:
        settings, stop = _settings(folder, bootstrap, topic), threading.Event()
        consumer = Consumer(settings, Sink(Lake(settings), SystemClock()), batching=Batching())
        thread = threading.Thread(target=consumer.run, args=(stop,))
        thread.start()
        time.sleep(5)
        begin = time.perf_counter()
        for second in range(seconds):
            # Every host has its own instant within the second, as fleets do; tenths keep the producer's share of the machine small.
            for tenth in range(10):
                pause = begin + second + tenth / 10 - time.perf_counter()
                time.sleep(max(pause, 0))
                now = datetime.now(tz=UTC)
                stamps = _iso(now - timedelta(seconds=1)), _iso(now)
                for number in range(second * HOSTS + tenth * HOSTS // 10, second * HOSTS + (tenth + 1) * HOSTS // 10):
                    key, value = messages.at(number, *stamps)
                    client.produce(topic, value=value, key=key)
            client.poll(0)
        late = time.perf_counter() - begin - seconds
        client.flush()
        time.sleep(Batching().seconds + 3)
        stop.set()
        thread.join()
        return _latencies(settings, seconds, late)


def _latencies(settings: Settings, seconds: int, late: float) -> str:
    """From the end of an event's interval, when it was sent, to the commit that made it visible."""
    lake = Lake(settings)
    commits = sorted(int(commit["timestamp"]) / 1000 for commit in lake.history("bronze", "gpu_telemetry"))[1:]  # type: ignore[call-overload]
    connection = lake.connect()
    batches = connection.execute("SELECT DISTINCT epoch(_ingested_at) FROM bronze.gpu_telemetry ORDER BY 1").fetchall()
    assert len(batches) == len(commits), "a commit without rows of its own"
    committed = dict(zip((batch for (batch,) in batches), commits, strict=True))
    rows = connection.execute("SELECT epoch(_ingested_at), epoch(interval_end) FROM bronze.gpu_telemetry").fetchall()
    cuts = statistics.quantiles((committed[batch] - sent for batch, sent in rows), n=100)
    found = "all there" if len(rows) == seconds * HOSTS * GPUS else "NOT ALL THERE"
    return (
        f"{HOSTS * GPUS:,} GPUs at 1 Hz for {seconds} s: {len(rows):,} samples {found} in {len(commits)} "
        f"commits; event to queryable p50 {cuts[49]:.1f} s, p95 {cuts[94]:.1f} s, p99 {cuts[98]:.1f} s; producer late by {late:.1f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
