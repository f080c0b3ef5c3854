"""The marts carry FOCUS and the usage reports once, and a rebuild replaces only what changed.

Data flow: tests/dbt/llm_project.py → bronze → dbt → marts, then sabotage. Alone: pytest on this file.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.dbt.llm_project import DAY, MINI, NOVEMBER, SONNET, Project, built_project

SABOTAGE = [
    (
        "assert_mart_cost_equals_focus",
        "update marts.fct_cost_daily set billed_cost = billed_cost + 0.000000000001 where service_name = 'OpenAI API'",
    ),
    ("assert_mart_cost_equals_focus", "delete from marts.fct_cost_daily where billing_period = '2026-11'"),
    ("assert_mart_cost_equals_focus", "update marts.fct_cost_daily set source_id = 'stale' where source_id = 'openai-costs'"),
    (
        "assert_mart_economics_cost_equals_focus",
        "insert into marts.fct_token_economics_daily from marts.fct_token_economics_daily where token_class = 'output'",
    ),
    ("assert_mart_economics_cost_equals_focus", "delete from marts.fct_model_economics_daily where model_id is null"),
    (
        "assert_mart_tokens_equal_usage",
        "update marts.fct_token_economics_daily set tokens = tokens * 2 where token_class = 'input_cache_read'",
    ),
    ("assert_mart_tokens_equal_usage", "update marts.fct_model_economics_daily set output_tokens_total = output_tokens_total + 1"),
    ("assert_mart_rates_are_ratios", "update marts.fct_model_economics_daily set output_tokens = output_tokens + 1"),
    ("assert_mart_rates_are_ratios", "update marts.fct_model_economics_daily set input_audio_tokens = 1"),
    ("assert_mart_grain_is_unique", "insert into marts.fct_cost_daily from marts.fct_cost_daily limit 1"),
    (
        "assert_mart_rates_are_ratios",
        "update marts.fct_token_economics_daily set cost_per_million_tokens = 0 where cost_per_million_tokens is null",
    ),
    ("assert_mart_rates_are_ratios", "update marts.fct_model_economics_daily set cache_hit_rate = cache_hit_rate / 2"),
    ("assert_ledger_holds_all_usage", "insert into marts.fct_token_usage from marts.fct_token_usage where token_class = 'output' limit 1"),
    ("assert_ledger_holds_all_usage", "delete from marts.fct_token_usage where token_class = 'requests'"),
    (
        "assert_ledger_prices_or_reasons",
        "update marts.fct_token_usage set list_cost_usd = 0, price_reason = null where list_cost_usd is null",
    ),
    ("assert_ledger_prices_or_reasons", "update marts.fct_token_usage set list_cost_usd = list_cost_usd * 2"),
    (
        "assert_price_book_has_one_price_per_day",
        "insert into ops.price_book select * replace (date '2020-01-01' as valid_from) from ops.price_book where token_class = 'output'",
    ),
    (
        "assert_efficiency_tokens_equal_usage",
        "update marts.fct_cache_efficiency_daily set input_tokens_total = input_tokens_total + 1 where charge_date = '2026-11-03'",
    ),
    ("assert_efficiency_tokens_equal_usage", "delete from marts.fct_batch_efficiency_daily where provider_name = 'Anthropic'"),
    ("assert_efficiency_tokens_equal_usage", "update marts.fct_provider_comparison set tokens_total = 2 * tokens_total where is_current"),
    (
        "assert_comparison_cost_equals_focus",
        "update marts.fct_provider_comparison set actual_cost = actual_cost + 0.000000000001 where model_id = 'gpt-4o-mini'",
    ),
    ("assert_comparison_cost_equals_focus", "update marts.fct_provider_comparison set committed_cost = 0 where is_current"),
    ("assert_comparison_cost_equals_focus", "update marts.fct_provider_comparison set actual_cost = 1 where route_id = 'vertex'"),
    ("assert_comparison_cost_equals_focus", "update marts.fct_provider_comparison set output_tokens = 1 where route_id = 'bedrock'"),
    (
        "assert_provisioned_throughput_equals_focus",
        "update focus.cost_and_usage set x_AiUsageKind = 'provisioned_throughput' where x_ModelId is null",
    ),
    ("assert_efficiency_rates_are_ratios", "update marts.fct_cache_efficiency_daily set cache_hit_rate = cache_hit_rate / 2"),
    (
        "assert_efficiency_rates_are_ratios",
        "update marts.fct_cache_efficiency_daily set net_saved_usd = saved_by_reads_usd + write_premium_usd",
    ),
    ("assert_efficiency_rates_are_ratios", "update marts.fct_batch_efficiency_daily set could_move_tokens = could_move_tokens + 1"),
    ("assert_efficiency_rates_are_ratios", "update marts.fct_provider_comparison set list_cost_usd = 0 where list_cost_usd is null"),
    (
        "assert_own_route_costs_what_the_ledger_says",
        "update marts.fct_token_usage set list_cost_usd = list_cost_usd + 0.000001 where token_class = 'output'",
    ),
    ("assert_efficiency_grain_is_unique", "insert into marts.fct_provider_comparison from marts.fct_provider_comparison limit 1"),
    ("assert_llm_reconciliation_adds_up", "update marts.fct_llm_reconciliation_daily set billed_cost = billed_cost + 0.000000000001"),
    ("assert_llm_reconciliation_adds_up", "update marts.fct_llm_reconciliation_daily set captured_cost_usd = captured_cost_usd + 1"),
    (
        "assert_llm_reconciliation_adds_up",
        "update marts.fct_llm_reconciliation_daily set residual_unexplained_usd = residual_unexplained_usd + 1",
    ),
    ("assert_unit_costs_are_the_ledgers", "update marts.fct_llm_unit_cost_daily set output_tokens = output_tokens + 1"),
    ("assert_unit_costs_are_the_ledgers", "update marts.fct_llm_unit_cost_daily set usd_per_request = usd_per_request * 2"),
    ("assert_llm_openai_classes_sum_to_input", "update bronze.openai_usage set input_uncached_tokens = input_tokens"),
    ("assert_llm_no_negative_tokens", "update bronze.openai_usage set input_cached_tokens = input_tokens + 1"),
    ("assert_llm_no_negative_tokens", "update bronze.anthropic_usage set output_tokens = -1"),
    (
        "assert_llm_one_grouping_per_day",
        "insert into bronze.openai_usage select * replace ('model' as group_by_signature) from bronze.openai_usage",
    ),
    ("assert_llm_activity_is_not_in_the_ledger", "update bronze.anthropic_claude_code set _source_id = 'anthropic-usage'"),
    ("assert_llm_meters_are_known", "update bronze.openai_costs set line_item = 'gpt-4o, quarks'"),
    (
        "assert_llm_costs_are_conserved",
        "delete from focus.cost_and_usage where x_RowNumber = (select max(x_RowNumber) from focus.cost_and_usage where x_SourceId = 'openai-costs')",
    ),
    ("assert_llm_costs_are_conserved", "update bronze.anthropic_costs set currency = null"),
    (
        "assert_llm_usage_is_conserved",
        "update intermediate.int_token_usage set output_tokens_total = output_tokens_total + 1 where source_id = 'anthropic-usage'",
    ),
]


# The LLM project has no telemetry.
NOT_BUILT = ["path:models/intermediate/gpu", "path:models/marts/gpu"]


@pytest.fixture(scope="session")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The built warehouse, read only."""
    return built_project(tmp_path_factory.getbasetemp() / "llm")


