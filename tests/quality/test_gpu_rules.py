"""Great Expectations on GPU telemetry and its marts: a damage each rule must see, and lakes without GPUs that must pass."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pytest

from costlake.errors import QualityError
from costlake.tables import TEXT, TIMESTAMP, TableSpec
from quality import checks
from quality.ledger import newest_checks
from tests.quality.handmade import CLOUD, NOON, Estate, row

pytestmark = pytest.mark.usefixtures("great_expectations")
TELEMETRY = TableSpec("bronze", "gpu_telemetry", pa.schema([
    ("event_id", TEXT), ("host", TEXT), ("gpu_uuid", TEXT), ("interval_start", TIMESTAMP), ("interval_end", TIMESTAMP),
    ("_ingested_at", TIMESTAMP), ("event_hour", TEXT),
]), partition_by=("event_hour",))  # fmt: skip
HOUR = (
    "INSERT INTO marts.fct_gpu_hours VALUES ('2026-10', '2026-10-05', '2026-10-05 10:00:00+00', '{node}', 'a', '{gpu}', {kind}, {reason},"
    " {cost}, {why}, {active}, 0.5, 3600, 'USD')"
)
GOOD = {"node": "i-0a", "gpu": "GPU-0", "kind": "'gpu'", "reason": "NULL", "cost": "8", "why": "NULL", "active": "0.5"}
SHARE = "INSERT INTO marts.fct_gpu_allocation_hourly VALUES ('2026-10', '2026-10-05', NULL, 'i-0a', 'p', {state}, 1, {owner}, NULL)"


def sample(end: dt.datetime = NOON, **more: Any) -> dict[str, Any]:
    begins = end - dt.timedelta(minutes=1)
    return {
        "event_id": "e", "host": "a", "gpu_uuid": "GPU-0", "interval_start": begins, "interval_end": end, "_ingested_at": end,
        "event_hour": f"{begins:%Y-%m-%dT%H}",
    } | more  # fmt: skip


def found(estate: Estate, *samples: dict[str, Any]) -> set[tuple[str, str]]:
    """(rule, status) of what does not hold of these samples beside a good bill."""
    estate.deliver(CLOUD, "cloud-main", "2026-10", [row("1")])
    estate.lake.append(TELEMETRY, pa.Table.from_pylist(list(samples), schema=TELEMETRY.schema))
    with suppress(QualityError):
        checks.run(estate.settings, "bronze", estate.clock)
    results = [result for result in newest_checks(estate.settings) if result.table_name == "bronze.gpu_telemetry"]
    assert results, "the stream's table was not looked at"
    return {(result.expectation, result.status) for result in results if not result.success}


def test_good_samples_pass(estate: Estate) -> None:
    assert found(estate, sample(), sample(NOON - dt.timedelta(hours=3))) == set()


def test_each_damage_of_a_sample_is_caught(estate: Estate) -> None:
    two_hours_ago = NOON - dt.timedelta(hours=2)
    damaged = [
        sample(gpu_uuid=None),
        sample(interval_start=NOON, event_hour=f"{NOON:%Y-%m-%dT%H}"),
        sample(event_hour="2026-11-02T03"),
        sample(_ingested_at=NOON - dt.timedelta(minutes=30)),
        sample(interval_start=two_hours_ago, event_hour=f"{two_hours_ago:%Y-%m-%dT%H}"),
    ]
    assert found(estate, sample(), *damaged) == {
        ("gpu_uuid_is_not_null", "fail"),
        ("interval_ends_after_it_starts", "fail"),
        ("sample_lies_in_the_hour_in_which_it_starts", "fail"),
        ("sample_ends_before_it_arrives", "warn"),
        ("sample_is_no_longer_than_an_hour", "warn"),
    }


def test_silent_collectors_are_told(estate: Estate) -> None:
    assert found(estate, sample(NOON - dt.timedelta(hours=5))) == {("newest_sample_is_fresh", "warn")}


def test_each_damage_of_a_gpu_mart_is_caught_and_a_sound_one_is_not(estate: Estate) -> None:
    estate.focus("cloud-main", "2026-10", [("10.25", "8")])
    estate.sql(
        "INSERT INTO marts.fct_restatements VALUES"
        " ('cloud-main', '2026-10', 'USD', 1, '2026-11-02', 'first_report', NULL, 10.25, 1, 'd', 10.25)"
    )
    estate.sql(HOUR.format(**GOOD))
    assert all(result.success for result in checks.run(estate.settings, "marts", estate.clock, run_id="r1"))
    for damage in (
        HOUR.format(**GOOD | {"gpu": "GPU-1", "cost": "NULL"}),
        HOUR.format(**GOOD | {"gpu": "GPU-2", "active": "1.5"}),
        HOUR.format(**GOOD | {"gpu": "GPU-3", "cost": "NULL", "why": "'machine_on_no_bill'"}),
        HOUR.format(**GOOD),
        HOUR.format(**GOOD | {"node": "i-0b", "gpu": "GPU-4"}),
        HOUR.format(node="i-0b", gpu="", kind="'not_observed'", reason="'telemetry_gap'", cost="9", why="NULL", active="NULL"),
        SHARE.format(state="'lazy'", owner="'me'"),
        SHARE.format(state="'busy'", owner="NULL"),
        "INSERT INTO marts.fct_gpu_waste_daily VALUES ('2026-10', '2026-10-05', 'i-0a', 'unallocated', 1, 1, NULL, NULL)",
    ):
        estate.sql(damage)
    with pytest.raises(QualityError):
        checks.run(estate.settings, "marts", estate.clock, run_id="r2")  # the clock stands still: the name says which is newer
    run = newest_checks(estate.settings)
    assert {(r.table_name.removeprefix("marts."), r.expectation, r.status) for r in run if not r.success} == {
        ("fct_gpu_hours", "cost_or_reason_is_given", "fail"),
        ("fct_gpu_hours", "activity_ratio_is_in_range", "fail"),
        ("fct_gpu_hours", "gpu_has_a_price", "warn"),
        ("fct_gpu_hours", "machine_is_on_one_bill", "warn"),
        ("fct_gpu_hours", "telemetry_sees_what_is_paid_for", "warn"),
        ("fct_gpu_allocation_hourly", "state_is_of_the_vocabulary", "fail"),
        ("fct_gpu_allocation_hourly", "owner_or_reason_is_given", "fail"),
        ("fct_gpu_waste_daily", "cost_or_reason_is_given", "fail"),
    }
