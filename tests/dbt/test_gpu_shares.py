"""Every GPU dollar once: what users of other tools complain of (../shared/reference/peers.md §3.3), one test each, and law 6 by properties.

Data flow: samples and charges by hand → tests/dbt/gpu_project.py → the project's SQL. Alone: pytest on this file.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from tests.dbt.gpu_project import BASES, GIB, START, Gpus, charge, process, sample

MIG = {"gpu_utilization_percent": None, "gr_engine_active_ratio": 0.8, "memory_total_bytes": 10 * GIB, "memory_used_bytes": 5 * GIB}


@pytest.fixture
def gpus(gpu_models: dict[str, str]) -> Gpus:
    """A database under the basis `allocation`."""
    return Gpus(gpu_models)


def slice_of(gpu_instance: int, profile: str, **more: Any) -> dict[str, Any]:
    """A sample of a MIG slice."""
    return sample(**MIG | {"mig_gpu_instance_id": gpu_instance, "mig_profile": profile} | more)


def test_the_price_is_the_amortised_bill_not_the_list_price(gpus: Gpus) -> None:
    """OpenCost #3839, #3894: list prices were 2 to 5 times too high, or 45 % too low."""
    gpus.build([sample()], [charge("3.141592653589", ListCost=Decimal("98.32"), BilledCost=Decimal(0))])
    assert gpus.states() == {("train", "busy"): Decimal("3.141592653589")}
    assert gpus.one("SELECT cost_per_gpu_hour, cost_basis, owner FROM marts.fct_gpu_hours") == (
        Decimal("3.141592653589"),
        "bill",
        "research",
    )


def test_a_machine_day_is_its_bill_and_what_was_not_seen_is_a_row_of_its_own(gpus: Gpus) -> None:
    gpus.build([sample(0, 1800), sample(3600)], [charge("8"), charge("8", hour=1), charge("8", hour=2)])
    rows = gpus.rows("SELECT row_kind, row_reason, sum(effective_cost), sum(gpu_hours) FROM marts.fct_gpu_hours GROUP BY ALL ORDER BY ALL")
    assert rows == [("gpu", None, Decimal(12), Decimal("1.5")), ("not_observed", "telemetry_gap", Decimal(12), Decimal("1.5"))]
    assert gpus.faults() == {}


def test_a_bill_by_day_does_not_lay_the_hours_of_a_dead_collector_upon_the_others(gpus: Gpus) -> None:
    midnight = -10 * 3600
    gpus.build([sample(midnight), sample(midnight + 3600)], [charge("24", hour=-10, hours=24)])
    rows = dict(gpus.rows("SELECT row_kind, sum(effective_cost) FROM marts.fct_gpu_hours GROUP BY ALL"))
    assert rows == {"gpu": Decimal(2), "not_observed": Decimal(22)}


def test_an_accelerated_machine_that_no_collector_sees_is_not_missing_from_the_mart(gpus: Gpus) -> None:
    gpus.build([], [charge("5"), charge("7", node="i-cpu", gpus=None, x_AcceleratorType=None)])
    assert gpus.rows("SELECT node_id, row_kind, row_reason, effective_cost, gpu_hours FROM marts.fct_gpu_hours") == [
        ("i-0a", "not_observed", "no_telemetry_that_day", Decimal(5), Decimal(1))
    ]
    assert gpus.faults() == {}


def test_without_gpus_and_telemetry_every_mart_is_there_and_empty(gpus: Gpus) -> None:
    gpus.build([], [charge("7", node="i-cpu", gpus=None, x_AcceleratorType=None)])
    for mart in ("fct_gpu_hours", "fct_gpu_allocation_hourly", "fct_gpu_waste_daily"):
        assert gpus.rows(f"SELECT * FROM marts.{mart}") == []


def test_time_sliced_pods_that_all_show_the_device_do_not_multiply_it(gpus: Gpus, gpu_models: dict[str, str]) -> None:
    """dcgm-exporter #587, #642, #307, #151: four pods with 80 % each are 80 % of one GPU, not 320 %."""
    pods = [process(f"pod-{n}", sm_utilization_percent=80.0, memory_used_bytes=10 * GIB) for n in range(4)]
    sliced = sample(gr_engine_active_ratio=0.8, processes=pods)
    assert gpus.build([sliced], [charge("8")]).states() == {(f"pod-{n}", "busy"): Decimal(2) for n in range(4)}
    used = Gpus(gpu_models, "engine_activity").build([sliced], [charge("8")]).states()
    assert {pod: amount for (pod, state), amount in used.items() if state == "busy"} == {f"pod-{n}": Decimal("1.6") for n in range(4)}
    assert sum(used.values()) == 8


