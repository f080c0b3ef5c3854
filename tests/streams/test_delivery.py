"""From spool to broker: every message, in order, whatever is killed, away or hanging; what comes twice says so by its event id."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from typer.testing import CliRunner

from costlake.cli import app
from costlake.errors import BrokerRefused, BrokerUnavailable, ConfigError
from costlake.settings import PROJECT_ROOT, Settings
from streams.delivery import DeliveryMetrics, Forwarder, Sender, kafka_producer
from streams.events import decode, encode
from streams.fleet import build_fleet
from streams.simulator import ticks
from streams.spool import Spool
from tests.streams.small_broker import SmallBroker, free_port, needed

TOPIC = "gpu-telemetry"


@pytest.fixture
def broker() -> Iterator[SmallBroker]:
    needed()
    made = SmallBroker(free_port())
    yield made
    made.stop()


def settings(broker: SmallBroker) -> Settings:
    return Settings.load(kafka_bootstrap=broker.bootstrap, kafka_topic=TOPIC)


def forwarder(spool: Spool, broker: SmallBroker, registry: CollectorRegistry | None = None) -> Forwarder:
    metrics = DeliveryMetrics(registry or CollectorRegistry())
    return Forwarder(spool, settings(broker), metrics, partial(kafka_producer, delivery_seconds=2))


def fill(spool: Spool, count: int) -> list[bytes]:
    values = [f"{number:06d}".encode() * 20 for number in range(count)]
    for value in values:
        spool.append(b"c1/node-1", value)
    return values


def eventually(reached: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not reached() and time.monotonic() < deadline:
        time.sleep(0.02)
    return reached()


def test_a_broker_that_is_away_leaves_everything_in_the_spool_and_gets_it_in_order_later(broker: SmallBroker, tmp_path: Path) -> None:
    spool, registry = Spool(tmp_path / "spool", 1 << 20), CollectorRegistry()
    values = fill(spool, 1_200)
    sending = forwarder(spool, broker, registry)
    with pytest.raises(BrokerUnavailable):
        sending.drain()
    assert spool.waiting == 1_200
    page = generate_latest(registry).decode()
    assert "costlake_collector_broker_up 0.0" in page
    assert "costlake_collector_spool_messages 1200.0" in page
    broker.start(TOPIC)
    assert sending.drain() == 1_200
    sending.close()
    assert broker.values(TOPIC) == values
    assert (spool.waiting, spool.size_bytes) == (0, 0)
    assert "costlake_collector_delivered_total 1200.0" in generate_latest(registry).decode()
    spool.close()


@pytest.mark.slow
def test_a_broker_that_hangs_in_the_middle_costs_nothing_and_the_order_stays(broker: SmallBroker, tmp_path: Path) -> None:
    broker.start(TOPIC)
    spool = Spool(tmp_path / "spool", 8 << 20)
    values = fill(spool, 3_000)
    sending = forwarder(spool, broker)
    hangs = threading.Timer(0.15, broker.hang)
    hangs.start()
    resumes = threading.Timer(4.5, broker.go_on)
    resumes.start()
    failures = 0
    while spool.waiting:
        assert failures < 10
        try:
            sending.drain()
        except (BrokerUnavailable, BrokerRefused):  # what kafka-python makes of a request that timed out
            failures += 1
    hangs.join()
    resumes.join()
    sending.close()
    came = broker.values(TOPIC)
    assert list(dict.fromkeys(came)) == values, "lost, or out of order"
    assert len(came) == len(values) or failures
    spool.close()


def test_sasl_without_a_credential_is_a_configuration_error_and_ends_the_sender(broker: SmallBroker, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 1 << 20)
    fill(spool, 1)
    wrong = Settings.load(kafka_bootstrap=broker.bootstrap, kafka_security="SASL_SSL")
    sender = Sender(Forwarder(spool, wrong, DeliveryMetrics(CollectorRegistry())))
    sender.start()
    sender.join(10)
    assert not sender.is_alive()
    assert isinstance(sender.last_error, ConfigError)
    assert spool.waiting == 1
    spool.close()


DRAIN = textwrap.dedent("""
    import sys
    from pathlib import Path
    from prometheus_client import CollectorRegistry
    from costlake.settings import Settings
    from streams import delivery
    from streams.spool import Spool

    class Telling(Spool):
        def delivered(self, sequence):
            print("acknowledged", flush=True)
            super().delivered(sequence)

    delivery._BATCH = 20
    settings = Settings.load(kafka_bootstrap=sys.argv[2], kafka_topic=sys.argv[3])
    forwarder = delivery.Forwarder(Telling(Path(sys.argv[1]), 1 << 30), settings, delivery.DeliveryMetrics(CollectorRegistry()))
    forwarder.drain()
    print("done", flush=True)
