"""The suites of the efficiency marts: each rule sees the damage it is for; what only deserves a word does not stop."""

from __future__ import annotations

import pytest

from quality import checks
from tests.quality.handmade import Estate
from tests.quality.test_checks import broken, failing, good_marts

pytestmark = pytest.mark.usefixtures("great_expectations")

GOOD = """
    INSERT INTO marts.fct_cache_efficiency_daily VALUES
        ('2026-10', '2026-10-01', 'openai', 'm', 10, 5, 0.5, 0.5, 1, 1, 0, 2, 'best_day_of_month_of_project_and_model', NULL);
    INSERT INTO marts.fct_batch_efficiency_daily VALUES ('2026-10', '2026-10-01', 'openai', 'm', 10, 1, 2, 3, 4, 0.333333333333);
    INSERT INTO marts.fct_provisioned_throughput VALUES
        ('2026-10', '2026-10-01', '2026-10-02', 'azure', 'PTU', 'm', 24, 24, 0.5, 0.9, NULL);
    INSERT INTO marts.fct_llm_waste_daily VALUES ('proxy', '2026-10', '2026-10-01', 1, 0.1, NULL);
    INSERT INTO marts.fct_provider_comparison VALUES
        ('2026-10', 'openai', 'm', 'p', 'openai', '', true, 10, 0, 5, NULL, 4),
        ('2026-10', 'openai', 'm', 'p', 'azure', '', false, 10, 10, NULL, 'no_rate_on_route', NULL)
"""


@pytest.fixture
def filled(estate: Estate) -> Estate:
    """Marts in which everything holds."""
    good_marts(estate)
    estate.sql(GOOD)
    return estate


def test_good_efficiency_marts_pass(filled: Estate) -> None:
    assert broken(checks.run(filled.settings, "marts", filled.clock)) == set()


def test_each_damage_is_named_by_its_rule(filled: Estate) -> None:
    """One run over all damages: each rule has to see its own."""
    filled.sql("""
        UPDATE marts.fct_cache_efficiency_daily SET cache_hit_rate = 1.5, net_saved_usd = NULL, lost_basis = NULL;
        UPDATE marts.fct_batch_efficiency_daily SET could_move_tokens = 99;
        UPDATE marts.fct_provisioned_throughput SET break_even_utilisation = NULL;
        UPDATE marts.fct_llm_waste_daily SET failed_request_count = NULL;
        UPDATE marts.fct_provider_comparison SET list_reason = NULL, actual_cost = 4 WHERE NOT is_current;
    """)
    assert failing(filled, "marts") == {
        ("marts.fct_cache_efficiency_daily", "cache_hit_rate_is_in_range", "fail"),
        ("marts.fct_cache_efficiency_daily", "saving_or_reason_is_given", "fail"),
        ("marts.fct_cache_efficiency_daily", "estimate_names_its_basis", "fail"),
        ("marts.fct_batch_efficiency_daily", "parts_sum_to_the_whole", "fail"),
        ("marts.fct_provisioned_throughput", "break_even_or_reason_is_given", "fail"),
        ("marts.fct_llm_waste_daily", "failures_or_reason_are_given", "fail"),
        ("marts.fct_provider_comparison", "list_cost_or_reason_is_given", "fail"),
        ("marts.fct_provider_comparison", "only_the_used_route_was_paid", "fail"),
    }


def test_overfull_units_and_a_used_route_without_a_price_are_told_but_do_not_stop(filled: Estate) -> None:
    filled.sql("""
        UPDATE marts.fct_provisioned_throughput SET utilisation = 1.2;
        UPDATE marts.fct_cache_efficiency_daily SET saved_by_reads_usd = -1;
        UPDATE marts.fct_provider_comparison SET list_cost_usd = NULL, list_reason = 'no_rate_on_route' WHERE is_current;
    """)
    assert broken(checks.run(filled.settings, "marts", filled.clock)) == {
        ("marts.fct_provisioned_throughput", "utilisation_is_at_most_one", "warn"),
        ("marts.fct_cache_efficiency_daily", "saved_by_reads_usd_is_in_range", "warn"),
        ("marts.fct_provider_comparison", "a_used_route_has_list_prices", "warn"),
    }
