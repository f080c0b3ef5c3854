"""The whole chain on the demo estate, in one process: totals as the generator computed them, and a second run that changes nothing."""

from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from costlake import vertical
from costlake.delta import Lake
from costlake.errors import ReconciliationError
from costlake.periods import SystemClock
from costlake.settings import Settings
from costlake.tables import LAYERS

pytestmark = pytest.mark.slow
MONTHS = 5
BILLS = {
    "aws-main", "openai-costs", "anthropic-costs", "azure-actual", "azure-amortized", "gcp-billing", "oci-cost", "nimbus",
}  # fmt: skip


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, vertical.VerticalResult, dict[str, Any]]:
    """Demo files of five months, both deliveries, through to the report."""
    home = tmp_path_factory.mktemp("vertical")
    plain = Settings.load(home=home, lake=home / "lake", config_dir=home / "config")
    settings = vertical.write_demo_estate(plain, SystemClock(), home / "demo", months=MONTHS)
    result = vertical.run(settings, SystemClock())
    expected = json.loads((home / "demo" / "expected.json").read_text(encoding="utf-8"))
    return settings, result, expected


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal("1e-12"), ROUND_HALF_UP)


def _versions(settings: Settings) -> dict[str, int | None]:
    lake = Lake(settings)
    return {f"{layer}.{name}": lake.version(layer, name) for layer in LAYERS for name in lake.tables(layer)}


def test_the_marts_hold_what_the_vendors_billed(ran: Any) -> None:
    settings, _, expected = ran
    first, second = expected["deliveries"]["1"], expected["deliveries"]["2"]
    connection = duckdb.connect(str(settings.serving), read_only=True)
    marts = {
        (source, period): (billed, effective)
        for source, period, billed, effective in connection.execute(
            "SELECT source_id, billing_period, sum(billed_cost), sum(effective_cost) FROM marts.fct_cost_daily GROUP BY ALL"
        ).fetchall()
    }
    wanted = {
        (export, month): (Decimal(totals["billed"]), Decimal(totals["effective"]))
        for export, months in first.items()
        for month, totals in {**months, **second.get(export, {})}.items()
        if totals.get("billed") is not None
    }
    assert len(wanted) == len(BILLS) * MONTHS
    assert marts == wanted


def test_bought_throughput_is_shown_with_what_it_served_and_what_spilled_over(ran: Any) -> None:
    """Worked out from the gateway's own dump: a PTU of gpt-4.1 carries 3 000 input tokens a minute, output weighs 4, cache 0."""
    settings, _, _ = ran
    dump = settings.config_dir / "gateway" / "2026-10" / "spend_logs.parquet"
    day, cached = (
        "CAST(startTime AT TIME ZONE 'UTC' AS DATE) AS day",
        "CAST(metadata->'usage_object'->'prompt_tokens_details'->>'cached_tokens' AS BIGINT)",
    )
    weighed = f"prompt_tokens - {cached} + 4 * completion_tokens"
    units, spilled = ("model_id = 'azure-gpt-4-1-ptu'", "model_id = 'azure-gpt-4-1-standard'")
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    expected = connection.execute(
        f"SELECT {day}, sum({weighed}) FILTER ({units}), sum(prompt_tokens + completion_tokens) FILTER ({units}),"
        f" sum(2 * (prompt_tokens - {cached}) + 0.5 * {cached} + 8 * completion_tokens) FILTER ({units}),"
        f" sum(prompt_tokens + completion_tokens) FILTER ({spilled}) FROM read_parquet('{dump}') GROUP BY 1 ORDER BY 1"
    ).fetchall()
    busiest = connection.execute(
        f"SELECT {day}, sum({weighed}) FROM read_parquet('{dump}') WHERE {units} GROUP BY 1, date_trunc('hour', startTime) ORDER BY 1, 2"
    ).fetchall()
    found = Lake(settings).connect().execute(
        "SELECT charge_date, provisioned_units, utilisation, tokens_served, served_at_payg_usd, spill_over_tokens_at_most,"
        " cost_per_million_tokens, break_even_utilisation, busiest_hour_utilisation FROM marts.fct_provisioned_throughput"
        " WHERE billing_period = '2026-10' AND provisioned_unit_type = 'PTU' AND model_id = 'gpt-4.1' ORDER BY 1"
    ).fetchall()  # fmt: skip
    assert len(found) == len(expected) == 31
    capacity, cost, peaks = 50 * 3_000 * 60 * 24, Decimal(1200), dict(busiest)
    for row, (date, used, served, micro_dollars, over) in zip(found, expected, strict=True):
        worth = Decimal(micro_dollars) / 1_000_000
        assert row[:2] == (date, 50)
        assert row[2] == _rounded(Decimal(used) / capacity)
        assert row[3:6] == (served, worth, over)
        assert row[6] == _rounded(cost * 1_000_000 / served)
        assert abs(row[7] - row[2] * cost / worth) < Decimal("1e-10")
        assert row[8] == _rounded(Decimal(peaks[date]) * 24 / capacity)
    assert any(row[5] for row in found)
    assert max(row[8] for row in found) > Decimal("0.95") > max(row[2] for row in found), "full at noon, idle at night"