def test_four_pods_of_a_quarter_are_one_gpu_hour_and_one_of_them_is_a_quarter(gpus: Gpus) -> None:
    """HAMi #3073, OpenCost #3828: fractional GPUs were charged whole."""
    quarter = {"allocation_ratio": 0.25}
    four = gpus.build([sample(processes=[process(f"p{n}", **quarter) for n in range(4)])], [charge("8")]).states("gpu_hours")
    assert four == {(f"p{n}", "busy"): Decimal("0.25") for n in range(4)}
    one = gpus.build([sample(processes=[process("p0", **quarter)])], [charge("8")]).states()
    assert one == {("p0", "busy"): Decimal(2), (None, "unallocated"): Decimal(6)}


def test_pods_that_were_promised_more_than_the_gpu_are_scaled_down(gpus: Gpus) -> None:
    over = gpus.build([sample(processes=[process("a", allocation_ratio=1.0), process("b", allocation_ratio=0.6)])], [charge("8")]).states()
    assert over == {("a", "busy"): Decimal(5), ("b", "busy"): Decimal(3)}


def test_mps_clients_are_told_apart_by_what_they_did_where_that_is_known(gpu_models: dict[str, str]) -> None:
    clients = [process("big", sm_utilization_percent=60.0), process("small", sm_utilization_percent=20.0)]
    found = Gpus(gpu_models, "engine_activity").build([sample(gr_engine_active_ratio=0.8, processes=clients)], [charge("10")]).states()
    assert (found["big", "busy"], found["small", "busy"]) == (Decimal(6), Decimal(2))
    assert sum(found.values()) == 10


def test_the_usage_basis_moves_with_use(gpu_models: dict[str, str]) -> None:
    """OpenCost #3900: the two bases differed by less than 1 %, for requested hours stood in both."""
    busy = {}
    for ratio in (0.1, 0.9):
        found = Gpus(gpu_models, "engine_activity").build([sample(gr_engine_active_ratio=ratio)], [charge("10")]).states()
        busy[ratio] = found["train", "busy"]
        assert sum(found.values()) == 10
    assert busy == {0.1: Decimal(1), 0.9: Decimal(9)}


def test_a_gpu_is_not_split_by_memory_alone_unless_asked(gpus: Gpus, gpu_models: dict[str, str]) -> None:
    """Vantage lays 95 % of a node upon GPU memory."""
    shared = sample(processes=[process("a", memory_used_bytes=60 * GIB), process("b", memory_used_bytes=10 * GIB)])
    assert gpus.build([shared], [charge("8")]).states() == {("a", "busy"): Decimal(4), ("b", "busy"): Decimal(4)}
    by_memory = Gpus(gpu_models, "memory").build([shared], [charge("8")]).states()
    assert by_memory == {("a", "busy"): Decimal(6), ("b", "busy"): Decimal(1), (None, "unallocated"): Decimal(1)}


def test_a_basis_that_was_not_measured_falls_back_and_says_so(gpu_models: dict[str, str]) -> None:
    blind = sample(gr_engine_active_ratio=None, processes=[process("a"), process("b")])
    for basis, state in (("memory", "activity_unknown"), ("engine_activity", "activity_unknown")):
        gpus = Gpus(gpu_models, basis).build([blind], [charge("8")])
        assert gpus.states() == {("a", state): Decimal(4), ("b", state): Decimal(4)}
        assert gpus.rows("SELECT DISTINCT allocation_basis FROM marts.fct_gpu_allocation_hourly") == [("allocation",)]


def test_mig_slices_pay_by_their_size_and_what_no_slice_has_is_idle(gpus: Gpus) -> None:
    """dcgm-exporter #222, #272, #397: no GPU_UTIL under MIG, and empty pod labels."""
    slices = [
        slice_of(1, "3g.40gb", processes=[process("big")]),
        slice_of(2, "1g.10gb", processes=[process(None)]),
        slice_of(3, "1g.10gb", processes=[], gr_engine_active_ratio=0.0),
    ]
    gpus.build(slices, [charge("7")])
    assert gpus.states() == {("big", "busy"): Decimal(3), (None, "busy"): Decimal(1), (None, "unallocated"): Decimal(3)}
    reasons = dict(gpus.rows("SELECT state_reason, sum(effective_cost) FROM marts.fct_gpu_allocation_hourly GROUP BY ALL"))
    assert reasons == {None: Decimal(4), "process_without_workload": Decimal(1), "not_partitioned": Decimal(2)}
    assert gpus.faults() == {}


