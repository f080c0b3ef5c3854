"""A forgotten GPU is found within one hour of data, with its price and its owner; nothing else is.

Data flow: samples by hand → bronze.gpu_telemetry → insights.idle_gpus. Alone: pytest on this file.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from costlake.delta import Lake
from costlake.gpu_rates import GPU_RATES
from costlake.settings import Settings
from costlake.tables import DATE, MONEY, TEXT, TableSpec
from insights import idle_gpus
from streams.tables import GPU_TELEMETRY

NOON = dt.datetime(2026, 10, 5, 12, tzinfo=dt.UTC)
GIB = 1 << 30
NODE_COST = TableSpec("marts", "fct_node_cost_daily", pa.schema([
    ("charge_date", DATE), ("node_id", TEXT), ("billing_currency", TEXT), ("effective_cost", MONEY), ("accelerator_hours", MONEY),
    ("owner", TEXT), ("owner_reason", TEXT),
]))  # fmt: skip
Row = dict[str, Any]


def minute(number: int, gpu: str = "GPU-0", **more: Any) -> Row:
    """A sample of the minute `number` after noon."""
    begins = NOON + dt.timedelta(minutes=number)
    row: Row = {
        "event_id": f"{gpu}-{number}-{more.get('source', 'dcgm')}", "schema_version": 1, "cluster": "prod", "host": "node-a",
        "resource_id": "i-0a", "source": "dcgm", "interval_start": begins, "interval_end": begins + dt.timedelta(minutes=1),
        "gpu_uuid": gpu, "gpu_index": 3, "model_name": "NVIDIA H100 80GB HBM3", "gr_engine_active_ratio": 0.0, "memory_used_bytes": 0,
        "memory_total_bytes": 80 * GIB, "processes": [], "_topic": "t", "_partition": 0, "_offset": number,
        "_ingested_at": begins + dt.timedelta(minutes=1, seconds=3), "event_hour": f"{begins:%Y-%m-%dT%H}",
    }  # fmt: skip
    return row | more


def pod(name: str, **more: Any) -> Row:
    """A process of a pod."""
    return {"pid": 7, "namespace": "ml", "pod": name} | more


@pytest.fixture
def stream(settings: Settings) -> Callable[..., None]:
    """Appends samples to the stream's table."""
    return lambda rows: Lake(settings).append(GPU_TELEMETRY, pa.Table.from_pylist(list(rows), schema=GPU_TELEMETRY.schema))


@pytest.fixture
def bill(settings: Settings) -> Callable[..., None]:
    """Publishes a machine's day: 24 USD for 8 accelerator hours."""

    def publish(node: str = "i-0a", hours: str | None = "8", owner: str | None = "research") -> None:
        row = {
            "charge_date": dt.date(2026, 10, 4), "node_id": node, "billing_currency": "USD", "effective_cost": Decimal(24),
            "accelerator_hours": None if hours is None else Decimal(hours), "owner": owner, "owner_reason": None if owner else "untagged",
        }  # fmt: skip
        Lake(settings).overwrite(NODE_COST, pa.Table.from_pylist([row], schema=NODE_COST.schema))

    return publish


def test_an_idle_gpu_is_found_within_one_hour_of_data_with_price_and_owner(settings: Settings, stream: Any, bill: Any) -> None:
    bill()
    stream(minute(n) for n in range(60))
    found = idle_gpus.run(settings)
    assert found.messages == (
        "GPU 3 of node-a (NVIDIA H100 80GB HBM3) has done nothing for at least 60 minutes: nothing runs on it. "
        "It costs 72.00 USD a day. Owner: research.",
    )
    (row,) = found.findings
    assert (row["idle_kind"], row["cost_per_day"], row["cost_basis"], found.as_of) == (
        "unallocated",
        72,
        "bill",
        NOON + dt.timedelta(hours=1),
    )


def test_a_second_run_writes_no_version_and_a_clean_hour_takes_the_finding_back(settings: Settings, stream: Any) -> None:
    stream(minute(n) for n in range(60))
    lake = Lake(settings)
    assert idle_gpus.run(settings).written
    version = lake.version("insights", "idle_gpus")
    assert not idle_gpus.run(settings).written
    assert lake.version("insights", "idle_gpus") == version
    stream(minute(n, gr_engine_active_ratio=0.9) | {"event_id": f"late-{n}", "source": "aaa"} for n in range(60))
    again = idle_gpus.run(settings)
    assert (again.findings, again.written) == ((), True)
    assert not idle_gpus.run(settings).written


def test_busy_gpus_and_lakes_without_telemetry_stay_silent(settings: Settings, stream: Any) -> None:
    assert idle_gpus.run(settings) == idle_gpus.IdleResult(None, (), written=False)
    stream(minute(n, gr_engine_active_ratio=0.6 if n % 4 else 0.0) for n in range(120))
    assert idle_gpus.run(settings).findings == ()
    assert not Lake(settings).exists("insights", "idle_gpus"), "nothing found, nothing written"


def test_a_pause_between_two_jobs_is_not_forgotten(settings: Settings, stream: Any) -> None:
    stream(minute(n, gr_engine_active_ratio=0.9 if n < 80 else 0.0) for n in range(120))
    assert idle_gpus.run(settings).findings == ()
    assert idle_gpus.run(settings, NOON + dt.timedelta(minutes=60)).findings == ()


