"""GPU telemetry in a real lake: what a late message rebuilds, what is published, and that nothing to do is nothing done.

Data flow: samples → bronze.gpu_telemetry (Delta), AWS lines → bronze.aws_cur2 → transform → marts → publish. Alone: pytest on this file.
"""

from __future__ import annotations

import datetime as dt
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from costlake import gpu_rates, publish, rates, transform
from costlake.delta import Lake
from costlake.periods import BillingPeriod, FixedClock
from costlake.runs import ControlTotal, DeliveryEvent, record_deliveries
from costlake.settings import Settings
from costlake.slices import Slice
from costlake.tables import LAYERS
from ingest.source import source_named
from insights import idle_gpus
from insights.reports import finance
from quality import checks, reconcile
from streams.tables import GPU_TELEMETRY
from tests.dbt import estate

pytestmark = pytest.mark.slow
CLOCK = FixedClock(dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC))
TENTH = dt.datetime(2026, 10, 5, 10, tzinfo=dt.UTC)
SEPTEMBER = TENTH.replace(month=9)
GPU_HOUR = Decimal("98.32")
MACHINE = "i-0a1b2c3d4e5f60718"


def sample(hour: dt.datetime, minute: int = 0, minutes: int = 60, gpu: int = 0, **more: Any) -> dict[str, Any]:
    """A sample of one of the eight GPUs of the machine."""
    begins = hour + dt.timedelta(minutes=minute)
    ends = begins + dt.timedelta(minutes=minutes)
    return {
        "event_id": f"{begins.isoformat()}-{gpu}", "schema_version": 1, "cluster": "prod", "host": "node-a", "resource_id": MACHINE,
        "source": "dcgm", "interval_start": begins, "interval_end": ends, "gpu_uuid": f"GPU-{gpu}", "model_name": "NVIDIA H100 80GB HBM3",
        "gr_engine_active_ratio": 0.5, "processes": [{"pid": 1, "namespace": "ml", "pod": "train"}], "_topic": "t", "_partition": 0,
        "_offset": 0, "_ingested_at": ends, "event_hour": f"{begins:%Y-%m-%dT%H}",
    } | more  # fmt: skip


def send(lake: Lake, *samples: dict[str, Any]) -> None:
    """Append samples to the stream's table."""
    lake.append(GPU_TELEMETRY, pa.Table.from_pylist(list(samples), schema=GPU_TELEMETRY.schema))


def through(settings: Settings) -> list[transform.TransformResult]:
    """Rates to publication."""
    rates.run(settings, CLOCK)
    gpu_rates.run(settings, CLOCK)
    built = transform.run(settings)
    reconcile.run(settings, CLOCK)
    publish.run(settings, CLOCK)
    return built


