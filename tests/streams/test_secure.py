"""SASL_SSL against Apache Kafka: who has the password and trusts the certificate reads; all others get a clear error without the secret."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from costlake.delta import Lake
from costlake.errors import BrokerUnavailable, ConfigError, CostlakeError
from costlake.periods import SystemClock
from costlake.settings import Settings
from streams.connection import client_options
from streams.consumer import Batching, Consumer
from streams.sink import Sink
from tests.streams import broker, fleet

PASSWORD = "correct-horse-9931"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[broker.Kafka, Path]]:
    """A broker with a SASL_SSL listener, and the file with its authority's certificate."""
    reason = broker.why_not()
    if reason is not None:
        pytest.skip(f"no Kafka: {reason}")
    import trustme
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12
    from cryptography.x509 import load_pem_x509_certificate

    folder = tmp_path_factory.mktemp("secured")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    chain = [load_pem_x509_certificate(pem.bytes()) for pem in issued.cert_chain_pems]
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    store = pkcs12.serialize_key_and_certificates(b"broker", key, chain[0], chain[1:], BestAvailableEncryption(b"keystore-password"))  # type: ignore[arg-type]
    (folder / "broker.p12").write_bytes(store)
    kafka = broker.Kafka(folder / "kafka", sasl=("costlake", PASSWORD, folder / "broker.p12", "keystore-password")).start()
    fleet.make_topic(kafka.bootstrap, "gpu")
    yield kafka, folder / "ca.pem"
    kafka.stop()


@pytest.fixture
def make(
    secured: tuple[broker.Kafka, Path], stream_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Settings]:
    kafka, authority = secured

    def made(password: str = PASSWORD, mechanism: str = "SCRAM-SHA-512", ca: Path | None = authority) -> Settings:
        monkeypatch.setenv("TELEMETRY_USERNAME", "costlake")
        monkeypatch.setenv("TELEMETRY_PASSWORD", password)
        monkeypatch.setattr("streams.connection.BOOTSTRAP_SECONDS", 5)
        return stream_settings(
            f"127.0.0.1:{kafka.sasl_port}",
            "gpu",
            kafka_security="SASL_SSL",
            kafka_sasl_mechanism=mechanism,
            kafka_credential="env:TELEMETRY",
            kafka_ca_file=ca,
        )

    return made


def consume(settings: Settings) -> None:
    Consumer(settings, Sink(Lake(settings), SystemClock()), batching=Batching(seconds=0.3)).run(threading.Event(), once=True)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_who_has_the_password_and_trusts_the_certificate_reads(
    secured: tuple[broker.Kafka, Path], make: Callable[..., Settings], mechanism: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = make(mechanism=mechanism)
    fleet.send(secured[0].bootstrap, "gpu", [fleet.event(1)])
    with caplog.at_level(logging.DEBUG):
        consume(settings)
    assert fleet.landed(settings)[0] >= fleet.GPUS
    assert PASSWORD not in caplog.text
    assert PASSWORD not in repr(settings)


@pytest.mark.parametrize("wrong", ["password", "authority"])
def test_a_wrong_password_or_certificate_is_a_clear_error_without_the_secret(
    make: Callable[..., Settings], wrong: str, tmp_path: Path
) -> None:
    import trustme

    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    settings = make(password="wrong-horse-1177") if wrong == "password" else make(ca=other)
    with pytest.raises(CostlakeError) as caught:
        consume(settings)
    assert "COSTLAKE_KAFKA" in caught.value.next_step or "credential" in caught.value.next_step
    assert "wrong-horse-1177" not in str(caught.value) + repr(caught.value.__cause__)
    assert not Lake(settings).files("bronze", "gpu_telemetry")
    assert isinstance(caught.value, BrokerUnavailable) or wrong == "password"


def test_sasl_without_a_password_is_refused_before_anything_is_sent(stream_settings: Callable[..., Settings]) -> None:
    with pytest.raises(ConfigError, match="user and a password"):
        client_options(stream_settings("127.0.0.1:1", "gpu", kafka_security="SASL_SSL"))


def test_a_password_never_goes_over_an_open_line(stream_settings: Callable[..., Settings]) -> None:
    with pytest.raises(ValueError, match="kafka_security"):
        stream_settings("127.0.0.1:1", "gpu", kafka_security="SASL_PLAINTEXT")
