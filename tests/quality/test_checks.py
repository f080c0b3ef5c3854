"""Great Expectations on bronze and marts: what must hold stops, what should hold is told, and nothing hides anything."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pytest

from costlake.errors import LakeError, QualityError
from costlake.periods import FixedClock
from costlake.slices import Slice
from costlake.tables import BRONZE_MONEY, bronze_table
from ingest.source import all_sources
from quality import checks
from quality.ledger import CheckResult, newest_checks
from quality.suites import bronze_suite
from tests.quality.handmade import CLOUD, MODEL, NOON, RIVAL, Estate, row

pytestmark = pytest.mark.usefixtures("great_expectations")


def broken(results: list[CheckResult]) -> set[tuple[str | None, str, str]]:
    return {(r.source_id or r.table_name, r.expectation, r.status) for r in results if not r.success}


def failing(estate: Estate, layer: str = "bronze") -> set[tuple[str | None, str, str]]:
    with pytest.raises(QualityError):
        checks.run(estate.settings, layer, estate.clock)  # type: ignore[arg-type]
    return broken(newest_checks(estate.settings))


def test_good_rows_pass_every_rule_and_every_result_is_in_the_ledger(estate: Estate) -> None:
    estate.deliver(CLOUD, "cloud-main", "2026-10", [row("1"), row("-2")])
    estate.deliver(MODEL, "model-usage", "2026-10", [{"tokens": 5}])
    results = checks.run(estate.settings, "bronze", estate.clock, run_id="r1")
    assert broken(results) == set()
    assert {r.source_id for r in results} == {"cloud-main", "model-usage"}
    assert len(results) == len(newest_checks(estate.settings)) > 20
    assert {(r.run_id, r.checked_at) for r in newest_checks(estate.settings)} == {("r1", NOON)}
    counted = next(r for r in results if r.source_id == "cloud-main" and r.expectation == "billed_is_known")
    assert (counted.unexpected_count, counted.element_count) == (0, 2)


def test_one_bad_source_does_not_hide_the_results_of_another(estate: Estate) -> None:
    estate.deliver(CLOUD, "cloud-main", "2026-10", [{**row("1"), "amount": None}])
    estate.deliver(RIVAL, "rival", "2026-10", [row("1")])
    estate.deliver(MODEL, "model-usage", "2026-10", [{"tokens": -5}])
    with pytest.raises(QualityError) as caught:
        checks.run(estate.settings, "bronze", estate.clock)
    assert "failed: cloud-main, model-usage" in str(caught.value)
    assert "part-1" in str(caught.value)
    results = newest_checks(estate.settings)
    assert checks.failed_sources(results) == ["cloud-main", "model-usage"]
    assert all(r.success for r in results if r.source_id == "rival")
    assert broken(results) == {("cloud-main", "billed_is_known", "fail"), ("model-usage", "tokens_is_in_range", "fail")}


def test_a_table_that_cannot_be_read_does_not_stop_the_others(estate: Estate) -> None:
    estate.deliver(CLOUD, "cloud-main", "2026-10", [row("1")])
    estate.deliver(RIVAL, "rival", "2026-10", [row("1")])
    for file in (estate.settings.lake / "bronze" / "cloud_bill").rglob("*.parquet"):
        file.write_bytes(b"not parquet")
    assert failing(estate) == {("cloud-main", "table_is_readable", "fail")}
    assert any(r.source_id == "rival" for r in newest_checks(estate.settings))


def test_a_warning_is_told_but_does_not_stop(estate: Estate) -> None:
    estate.deliver(CLOUD, "cloud-main", "2026-10", [row("1")])
    later = FixedClock(NOON + dt.timedelta(days=4))
    assert broken(checks.run(estate.settings, "bronze", later)) == {("cloud-main", "newest_delivery_is_fresh", "warn")}


def test_a_selection_of_slices_is_all_that_is_read(estate: Estate) -> None:
    estate.deliver(CLOUD, "cloud-main", "2026-09", [{**row("1"), "amount": None}])
    estate.deliver(CLOUD, "cloud-main", "2026-10", [row("1")])
    results = checks.run(estate.settings, "bronze", estate.clock, slices=[Slice("cloud-main", "2026-10")])
    assert {r.element_count for r in results} == {1}


def test_two_active_deliveries_of_one_slice_and_a_row_written_twice_are_caught(estate: Estate) -> None:
    first = estate.deliver(CLOUD, "cloud-main", "2026-10", [row("1")])
    rows = pa.concat_tables([_bronze(estate), _bronze(estate), _bronze(estate, delivery_id=first + "-other")])
    estate.lake.overwrite(CLOUD.table, rows)
    assert failing(estate) == {
        ("cloud-main", "only_one_delivery_is_active", "fail"),
        ("cloud-main", "row_identity_is_unique", "fail"),
    }


def test_an_unknown_currency_is_caught_and_a_hostile_one_is_no_sql(estate: Estate) -> None:
    estate.deliver(CLOUD, "cloud-main", "2026-10", [row("1", currency="'); DROP TABLE x; --{batch}:y"), row("1", currency=None)])
    assert failing(estate) == {("cloud-main", "currency_is_iso_4217", "fail")}


def test_a_column_of_another_type_is_caught(estate: Estate) -> None:
    fields = [pa.field(f.name, BRONZE_MONEY if f.name == "currency" else f.type) for f in CLOUD.table.schema][:3]
    drifted = replace(CLOUD, table=bronze_table("cloud_bill", fields))
    estate.deliver(drifted, "cloud-main", "2026-10", [{**row("1"), "currency": Decimal(1)}])
    assert ("cloud-main", "columns_are_present_and_typed", "fail") in failing(estate)


def test_an_empty_bronze_is_not_a_green_run(estate: Estate) -> None:
    assert failing(estate) == {("bronze", "has_rows", "fail")}


def test_every_real_source_gets_a_suite_from_what_it_says_of_itself() -> None:
    for source in all_sources().values():
        names = [rule.name for rule in bronze_suite(source, NOON).rules]
        assert {"has_rows", "columns_are_present_and_typed", "row_identity_is_unique", "only_one_delivery_is_active"} <= set(names)
        assert {f"{measure}_is_known" for measure in source.measures} <= set(names)
        assert ("currency_is_iso_4217" in names) == (source.feeds == "focus"), source.name


def test_good_marts_pass(estate: Estate) -> None:
    good_marts(estate)
    assert broken(checks.run(estate.settings, "marts", estate.clock)) == set()


@pytest.mark.parametrize(
    ("damage", "table", "expectation"),
    [
        ("UPDATE focus.cost_and_usage SET x_Owner = NULL", "focus.cost_and_usage", "owner_or_reason_is_given"),
        (
            "UPDATE focus.cost_and_usage SET ServiceCategory = 'AI and Machine Learning'",
            "focus.cost_and_usage",
            "model_or_reason_is_given",
        ),
        ("UPDATE focus.cost_and_usage SET BillingCurrency = 'dollars'", "focus.cost_and_usage", "currency_is_iso_4217"),
        ("UPDATE marts.fct_cost_daily SET owner = NULL", "marts.fct_cost_daily", "owner_or_reason_is_given"),
        ("UPDATE marts.fct_cost_daily SET billed_cost = NULL", "marts.fct_cost_daily", "billed_cost_is_not_null"),
        (
            "UPDATE marts.fct_model_economics_daily SET cache_hit_rate = 1.01",
            "marts.fct_model_economics_daily",
            "cache_hit_rate_is_in_range",
        ),
        (
            "UPDATE marts.fct_token_economics_daily SET cost_per_million_tokens = NULL",
            "marts.fct_token_economics_daily",
            "price_or_reason_is_given",
        ),
        ("UPDATE marts.fct_restatements SET cause = 'because'", "marts.fct_restatements", "cause_is_of_the_vocabulary"),
        ("UPDATE marts.fct_restatements SET difference = 10", "marts.fct_restatements", "difference_is_now_minus_then"),
        ("UPDATE marts.fct_restatements SET billed_then = 0", "marts.fct_restatements", "only_the_first_report_has_nothing_before_it"),
        (
            "INSERT INTO marts.fct_focus_faults (source_id, billing_period, row_count) VALUES ('saas', '2026-10', 1)",
            "marts.fct_focus_faults",
            "rule_id_is_not_null",
        ),
        (
            "INSERT INTO marts.fct_node_cost_daily SELECT 'a', '2026-10', '2026-10-01', 'i-0a', 'team', NULL, 'USD', 1 FROM range(2)",
            "marts.fct_node_cost_daily",
            "node_is_there_once_a_day",
        ),
        (
            "INSERT INTO marts.fct_ai_cost_daily VALUES ('a', '2026-10', '2026-10-01', 'Bedrock', NULL, NULL, 1, 1, NULL, 1)",
            "marts.fct_ai_cost_daily",
            "kind_or_reason_is_given",
        ),
        (
            "INSERT INTO marts.fct_token_usage VALUES ('u', '2026-10', '2026-10-01', 'OpenAI', 'm', 'standard', 'output', 5, NULL, NULL)",
            "marts.fct_token_usage",
            "price_or_reason_is_given",
        ),
        (
            "INSERT INTO marts.fct_llm_reconciliation_daily VALUES ('2026-10', '2026-10-01', 'OpenAI', 'USD', 1, 0, NULL, NULL, 0, 0, 0)",
            "marts.fct_llm_reconciliation_daily",
            "rate_or_reason_is_given",
        ),
        ("DROP TABLE marts.fct_model_economics_daily", "marts.fct_model_economics_daily", "table_exists"),
    ],
)
def test_a_damaged_mart_is_caught(estate: Estate, damage: str, table: str, expectation: str) -> None:
    good_marts(estate)
    estate.sql(damage)
    assert failing(estate, "marts") == {(table, expectation, "fail")}


AI_ROW = (
    "INSERT INTO focus.cost_and_usage (x_SourceId, x_BillingPeriod, x_DeliveryId, x_ObjectKey, x_RowNumber, BillingCurrency, BilledCost,"
    " EffectiveCost, ChargePeriodStart, ChargeCategory, ServiceCategory, ServiceName, x_Owner, x_ModelReason, x_UsageType, x_AiUsageKind,"
    " x_AiReason) VALUES ('cloud-main', '2026-10', 'd', 'part-1', 9, 'USD', {cost}, {cost}, '2026-10-01 00:00:00+00', 'Usage',"
    " 'AI and Machine Learning', 'Bedrock', 'team-a', 'meter_names_no_model', '{usage}', {kind}, {reason})"
)


def ai_row(cost: str, usage: str, *, explained: bool) -> str:
    kind, reason = ("'token'", "NULL") if explained else ("NULL", "'no_rule_for_this_usage'")
    return AI_ROW.format(cost=cost, usage=usage, kind=kind, reason=reason)


def test_unexplained_ai_usage_of_weight_stops_and_names_its_type_cost_and_rows(estate: Estate) -> None:
    good_marts(estate)
    estate.sql(ai_row("90", "known", explained=True))
    estate.sql(ai_row("0.80", "USE1-Teleport", explained=False))
    estate.sql(ai_row("0.30", "USE1-Teleport", explained=False))
    assert failing(estate, "marts") == {("focus.cost_and_usage", "unmapped_ai_usage", "fail")}
    (found,) = [result for result in newest_checks(estate.settings) if result.expectation == "unmapped_ai_usage"]
    for said in ("usage_type=USE1-Teleport", "cost=1.100000000000", "rows=2", "unmapped=1.100000000000", "ai_cost=91.100000000000"):
        assert said in found.observed


@pytest.mark.parametrize(
    ("explained", "unexplained"),
    [
        (["200"], ["1.50"]),  # under 1 % of the AI cost
        (["5"], ["0.90"]),  # under one unit of the currency
    ],
)
def test_unexplained_ai_usage_of_little_weight_is_told(estate: Estate, explained: list[str], unexplained: list[str]) -> None:
    good_marts(estate)
    for cost in explained:
        estate.sql(ai_row(cost, "known", explained=True))
    for cost in unexplained:
        estate.sql(ai_row(cost, "USE1-Teleport", explained=False))
    found = broken(checks.run(estate.settings, "marts", estate.clock))
    assert found == {("focus.cost_and_usage", "unmapped_ai_usage_of_little_weight", "warn")}


def test_a_credit_does_not_hide_unexplained_usage(estate: Estate) -> None:
    good_marts(estate)
    for cost in ("5", "-5"):
        estate.sql(ai_row(cost, "USE1-Teleport", explained=False))
    assert failing(estate, "marts") == {("focus.cost_and_usage", "unmapped_ai_usage", "fail")}


@pytest.mark.parametrize(
    ("token_class", "unit", "price", "expected"),
    [
        ("output", "1000000 Tokens", "0.003", {("focus.cost_and_usage", "token_sku_keeps_its_price_in_every_unit", "fail")}),
        (None, "1000000 Requests", "0.003", {("focus.cost_and_usage", "sku_keeps_its_price_in_every_unit", "warn")}),
        ("output", "1000000 Tokens", "3", set()),  # redenominated: a token costs the same
        ("output", "1000 Tokens", "0.3", set()),  # another price in the same unit is no matter of units
    ],
)
def test_a_unit_that_changes_under_a_known_sku_is_caught(
    estate: Estate, token_class: str | None, unit: str, price: str, expected: set[tuple[str, str, str]]
) -> None:
    good_marts(estate)
    first = unit.replace("1000000", "1000")
    for known_unit, known_price in ((first, "0.003"), (unit, price)):
        estate.focus("cloud-main", "2026-10", [("1", "1")])
        named = "NULL" if token_class is None else f"'{token_class}'"
        estate.sql(
            f"UPDATE focus.cost_and_usage SET SkuId = 'sku', PricingUnit = '{known_unit}', ListUnitPrice = {known_price},"
            f" x_TokenClass = {named} WHERE SkuId IS NULL"
        )
    if any(status == "fail" for _, _, status in expected):
        assert failing(estate, "marts") == expected
    else:
        assert broken(checks.run(estate.settings, "marts", estate.clock)) == expected


def test_a_lake_without_any_ai_usage_is_no_failure(estate: Estate) -> None:
    good_marts(estate)
    estate.sql("DELETE FROM marts.fct_token_economics_daily; DELETE FROM marts.fct_model_economics_daily")
    assert broken(checks.run(estate.settings, "marts", estate.clock)) == set()


def test_late_usage_is_a_warning(estate: Estate) -> None:
    good_marts(estate)
    estate.sql("UPDATE marts.fct_cost_daily SET charge_date = '2026-09-30'")
    found = broken(checks.run(estate.settings, "marts", estate.clock))
    assert found == {("marts.fct_cost_daily", "charge_date_is_in_billing_period", "warn")}


def test_a_currency_without_a_rate_is_a_warning(estate: Estate) -> None:
    good_marts(estate)
    estate.sql("UPDATE marts.fct_cost_daily SET exchange_rate = NULL, exchange_rate_reason = 'no_rate_for_month'")
    found = broken(checks.run(estate.settings, "marts", estate.clock))
    assert found == {("marts.fct_cost_daily", "every_currency_has_a_rate", "warn")}


@pytest.mark.parametrize(
    ("severity", "expectation"), [("error", "vendors_focus_files_keep_every_must"), ("warn", "vendors_focus_files_need_no_repair")]
)
def test_a_fault_of_a_vendors_file_is_told_but_does_not_stop(estate: Estate, severity: str, expectation: str) -> None:
    good_marts(estate)
    estate.sql(f"INSERT INTO marts.fct_focus_faults VALUES ('saas', '2026-10', 'r', 'X-C-001', '{severity}', 3, 'part-1', 7, 'Usage')")
    found = checks.run(estate.settings, "marts", estate.clock)
    assert broken(found) == {("marts.fct_focus_faults", expectation, "warn")}
    assert "part-1" in str([result for result in found if not result.success])


def test_a_missing_warehouse_is_an_error_not_a_pass(estate: Estate) -> None:
    estate.settings.warehouse.unlink()
    with pytest.raises(LakeError, match="costlake transform"):
        checks.run(estate.settings, "marts", estate.clock)


def test_nothing_but_the_engine_costs_the_nine_seconds() -> None:
    code = "import sys, quality.checks, quality.reconcile, quality.page; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def good_marts(estate: Estate) -> None:
    estate.focus("cloud-main", "2026-10", [("10.25", "8")])
    estate.sql(
        "INSERT INTO marts.fct_token_economics_daily VALUES ('2026-10', '2026-10-01', 'Model', 'm', 'output', 'USD', 5, 1, 1, NULL, 'M')"
    )
    estate.sql("INSERT INTO marts.fct_model_economics_daily VALUES ('2026-10', '2026-10-01', 'Model', 'm', 'USD', 1, 5, 5, 1, 0.5)")
    estate.sql(
        "INSERT INTO marts.fct_restatements VALUES"
        " ('cloud-main', '2026-10', 'USD', 1, '2026-11-02', 'first_report', NULL, 10.25, 1, 'd', 10.25)"
    )


def _bronze(estate: Estate, delivery_id: str | None = None) -> pa.Table:
    connection = estate.lake.connect()
    try:
        rows = connection.execute("SELECT * FROM bronze.cloud_bill").to_arrow_table().to_pylist()
    finally:
        connection.close()
    changed = [{**r, "_delivery_id": delivery_id or r["_delivery_id"]} for r in rows]
    return pa.Table.from_pylist(changed, schema=CLOUD.table.schema)


def test_a_model_without_a_price_is_a_named_warning_and_never_passes_for_free(estate: Estate) -> None:
    good_marts(estate)
    row = "('u', '2026-10', '2026-10-01', 'OpenAI', 'gpt-9', 'standard', 'output', 5, NULL, 'model_not_in_price_book')"
    estate.sql(f"INSERT INTO marts.fct_token_usage VALUES {row}")
    results = {result.expectation: result for result in checks.run(estate.settings, "marts", estate.clock)}
    told = results["used_models_have_a_price"]
    assert told.status == "warn"
    assert "gpt-9" in told.observed


def test_an_unexplained_residual_above_a_thousandth_of_the_month_is_a_named_warning(estate: Estate) -> None:
    good_marts(estate)
    day = "INSERT INTO marts.fct_llm_reconciliation_daily VALUES ('2026-10', '2026-10-0{}', 'OpenAI', 'USD', 1000, {}, 1, NULL, {}, 0, 0)"
    estate.sql(day.format(1, "1", "1"))
    estate.sql(day.format(2, "-1", "-1"))  # the days must not cancel each other
    estate.sql(day.format(3, "0", "0"))
    assert not _warned(estate, "bill_is_explained_by_usage", limit=True)
    estate.sql(day.format(4, "3", "3"))
    assert _warned(estate, "bill_is_explained_by_usage", limit=False)


def _warned(estate: Estate, expectation: str, *, limit: bool) -> bool:
    results = {result.expectation: result for result in checks.run(estate.settings, "marts", estate.clock)}
    if limit:
        # 2 of 3,000 are below a thousandth
        assert results[expectation].success
    return results[expectation].status == "warn"
