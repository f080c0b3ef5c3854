"""Law 9 against Apache Kafka itself: replays, rebalances, broker restarts and topics made anew lose nothing and double nothing."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from costlake.delta import Lake
from costlake.errors import BrokerUnavailable, RecordsLost
from costlake.periods import Clock, SystemClock
from costlake.settings import Settings
from streams.consumer import Batching, Consumer, Totals
from streams.metrics import ConsumerMetrics
from streams.positions import Partition, Position
from streams.sink import Sink, Stretch
from tests.streams import broker, fleet

QUICK = Batching(seconds=0.3)
OPTIONS = {"metadata_max_age_ms": 1_000}
MakeSettings = Callable[..., Settings]


def consumer(
    settings: Settings, *, clock: Clock | None = None, batching: Batching = QUICK, metrics: ConsumerMetrics | None = None
) -> Consumer:
    return Consumer(settings, Sink(Lake(settings), clock or SystemClock()), metrics, batching, options=OPTIONS)


def consume(settings: Settings, **how: Any) -> Totals:
    """All that the topic has; a test that hangs says so."""
    stop = threading.Event()
    timer = threading.Timer(180, stop.set)
    timer.start()
    try:
        totals = consumer(settings, **how).run(stop, once=True)
    finally:
        timer.cancel()
    assert not stop.is_set(), "the consumer never caught up"
    return totals


class Member:
    """A consumer in a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self.stop, self.error = threading.Event(), None
        self.consumer = consumer(settings)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.consumer.run(self.stop)
        except Exception as error:
            self.error = error

    def leave(self) -> Totals:
        self.stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error
        return self.consumer.totals