@pytest.fixture
def scratch(llm: Project, tmp_path: Path) -> Project:
    """A copy of it to spoil."""
    return llm.copy(tmp_path)


@pytest.mark.parametrize(("test", "sabotage"), SABOTAGE, ids=[f"{number}-{name}" for number, (name, _) in enumerate(SABOTAGE)])
def test_conservation_test_sees_the_damage(llm: Project, scratch: Project, test: str, sabotage: str) -> None:
    sql = llm.compiled_test(test).replace('"warehouse".', "")
    if test != "assert_llm_meters_are_known":
        assert scratch.rows(sql) == [], "sound before"
    scratch.execute(sabotage)
    assert scratch.rows(sql), "nobody would have noticed"


def test_marts_hold_every_charge_once(llm: Project) -> None:
    focus = llm.rows(
        "select x_SourceId, sum(BilledCost), sum(EffectiveCost), sum(ListCost), count(*) from focus.cost_and_usage group by 1 order by 1"
    )
    mart = llm.rows(
        "select source_id, sum(billed_cost), sum(effective_cost), sum(list_cost), sum(line_count) from marts.fct_cost_daily group by 1 order by 1"
    )
    assert mart == focus
    assert [row[-1] for row in mart] == [8, 10]


def test_cost_without_tokens_and_tokens_without_cost_stay_visible(llm: Project) -> None:
    reasons = dict(llm.rows("select cost_reason, count(*) from marts.fct_token_economics_daily where cost_reason is not null group by 1"))
    assert reasons == {"charge_is_for_no_token_class": 4, "tokens_not_reported": 3, "tokens_not_charged": 3}


