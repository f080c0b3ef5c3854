"""The demo's GPU machines go through the wire protocol into the lake, once, and can be joined with the bill by machine and hour."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from costlake.delta import Lake
from costlake.demo_telemetry import demo_telemetry, stream_demo
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.demo.gpu_hosts import gpu_hosts, hours_on
from tests.streams.small_broker import needed


@pytest.mark.slow
def test_a_second_run_sends_nothing_and_gpu_hours_are_those_of_the_bill(settings: Settings, clock: FixedClock) -> None:
    needed()
    done = stream_demo(settings, clock, 1)
    told = list(demo_telemetry(1))
    assert done.messages == len(told)
    assert done.rows == sum(len(message.gpus) for message in told)
    version = Lake(settings).version("bronze", "gpu_telemetry")
    again = stream_demo(settings, clock, 1)
    assert (again.messages, again.rows) == (0, 0)
    assert Lake(settings).version("bronze", "gpu_telemetry") == version
    connection = Lake(settings).connect()
    rows = connection.execute(
        "SELECT resource_id, sum(seconds) FROM (SELECT DISTINCT resource_id, gpu_uuid, epoch_us(interval_end) - epoch_us(interval_start) "
        "AS seconds, interval_start FROM bronze.gpu_telemetry) GROUP BY 1"
    ).fetchall()
    connection.close()
    gpus = {host.resource_id: host.gpu_count for host in gpu_hosts()}
    billed = {host.resource_id: hours * gpus[host.resource_id] for host, _, hours in hours_on(7, "2026-10", dt.date(2026, 10, 31))}
    assert {resource: Decimal(int(micros)) / (3_600 * 10**6) for resource, micros in rows} == billed
    longer = stream_demo(settings, clock, 2)
    assert 0 < longer.messages < 2 * len(told), "only the day that was not there"
