"""The section on routes and efficiency: sums of unknown parts are unknown, offers are never added up, rates are ratios of sums."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import duckdb
import pytest

from costlake.periods import BillingPeriod
from insights.reports import efficiency
from insights.reports.efficiency_tables import BATCH, CACHE, PROVISIONED, WASTE

OCTOBER = BillingPeriod.parse("2026-10")
MARTS = frozenset({efficiency.COMPARISON, CACHE, BATCH, PROVISIONED, WASTE})
MONEY = "DECIMAL(38,12)"
TABLES = {
    efficiency.COMPARISON: (
        "billing_period VARCHAR, model_id VARCHAR, used_route_id VARCHAR, used_scope VARCHAR, route_id VARCHAR, region_scope VARCHAR, "
        "equivalence VARCHAR, is_current BOOLEAN, route_model_id VARCHAR, billing_currency VARCHAR, tokens_total DECIMAL(38,0), "
        f"list_cost_usd {MONEY}, list_cost_without_cache_usd {MONEY}, list_cost_best_cache_usd {MONEY}, list_cost_all_batch_usd {MONEY}, "
        f"list_difference_usd {MONEY}, actual_cost {MONEY}"
    ),
    CACHE: (
        "billing_period VARCHAR, base_model_id VARCHAR, route_id VARCHAR, input_tokens_total DECIMAL(38,0), "
        f"cache_read_tokens_total DECIMAL(38,0), cache_read_at_full_price_usd {MONEY}, input_at_full_price_usd {MONEY}, "
        f"saved_by_reads_usd {MONEY}, write_premium_usd {MONEY}, net_saved_usd {MONEY}, unread_write_usd_at_least {MONEY}, "
        f"lost_usd_estimate {MONEY}"
    ),
    BATCH: (
        "billing_period VARCHAR, base_model_id VARCHAR, route_id VARCHAR, tokens_total DECIMAL(38,0), batch_tokens DECIMAL(38,0), "
        f"could_move_tokens DECIMAL(38,0), no_batch_price_tokens DECIMAL(38,0), saved_by_batch_usd {MONEY}, could_save_usd {MONEY}"
    ),
    PROVISIONED: (
        "billing_period VARCHAR, route_id VARCHAR, region_scope VARCHAR, provisioned_unit_type VARCHAR, model_id VARCHAR, "
        f"billing_currency VARCHAR, provisioned_unit_hours {MONEY}, effective_cost {MONEY}, used_token_equivalents {MONEY}, "
        f"capacity_token_equivalents {MONEY}, tokens_served DECIMAL(38,0), served_at_payg_usd {MONEY}, break_even_reason VARCHAR, "
        f"capacity_reason VARCHAR, busiest_hour_utilisation {MONEY}, spill_over_tokens_at_most DECIMAL(38,0)"
    ),
    WASTE: (
        "billing_period VARCHAR, source_id VARCHAR, provider_name VARCHAR, model_id VARCHAR, request_count BIGINT, "
        f"failed_request_count BIGINT, failed_cost_usd {MONEY}, failed_cost_reason VARCHAR"
    ),
}
ROWS = f"""
INSERT INTO marts.{efficiency.COMPARISON} VALUES
    ('2026-10', 'm', 'bedrock', 'regional', 'bedrock', 'regional', 'same', true, 'm', 'USD', 60, 66, 80, 60, NULL, 0, 65),
    ('2026-10', 'm', 'bedrock', 'regional', 'bedrock', 'regional', 'same', true, 'm', 'USD', 40, 44, 50, 40, 22, 0, 45),
    ('2026-10', 'm', 'bedrock', 'regional', 'anthropic', '', 'same', false, 'm', 'USD', 60, 60, 1, 1, 1, -6, NULL),
    ('2026-10', 'm', 'bedrock', 'regional', 'anthropic', '', 'same', false, 'm', 'USD', 40, 40, 1, 1, 1, -4, NULL),
    ('2026-10', 'm', 'bedrock', 'regional', 'vertex', '', 'same', false, 'm', 'USD', 60, 6, 1, 1, 1, -60, NULL),
    ('2026-10', 'm', 'bedrock', 'regional', 'vertex', '', 'same', false, 'm', 'USD', 40, NULL, 1, 1, 1, NULL, NULL),
    ('2026-10', 'm', 'bedrock', 'regional', 'bedrock', 'global', 'equivalent', false, 'global.x.m-2-v1:0', 'USD', 100, 30, 1, 1, 1, -80,
        NULL),
    ('2026-10', NULL, 'azure', '', 'azure', '', 'same', true, NULL, 'USD', NULL, NULL, NULL, NULL, NULL, NULL, 500),
    ('2026-09', 'm', 'bedrock', 'regional', 'bedrock', 'regional', 'same', true, 'm', 'USD', 7, 7, 7, 7, 7, 0, 7);