def test_the_report_shows_bought_throughput(ran: Any) -> None:
    _, result, _ = ran
    page = result.report.read_text(encoding="utf-8")
    assert "Provisioned throughput" in page
    assert "gpt-4.1" in page[page.index("Provisioned throughput") :]


def test_every_source_reconciles_exactly_or_names_its_residual(ran: Any) -> None:
    _, result, _ = ran
    assert {row.status for row in result.reconciliations} == {"exact"}
    assert {row.source_id for row in result.reconciliations if row.measure == "billed"} == BILLS


def test_the_planted_spike_is_found_with_its_service_and_account(ran: Any) -> None:
    _, result, expected = ran
    assert any(expected["spike"]["date"] in message and "Amazon SageMaker" in message for message in result.anomalies), result.anomalies
    assert any("research" in message for message in result.anomalies)


def test_a_second_run_writes_no_version_of_any_table(ran: Any) -> None:
    settings, _, _ = ran
    before = _versions(settings)
    serving = settings.serving.stat().st_mtime_ns
    vertical.run(settings, SystemClock())
    assert _versions(settings) == before
    assert settings.serving.stat().st_mtime_ns == serving


def test_the_superseded_month_is_in_the_ledger_and_not_in_the_totals(ran: Any) -> None:
    settings, _, expected = ran
    [month] = expected["deliveries"]["2"]["aws-main"]
    connection = Lake(settings).connect()
    assert connection.execute("SELECT count(*) FROM ops.deliveries WHERE status = 'superseded'").fetchall() == [(1,)]
    ids = connection.execute("SELECT count(DISTINCT _delivery_id) FROM bronze.aws_cur2 WHERE _billing_period = ?", [month]).fetchall()
    assert ids == [(1,)]


def test_report_workbook_and_quality_page_are_there(ran: Any) -> None:
    _, result, _ = ran
    for path in (result.report, result.workbook, result.quality_page, result.serving):
        assert isinstance(path, Path)
        assert path.stat().st_size > 10_000


def test_a_cent_lost_in_focus_is_not_published(ran: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, _, _ = ran
    before = _versions(settings)
    connection = duckdb.connect(str(settings.warehouse))
    connection.execute("UPDATE focus.cost_and_usage SET BilledCost = BilledCost - 0.01 WHERE rowid = 7")
    connection.close()
    try:
        with pytest.raises(ReconciliationError):
            vertical.run(settings, SystemClock())
        published = {name: version for name, version in _versions(settings).items() if name.startswith(("focus", "marts", "insights"))}
        assert published == {name: before[name] for name in published}
    finally:
        connection = duckdb.connect(str(settings.warehouse))
        connection.execute("UPDATE focus.cost_and_usage SET BilledCost = BilledCost + 0.01 WHERE rowid = 7")
        connection.close()
