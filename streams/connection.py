"""How Kafka is reached: the settings as kafka-python's options, its errors as ours.

Data flow: `Settings.kafka_*` → options of consumer, producer and admin client. The password goes from the credential (by reference) into
the client's options and nowhere else: never print these options.
Run alone: python -c "from costlake.settings import Settings; from streams.connection import client_options as c; print(c(Settings.load()))"
shows them where no credential is set.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from costlake.credentials import resolve
from costlake.errors import BrokerRefused, BrokerUnavailable, ConfigError
from costlake.settings import Settings

# How long a client looks for a broker before it says that there is none.
BOOTSTRAP_SECONDS = 20


def client_options(settings: Settings) -> dict[str, Any]:
    """What every client of kafka-python is given. Raises ConfigError for SASL without user and password."""
    options: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in settings.kafka_bootstrap.split(",")],
        "security_protocol": settings.kafka_security,
        "bootstrap_timeout_ms": BOOTSTRAP_SECONDS * 1000,
        # By default a client soon looks only twice a minute whether the broker is back.
        "reconnect_backoff_max_ms": 2_000,
    }
    if settings.kafka_security != "PLAINTEXT" and settings.kafka_ca_file is not None:
        options["ssl_cafile"] = str(settings.kafka_ca_file)
    if settings.kafka_security != "SASL_SSL":
        return options
    credential = resolve(settings.kafka_credential)
    user, password = credential.get("USERNAME"), credential.get("PASSWORD")
    if not (user and password):
        raise ConfigError(
            "Kafka wants a user and a password, and there is none",
            where="COSTLAKE_KAFKA_CREDENTIAL",
            expected="env:PREFIX or file:/path, with USERNAME and PASSWORD",
            next_step="set PREFIX_USERNAME and PREFIX_PASSWORD where the process runs, and name them in COSTLAKE_KAFKA_CREDENTIAL",
        )
    # At DEBUG, kafka-python writes out the bytes that it sends, and with PLAIN the password is among them.
    for name in ("kafka.protocol", "kafka.net"):
        logging.getLogger(name).setLevel(logging.INFO)
    return options | {
        "sasl_mechanism": settings.kafka_sasl_mechanism,
        "sasl_plain_username": user,
        "sasl_plain_password": password,
    }


@contextmanager
def answering(settings: Settings) -> Iterator[None]:
    """kafka-python's errors as ours; its texts name brokers and topics, never a password."""
    from kafka.errors import AuthorizationError, KafkaError, KafkaTimeoutError, SaslAuthenticationFailedError

    try:
        yield
    except (AuthorizationError, SaslAuthenticationFailedError) as error:
        raise refused(settings, f"{type(error).__name__}: {error}") from None
    except KafkaTimeoutError as error:
        # A wrong certificate and a wrong password look like this, too: kafka-python goes on trying.
        raise BrokerUnavailable(
            f"Kafka did not answer ({error})",
            where=f"{settings.kafka_bootstrap}, {settings.kafka_security}",
            expected="a broker that answers",
            next_step="check that it runs, then COSTLAKE_KAFKA_BOOTSTRAP, the certificates (COSTLAKE_KAFKA_CA_FILE) and the credential",
        ) from error
    except KafkaError as error:
        if getattr(error, "retriable", False):
            raise BrokerUnavailable(
                f"{type(error).__name__}: {error}",
                where=settings.kafka_bootstrap,
                expected="an answer without error",
                next_step="start again; if it repeats, look at the broker's log",
            ) from error
        raise refused(settings, f"{type(error).__name__}: {error}") from error


def refused(settings: Settings, what: str) -> BrokerRefused:
    """What to raise where Kafka says no."""
    return BrokerRefused(
        what,
        where=f"{settings.kafka_bootstrap}, topic {settings.kafka_topic}, group {settings.kafka_group}",
        expected="a user that may read the topic and use the group",
        next_step="check the credential and the broker's ACLs, and that the topic exists",
    )