def test_tiers_that_the_bill_does_not_split_are_not_left_without_cost(llm: Project) -> None:
    row = llm.one(f"""select service_tier, tokens, effective_cost from marts.fct_token_economics_daily
        where model_id = '{MINI}' and charge_date = '{DAY}' and token_class = 'input_uncached'""")
    assert row == (None, 907, Decimal("0.06")), "usage says tier 'default', the bill says none"


def test_rates_are_ratios_of_sums_not_averages(llm: Project) -> None:
    row = llm.one(f"""select request_count, input_tokens_total, input_cache_read_tokens, cache_hit_rate, effective_cost, cost_per_request
        from marts.fct_model_economics_daily where model_id = '{MINI}' and charge_date = '{DAY}'""")
    assert row[:3] == (15, 2077, 1070)
    assert row[3] == Decimal("0.515166104959")
    assert row[4:] == (Decimal("0.14"), Decimal("0.009333333333"))
    requests = llm.one(
        f"select request_count, cost_per_request from marts.fct_model_economics_daily where model_id = '{SONNET}' and charge_date = '{DAY}' "
        "and project_id = 'default'"
    )
    assert requests == (None, None), "Anthropic reports no requests; unknown is not 0"


def test_rebuild_replaces_the_changed_slice_and_nothing_else(scratch: Project) -> None:
    """October of OpenAI is redelivered, November of OpenAI goes; a mark on Anthropic's rows shows whether they were touched."""
    scratch.execute("""
        update bronze.openai_costs set amount_value = amount_value * 3 where _billing_period = '2026-10';
        delete from bronze.openai_costs where _billing_period = '2026-11';
        delete from bronze.openai_usage where _billing_period = '2026-11';
        update marts.fct_cost_daily set owner_reason = 'untouched' where source_id = 'anthropic-costs';
        """)
    before = scratch.rows(
        "select sum(billed_cost) from marts.fct_cost_daily where source_id = 'openai-costs' and billing_period = '2026-10'"
    )
    slices = {
        "changed_slices": ["openai-costs|2026-10"],
        "dead_slices": ["openai-costs|2026-11", "openai-usage|2026-11"],
        "changed_periods": ["2026-10", "2026-11"],
    }
    result = scratch.dbt("run", ["focus__cost_and_usage+", "int_token_usage+", "--exclude", *NOT_BUILT], slices)
    assert result.success, result.exception

    after = scratch.rows(
        "select sum(billed_cost) from marts.fct_cost_daily where source_id = 'openai-costs' and billing_period = '2026-10'"
    )
    assert abs(after[0][0] - 3 * before[0][0]) < Decimal("0.00000000001")
    assert scratch.rows("select distinct owner_reason from marts.fct_cost_daily where source_id = 'anthropic-costs'") == [("untouched",)]
    efficiency = ("fct_cache_efficiency_daily", "fct_batch_efficiency_daily", "fct_provider_comparison")
    for mart in ("fct_cost_daily", "fct_token_economics_daily", "fct_model_economics_daily", *efficiency):
        assert scratch.rows(f"select 1 from marts.{mart} where billing_period = '{NOVEMBER[:7]}'") == [], mart
        with duckdb.connect(str(scratch.warehouse)) as connection:
            assert connection.execute(f"select count(*) > 0 from marts.{mart}").fetchone() == (True,)
