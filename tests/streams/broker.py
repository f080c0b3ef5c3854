"""Apache Kafka itself (KRaft mode) for the tests: one node on free ports, its log in a folder, so that it can be killed and started again.

Data flow: scripts/kafka → .kafka/lib (jars, checked) → `Kafka(folder).start()` → host:port.
Run alone: `python -m tests.streams.broker FOLDER` starts one and prints its address until interrupted.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

from costlake.settings import PROJECT_ROOT

LIB = PROJECT_ROOT / ".kafka" / "lib"
_JAVA = ["-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.awt.headless=true"]
_PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL",
    "num.partitions": "3",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "auto.create.topics.enable": "false",
    "num.network.threads": "2",
    "num.io.threads": "2",
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "300",
    "log.retention.check.interval.ms": "1000",
    "log.initial.task.delay.ms": "500",
}


def why_not() -> str | None:
    """Why Kafka cannot be started here; None where it can."""
    if shutil.which("java") is None:
        return "no Java on this machine"
    if not (LIB / ".ready").exists():
        return "Kafka's jars are not in .kafka/lib: run `make kafka` where Maven's repository is reached"
    return None


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Kafka:
    """One broker. `sasl` (user, password, keystore file, keystore password) adds a SASL_SSL listener."""

    def __init__(self, folder: Path, sasl: tuple[str, str, Path, str] | None = None, properties: Mapping[str, str] | None = None) -> None:
        self.folder, self._sasl = folder, sasl
        self.port, self._controller_port, self.sasl_port = free_port(), free_port(), free_port()
        self._extra = dict(properties or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """host:port of the plain listener."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> Kafka:
        """Start the broker (again), and wait until it answers."""
        if not (self.folder / "server.properties").exists():
            self._format()
        with (self.folder / "kafka.log").open("ab") as log:
            command = [*self._java(), "kafka.Kafka", str(self.folder / "server.properties")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True)
        self._wait()
        return self

    def kill(self) -> None:
        """kill -9: what is in the log on disk stays."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it for good."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, how)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def _java(self) -> list[str]:
        # The class data archive halves the time of every start after the first.
        archive = PROJECT_ROOT / ".kafka" / "classes.jsa"
        share = [f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []
        return ["java", *_JAVA, *share, "-cp", f"{LIB}/*"]

    def _format(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        listeners = [f"PLAINTEXT://127.0.0.1:{self.port}"]
        properties = {**_PROPERTIES, "log.dirs": str(self.folder / "data"), **self._extra}
        scram: list[str] = []
        if self._sasl is not None:
            user, password, keystore, keystore_password = self._sasl
            listeners.append(f"SASL_SSL://127.0.0.1:{self.sasl_port}")
            module = "org.apache.kafka.common.security.{}.{}LoginModule required"
            properties |= {
                "ssl.keystore.type": "PKCS12",
                "ssl.keystore.location": str(keystore),
                "ssl.keystore.password": keystore_password,
                "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
                "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{module.format("plain", "Plain")} user_{user}="{password}";',
                "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{module.format('scram', 'Scram')};",
            }
            scram = ["--add-scram", f"SCRAM-SHA-512=[name={user},password={password}]"]
        properties["advertised.listeners"] = ",".join(listeners)
        properties["listeners"] = ",".join([*listeners, f"CONTROLLER://127.0.0.1:{self._controller_port}"])
        properties["controller.quorum.voters"] = f"1@127.0.0.1:{self._controller_port}"
        file = self.folder / "server.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()), encoding="utf-8")
        identity = urlsafe_b64encode(uuid.UUID(bytes=secrets.token_bytes(16), version=4).bytes).decode().rstrip("=")
        command = [*self._java(), "kafka.tools.StorageTool", "format", "-t", identity, "-c", str(file), *scram]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder)
        if done.returncode:
            file.unlink()
            raise RuntimeError(f"Kafka's storage could not be formatted: {done.stdout}{done.stderr}")

    def _wait(self) -> None:
        from kafka.admin import KafkaAdminClient
        from kafka.errors import KafkaError

        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    pass
                KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=10_000).close()
                return
            except (OSError, KafkaError):
                time.sleep(0.1)
        tail = (self.folder / "kafka.log").read_text(errors="replace")[-3000:]
        raise RuntimeError(f"Kafka did not come up:\n{tail}")


def main() -> None:
    """Start a broker in a folder and keep it until interrupted."""
    broker = Kafka(Path(sys.argv[1])).start()
    print(broker.bootstrap, flush=True)
    try:
        signal.pause()
    finally:
        broker.stop()


if __name__ == "__main__":
    main()
