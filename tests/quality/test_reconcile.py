"""Law 2: every dollar once, and nothing is published while a layer disagrees."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pytest

from costlake.errors import ConfigError, LakeError, ReconciliationError
from costlake.slices import Slice
from quality import reconcile
from quality.ledger import RECONCILIATION, Reconciliation
from tests.quality.handmade import CLOUD, MODEL, RIVAL, Estate, row


def of(rows: list[Reconciliation], measure: str, source_id: str = "cloud-main", period: str = "2026-10") -> Reconciliation:
    return next(r for r in rows if (r.source_id, r.billing_period, r.measure) == (source_id, period, measure))


def good_month(estate: Estate, period: str = "2026-10") -> None:
    estate.deliver(CLOUD, "cloud-main", period, [row("10.25", "8"), row("-0.25", "0")])
    estate.focus("cloud-main", period, [("10.25", "8"), ("-0.25", "0")])


def test_equal_layers_are_exact_and_say_which_totals_are_absent_on_purpose(estate: Estate) -> None:
    good_month(estate)
    rows = reconcile.run(estate.settings, estate.clock)
    assert {r.measure for r in rows} == {"billed", "effective", "rows"}
    billed, effective = of(rows, "billed"), of(rows, "effective")
    assert (billed.bill_total, billed.bronze_total, billed.focus_total, billed.mart_total) == (Decimal(10),) * 4
    assert billed.status == "exact"
    assert billed.difference == 0
    assert billed.rounding_residual == 0
    assert effective.bill_total is None
    assert effective.mart_total == 8
    assert json.loads(effective.named_residuals)["bill"] == "the bill states no effective total"
    assert reconcile.latest(estate.settings) == rows


def test_a_cent_lost_in_focus_is_caught_named_and_blocks(estate: Estate) -> None:
    good_month(estate)
    estate.sql("UPDATE focus.cost_and_usage SET BilledCost = 10.24 WHERE BilledCost = 10.25")
    with pytest.raises(ReconciliationError) as caught:
        reconcile.run(estate.settings, estate.clock)
    text = str(caught.value)
    assert "cloud-main 2026-10 billed" in text
    assert "10.000000000000 against 9.990000000000" in text
    assert "difference 0.010000000000 USD" in text
    assert "transform" in text
    assert of(reconcile.latest(estate.settings), "billed").status == "failed"


def test_a_cent_lost_between_focus_and_mart_is_caught(estate: Estate) -> None:
    good_month(estate)
    estate.sql("UPDATE marts.fct_cost_daily SET effective_cost = effective_cost - 0.01")
    with pytest.raises(ReconciliationError, match="FOCUS against marts"):
        reconcile.run(estate.settings, estate.clock)


def test_the_smallest_unit_of_focus_is_no_tolerance(estate: Estate) -> None:
    good_month(estate)
    estate.sql("UPDATE focus.cost_and_usage SET BilledCost = BilledCost + 0.000000000001 WHERE BilledCost > 0")
    with pytest.raises(ReconciliationError):
        reconcile.run(estate.settings, estate.clock)


def test_a_month_doubled_in_focus_and_marts_is_caught(estate: Estate) -> None:
    estate.deliver(CLOUD, "cloud-main", "2026-10", [row("10")])
    estate.focus("cloud-main", "2026-10", [("10", "10")], copies=2)
    with pytest.raises(ReconciliationError, match="bronze at 12 decimals against FOCUS"):
        reconcile.run(estate.settings, estate.clock)


def test_a_delivery_doubled_in_bronze_and_everything_after_it_is_caught_by_the_bill(estate: Estate) -> None:
    good_month(estate)
    rows = [row("10.25", "8"), row("-0.25", "0")] * 2
    estate.deliver(CLOUD, "cloud-main", "2026-10", rows, ledger=False)
    estate.focus("cloud-main", "2026-10", [("10.25", "8"), ("-0.25", "0")])
    with pytest.raises(ReconciliationError, match=r"bill against bronze: 10.0+ against 20.0+"):
        reconcile.run(estate.settings, estate.clock)
    assert of(reconcile.latest(estate.settings), "rows").difference == -2


def test_a_redelivered_month_is_measured_against_its_newest_bill(estate: Estate) -> None:
    estate.deliver(CLOUD, "cloud-main", "2026-10", [row("99")])
    good_month(estate)
    assert of(reconcile.run(estate.settings, estate.clock), "billed").bill_total == 10


def test_an_orphan_slice_in_focus_is_caught(estate: Estate) -> None:
    good_month(estate)
    estate.focus("cloud-gone", "2026-09", [("5", "5")])
    with pytest.raises(ReconciliationError, match="cloud-gone 2026-09 billed: bronze at 12 decimals against FOCUS: missing against 5"):
        reconcile.run(estate.settings, estate.clock)


def test_an_orphan_slice_in_the_mart_alone_is_caught(estate: Estate) -> None:
    good_month(estate)
    estate.focus("cloud-gone", "2026-09", [("5", "5")])
    estate.sql("DELETE FROM focus.cost_and_usage WHERE x_SourceId = 'cloud-gone'")
    with pytest.raises(ReconciliationError, match="FOCUS against marts: missing against 5"):
        reconcile.run(estate.settings, estate.clock)


def test_a_slice_that_never_reached_focus_is_caught_even_when_it_costs_nothing(estate: Estate) -> None:
    good_month(estate)
    estate.deliver(CLOUD, "cloud-main", "2026-11", [row("0")])
    with pytest.raises(ReconciliationError, match=r"cloud-main 2026-11 billed: .* against missing"):
        reconcile.run(estate.settings, estate.clock)


def test_a_slice_that_vanished_from_bronze_but_not_from_the_ledger_is_caught(estate: Estate) -> None:
    good_month(estate)
    estate.deliver(CLOUD, "cloud-main", "2026-09", [row("3")])
    estate.lake.replace(
        CLOUD.table, pa.Table.from_pylist([], schema=CLOUD.table.schema), {"_source_id": "cloud-main", "_billing_period": "2026-09"}
    )
    with pytest.raises(ReconciliationError, match=r"cloud-main 2026-09 billed: bill against bronze: 3.0+ against missing"):
        reconcile.run(estate.settings, estate.clock)


def test_a_rounding_residual_is_named_and_is_not_an_error(estate: Estate) -> None:
    estate.deliver(CLOUD, "cloud-main", "2026-10", [row("0.0000000000004"), row("1.000000000000400000")])
    estate.focus("cloud-main", "2026-10", [("0", "0"), ("1", "1")])
    billed = of(reconcile.run(estate.settings, estate.clock), "billed")
    assert billed.status == "exact"
    assert billed.focus_total == 1
    assert billed.rounding_residual == Decimal("0.0000000000008")
    assert json.loads(billed.named_residuals)["rounding to 12 decimals"] == "0.000000000000800000"


def test_a_total_of_more_digits_than_python_keeps_by_default_stays_exact(estate: Estate) -> None:
    estate.deliver(CLOUD, "cloud-main", "2026-10", [row("98765432109876.000000000000400001"), row("0.000000000001")])
    estate.focus("cloud-main", "2026-10", [("98765432109876", "98765432109876"), ("0.000000000001", "0.000000000001")])
    billed = of(reconcile.run(estate.settings, estate.clock), "billed")
    assert billed.bill_total == Decimal("98765432109876.000000000001400001")
    assert billed.rounding_residual == Decimal("0.000000000000400001")


def test_currencies_are_never_added_together(estate: Estate) -> None:
    good_month(estate)
    estate.deliver(RIVAL, "rival", "2026-10", [row("1"), row("2", currency="eur")], announced="1")
    estate.focus("rival", "2026-10", [("3", "3")])
    with pytest.raises(ReconciliationError):
        reconcile.run(estate.settings, estate.clock)
    found = {
        r.billing_currency: r.bronze_total for r in reconcile.latest(estate.settings) if (r.source_id, r.measure) == ("rival", "billed")
    }
    assert found == {"USD": 1, "EUR": 2}


def test_a_second_run_of_the_same_content_writes_nothing(estate: Estate) -> None:
    good_month(estate)
    first = reconcile.run(estate.settings, estate.clock)
    version = estate.lake.version("ops", "reconciliation")
    reconcile.run(estate.settings, estate.clock)
    assert estate.lake.version("ops", "reconciliation") == version
    assert reconcile.latest(estate.settings) == first


def test_a_repaired_month_is_newer_than_the_failure_even_within_one_instant(estate: Estate) -> None:
    good_month(estate)
    estate.sql("UPDATE focus.cost_and_usage SET BilledCost = 10.24 WHERE BilledCost = 10.25")
    with pytest.raises(ReconciliationError):
        reconcile.run(estate.settings, estate.clock)
    estate.sql("UPDATE focus.cost_and_usage SET BilledCost = 10.25 WHERE BilledCost = 10.24")
    reconcile.run(estate.settings, estate.clock)
    assert {r.status for r in reconcile.latest(estate.settings)} == {"exact"}


def test_a_run_over_one_slice_keeps_the_failure_of_another(estate: Estate) -> None:
    good_month(estate)
    good_month(estate, "2026-09")
    estate.sql("UPDATE focus.cost_and_usage SET BilledCost = 10.24 WHERE BilledCost = 10.25 AND x_BillingPeriod = '2026-09'")
    with pytest.raises(ReconciliationError):
        reconcile.run(estate.settings, estate.clock)
    with pytest.raises(ReconciliationError, match="cloud-main 2026-09"):
        reconcile.run(estate.settings, estate.clock, slices=[Slice("cloud-main", "2026-10")])
    assert of(reconcile.latest(estate.settings), "billed").status == "exact"


def tokens(estate: Estate, staged: int, mart: int, charges: int = 0) -> None:
    estate.deliver(MODEL, "model-usage", "2026-10", [{"tokens": 60}, {"tokens": 40}])
    estate.sql(
        f"INSERT INTO intermediate.int_token_usage VALUES ('model-usage', '2026-10', 'Model', true, {staged - 10}, NULL, NULL, NULL, 3,"
        " 1, NULL, 2, 4, NULL, NULL)"
    )
    for host, count in (("Model", mart), ("Cloud", 5)):  # the same provider's models on a cloud are in the cloud's bill
        estate.sql(
            "INSERT INTO marts.fct_token_economics_daily VALUES"
            f" ('2026-10', '2026-10-01', 'Model', 'm', 'output', 'USD', {count}, 1, 1, NULL, '{host}')"
        )
    if charges:
        estate.sql(f"INSERT INTO intermediate.int_ai_charges VALUES ('Model', '2026-10', {charges}, 'Model')")


def test_tokens_that_charges_measure_are_named_apart_from_reported_ones(estate: Estate) -> None:
    tokens(estate, staged=100, mart=107, charges=7)
    found = of(reconcile.run(estate.settings, estate.clock), "tokens", "model-usage")
    assert (found.bronze_total, found.focus_total, found.mart_total, found.billing_currency) == (100, 100, 107, None)
    assert json.loads(found.named_residuals)["tokens that charges measure"] == "7"


def test_a_token_counted_twice_at_staging_is_caught(estate: Estate) -> None:
    tokens(estate, staged=140, mart=140)
    with pytest.raises(ReconciliationError, match=r"model-usage 2026-10 tokens: bronze against FOCUS: 100.0+ against 140"):
        reconcile.run(estate.settings, estate.clock)


def test_a_token_lost_in_the_mart_is_caught(estate: Estate) -> None:
    tokens(estate, staged=100, mart=99)
    with pytest.raises(ReconciliationError, match="FOCUS against marts: 100 against 99"):
        reconcile.run(estate.settings, estate.clock)


def test_a_measure_in_binary_floating_point_is_refused(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    good_month(estate)
    floating = replace(CLOUD, measures={"billed": "amount / 100"})
    monkeypatch.setattr("quality.reconcile.all_sources", lambda: {"cloud_bill": floating})
    with pytest.raises(ConfigError, match="DOUBLE"):
        reconcile.run(estate.settings, estate.clock)


def test_a_missing_warehouse_is_no_reconciliation(estate: Estate) -> None:
    good_month(estate)
    estate.settings.warehouse.unlink()
    with pytest.raises(LakeError, match="costlake transform"):
        reconcile.run(estate.settings, estate.clock)


def test_the_ledger_table_declares_what_the_rows_hold(estate: Estate) -> None:
    good_month(estate)
    reconcile.run(estate.settings, estate.clock)
    assert estate.lake.schema("ops", "reconciliation").names == RECONCILIATION.schema.names