INSERT INTO marts.{CACHE} VALUES
    ('2026-10', 'm', 'bedrock', 100, 90, 9, 10, 8, 1, 7, NULL, 2), ('2026-10', 'm', 'bedrock', 900, 10, 1, 90, 1, 0, 1, 0.5, NULL);
INSERT INTO marts.{BATCH} VALUES
    ('2026-10', 'm', 'anthropic', 100, 25, 75, 0, 5, 15), ('2026-10', 'n', 'bedrock', 50, 0, 0, 50, 0, 0);
INSERT INTO marts.{PROVISIONED} VALUES
    ('2026-10', 'azure', 'global', 'PTU', 'm', 'USD', 10, 30, 20, 100, 1000000, 24, NULL, NULL, 0.6, 5),
    ('2026-10', 'azure', 'global', 'PTU', 'm', 'USD', 10, 30, 40, 100, 2000000, 36, NULL, NULL, 0.9, 7),
    ('2026-10', 'bedrock', NULL, 'model_unit', 'n', 'USD', 1, 5, NULL, NULL, NULL, NULL, 'tokens_known_by_day_only',
        'throughput_told_to_the_account_only', NULL, NULL);
INSERT INTO marts.{WASTE} VALUES
    ('2026-10', 'proxy', 'OpenAI', 'm', 10, 1, NULL, 'source_prices_no_failures'), ('2026-10', 'usage', 'OpenAI', 'm', 99, NULL, NULL, 'x');
"""


@pytest.fixture
def marts() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA marts")
    for name, columns in TABLES.items():
        connection.execute(f"CREATE TABLE marts.{name} ({columns})")
    connection.execute(ROWS)
    yield connection
    connection.close()


def test_a_route_of_which_one_price_is_unknown_has_no_cost_and_is_no_offer(marts: duckdb.DuckDBPyConnection) -> None:
    found = efficiency.section(marts, OCTOBER, MARTS)
    assert found is not None
    routes = found.table("routes")
    assert routes.rows == (("m", "Bedrock, regional", Decimal(110), Decimal(110), Decimal(100), None, Decimal(110), None, None),)
    assert routes.total is not None
    assert routes.total[2] == 110, "what was paid without a token is no cost of these tokens"
    offers = [row[2:4] for row in found.table("offers").rows]
    assert offers == [("Bedrock, global", "successor m-2"), ("Claude API", "same model")]
    assert found.table("offers").total is None, "offers exclude each other"


def test_the_headline_takes_the_cheapest_route_of_the_same_model(marts: duckdb.DuckDBPyConnection) -> None:
    found = efficiency.section(marts, OCTOBER, MARTS)
    assert found is not None
    assert "cost 110.00 USD at list" in found.headline
    assert "10.00 USD less" in found.headline
    assert "Batch would save 15.00 USD more at most" in found.headline


def test_rates_are_ratios_of_sums_and_unknown_parts_stay_unknown(marts: duckdb.DuckDBPyConnection) -> None:
    found = efficiency.section(marts, OCTOBER, MARTS)
    assert found is not None
    (cache,) = found.table("cache").rows
    assert cache[2:] == (Decimal("0.1"), Decimal("0.1"), 9, 1, 8, Decimal("0.5"), None)
    assert found.table("possible").rows[0][2:] == (110, 130, 100, None)
    batch = {row[0]: row[3:] for row in found.table("batch").rows}
    assert batch == {"m": (Decimal("0.25"), 5, 15, 0), "n": (None, 0, None, 50)}


def test_bought_throughput_breaks_even_where_it_costs_what_its_tokens_cost(marts: duckdb.DuckDBPyConnection) -> None:
    found = efficiency.section(marts, OCTOBER, MARTS)
    assert found is not None
    units = {row[1]: row for row in found.table("provisioned").rows}
    # 60 of 200 are used; the tokens cost 60 as units and 60 by the token
    assert units["PTU"][6:] == (Decimal("0.3"), Decimal("0.9"), 12, Decimal("0.3"), Decimal(20), None)
    assert units["model unit"][6:] == (None, None, None, None, None, "tokens known by day only")


def test_sources_that_count_no_failures_are_not_shown_with_none(marts: duckdb.DuckDBPyConnection) -> None:
    found = efficiency.section(marts, OCTOBER, MARTS)
    assert found is not None
    assert found.table("waste").rows == (("proxy", "OpenAI", "m", 10, 1, Decimal("0.1"), None, "source prices no failures"),)


def test_a_lake_without_these_marts_or_a_month_without_models_has_no_section(marts: duckdb.DuckDBPyConnection) -> None:
    assert efficiency.section(marts, OCTOBER, MARTS - {CACHE}) is None
    assert efficiency.section(marts, BillingPeriod.parse("2026-08"), MARTS) is None