def test_the_parent_of_mig_slices_is_no_eighth_slice(gpus: Gpus) -> None:
    parent = sample(gr_engine_active_ratio=None, processes=[], power_watts=500.0, energy_joules=1.0)
    slices = [slice_of(n, "1g.10gb", processes=[process(f"p{n}")]) for n in range(7)]
    gpus.build([parent, *slices], [charge("7")])
    assert gpus.states() == {(f"p{n}", "busy"): Decimal(1) for n in range(7)}
    assert gpus.one("SELECT observed_seconds, power_watts, mig_instance_count FROM marts.fct_gpu_hours WHERE row_kind = 'gpu'") == (
        3600,
        500,
        7,
    )


def test_gpu_utilisation_is_no_activity_of_a_slice(gpus: Gpus) -> None:
    blind = slice_of(1, "7g.80gb", gr_engine_active_ratio=None, gpu_utilization_percent=0.0, processes=[process("p")])
    assert gpus.build([blind], [charge("7")]).states() == {("p", "activity_unknown"): Decimal(7)}


def test_idle_is_told_apart_in_three_kinds_with_the_owner(gpus: Gpus) -> None:
    still = {"gr_engine_active_ratio": 0.0}
    gpus.build(
        [
            sample(0, gpu="GPU-0", processes=[], memory_used_bytes=0, **still),
            sample(0, gpu="GPU-1", processes=[process("notebook")], memory_used_bytes=GIB, **still),
            sample(0, gpu="GPU-2", processes=[process("served", memory_used_bytes=70 * GIB)], memory_used_bytes=70 * GIB, **still),
            sample(0, gpu="GPU-3", processes=[process("train")]),
        ],
        [charge("32", gpus=4)],
    )
    waste = gpus.rows("SELECT pod, usage_state, idle_gpu_hours, wasted_cost, owner FROM marts.fct_gpu_waste_daily ORDER BY 2")
    assert waste == [
        ("notebook", "allocated_idle", Decimal(1), Decimal(8), "research"),
        (None, "unallocated", Decimal(1), Decimal(8), "research"),
        ("served", "warm_unused", Decimal(1), Decimal(8), "research"),
    ]


def test_a_source_that_lists_no_processes_does_not_make_a_gpu_free(gpus: Gpus) -> None:
    gpus.build([sample(processes=None), sample(3600, processes=None, gr_engine_active_ratio=0.0)], [charge("8"), charge("8", hour=1)])
    assert gpus.states() == {(None, "busy"): Decimal(8), (None, "warm_unused"): Decimal(8)}
    assert gpus.rows("SELECT DISTINCT state_reason FROM marts.fct_gpu_allocation_hourly") == [("processes_not_listed",)]


def test_a_pod_that_moves_within_the_hour_pays_for_its_minutes(gpus: Gpus) -> None:
    minutes = [sample(60 * n, 60, processes=[process("before" if n < 45 else "after")]) for n in range(60)]
    assert gpus.build(minutes, [charge("8")]).states() == {("before", "busy"): Decimal(6), ("after", "busy"): Decimal(2)}


def test_a_gpu_that_comes_back_under_a_new_machine_is_paid_for_by_both(gpus: Gpus) -> None:
    later = sample(1800, 1800, resource_id="i-0b", host="node-b", processes=[process("new")])
    bill = [charge("4", x_AcceleratorHours=Decimal("0.5")), charge("6", node="i-0b", x_AcceleratorHours=Decimal("0.5"))]
    gpus.build([sample(0, 1800), later], bill)
    assert gpus.states() == {("train", "busy"): Decimal(4), ("new", "busy"): Decimal(6)}
    assert gpus.faults() == {}


def test_a_message_that_came_twice_and_a_second_collector_count_once(gpus: Gpus) -> None:
    once = sample()
    again = once | {"_offset": 9, "_ingested_at": once["_ingested_at"] + dt.timedelta(hours=5)}
    other = sample(1800, source="nvml", processes=[process("train")])
    gpus.build([once, again, other], [charge("8"), charge("8", hour=1)])
    rows = gpus.rows(
        "SELECT observed_seconds, duplicate_count, late_count, effective_cost FROM marts.fct_gpu_hours WHERE row_kind = 'gpu' ORDER BY hour_start"
    )
    assert rows == [(3600, 1, 0, Decimal(8)), (1800, 0, 0, Decimal(4))]