def published(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    """A query on the published tables."""
    connection = lake.connect()
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def versions(lake: Lake) -> dict[str, int | None]:
    """The version of every table."""
    return {f"{layer}.{name}": lake.version(layer, name) for layer in LAYERS for name in lake.tables(layer)}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """One GPU machine, an hour in September and one in October, on the bill and in the telemetry; published."""
    home = tmp_path_factory.mktemp("gpus")
    settings = Settings.load(home=home, lake=home / "lake", config_dir=home / "config")
    lake = Lake(settings)
    spec = source_named("aws_cur2").table
    lines = []
    for period, hour in ((BillingPeriod(2026, 9), SEPTEMBER), (BillingPeriod(2026, 10), TENTH)):
        slice_ = {"_source_id": "aws-main", "_billing_period": period.label, "_slice": period.label, "_ingested_at": CLOCK.now()}
        bill = {"bill_billing_period_start_date": period.start, "bill_billing_period_end_date": period.end}
        lines.append(estate.line(1, "Usage", str(GPU_HOUR), **estate.gpu(line_item_resource_id=MACHINE), start=hour, **slice_, **bill))
    rows = [{name: value for name, value in line.items() if name in spec.schema.names} for line in lines]
    decimals = {field.name for field in spec.schema if pa.types.is_decimal(field.type)}
    typed = [{name: Decimal(value) if name in decimals and value is not None else value for name, value in row.items()} for row in rows]
    lake.append(spec, pa.Table.from_pylist(typed, schema=spec.schema))
    totals = [ControlTotal(month, month, "USD", 1, GPU_HOUR, GPU_HOUR) for month in ("2026-09", "2026-10")]
    record_deliveries(lake, [DeliveryEvent("loaded", "aws-main", "aws_cur2", "delivery-1", "k", total) for total in totals], CLOCK)
    send(lake, *(sample(SEPTEMBER, gpu=gpu) for gpu in range(8)), *(sample(TENTH, gpu=gpu) for gpu in range(7)))
    through(settings)
    return lake


def test_published_gpu_hours_are_the_bill(lake: Lake) -> None:
    rows = published(
        lake, "SELECT billing_period, row_kind, count(*), sum(effective_cost) FROM marts.fct_gpu_hours GROUP BY ALL ORDER BY ALL"
    )
    part = GPU_HOUR / 8
    assert rows == [("2026-09", "gpu", 8, GPU_HOUR), ("2026-10", "gpu", 7, part * 7), ("2026-10", "not_observed", 1, part)]
    assert published(lake, "SELECT sum(effective_cost) FROM marts.fct_gpu_allocation_hourly WHERE pod = 'train'") == [(part * 15,)]


def test_suites_report_and_idle_search_read_what_dbt_built(lake: Lake) -> None:
    results = checks.run(lake.settings, "marts", CLOCK)
    assert {result.table_name for result in results} >= {
        "marts.fct_gpu_hours",
        "marts.fct_gpu_allocation_hourly",
        "marts.fct_gpu_waste_daily",
    }
    assert [result for result in results if not result.success] == []
    page = finance.build(lake.settings, "2026-10").html.read_text(encoding="utf-8")
    assert 'id="USD-gpus"' in page
    assert "86.03" in page, "seven of eight GPU-hours"
    assert idle_gpus.run(lake.settings).findings == ()


def test_a_second_run_writes_no_version_and_starts_no_dbt(lake: Lake) -> None:
    before = versions(lake)
    assert [(built.changed, built.nodes) for built in through(lake.settings)] == [((), 0), ((), 0)]
    assert versions(lake) == before


def test_a_late_message_rebuilds_its_hour_and_publishes_its_month_alone(lake: Lake, tmp_path: Path) -> None:
    """A mark on the rows of September, in the warehouse and among the published files, shows whether they were touched."""
    copy = Lake(_copied(lake, tmp_path))
    with duckdb.connect(str(copy.settings.warehouse)) as connection:
        connection.execute("UPDATE intermediate.int_gpu_hours SET cluster = 'mark' WHERE event_hour < '2026-10'")
    september = {mart: copy.files("marts", mart, {"billing_period": "2026-09"}) for mart in ("fct_gpu_hours", "fct_gpu_allocation_hourly")}
    send(copy, sample(TENTH, gpu=7, _ingested_at=CLOCK.now()))
    focus, marts = through(copy.settings)
    assert (focus.changed, marts.changed) == ((), (Slice("gpu_telemetry", "2026-10"),))
    rows = published(
        copy, "SELECT row_kind, sum(effective_cost), sum(late_count) FROM marts.fct_gpu_hours WHERE billing_period = '2026-10' GROUP BY ALL"
    )
    assert rows == [("gpu", GPU_HOUR, 1)], "the gap is closed, and the month is still its bill"
    assert {mart: copy.files("marts", mart, {"billing_period": "2026-09"}) for mart in september} == september
    with duckdb.connect(str(copy.settings.warehouse)) as connection:
        assert connection.execute("SELECT count(*) FROM intermediate.int_gpu_hours WHERE cluster = 'mark'").fetchall() == [(8,)]
    assert through(copy.settings)[1].nodes == 0


def test_incremental_marts_are_those_of_a_full_refresh(lake: Lake, tmp_path: Path) -> None:
    copy = Lake(_copied(lake, tmp_path))
    for step in range(3):
        # across the end of the hour, of the day and of the month; again; and from a second collector
        send(
            copy,
            sample(TENTH, 50, 30, gpu=step),
            sample(TENTH.replace(day=31, hour=23), 40, 60),
            sample(TENTH, 5, 20, source="nvml", gpu=step),
        )
        transform.run(copy.settings)
    query = "SELECT * FROM {} ORDER BY ALL"
    tables = ("intermediate.int_gpu_hours", "intermediate.int_gpu_shares", "marts.fct_gpu_hours", "marts.fct_gpu_allocation_hourly")
    found = {}
    for full in (False, True):
        if full:
            transform.run(copy.settings, "marts", full_refresh=True)
        with duckdb.connect(str(copy.settings.warehouse)) as connection:
            found[full] = {table: connection.execute(query.format(table)).fetchall() for table in tables}
    assert found[False] == found[True]
    assert {row[0] for row in found[True]["intermediate.int_gpu_hours"]} >= {"2026-10-31T23", "2026-11-01T00"}


def test_a_column_whose_type_has_changed_is_published_in_its_old_one(lake: Lake, tmp_path: Path) -> None:
    """Readers of Parquet do not agree on files of two types in one table."""
    settings = _copied(lake, tmp_path)
    copy = Lake(settings)
    before = copy.connect().execute(
        "SELECT billing_period, sum(line_count), typeof(any_value(line_count)) FROM marts.fct_cost_daily GROUP BY 1 ORDER BY 1"
    )
    expected = before.fetchall()
    with duckdb.connect(str(settings.warehouse)) as warehouse:
        warehouse.execute("ALTER TABLE marts.fct_cost_daily ALTER line_count TYPE SMALLINT")
        warehouse.execute("UPDATE meta.built_slices SET fingerprint = 'old' WHERE layer = 'published' AND billing_period = '2026-10'")
    assert "marts.fct_cost_daily" in publish.run(settings, CLOCK).versions
    after = copy.connect().execute(
        "SELECT billing_period, sum(line_count), typeof(any_value(line_count)) FROM marts.fct_cost_daily GROUP BY 1 ORDER BY 1"
    )
    assert after.fetchall() == expected
    types = {pq.read_schema(file).field("line_count").type for file in copy.files("marts", "fct_cost_daily")}
    assert types == {pa.int64()}


def _copied(lake: Lake, folder: Path) -> Settings:
    home = lake.settings.home
    shutil.copytree(home, folder / "copy")
    return Settings.load(home=folder / "copy", lake=folder / "copy" / "lake", config_dir=folder / "copy" / "config")
