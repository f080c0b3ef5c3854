"""Efficiency marts and the provider comparison on the scratch warehouse: figures worked out by hand from its few rows.

Data flow: tests/dbt/llm_project.py → bronze → dbt → marts. Alone: pytest on this file.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.dbt.llm_project import MINI, SONNET, Project, built_project

# Two keys of one workspace, each 1 500 uncached, 200 read, 500 and 1 000 written for 5 minutes and 1 hour, 500 out, at 3 / 0.3 / 3.75 / 6 / 15
# USD per million.
SONNET_AT_LIST = Decimal("0.03987")


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The built warehouse, read only; the same as that of test_marts_conserve.py."""
    return built_project(tmp_path_factory.getbasetemp() / "llm")


def offers(llm: Project, columns: str, *, project: str = "default") -> dict[tuple[str, str], Any]:
    rows = llm.rows(f"""select route_id, region_scope, {columns} from marts.fct_provider_comparison
        where model_id = '{SONNET}' and project_id = '{project}' and billing_period = '2026-10' and tokens_total is not null""")
    return {(route, scope): rest for route, scope, *rest in rows}


def test_the_own_mix_costs_on_each_route_what_its_classes_cost_there(llm: Project) -> None:
    costs = {place: found[0] for place, found in offers(llm, "list_cost_usd").items()}
    assert costs == {
        ("anthropic", ""): SONNET_AT_LIST,
        ("bedrock", "global"): SONNET_AT_LIST,
        ("bedrock", "regional"): SONNET_AT_LIST * Decimal("1.1"),
        ("vertex", ""): SONNET_AT_LIST,
    }


def test_only_the_route_that_was_used_was_paid_and_the_others_say_why_not(llm: Project) -> None:
    found = offers(llm, "is_current, actual_cost, actual_reason, committed_reason, list_difference_usd")
    assert found.pop(("anthropic", "")) == [True, Decimal("1.3988912"), None, None, 0]
    assert {tuple(row[:4]) for row in found.values()} == {(False, None, "route_was_not_used", "no_contract_seen_on_route")}
    assert found["bedrock", "regional"][4] == SONNET_AT_LIST / 10


def test_caching_and_batch_as_they_could_be_are_priced_beside_what_was_used(llm: Project) -> None:
    found = offers(llm, "list_cost_without_cache_usd, list_cost_best_cache_usd, list_cost_all_batch_usd, batch_reason")
    # 6 400 input tokens at 3 and 1 000 output tokens at 15; the only day is its own best day; Anthropic's batch is half of everything
    assert found["anthropic", ""] == [Decimal("0.0342"), SONNET_AT_LIST, SONNET_AT_LIST / 2, None]
    assert found["bedrock", "global"][2:] == [None, "no_batch_rate_on_route"]


def test_a_model_without_a_price_elsewhere_is_offered_without_one_not_for_nothing(llm: Project) -> None:
    row = llm.one("""select list_cost_usd, unpriced_tokens = tokens_total, list_reason from marts.fct_provider_comparison
        where model_id = 'gpt-4o-mini' and route_id = 'azure' and billing_period = '2026-10'""")
    assert row == (None, True, "no_rate_on_route")


def test_charges_without_tokens_stay_in_the_comparison_and_tools_stay_out(llm: Project) -> None:
    reasons = dict(
        llm.rows("""select coalesce(model_id, 'none'), list_reason from marts.fct_provider_comparison
        where is_current and tokens_total is null""")
    )
    assert reasons == dict.fromkeys(("gpt-5.6-sol", "gpt-9", SONNET), "charge_counts_no_tokens")
    tools = llm.one("select sum(EffectiveCost) from focus.cost_and_usage where x_UsageType like 'web search%'")
    assert tools[0] > 0
    assert llm.one("select count(*) from marts.fct_provider_comparison where model_id is null") == (0,)


def test_what_the_cache_saved_is_the_price_difference_of_what_it_read(llm: Project) -> None:
    row = llm.one(f"""select input_tokens_total, input_cache_read_tokens, saved_by_reads_usd, write_premium_usd, unread_write_reason
        from marts.fct_cache_efficiency_daily where model_id = '{SONNET}'""")
    # 400 x (3 - 0.3); 1 000 x 0.75 + 2 000 x 3 per million; there is no second day to read what was written
    assert row == (6400, 400, Decimal("0.00108"), Decimal("0.00675"), "next_day_is_not_in_the_month_so_far")


def test_hit_rates_are_those_of_the_unit_economics(llm: Project) -> None:
    mine = f"from marts.fct_cache_efficiency_daily where model_id = '{MINI}' group by all order by 1"
    rows = llm.rows(f"select charge_date, sum(input_cache_read_tokens), sum(input_tokens_total) {mine}")
    theirs = llm.rows(f"""select charge_date, sum(input_cache_read_tokens), sum(input_tokens_total) from marts.fct_model_economics_daily
        where model_id = '{MINI}' and input_tokens_total > 0 group by all order by 1""")
    assert [(day, int(read or 0), total) for day, read, total in theirs] == [(day, int(read), total) for day, read, total in rows]


def test_a_collective_id_of_a_price_list_has_its_price(llm: Project) -> None:
    """`regional.…` matches none of its own patterns: looked up by pattern alone, Bedrock's regional route had no price."""
    assert llm.one("""select price_usd_per_million from intermediate.int_price_book where token_class = 'output' and service_tier = 'standard'
        and model_id = 'regional.anthropic.claude-sonnet-4-6-v1:0' and provider_name = 'AWS'""") == (Decimal("16.5"),)


@pytest.mark.parametrize(("day", "price"), [("2026-02-20", "22.5"), ("2026-10-01", "15")])
def test_a_price_of_long_prompts_that_ended_leaves_them_at_the_price_of_all(llm: Project, day: str, price: str) -> None:
    assert llm.rows(f"""select price_usd_per_million from intermediate.int_price_book where token_class = 'output' and service_tier = 'standard'
        and region_scope = 'global' and model_id = '{SONNET}' and provider_name = 'Anthropic'
        and valid_from <= '{day}' and '{day}' < valid_to and context_from_tokens <= 300000 and 300000 < context_to_tokens""") == [
        (Decimal(price),)
    ]