def test_a_sample_that_crosses_the_hour_counts_in_both(gpus: Gpus) -> None:
    gpus.build([sample(1800, 3600)], [charge("8"), charge("8", hour=1)])
    rows = gpus.rows("SELECT hour_start, observed_seconds, effective_cost FROM marts.fct_gpu_hours WHERE row_kind = 'gpu' ORDER BY 1")
    assert [(row[0].astimezone(dt.UTC).hour, *row[1:]) for row in rows] == [(10, 1800, Decimal(4)), (11, 1800, Decimal(4))]


def test_a_sample_of_a_day_is_no_evidence_of_every_hour(gpus: Gpus) -> None:
    gpus.build([sample(0, 86_400)], [charge("8")])
    assert gpus.rows("SELECT row_kind FROM marts.fct_gpu_hours") == [("not_observed",)]


def test_energy_survives_a_reset_of_the_counter_and_leaves_out_what_no_board_can_draw(gpus: Gpus) -> None:
    readings = [1_000_000.0, 1_030_000.0, 20_000.0, 50_000.0, 9e12, 80_000.0]
    gpus.build([sample(60 * n, 60, energy_joules=value, power_limit_watts=700.0) for n, value in enumerate(readings)], [charge("8")])
    # 30 000 (step) + 20 000 (since the reset) + 30 000 (step); then a sentinel, and no step from it
    assert gpus.one("SELECT energy_joules, energy_basis, energy_reset_count FROM marts.fct_gpu_hours WHERE row_kind = 'gpu'") == (
        80_000,
        "counter",
        1,
    )


def test_means_are_weighted_by_time_not_by_sample(gpus: Gpus) -> None:
    quick = [sample(n, 1, tensor_active_ratio=1.0, power_watts=600.0) for n in range(10)]
    gpus.build([*quick, sample(10, 90, tensor_active_ratio=0.0, power_watts=100.0)], [charge("8")])
    row = gpus.one("SELECT tensor_active_ratio, power_watts, tensor_active_seconds, tensor_active_measured_seconds, sm_active_ratio"
                   " FROM marts.fct_gpu_hours WHERE row_kind = 'gpu'")  # fmt: skip
    assert row == (Decimal("0.1"), Decimal(150), 10, 100, None), "not measured is not 0"


def test_a_gpu_that_nothing_prices_is_unknown_never_free(gpus: Gpus) -> None:
    gpus.build([sample(), sample(gpu="GPU-1", resource_id="i-new"), sample(gpu="GPU-2", resource_id=None)], [charge("8", hour=5)])
    found = dict(gpus.rows("SELECT gpu_uuid, cost_reason FROM marts.fct_gpu_hours WHERE effective_cost IS NULL"))
    assert found == {
        "GPU-0": "machine_not_charged_for_this_time",
        "GPU-1": "machine_on_no_bill_and_no_owned_rate",
        "GPU-2": "machine_without_bill_id_and_no_owned_rate",
    }
    assert gpus.rows("SELECT DISTINCT effective_cost FROM marts.fct_gpu_allocation_hourly WHERE gpu_uuid = 'GPU-1'") == [(None,)]
    assert gpus.faults() == {}


def rate(**more: Any) -> dict[str, Any]:
    """A row of ops.gpu_rates."""
    return {
        "rate_id": "rack", "valid_from": dt.date(2026, 10, 1), "revision": 1, "currency": "EUR", "hourly_rate": Decimal("0.5"),
        "owner": "lab", "active": True, "recorded_at": START,
    } | more  # fmt: skip


def test_owned_gpus_have_their_dated_rate_and_their_unseen_hours_too(gpus: Gpus) -> None:
    seen = {"resource_id": None, "host": "rack-7"}
    dear = rate(host="rack-7", gpu_count=2, valid_from=dt.date(2026, 10, 6), hourly_rate=Decimal("0.75"))
    first = rate(host="rack-7", gpu_count=2, valid_to=dt.date(2026, 10, 6))
    gpus.build([sample(0, **seen), sample(24 * 3600, **seen)], [], [first, dear])
    rows = gpus.rows("SELECT charge_date, row_kind, sum(effective_cost), sum(gpu_hours) FROM marts.fct_gpu_hours GROUP BY ALL ORDER BY ALL")
    # two GPUs: 48 GPU-hours on the 5th, 22 on the 6th up to the last hour that telemetry has
    assert rows == [
        (dt.date(2026, 10, 5), "gpu", Decimal("0.5"), Decimal(1)),
        (dt.date(2026, 10, 5), "not_observed", Decimal("23.5"), Decimal(47)),
        (dt.date(2026, 10, 6), "gpu", Decimal("0.75"), Decimal(1)),
        (dt.date(2026, 10, 6), "not_observed", Decimal("15.75"), Decimal(21)),
    ]
    assert gpus.rows("SELECT DISTINCT cost_basis, owner, billing_currency FROM marts.fct_gpu_hours") == [("owned_rate", "lab", "EUR")]
    assert gpus.faults() == {}


