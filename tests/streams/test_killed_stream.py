"""Law 9 under fire: kill -9 at random instants of two consumers, the broker and housekeeping while telemetry is produced.

`make soak` runs it with 200 kills; the suite with as many as fit into four minutes, at most 30.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from costlake.console import TRY_AGAIN
from costlake.delta import Lake
from costlake.settings import PROJECT_ROOT, Settings
from tests.streams import broker, fleet
from tests.streams.test_consumer import consume

KILLS = int(os.environ.get("COSTLAKE_TEST_KILLS", "30"))
SECONDS = 200 if KILLS <= 30 else 25 * KILLS
SEED = 20261128
# Housekeeping without pause: the stream's own hourly job, over and over.
_HOUSEKEEPING = """
from costlake import maintain
from costlake.periods import SystemClock
from costlake.settings import Settings
while True:
    maintain.run(Settings.load(), SystemClock(), only=["bronze.gpu_telemetry", "bronze.gpu_dead_letters"])
"""


class Victims:
    """The processes, each started again under the same name after it was killed."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        names = ("home", "lake", "config_dir", "kafka_bootstrap", "kafka_topic", "kafka_group", "kafka_session_seconds")
        self._environment = {**os.environ, **{f"COSTLAKE_{name.upper()}": str(getattr(settings, name)) for name in names}}
        consumer = [sys.executable, "-m", "costlake.cli", "telemetry", "consume", "--seconds", "0.3"]
        self._commands = {"consumer": consumer, "second consumer": consumer, "housekeeping": [sys.executable, "-c", _HOUSEKEEPING]}
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                self._commands[name], env=self._environment, stdout=log, stderr=log, cwd=PROJECT_ROOT, start_new_session=True
            )

    def start_all(self) -> None:
        for name in self._commands:
            self.start(name)

    def kill(self, name: str) -> bool:
        """kill -9 and start anew; False where it had ended by itself, to be tried again later: the broker was away for long."""
        process = self._running[name]
        lived = process.poll() is None
        if lived:
            os.killpg(process.pid, signal.SIGKILL)
        elif process.returncode != TRY_AGAIN:
            pytest.fail(f"{name} ended with {process.returncode}: {(self._folder / f'{name}.log').read_text()[-3000:]}")
        process.wait()
        self.start(name)
        return lived

    def end(self) -> None:
        for process in self._running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _letters(settings: Settings) -> tuple[int, int, set[str]]:
    rows = (
        Lake(settings)
        .connect()
        .execute('SELECT count(*), count(DISTINCT ("partition", "offset")), list(DISTINCT step) FROM bronze.gpu_dead_letters')
    )
    count, distinct, steps = rows.fetchall()[0]
    return count, distinct, set(steps)


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 300)
def test_kills_at_random_instants_lose_and_double_nothing(
    kafka_here: None, tmp_path: Path, stream_settings: Callable[..., Settings], record_property: Callable[[str, object], None]
) -> None:
    chance, killed = random.Random(SEED), Counter[str]()
    kafka = broker.Kafka(tmp_path / "kafka").start()
    fleet.make_topic(kafka.bootstrap, "gpu")
    settings = stream_settings(kafka.bootstrap, "gpu", kafka_session_seconds=3)
    victims = Victims(settings, tmp_path)
    command = [sys.executable, "-m", "tests.streams.fleet", kafka.bootstrap, "gpu", str(10 * SECONDS)]
    producer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT)
    try:
        victims.start_all()
        deadline = time.monotonic() + SECONDS
        while sum(killed.values()) < KILLS and time.monotonic() < deadline:
            time.sleep(chance.uniform(0.5, 6.0))
            name = chance.choices(["consumer", "second consumer", "housekeeping", "broker"], [4, 4, 3, 1])[0]
            if name == "broker":
                kafka.kill()
                time.sleep(chance.uniform(0.0, 2.0))
                kafka.start()
            elif not victims.kill(name):
                continue
            killed[name] += 1
        producer.send_signal(signal.SIGTERM)
        output, _ = producer.communicate(timeout=180)
        assert producer.returncode == 0
    finally:
        producer.kill()
        victims.end()
    numbers = range(int(output.split()[1]))
    events = [number for number in numbers if not fleet.is_poison(number)]
    during = fleet.landed(settings)
    try:
        consume(settings)
    finally:
        kafka.stop()
    found, letters = fleet.landed(settings), _letters(settings)
    record_property("kills", dict(killed))
    print(
        f"\nkills {dict(killed)}, {len(events)} events, {during[2]} landed between the kills, "
        f"{len(Lake(settings).history('bronze', 'gpu_telemetry'))} versions, dead letters {letters}"
    )
    assert sum(killed.values()) >= KILLS // 2, "too few kills in the time given to prove anything"
    assert during[2] > len(events) // 4, "the consumers hardly came to read between the kills"
    assert found == fleet.expected(events)
    poison = len(numbers) - len(events)
    assert letters == (poison, poison, {"decode"})
