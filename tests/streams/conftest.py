"""A broker for the tests of the stream: Apache Kafka itself, one per session; or the one that KAFKA_BOOTSTRAP names."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from costlake.settings import Settings
from tests.streams import broker, fleet


@pytest.fixture(scope="session")
def kafka_here() -> None:
    """Skips, with the reason, where Kafka cannot be started."""
    reason = broker.why_not()
    if reason is not None:
        pytest.skip(f"no Kafka: {reason}")


@pytest.fixture(scope="session")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a broker that stays up."""
    given = os.environ.get("KAFKA_BOOTSTRAP")
    if given:
        yield given
        return
    reason = broker.why_not()
    if reason is not None:
        pytest.skip(f"no Kafka, and KAFKA_BOOTSTRAP is not set: {reason}")
    kafka = broker.Kafka(tmp_path_factory.mktemp("kafka")).start()
    yield kafka.bootstrap
    kafka.stop()


@pytest.fixture
def topic(bootstrap: str) -> str:
    """A new topic of three partitions."""
    name = f"gpu-{uuid.uuid4().hex[:8]}"
    fleet.make_topic(bootstrap, name)
    return name


@pytest.fixture
def stream_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings of an empty lake that reads a topic."""

    def make(bootstrap: str, topic: str, **more: object) -> Settings:
        places = {"home": tmp_path, "lake": tmp_path / "lake", "config_dir": tmp_path / "config"}
        stream = {"kafka_bootstrap": bootstrap, "kafka_topic": topic, "kafka_group": f"g-{topic}", "kafka_session_seconds": 10}
        return Settings.load(**places, **{**stream, **more})

    return make