""")


@pytest.mark.slow
def test_kill_9_of_the_sender_loses_nothing_and_what_comes_twice_is_the_same_message(broker: SmallBroker, tmp_path: Path) -> None:
    broker.start(TOPIC)
    spool = Spool(tmp_path / "spool", 8 << 20, segment_bytes=20_000)
    values = fill(spool, 2_000)
    spool.close()
    rng, kills = random.Random(11), 0
    for _ in range(30):
        command = [sys.executable, "-c", DRAIN, str(tmp_path / "spool"), broker.bootstrap, TOPIC]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT)
        assert process.stdout is not None
        lines = itertools.takewhile(bool, iter(process.stdout.readline, ""))
        seen = list(itertools.islice(lines, rng.randrange(1, 30)))
        time.sleep(rng.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
        seen += process.stdout.readlines()
        process.wait()
        if "done\n" in seen:
            break
        kills += 1
    came = broker.values(TOPIC)
    assert kills >= 2, "nothing was killed in the middle"
    assert list(dict.fromkeys(came)) == values
    assert len(came) - len(values) <= 20 * kills, "more sent twice than what was on its way at a kill"
    again = Spool(tmp_path / "spool", 1 << 30)
    assert again.waiting == 0
    again.close()


def test_the_simulator_sends_a_fleet_and_says_how_much(broker: SmallBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    broker.start(TOPIC)
    monkeypatch.setenv("COSTLAKE_KAFKA_BOOTSTRAP", broker.bootstrap)
    monkeypatch.setenv("COSTLAKE_KAFKA_TOPIC", TOPIC)
    start = dt.datetime(2026, 10, 5, 12, tzinfo=dt.UTC)
    done = CliRunner().invoke(app, ["telemetry", "simulate", "--gpus", "16", "--seconds", "5", "--start", start.isoformat(), "--as-fast"])
    assert done.exit_code == 0, done.output
    sent = [encode(message) for tick in ticks(build_fleet(7, 16), start, 1.0, 5) for message in tick]
    assert sorted(broker.values(TOPIC)) == sorted(sent)
    assert done.stdout.startswith(f"{len(sent)} messages, ")


PAGE = 'DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-0",hostname="node-1"} 68.347\n'


def collecting(broker: SmallBroker, folder: Path, *options: str) -> subprocess.Popen[str]:
    (folder / "gpu.prom").write_text(PAGE)
    command = [sys.executable, "-m", "costlake.cli", "telemetry", "collect", "--source", "dcgm", "--url", str(folder / "gpu.prom")]
    environment = {**os.environ, "COSTLAKE_KAFKA_BOOTSTRAP": broker.bootstrap, "COSTLAKE_KAFKA_TOPIC": TOPIC, "COSTLAKE_LAKE": str(folder)}
    return subprocess.Popen(
        [*command, "--spool", str(folder / "spool"), "--interval", "0.1", *options],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_collector_measures_through_the_brokers_absence_and_its_own_death(broker: SmallBroker, tmp_path: Path) -> None:
    def spooled() -> int:
        return sum(file.stat().st_size for file in (tmp_path / "spool").glob("*.seg"))

    first = collecting(broker, tmp_path)
    assert eventually(lambda: spooled() > 2_000), "no broker, and nothing in the spool"
    first.kill()  # kill -9
    first.wait()
    before = spooled()
    broker.start(TOPIC)
    second = collecting(broker, tmp_path, "--cluster", "second")
    assert eventually(lambda: len(broker.values(TOPIC)) > 12)
    second.send_signal(signal.SIGTERM)
    assert second.wait(30) == 0, second.stdout.read() if second.stdout else ""
    messages = [decode(value) for value in broker.values(TOPIC)]
    old = [message for message in messages if message.cluster == "default"]
    assert len(old) >= before // 700
    assert messages == [*old, *[message for message in messages if message.cluster == "second"]], "what waited comes first"
    assert len({message.event_id for message in messages}) == len(messages)
    for of_one in (old, messages[len(old) :]):
        assert all(first.interval_end == second.interval_start for first, second in itertools.pairwise(of_one)), "an interval is missing"
    assert spooled() == 0
    assert {gpu.gpu_uuid for message in messages for gpu in message.gpus} == {"GPU-0"}
    assert all(message.interval_end - message.interval_start < dt.timedelta(seconds=2) for message in messages)


def test_one_interval_without_a_broker_ends_with_try_again_and_keeps_the_message(broker: SmallBroker, tmp_path: Path) -> None:
    process = collecting(broker, tmp_path, "--once")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 75, output
    assert "1 messages wait in" in output
    assert "Traceback" not in output
    spool = Spool(tmp_path / "spool", 1 << 20)
    assert decode(spool.pending(1)[0].value).gpus[0].gpu_uuid == "GPU-0"
    spool.close()