def test_a_rented_machine_whose_bill_is_late_is_not_priced_as_an_owned_one(gpus: Gpus) -> None:
    by_model = [rate(model="H100"), rate(rate_id="nvl", model="H100 80GB", hourly_rate=Decimal("0.6"))]
    gpus.build([sample(), sample(gpu="GPU-1", resource_id=None, host="desk")], [], by_model)
    rows = gpus.rows("SELECT gpu_uuid, rate_id, cost_per_gpu_hour FROM marts.fct_gpu_hours WHERE row_kind = 'gpu' ORDER BY 1")
    assert rows == [("GPU-0", None, None), ("GPU-1", "nvl", Decimal("0.6"))], "the longest model that fits wins, and only without a bill id"


def test_a_machine_on_a_bill_has_the_bills_price_whatever_config_says(gpus: Gpus) -> None:
    gpus.build([sample()], [charge("8")], [rate(host="node-a", gpu_count=1)])
    assert gpus.rows("SELECT cost_basis, effective_cost FROM marts.fct_gpu_hours") == [("bill", Decimal(8))]


def test_the_machines_of_a_scale_set_share_its_bill(gpus: Gpus) -> None:
    scale_set = "/subscriptions/s/resourcegroups/g/providers/microsoft.compute/virtualmachinescalesets/gpu"
    kubernetes = "azure:///subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachineScaleSets/gpu/virtualMachines/"
    machines = [sample(gpu=f"GPU-{n}", host=f"vm{n}", resource_id=f"{kubernetes}{n}") for n in range(3)]
    gpus.build(machines, [charge("9", node=scale_set, x_AcceleratorHours=Decimal(3))])
    assert gpus.rows("SELECT gpu_uuid, effective_cost FROM marts.fct_gpu_hours ORDER BY 1") == [(f"GPU-{n}", Decimal(3)) for n in range(3)]


def test_a_credit_is_split_like_a_charge(gpus: Gpus) -> None:
    gpus.build([sample(processes=[process(f"p{n}") for n in range(3)])], [charge("-1")])
    assert gpus.faults() == {}
    assert sum(gpus.states().values()) == -1
    assert max(gpus.states().values()) < 0


@pytest.mark.parametrize("basis", BASES)
def test_a_cent_that_does_not_divide_is_neither_lost_nor_doubled(gpu_models: dict[str, str], basis: str) -> None:
    pods = [process(f"p{n}", memory_used_bytes=GIB * n, sm_utilization_percent=float(n)) for n in range(7)]
    gpus = Gpus(gpu_models, basis).build([sample(gpu=f"GPU-{n}", processes=pods) for n in range(3)], [charge("0.010000000001", gpus=3)])
    assert sum(gpus.states().values()) == Decimal("0.010000000001")
    assert gpus.faults() == {}


SABOTAGE = [
    (
        "assert_gpu_hours_equal_the_bill",
        "UPDATE marts.fct_gpu_hours SET effective_cost = effective_cost + 0.000000000001 WHERE gpu_uuid = 'GPU-0'",
    ),
    ("assert_gpu_hours_equal_the_bill", "DELETE FROM marts.fct_gpu_hours WHERE row_kind = 'not_observed'"),
    (
        "assert_gpu_shares_sum_to_their_gpu",
        "UPDATE marts.fct_gpu_allocation_hourly SET effective_cost = effective_cost * 2 WHERE pod = 'a'",
    ),
    ("assert_gpu_shares_sum_to_their_gpu", "DELETE FROM marts.fct_gpu_allocation_hourly WHERE usage_state = 'not_observed'"),
    ("assert_gpu_weights_fill_the_time", "UPDATE intermediate.int_gpu_shares SET weight = weight + 1"),
    ("assert_gpu_grain_is_unique", "INSERT INTO marts.fct_gpu_waste_daily FROM marts.fct_gpu_waste_daily"),
]


@pytest.mark.parametrize(("test", "sabotage"), SABOTAGE)
def test_a_conservation_test_sees_the_damage(gpus: Gpus, test: str, sabotage: str) -> None:
    idle = sample(gpu="GPU-1", processes=[], gr_engine_active_ratio=0.0)
    gpus.build([sample(0, 1800, processes=[process("a"), process("b")]), idle], [charge("8", gpus=2)])
    assert gpus.faults() == {}, "sound before"
    gpus.connection.execute(sabotage)
    assert list(gpus.faults(test)) == [test], "nobody would have noticed"
