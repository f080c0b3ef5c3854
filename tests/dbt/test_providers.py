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
