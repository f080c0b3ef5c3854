"""What must hold in the efficiency marts and in the provider comparison, as suites.

Data flow: marts.fct_cache_efficiency_daily, fct_batch_efficiency_daily, fct_provisioned_throughput, fct_llm_waste_daily,
fct_provider_comparison → `quality.suites.marts_suites`. That they hold every token and dollar once is a dbt test; here is what a reader
relies on: bounds, reasons beside what is unknown, and routes whose prices have to be looked after.

Run alone: python -c "from quality.efficiency_rules import efficiency_suites; print(efficiency_suites('rebuild'))"
"""

from __future__ import annotations

from quality.rules import Suite, between, no_rows, not_null

_PLACE = "billing_period, charge_date, route_id, model_id"
_ADD_PRICE = "give the price in config/prices (a dated override), or the model's id on that route in dbt/seeds/llm_model_routes.csv"


def efficiency_suites(rebuild: str) -> tuple[Suite, ...]:
    """One suite per mart. An empty mart is no fault: a lake may hold no model use.

    Args:
        rebuild: what to do when a mart contradicts itself.
    """
    return (_cache(rebuild), _batch(rebuild), _provisioned(rebuild), _waste(rebuild), _comparison(rebuild))


def _cache(rebuild: str) -> Suite:
    rules = (
        *(not_null(column, rebuild) for column in ("billing_period", "charge_date", "input_tokens_total", "cache_read_tokens_total")),
        between("cache_hit_rate", 0, 1, rebuild),
        between("cache_hit_rate_dollar_weighted", 0, 1, rebuild),
        between("saved_by_reads_usd", 0, None, "look at the price book: a cache read is dearer than uncached input", severity="warn"),
        between("unread_write_tokens_at_least", 0, None, rebuild),
        no_rows(
            "saving_or_reason_is_given",
            f"SELECT {_PLACE} FROM {{batch}} WHERE (net_saved_usd IS NULL) <> (price_reason IS NOT NULL)",
            rebuild,
        ),
        no_rows(
            "estimate_names_its_basis",
            f"SELECT {_PLACE} FROM {{batch}} WHERE lost_usd_estimate IS NOT NULL AND lost_basis IS NULL",
            rebuild,
        ),
    )
    return Suite("fct_cache_efficiency_daily", "marts", "marts.fct_cache_efficiency_daily", rules)


def _batch(rebuild: str) -> Suite:
    parts = ("batch_tokens", "could_move_tokens", "no_batch_price_tokens", "other_tier_tokens")
    rules = (
        *(not_null(column, rebuild) for column in ("billing_period", "charge_date", "tokens_total")),
        *(between(column, 0, None, rebuild) for column in parts),
        between("batch_share", 0, 1, rebuild),
        no_rows("parts_sum_to_the_whole", f"SELECT {_PLACE} FROM {{batch}} WHERE tokens_total <> {' + '.join(parts)}", rebuild),
    )
    return Suite("fct_batch_efficiency_daily", "marts", "marts.fct_batch_efficiency_daily", rules)


def _provisioned(rebuild: str) -> Suite:
    place = "billing_period, period_start, route_id, provisioned_unit_type"
    rules = (
        *(not_null(column, rebuild) for column in ("billing_period", "period_start", "period_end", "effective_cost")),
        between("provisioned_unit_hours", 0, None, "look for a correction of an earlier period", severity="warn"),
        no_rows(
            "utilisation_is_at_most_one",
            f"SELECT {place}, model_id, utilisation FROM {{batch}} WHERE utilisation > 1",
            "more was served than the units carry: look at their figures in dbt/seeds/llm_provisioned_capacity.csv, providers change them",
            severity="warn",
        ),
        no_rows(
            "break_even_or_reason_is_given",
            f"SELECT {place} FROM {{batch}} WHERE (break_even_utilisation IS NULL) <> (break_even_reason IS NOT NULL)",
            rebuild,
        ),
    )
    return Suite("fct_provisioned_throughput", "marts", "marts.fct_provisioned_throughput", rules)


def _waste(rebuild: str) -> Suite:
    rules = (
        *(not_null(column, rebuild) for column in ("source_id", "billing_period", "charge_date")),
        between("failed_request_count", 0, None, rebuild),
        between("failed_request_share", 0, 1, rebuild),
        no_rows(
            "failures_or_reason_are_given",
            "SELECT source_id, billing_period, charge_date FROM {batch}"
            " WHERE (failed_request_count IS NULL) <> (failed_request_reason IS NOT NULL)",
            rebuild,
        ),
    )
    return Suite("fct_llm_waste_daily", "marts", "marts.fct_llm_waste_daily", rules)


def _comparison(rebuild: str) -> Suite:
    place = "billing_period, used_route_id, model_id, project_id, route_id, region_scope"
    rules = (
        not_null("billing_period", rebuild),
        not_null("is_current", rebuild),
        between("list_cost_usd", 0, None, rebuild),
        no_rows(
            "only_the_used_route_was_paid",
            f"SELECT {place} FROM {{batch}} WHERE actual_cost IS NOT NULL AND NOT is_current",
            rebuild,
        ),
        no_rows(
            "list_cost_or_reason_is_given",
            f"SELECT {place} FROM {{batch}} WHERE (list_cost_usd IS NULL) <> (list_reason IS NOT NULL)",
            "give the reason in fct_provider_comparison: unknown is never 0 and never silent (law 1)",
        ),
        no_rows(
            "a_used_route_has_list_prices",
            f"SELECT {place}, list_reason, unpriced_tokens FROM {{batch}} WHERE is_current AND list_cost_usd IS NULL AND tokens_total > 0",
            _ADD_PRICE,
            severity="warn",
        ),
    )
    return Suite("fct_provider_comparison", "marts", "marts.fct_provider_comparison", rules)
