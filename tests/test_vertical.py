"""The whole chain on the demo estate, in one process: totals as the generator computed them, and a second run that changes nothing."""

from __future__ import annotations

import json
from decimal import Decimal
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
