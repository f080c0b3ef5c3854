"""Law 6 by properties: whatever the samples say, the shares of a GPU and its idle time sum to its cost in every hour, and all to the bill.

Each example is a small fleet, all of its GPUs in one batch, so that a hundred histories cost one run of the SQL. Alone: pytest on this file.
"""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dbt.gpu_project import BASES, GIB, START, Gpus, charge, process, sample

PROFILES = ("1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb")
RATIOS = st.one_of(st.none(), st.sampled_from([0.0, 0.001, 0.02, 1 / 3, 0.999999999, 1.0]), st.floats(0, 1))
COSTS = st.decimals("-5", "400", places=12)
HISTORIES = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["whole", "mig", "time_sliced", "mps", "hami", "unlisted"]),
            "activity": RATIOS,
            "memory": st.one_of(st.none(), st.integers(0, 80 * GIB)),
            "holders": st.integers(0, 7),
            "ratio": st.one_of(st.none(), st.floats(0, 1)),
            "known": st.booleans(),
            # seconds from the start and length of each sample: gaps, overlaps, across the hour, longer than allowed
            "times": st.lists(st.tuples(st.floats(-1800, 9000), st.floats(0.001, 4000)), min_size=1, max_size=5),
            "twice": st.booleans(),
            "moves": st.booleans(),
            "counter": st.lists(st.floats(0, 1e7), min_size=5, max_size=5),
            "profiles": st.lists(st.sampled_from(PROFILES), min_size=1, max_size=5),
            "seed": st.integers(0, 1000),
        }
    ),
    min_size=8,
    max_size=12,
)


def samples_of(number: int, history: dict[str, Any]) -> list[dict[str, Any]]:
    """One GPU's messages."""
    rng = random.Random(history["seed"])
    found = []
    for place, (start, seconds) in enumerate(history["times"]):
        pods = [f"pod-{n + (place if history['moves'] else 0)}" for n in range(history["holders"])]
        row = sample(
            start, seconds, gpu=f"GPU-{number}", host=f"node-{number % 2}", resource_id=f"i-{number % 2}",
            gr_engine_active_ratio=history["activity"], memory_used_bytes=history["memory"], energy_joules=history["counter"][place],
            source=rng.choice(["dcgm", "nvml"]), processes=[_holder(history, pod, rng) for pod in pods],
        )  # fmt: skip
        row["event_id"] = f"{number}-{place}"
        if history["kind"] == "unlisted":
            row["processes"] = None
        if history["kind"] == "mig":
            slices = [
                row | {"mig_gpu_instance_id": n, "mig_profile": profile, "memory_total_bytes": 10 * GIB, "memory_used_bytes": None}
                for n, profile in enumerate(history["profiles"])
            ]
            found += [*slices, *([row] if history["known"] else [])]
        else:
            found.append(row)
        if history["twice"]:
            found.append(found[-1] | {"_offset": 7, "_ingested_at": START + dt.timedelta(days=2)})
    return found


def _holder(history: dict[str, Any], pod: str, rng: random.Random) -> dict[str, Any]:
    kind, more = history["kind"], {}
    if kind == "hami":
        more["allocation_ratio"] = history["ratio"]
    if kind == "time_sliced" and history["activity"] is not None:
        more["sm_utilization_percent"] = history["activity"] * 100  # every pod shows the device's value
    if kind == "mps" and history["known"]:
        more["sm_utilization_percent"] = rng.choice([0.0, 10.0, 100.0])
    if history["known"] and history["memory"] is not None:
        more["memory_used_bytes"] = rng.choice([0, history["memory"]])
    return process(None if rng.random() < 0.1 else pod, **more)


@pytest.fixture(scope="session")
def by_basis(gpu_models: dict[str, str]) -> dict[str, Gpus]:
    """A database per basis, used again by every example."""
    return {basis: Gpus(gpu_models, basis) for basis in BASES}


@pytest.mark.parametrize("basis", BASES)
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories=HISTORIES, costs=st.lists(COSTS, min_size=4, max_size=4), by_day=st.booleans())
def test_shares_and_idle_time_sum_to_the_gpu_and_the_gpus_to_the_bill(
    by_basis: dict[str, Gpus], basis: str, histories: list[dict[str, Any]], costs: list[Decimal], by_day: bool
) -> None:
    samples = [row for number, history in enumerate(histories) for row in samples_of(number, history)]
    charges = [
        charge(str(cost), hour=-10 if by_day else place % 3, hours=24 if by_day else 1, node=f"i-{place % 2}", gpus=len(histories) // 2)
        for place, cost in enumerate(costs)
    ]
    gpus = by_basis[basis].build(samples, charges)
    assert gpus.faults() == {}
    billed = gpus.one("SELECT sum(EffectiveCost) FROM focus.cost_and_usage")
    assert gpus.one("SELECT sum(effective_cost) FROM marts.fct_gpu_hours") == billed
    assert gpus.one("SELECT sum(effective_cost) FROM marts.fct_gpu_allocation_hourly") == billed
    assert gpus.rows("SELECT * FROM intermediate.int_gpu_hours WHERE observed_us > 3600000000 OR observed_us <= 0") == []
    assert (
        gpus.rows("SELECT * FROM intermediate.int_gpu_hours WHERE activity_seconds > activity_measured_seconds * 1.000001 + 0.000001") == []
    )
    assert gpus.rows("SELECT * FROM marts.fct_gpu_allocation_hourly WHERE gpu_hours < 0 OR usage_state IS NULL") == []


def test_the_order_in_which_messages_arrive_changes_nothing(by_basis: dict[str, Gpus]) -> None:
    rng = random.Random(3)
    pods = [process(f"p{n}", sm_utilization_percent=33.3) for n in range(3)]
    samples = [
        sample(rng.uniform(0, 7000), rng.uniform(1, 900), gpu=f"GPU-{n % 4}", processes=pods[: n % 4]) | {"event_id": f"e{n}"}
        for n in range(60)
    ]
    query = "SELECT * FROM marts.fct_gpu_allocation_hourly ORDER BY ALL"
    charges = [charge("7.77", gpus=4), charge("1.1", hour=1, gpus=4)]
    first = by_basis["allocation"].build(samples, charges).rows(query)
    rng.shuffle(samples)
    assert by_basis["allocation"].build(samples, charges).rows(query) == first
