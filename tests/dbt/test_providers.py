"""Smaller providers under FOCUS and in the token marts: each dollar once, a gateway's tokens never added to the provider's."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.dbt.providers_project import Providers

pytestmark = pytest.mark.slow


def test_a_gateways_tokens_are_not_added_to_the_providers_own_report(providers: Providers) -> None:
    """The same requests stand in LiteLLM's log and in Anthropic's usage report: added up, every unit price would be halved."""
    by_role = "SELECT usage_role, sum(list_sum([input_tokens_total, output_tokens])) FROM intermediate.int_token_usage GROUP BY 1"
    counted = dict(providers.rows(by_role))
    assert counted["gateway_log"] > 0
    for mart, tokens in (
        ("fct_token_economics_daily", "tokens"),
        ("fct_model_economics_daily", "list_sum([input_tokens_total, output_tokens])"),
    ):
        charged = providers.rows("SELECT coalesce(sum(consumed_tokens), 0) FROM intermediate.int_ai_charges")[0][0]
        assert providers.rows(f"SELECT sum({tokens}) FROM marts.{mart}") == [(counted["provider_report"] + charged,)]


def test_litellm_requests_are_summed_by_hour_and_their_classes_are_disjoint(providers: Providers) -> None:
    found = providers.rows(
        "SELECT CAST(usage_start AS VARCHAR), provider_name, model_id, request_count, failed_request_count, gateway_cached_request_count, "
        "input_uncached_tokens, input_cache_read_tokens, input_cache_write_5m_tokens, input_cache_write_1h_tokens, output_tokens, "
        "provider_cost_usd FROM staging.stg_litellm_requests__tokens ORDER BY usage_start, provider_name, failed_request_count"
    )
    mini, sonnet = "gpt-4o-mini-2024-07-18", "claude-sonnet-4-6"
    assert found == [
        ("2026-10-01 10:00:00+00", "Anthropic", sonnet, 1, 0, 0, 1500, 200, 1500, 500, 300, Decimal("0.0201")),
        ("2026-10-01 10:00:00+00", "OpenAI", mini, 2, 0, 0, 1100, 400, 0, 0, 300, Decimal("0.000375")),
        ("2026-10-01 11:00:00+00", "OpenAI", mini, 1, 0, 1, None, None, None, None, None, Decimal("0")),
        ("2026-10-01 11:00:00+00", "OpenAI", mini, 1, 1, 0, 0, 0, 0, 0, 0, Decimal("0")),
        ("2026-10-02 00:00:00+00", "AWS", "anthropic.claude-sonnet-4-6", 1, 0, 0, 100, 900, 0, 0, 50, Decimal("0.00132")),
        ("2026-11-01 00:00:00+00", "Microsoft", "gpt-4o", 1, 0, 0, 10, 0, 0, 0, 5, Decimal("0.0001")),
    ]


def test_bedrocks_log_counts_a_request_that_came_twice_once(providers: Providers) -> None:
    assert providers.rows(
        "SELECT charge_date::VARCHAR, model_id, sum(request_count), sum(failed_request_count), sum(input_uncached_tokens), "
        "sum(input_cache_read_tokens), sum(output_tokens) FROM staging.stg_bedrock_logs__tokens GROUP BY 1, 2 ORDER BY 1, 2"
    ) == [
        ("2026-10-31", "amazon.nova-lite-v1:0", 1, 0, 40, None, 380),
        ("2026-10-31", "us.anthropic.claude-sonnet-4-6", 2, 1, 1500, 200, 300),
        ("2026-11-01", "us.anthropic.claude-sonnet-4-6", 1, 0, 10, 0, 5),
    ]
    assert providers.rows("SELECT request_id FROM bronze.bedrock_logs WHERE record_count = 2") == [("req-2",)]


def test_openrouters_credits_are_billed_once_whatever_the_file(providers: Providers) -> None:
    assert providers.rows(
        "SELECT x_BillingPeriod, sum(BilledCost), count(*), any_value(PricingUnit), min(x_ModelId) FROM focus.cost_and_usage "
        "WHERE ServiceProviderName = 'OpenRouter' GROUP BY 1 ORDER BY 1"
    ) == [
        ("2026-10", Decimal("1.265123456789"), 3, "USD", "anthropic/claude-sonnet-4.6"),
        ("2026-11", Decimal("0.02123"), 2, "USD", "deepseek/deepseek-v4"),
    ]


def test_what_deepseek_gave_away_is_listed_and_not_billed(providers: Providers) -> None:
    assert providers.rows(
        "SELECT x_Operation, sum(BilledCost), sum(EffectiveCost), sum(ListCost) FROM focus.cost_and_usage "
        "WHERE ServiceProviderName = 'DeepSeek' GROUP BY 1 ORDER BY 1"
    ) == [
        ("granted", Decimal(0), Decimal(0), Decimal("0.25")),
        ("topped_up", Decimal("0.0006314"), Decimal("0.0006314"), Decimal("0.0006314")),
    ]


def test_deepseeks_tokens_meet_their_costs_in_the_unit_economics(providers: Providers) -> None:
    """Both files name a model and a day, no project: the price of a million tokens is what left the wallet for them."""
    assert providers.rows(
        "SELECT charge_date::VARCHAR, model_id, input_tokens_total, output_tokens, request_count, effective_cost, cache_hit_rate "
        "FROM marts.fct_model_economics_daily WHERE provider_name = 'DeepSeek' ORDER BY 1"
    ) == [
        ("2026-10-05", "deepseek-chat", 5000, 500, 12, Decimal("0.000602"), Decimal("0.8")),
        ("2026-10-06", "deepseek-reasoner", None, 70, None, Decimal("0.0000294"), None),
    ]


def test_github_is_billed_what_is_left_after_included_usage(providers: Providers) -> None:
    assert providers.rows(
        "SELECT x_BillingPeriod, ServiceName, ServiceCategory, sum(BilledCost), sum(ListCost) FROM focus.cost_and_usage "
        "WHERE ServiceProviderName = 'GitHub' GROUP BY ALL ORDER BY 1, 2"
    ) == [
        ("2026-10", "GitHub Copilot", "AI and Machine Learning", Decimal("13.0580645157"), Decimal("17.0580645157")),
        ("2026-10", "GitHub actions", "Developer Tools", Decimal(0), Decimal(6)),
        ("2026-10", "GitHub git_lfs", "Developer Tools", Decimal("0.00035"), Decimal("0.00035")),
        ("2026-11", "GitHub Copilot", "AI and Machine Learning", Decimal("0.3"), Decimal("0.4")),
    ]


def test_databricks_list_dollars_never_become_a_bill(providers: Providers) -> None:
    """Microsoft, a marketplace or Databricks bills the same usage: billed here too, a dollar would be there twice."""
    assert providers.rows(
        "SELECT x_Operation, sum(BilledCost), sum(EffectiveCost), sum(ListCost), sum(ConsumedQuantity), any_value(ConsumedUnit) "
        "FROM focus.cost_and_usage WHERE ServiceProviderName = 'Databricks' GROUP BY 1 ORDER BY 1"
    ) == [
        ("JOBS", Decimal(0), Decimal(0), Decimal("2.8"), Decimal(6), "DBUs"),
        ("MODEL_SERVING", Decimal(0), Decimal(0), Decimal("18.150706"), Decimal("259.2958"), "DBUs"),
    ]


def test_cursors_cents_are_dollars_and_a_plans_requests_are_not_billed(providers: Providers) -> None:
    assert providers.rows(
        "SELECT x_Operation, sum(BilledCost), sum(ListCost) FROM focus.cost_and_usage WHERE ServiceProviderName = 'Cursor' GROUP BY 1 ORDER BY 1"
    ) == [
        ("Included in Business", Decimal(0), Decimal("0.015")),
        ("Usage-based", Decimal("0.2818232"), Decimal("0.2818232")),
    ]


def test_mistrals_tokens_are_billed_at_the_months_prices(providers: Providers) -> None:
    """What a plan covers is used and not billed; a price of audio seconds is not one of tokens."""
    assert providers.rows(
        "SELECT x_TokenClass, sum(BilledCost), any_value(BillingCurrency), sum(ConsumedQuantity), any_value(ConsumedUnit) "
        "FROM focus.cost_and_usage WHERE ServiceProviderName = 'Mistral' GROUP BY 1 ORDER BY 1 NULLS FIRST"
    ) == [
        (None, Decimal("0.0255"), "EUR", Decimal(30), "Pages"),
        ("input_cache_read", Decimal("0.00068"), "EUR", Decimal(4000), "Tokens"),
        ("input_uncached", Decimal("0.0189057"), "EUR", Decimal(11121), "Tokens"),
        ("output", Decimal("0.0075582"), "EUR", Decimal(1482), "Tokens"),
    ]
    assert providers.rows(
        "SELECT sum(input_uncached_tokens), sum(input_cache_read_tokens), sum(output_tokens) FROM staging.stg_mistral_usage__tokens"
    ) == [(11621, 4000, 1482)]


def test_fireworks_tokens_and_gpu_hours_stand_on_its_bill(providers: Providers) -> None:
    assert providers.rows(
        "SELECT x_BillingPeriod, x_ModelId, x_TokenClass, sum(BilledCost), sum(ConsumedQuantity), any_value(ConsumedUnit) "
        "FROM focus.cost_and_usage WHERE ServiceProviderName = 'Fireworks AI' GROUP BY ALL ORDER BY ALL"
    ) == [
        ("2026-10", "DeepSeek V4 Flash", "input_cache_read", Decimal("0.028"), Decimal(1_000_000), "Tokens"),
        ("2026-10", "DeepSeek V4 Flash", "input_uncached", Decimal("0.007"), Decimal(50_000), "Tokens"),
        ("2026-10", "DeepSeek V4 Flash", "output", Decimal("0.0028"), Decimal(10_000), "Tokens"),
        ("2026-10", None, None, Decimal("14.5"), Decimal("2.5"), "Hours"),
        ("2026-11", "DeepSeek V4 Flash", "output", Decimal("0.00056"), Decimal(2_000), "Tokens"),
        ("2026-11", None, None, Decimal("-1.25"), Decimal("-1.25"), "USD"),
    ]