def test_the_beginning_is_the_last_time_it_worked(settings: Settings, stream: Any) -> None:
    stream(minute(n, gr_engine_active_ratio=0.9 if n < 30 else 0.0) for n in range(300))
    (row,) = idle_gpus.run(settings).findings
    assert (row["idle_since"], row["idle_since_is_known"], row["idle_hours"]) == (NOON + dt.timedelta(minutes=30), True, Decimal("4.5"))
    assert "for 4 hours: nothing runs on it" in row["message"]


def test_the_three_kinds_name_their_holder(settings: Settings, stream: Any) -> None:
    held = {
        "GPU-1": {"processes": [pod("notebook"), pod("notebook", pid=8)]},
        "GPU-2": {"processes": [pod("served"), pod("other")], "memory_used_bytes": 72 * GIB},
        "GPU-3": {"processes": None, "memory_used_bytes": 40 * GIB},
        "GPU-4": {"processes": None},
    }
    stream(minute(n, gpu, **more) for n in range(60) for gpu, more in held.items())
    found = {row["gpu_uuid"]: row for row in idle_gpus.run(settings).findings}
    kinds = {gpu: (row["idle_kind"], row["pod"], row["holder_count"]) for gpu, row in found.items()}
    assert kinds == {
        "GPU-1": ("allocated_idle", "notebook", 1),
        "GPU-2": ("warm_unused", "other", 2),
        "GPU-3": ("warm_unused", None, None),
        "GPU-4": ("unallocated", None, None),
    }
    assert "something is loaded and not used (ml/other and 1 more), 90 % of its memory filled" in found["GPU-2"]["message"]


def test_what_was_not_measured_hardly_seen_or_is_gone_is_not_judged(settings: Settings, stream: Any) -> None:
    stream(minute(n, "GPU-blind", gr_engine_active_ratio=None) for n in range(60))
    stream(minute(n, "GPU-gaps") for n in range(0, 60, 2))
    stream(minute(n, "GPU-gone") for n in range(-30, 40))
    stream(minute(n, "GPU-busy", gr_engine_active_ratio=0.5) for n in range(60))
    assert idle_gpus.run(settings).findings == ()


def test_two_collectors_of_one_gpu_are_not_twice_the_evidence(settings: Settings, stream: Any) -> None:
    stream(minute(n, source=source) for n in range(30, 60) for source in ("dcgm", "nvml"))
    assert idle_gpus.run(settings).findings == ()


def test_a_host_whose_clock_is_wrong_does_not_hide_the_others(settings: Settings, stream: Any) -> None:
    stream(minute(n) for n in range(60))
    future = NOON.replace(year=2099)
    stream([minute(0, "GPU-9", interval_start=future, interval_end=future + dt.timedelta(minutes=1), event_hour=f"{future:%Y-%m-%dT%H}")])
    assert [row["gpu_uuid"] for row in idle_gpus.run(settings).findings] == ["GPU-0"]


def test_an_idle_slice_costs_its_part_and_its_parent_is_not_told_as_well(settings: Settings, stream: Any, bill: Any) -> None:
    bill()
    for n in range(60):
        parent = minute(n, gpu_utilization_percent=0.0)
        busy = parent | {"mig_gpu_instance_id": 2, "mig_profile": "4g.40gb", "gr_engine_active_ratio": 0.9}
        stream([parent, busy, parent | {"mig_gpu_instance_id": 1, "mig_profile": "3g.40gb"}])
    (row,) = idle_gpus.run(settings).findings
    assert (row["mig_gpu_instance_id"], row["cost_per_day"]) == (1, Decimal("30.857142857143"))


def test_a_machine_that_nothing_prices_is_unknown_not_free(settings: Settings, stream: Any, bill: Any) -> None:
    bill(hours=None, owner=None)
    stream(
        minute(n, gpu, resource_id=machine) for n in range(60) for gpu, machine in {"GPU-0": "aws:///eu-1a/i-0a", "GPU-1": "i-new"}.items()
    )
    found = {row["gpu_uuid"]: row for row in idle_gpus.run(settings).findings}
    assert {gpu: (row["cost_per_day"], row["cost_reason"], row["owner_reason"]) for gpu, row in found.items()} == {
        "GPU-0": (None, "bill_counts_no_accelerator_hours", "untagged"),
        "GPU-1": (None, "machine_on_no_bill_and_no_owned_rate", "machine_on_no_bill_and_no_owned_rate"),
    }
    assert "Its cost is not known: machine on no bill and no owned rate." in found["GPU-1"]["message"]


def test_an_owned_gpu_has_the_rate_of_the_day(settings: Settings, stream: Any) -> None:
    rate = {"rate_id": "desk", "valid_from": dt.date(2026, 10, 1), "revision": 1, "model": "H100", "currency": "EUR",
            "hourly_rate": Decimal("0.5"), "owner": "lab", "active": True, "recorded_at": NOON}  # fmt: skip
    rows = [rate, rate | {"rate_id": "old", "model": "H100 80GB", "valid_to": dt.date(2026, 10, 5), "hourly_rate": Decimal(9)}]
    Lake(settings).append(GPU_RATES, pa.Table.from_pylist(rows, schema=GPU_RATES.schema))
    stream(minute(n, resource_id=None) for n in range(60))
    (row,) = idle_gpus.run(settings).findings
    assert (row["cost_per_day"], row["billing_currency"], row["cost_basis"], row["owner"]) == (12, "EUR", "owned_rate", "lab")
