"""The GPUs of the finance report: kinds that add up to the cost, ratios of sums, waste with its owner, nothing where there are none."""

from __future__ import annotations

from decimal import Decimal

import pytest

from costlake.periods import BillingPeriod
from insights.reports import gpus
from insights.reports.basis import Basis
from tests.dbt.gpu_project import GIB, Gpus, charge, process, sample

BASIS = Basis("USD", BillingPeriod.parse("2026-10"), 31, ())
MARTS = frozenset({"fct_gpu_hours", "fct_gpu_allocation_hourly", "fct_gpu_waste_daily"})


@pytest.fixture(scope="module")
def marts(gpu_models: dict[str, str]) -> Gpus:
    """Four GPUs on two machines, one of which is seen for half an hour, and one machine that nobody sees."""
    still = {"gr_engine_active_ratio": 0.0}
    return Gpus(gpu_models).build(
        [
            sample(gpu="GPU-0", gr_engine_active_ratio=1.0, energy_joules=1.0),
            sample(3600, 1800, gpu="GPU-0", tensor_active_ratio=0.25, power_watts=720.0),
            sample(gpu="GPU-1", processes=[], memory_used_bytes=0, **still),
            sample(gpu="GPU-2", processes=[process("=served")], memory_used_bytes=70 * GIB, **still),
        ],
        [
            charge("24", gpus=3), charge("24", hour=1, gpus=3), charge("5", node="i-0c"),
            charge("7", BillingCurrency="EUR", x_SourceId="eu", node="i-0d"),
        ],
    )  # fmt: skip


def test_the_kinds_of_time_sum_to_what_the_machines_cost(marts: Gpus) -> None:
    cost, _, waste = gpus.tables(marts.connection, BASIS, MARTS)
    assert cost.rows == (
        ("NVIDIA H100 80GB HBM3", Decimal(28), Decimal(12), Decimal(8), Decimal(0), Decimal(8), Decimal(0)),
        ("GPUs not seen", Decimal(25), 0, 0, 0, 0, Decimal(25)),
    )
    assert cost.total == ("Total", Decimal(53), Decimal(12), Decimal(8), 0, Decimal(8), Decimal(25))
    assert cost.total[1] == sum(cost.total[2:])
    assert waste.total is not None
    assert waste.total[5] == cost.total[3] + cost.total[4] + cost.total[5]


def test_use_is_a_ratio_of_sums_and_what_was_not_measured_a_dash(marts: Gpus) -> None:
    ((model, vendor, count, hours, price, active, sm, tensor, memory, energy),) = gpus.tables(marts.connection, BASIS, MARTS)[1].rows
    assert (model, vendor, count, hours, price) == ("NVIDIA H100 80GB HBM3", "nvidia", 3, Decimal("3.5"), Decimal(8))
    assert active == pytest.approx(Decimal("0.357142857143")), "(1 h x 1 + 0.5 h x 0.5) / 3.5 h"
    assert (sm, tensor, energy) == (None, Decimal("0.25"), Decimal("0.36"))
    assert memory is not None


def test_waste_names_the_owner_and_the_holder(marts: Gpus) -> None:
    rows = gpus.tables(marts.connection, BASIS, MARTS)[2].rows
    assert {row[:4] for row in rows} == {("research", "–", "unallocated", "node-a"), ("research", "ml/=served", "warm, unused", "node-a")}
    assert {row[6] for row in rows} == {Decimal(8)}


def test_a_currency_or_lake_without_seen_gpus_has_no_gpu_section(marts: Gpus) -> None:
    assert gpus.tables(marts.connection, Basis("EUR", BASIS.period, 31, ()), MARTS) == (), "on a bill, but nobody saw it"
    assert gpus.tables(marts.connection, Basis("USD", BillingPeriod.parse("2026-09"), 30, ()), MARTS) == ()
    assert gpus.tables(marts.connection, BASIS, frozenset()) == ()
