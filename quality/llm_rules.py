"""What must hold of usage at list prices: prices or reasons, and a bill that is explained.

Data flow: marts.fct_token_usage, marts.fct_llm_reconciliation_daily → suites of `quality.suites.marts_suites`.
Run alone: python -c "from quality.llm_rules import ledger_suite; print(ledger_suite('rebuild'))"
"""

from __future__ import annotations

from quality.rules import Suite, between, no_rows, not_null

# A residual above this part of a provider's month that no cause explains is told (docs/decisions/0027).
UNEXPLAINED_PER_MILLE = 1
_NOT_BILLED = "('requests_are_not_billed')"


def ledger_suite(rebuild: str) -> Suite:
    """The token ledger: nothing negative, no unknown price that passes for 0, models without a price told by name.

    Args:
        rebuild: what to do when a row is wrong by our own doing.
    """
    place = "source_id, billing_period, charge_date, provider_name, model_id, token_class"
    rules = (
        *(not_null(column, rebuild) for column in ("source_id", "billing_period", "charge_date", "provider_name", "token_class")),
        between("quantity", 0, None, rebuild),
        between("list_cost_usd", 0, None, rebuild),
        no_rows(
            "price_or_reason_is_given",
            f"SELECT {place} FROM {{batch}} WHERE (list_cost_usd IS NULL) <> (price_reason IS NOT NULL)",
            "give the reason in fct_token_usage: unknown is never 0 and never silent (law 1)",
        ),
        no_rows(
            "used_models_have_a_price",
            "SELECT provider_name, model_id, service_tier, token_class, price_reason, sum(quantity) AS quantity, min(charge_date) AS since"
            f" FROM {{batch}} WHERE list_cost_usd IS NULL AND price_reason NOT IN {_NOT_BILLED}"
            " AND service_tier IS DISTINCT FROM 'provisioned' GROUP BY ALL ORDER BY quantity DESC",
            "update genai-prices, or give the price with its first day in config/prices/llm.yml; then `costlake prices`",
            severity="warn",
        ),
    )
    return Suite("fct_token_usage", "marts", "marts.fct_token_usage", rules)


def llm_reconciliation_suite(rebuild: str) -> Suite:
    """Usage at list prices beside the provider's bill: what is not explained is told, per provider and month.

    Args:
        rebuild: what to do when a row is wrong by our own doing.
    """
    month = "FROM {batch} WHERE residual_usd IS NOT NULL GROUP BY billing_period, provider_name"
    rules = (
        *(not_null(column, rebuild) for column in ("billing_period", "charge_date", "provider_name", "billing_currency")),
        no_rows(
            "rate_or_reason_is_given",
            "SELECT billing_period, charge_date, provider_name FROM {batch} WHERE capture_rate IS NULL AND capture_reason IS NULL",
            "give the reason in fct_llm_reconciliation_daily (law 1)",
        ),
        no_rows(
            "bill_is_explained_by_usage",
            "SELECT billing_period, provider_name, sum(residual_unexplained_usd) AS unexplained_usd, sum(billed_cost_usd) AS billed_usd"
            f" {month} HAVING 1000 * sum(abs(residual_unexplained_usd)) > {UNEXPLAINED_PER_MILLE} * abs(coalesce(sum(billed_cost_usd), 0))",
            "compare the day's charge classes with the usage report: a contract price belongs into config/prices/llm.yml, a changed"
            " list price into the price book (`costlake prices --restate`)",
            severity="warn",
        ),
        no_rows(
            "no_price_was_learnt_late",
            "SELECT billing_period, provider_name, sum(residual_price_learnt_late_usd) AS learnt_late_usd"
            f" {month} HAVING sum(residual_price_learnt_late_usd) <> 0",
            "the bill follows a price that was learnt after its days were priced: `costlake prices --restate` takes it over",
            severity="warn",
        ),
        no_rows(
            "all_usage_is_billed",
            f"SELECT billing_period, provider_name, sum(residual_not_billed_usd) AS not_billed_usd {month}"
            " HAVING sum(residual_not_billed_usd) < 0",
            "the cost report may be later than the usage report: pull it again; else ask the provider",
            severity="warn",
        ),
    )
    return Suite("fct_llm_reconciliation_daily", "marts", "marts.fct_llm_reconciliation_daily", rules)