def wait_for_rows(settings: Settings, rows: int, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if Lake(settings).exists("bronze", "gpu_telemetry") and fleet.landed(settings)[0] >= rows:
            return
        time.sleep(0.2)
    pytest.fail(f"{fleet.landed(settings)} after {seconds} s, expected {rows} rows")


def test_what_was_produced_is_in_the_table_and_a_second_run_adds_nothing(bootstrap: str, topic: str, stream_settings: MakeSettings) -> None:
    settings = stream_settings(bootstrap, topic)
    fleet.send(bootstrap, topic, (fleet.event(number) for number in range(300)))
    first = consume(settings)
    assert (first.messages, first.rows, first.dead_letters) == (300, 300 * fleet.GPUS, 0)
    version = Lake(settings).version("bronze", "gpu_telemetry")
    assert consume(settings) == Totals()
    fleet.send(bootstrap, topic, (fleet.event(number) for number in range(300, 400)))
    assert consume(settings).messages == 100
    assert fleet.landed(settings) == fleet.expected(range(400))
    assert version is not None


def test_kafkas_own_offsets_play_no_part(bootstrap: str, topic: str, stream_settings: MakeSettings) -> None:
    """A replay: somebody sets the group back to the beginning, or the group is new; and forward, which would lose records."""
    from kafka import KafkaConsumer, TopicPartition
    from kafka.structs import OffsetAndMetadata

    settings = stream_settings(bootstrap, topic)
    fleet.send(bootstrap, topic, (fleet.event(number) for number in range(100)))
    consume(settings)
    for offset in (0, 100_000):
        admin = KafkaConsumer(bootstrap_servers=bootstrap, group_id=settings.kafka_group, enable_auto_commit=False)
        admin.assign([TopicPartition(topic, partition) for partition in range(3)])
        admin.commit({TopicPartition(topic, partition): OffsetAndMetadata(offset, "", -1) for partition in range(3)})
        admin.close()
        fleet.send(bootstrap, topic, [fleet.event(100 + offset // 100_000)])
        assert consume(settings).messages == 1
    assert consume(settings.model_copy(update={"kafka_group": "another"})) == Totals()
    assert fleet.landed(settings) == fleet.expected(range(102))


def test_poison_is_counted_and_kept_and_the_stream_goes_on(bootstrap: str, topic: str, stream_settings: MakeSettings) -> None:
    settings, metrics = stream_settings(bootstrap, topic), ConsumerMetrics()
    fleet.send(bootstrap, topic, [*(fleet.event(number) for number in range(20)), b"\x00poison", b"", b"null"], partition=1)
    totals = consume(settings, metrics=metrics)
    assert (totals.messages, totals.dead_letters) == (20, 3)
    kept = (
        Lake(settings).connect().execute('SELECT "partition", "offset", step, payload FROM bronze.gpu_dead_letters ORDER BY 2').fetchall()
    )
    assert kept == [(1, 20, "decode", b"\x00poison"), (1, 21, "decode", b""), (1, 22, "decode", b"null")]
    page = metrics.text()
    assert 'costlake_gpu_dead_letters_total{step="decode"} 3.0' in page
    assert "costlake_gpu_rows_total 40.0" in page
    assert "costlake_gpu_commit_seconds_count 1.0" in page


def test_aborted_transactions_never_land(bootstrap: str, topic: str, stream_settings: MakeSettings) -> None:
    settings = stream_settings(bootstrap, topic)
    client = fleet.producer(bootstrap, transactional_id=f"t-{topic}")
    client.init_transactions()
    for begin, commits in ((0, True), (50, False), (50, True)):
        client.begin_transaction()
        for number in range(begin, begin + 50):
            message = fleet.event(number)
            client.send(topic, value=fleet.encode(message), key=message.key)
        if commits:
            client.commit_transaction()
        else:
            client.flush()
            client.abort_transaction()
    client.close()
    consume(settings)
    assert fleet.landed(settings) == fleet.expected(range(100))
    assert consume(settings) == Totals()


@pytest.mark.slow
def test_three_consumers_that_come_and_go_share_the_topic(bootstrap: str, topic: str, stream_settings: MakeSettings) -> None:
    settings, sent = stream_settings(bootstrap, topic), 0
    members = [Member(settings)]
    for _ in range(2):
        fleet.send(bootstrap, topic, (fleet.event(number) for number in range(sent, sent + 200)))
        sent += 200
        members.append(Member(settings))
    for round_ in range(6):
        fleet.send(bootstrap, topic, (fleet.event(number) for number in range(sent, sent + 200)))
        sent += 200
        if round_ % 2:
            members.pop(0).leave()
            members.append(Member(settings))
    wait_for_rows(settings, sent * fleet.GPUS)
    shares = [member.consumer for member in members]
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and sorted(len(each._kafka.assignment()) for each in shares) != [1, 1, 1]:
        time.sleep(0.2)
    assert sorted(len(each._kafka.assignment()) for each in shares) == [1, 1, 1]
    for member in members:
        member.leave()
    assert fleet.landed(settings) == fleet.expected(range(sent))


@pytest.mark.slow
def test_a_consumer_that_slept_through_its_eviction_is_refused(bootstrap: str, topic: str, stream_settings: MakeSettings) -> None:
    """SIGSTOP: the group gives its partitions away while it holds a batch that it has read; then it wakes up."""
    settings = stream_settings(bootstrap, topic, kafka_session_seconds=3)
    fleet.send(bootstrap, topic, (fleet.event(number) for number in range(200)))
    port = broker.free_port()
    sleeper = process(settings, "--seconds", "600", "--metrics-port", str(port))
    wait_until_read(sleeper, port, 200)
    os.kill(sleeper.pid, signal.SIGSTOP)
    fleet.send(bootstrap, topic, (fleet.event(number) for number in range(200, 400)))
    heir = Member(settings)
    wait_for_rows(settings, 400 * fleet.GPUS, 90)
    os.kill(sleeper.pid, signal.SIGCONT)
    fleet.send(bootstrap, topic, (fleet.event(number) for number in range(400, 500)))
    wait_for_rows(settings, 500 * fleet.GPUS)
    heir.leave()
    sleeper.send_signal(signal.SIGTERM)
    output = sleeper.communicate(timeout=60)
    assert sleeper.returncode == 0, output
    consume(settings)
    assert fleet.landed(settings) == fleet.expected(range(500))


def process(settings: Settings, *options: str) -> subprocess.Popen[str]:
    """`costlake telemetry consume` as a process of its own."""
    names = ("home", "lake", "config_dir", "kafka_bootstrap", "kafka_topic", "kafka_group", "kafka_session_seconds")
    environment = {**os.environ, **{f"COSTLAKE_{name.upper()}": str(getattr(settings, name)) for name in names}}
    command = [sys.executable, "-m", "costlake.cli", "telemetry", "consume", *options]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until_read(running: subprocess.Popen[str], port: int, records: int) -> None:
    """Until the consumer's own metrics say that it knows of so many records, none of them in the table."""
    deadline = time.monotonic() + 60
    lines: list[str] = []
    while time.monotonic() < deadline and running.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as page:
                lines = page.read().decode().splitlines()
        except OSError:
            lines = []
        if sum(float(line.split()[-1]) for line in lines if line.startswith("costlake_gpu_lag_records{")) == records:
            return
        time.sleep(0.1)
    running.kill()
    pytest.fail(f"the consumer did not come to read {records} records: {running.communicate()}\n{lines}")


def test_sigterm_commits_what_was_read(bootstrap: str, topic: str, stream_settings: MakeSettings) -> None:
    settings = stream_settings(bootstrap, topic)
    fleet.send(bootstrap, topic, (fleet.event(number) for number in range(150)))
    port = broker.free_port()
    running = process(settings, "--seconds", "600", "--metrics-port", str(port))
    wait_until_read(running, port, 150)
    assert not Lake(settings).exists("bronze", "gpu_telemetry") or fleet.landed(settings)[0] == 0, "it was committed before the stop"
    running.send_signal(signal.SIGTERM)
    output, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    assert "150 messages, 300 rows in 1 commits" in output
    assert fleet.landed(settings) == fleet.expected(range(150))


def test_a_clock_that_jumps_changes_no_row(bootstrap: str, topic: str, stream_settings: MakeSettings) -> None:
    class Jumping:
        """Every look at it is an hour before the last."""

        moment = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)

        def now(self) -> dt.datetime:
            self.moment -= dt.timedelta(hours=1)
            return self.moment

    settings = stream_settings(bootstrap, topic)
    jumps = [fleet.START + dt.timedelta(hours=hours) for hours in (0, 5, -5, 24 * 365, -24 * 365, 0)]
    for number, moment in enumerate(jumps):
        fleet.send(bootstrap, topic, [fleet.event(number, at=moment)])
        consume(settings, clock=Jumping())
    assert fleet.landed(settings) == fleet.expected(range(len(jumps)))


def _gaps(settings: Settings) -> list[tuple[Any, ...]]:
    query = 'SELECT "partition", "offset", offset_end FROM bronze.gpu_dead_letters WHERE step = \'gap\' ORDER BY ALL'
    return Lake(settings).connect().execute(query).fetchall()


def test_records_that_expired_unread_are_a_loud_error_and_a_gap_on_record(
    bootstrap: str, topic: str, stream_settings: MakeSettings
) -> None:
    from kafka import TopicPartition
    from kafka.admin import KafkaAdminClient

    settings = stream_settings(bootstrap, topic)
    fleet.send(bootstrap, topic, (fleet.event(number) for number in range(10)), partition=0)
    consume(settings)
    fleet.send(bootstrap, topic, (fleet.event(number) for number in range(10, 40)), partition=0)
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.delete_records({TopicPartition(topic, 0): 25})
    admin.close()
    with pytest.raises(RecordsLost, match="begins at 25") as caught:
        consume(settings)
    assert "goes on behind the gap" in caught.value.next_step
    assert _gaps(settings) == [(0, 10, 25)]
    assert consume(settings).messages == 15
    assert fleet.landed(settings) == fleet.expected([*range(10), *range(25, 40)])
    assert len(_gaps(settings)) == 1


@pytest.mark.parametrize("more", [3, 60], ids=["shorter", "longer-than-the-old-one"])
def test_a_topic_made_anew_is_read_from_its_beginning(bootstrap: str, topic: str, stream_settings: MakeSettings, more: int) -> None:
    """The longer one would otherwise be read on at the old offset, as if nothing had happened."""
    settings = stream_settings(bootstrap, topic)
    fleet.send(bootstrap, topic, (fleet.event(number) for number in range(20)), partition=0)
    consume(settings)
    _make_anew(bootstrap, topic)
    fleet.send(bootstrap, topic, (fleet.event(number) for number in range(100, 100 + more)), partition=0)
    with pytest.raises(RecordsLost, match="made anew"):
        consume(settings)
    assert _gaps(settings)[0] == (0, 20, None)
    assert consume(settings).messages == more
    assert fleet.landed(settings) == fleet.expected([*range(20), *range(100, 100 + more)])


def test_a_broker_that_lost_what_is_in_the_table_is_noticed(bootstrap: str, topic: str, stream_settings: MakeSettings) -> None:
    """After a power cut: the table is at 50, the broker at 10, and gives the offsets 10 to 50 again, to other records."""
    from kafka.admin import KafkaAdminClient

    settings = stream_settings(bootstrap, topic)
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    place = Partition(topic, 0, str(admin.describe_topics([topic])[0]["topic_id"]))
    admin.close()
    values: list[bytes | None] = [fleet.encode(fleet.event(number)) for number in range(50)]
    Sink(Lake(settings), SystemClock()).write([Stretch(place, Position(), 0, 50, list(range(50)), values)])
    fleet.send(bootstrap, topic, (fleet.event(number) for number in range(10)), partition=0)
    with pytest.raises(RecordsLost, match="the broker lost records"):
        consume(settings)
    assert _gaps(settings) == [(0, 50, None)]
    fleet.send(bootstrap, topic, (fleet.event(number) for number in range(100, 105)), partition=0)
    consume(settings)
    assert fleet.landed(settings)[:2] == fleet.expected([*range(50), *range(100, 105)])[:2]


def _make_anew(bootstrap: str, topic: str) -> None:
    from kafka.admin import KafkaAdminClient
    from kafka.errors import TopicAlreadyExistsError

    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.delete_topics([topic])
    for _ in range(100):
        try:
            admin.create_topics({topic: {"num_partitions": 3, "replication_factor": 1}})
            break
        except TopicAlreadyExistsError:
            time.sleep(0.2)
    admin.close()


def test_a_topic_made_anew_under_a_running_consumer_is_noticed(bootstrap: str, topic: str, stream_settings: MakeSettings) -> None:
    settings = stream_settings(bootstrap, topic)
    fleet.send(bootstrap, topic, (fleet.event(number) for number in range(20)), partition=0)
    member = Member(settings)
    wait_for_rows(settings, 20 * fleet.GPUS)
    _make_anew(bootstrap, topic)
    fleet.send(bootstrap, topic, (fleet.event(number) for number in range(100, 150)), partition=0)
    member._thread.join(60)
    assert isinstance(member.error, RecordsLost)
    consume(settings)
    assert fleet.landed(settings) == fleet.expected([*range(20), *range(100, 150)])


def test_no_broker_is_a_clear_retryable_error(stream_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.connection.BOOTSTRAP_SECONDS", 1)
    settings = stream_settings(f"127.0.0.1:{broker.free_port()}", "gpu")
    with pytest.raises(BrokerUnavailable, match="did not answer"):
        consume(settings)


@pytest.mark.slow
def test_a_broker_that_is_killed_and_comes_back_loses_nothing(kafka_here: None, tmp_path: Path, stream_settings: MakeSettings) -> None:
    kafka = broker.Kafka(tmp_path / "kafka").start()
    try:
        fleet.make_topic(kafka.bootstrap, "gpu")
        settings = stream_settings(kafka.bootstrap, "gpu")
        member, sent = Member(settings), 0
        for _ in range(2):
            fleet.send(kafka.bootstrap, "gpu", (fleet.event(number) for number in range(sent, sent + 200)))
            sent += 200
            kafka.kill()
            kafka.start()
        fleet.send(kafka.bootstrap, "gpu", (fleet.event(number) for number in range(sent, sent + 200)))
        sent += 200
        wait_for_rows(settings, sent * fleet.GPUS, 90)
        member.leave()
        assert fleet.landed(settings) == fleet.expected(range(sent))
    finally:
        kafka.stop()
