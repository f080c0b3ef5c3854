"""What only some providers promise of their rows; a source that is not named here gets the generic suite alone.

Data flow: source name → extra rules → `quality.suites.bronze_suite`.
The rules follow the providers' documents: AWS "Cost and Usage Reports user guide", OpenAI "Usage and Costs API",
Anthropic "Usage and Cost Admin API", Google Cloud "Structure of Detailed data export", Microsoft "Understand the cost details file
fields", Oracle "Cost and Usage Reports Overview".
Not for direct use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from quality.rules import Rule, no_rows, not_null

_ROW = "_object_key, _row_number"
_READ_ROW = "read the row in landing (`_object_key`, `_row_number`) and compare it with the provider's document"
# Hourly reports may begin a line some hours before the month in the account's own time zone.
_USAGE_TYPES = "('Usage', 'DiscountedUsage', 'SavingsPlanCoveredUsage')"
_MONTH_START = "CAST(_billing_period || '-01' AS DATE)"


def rules_of(source_name: str) -> tuple[Rule, ...]:
    """The extra rules of a source; empty for a source without any."""
    make = _REGISTRY.get(source_name)
    return make() if make is not None else ()


def _aws() -> tuple[Rule, ...]:
    outside = (
        f"(CAST(line_item_usage_start_date AS DATE) < {_MONTH_START} - INTERVAL 1 DAY"
        f" OR CAST(line_item_usage_start_date AS DATE) > {_MONTH_START} + INTERVAL 1 MONTH)"
    )
    return (
        not_null("line_item_line_item_type", _READ_ROW),
        not_null("bill_payer_account_id", _READ_ROW),
        not_null("line_item_usage_account_id", _READ_ROW, severity="warn"),
        no_rows(
            "bill_is_of_the_slice",
            f"SELECT {_ROW}, bill_billing_period_start_date FROM {{batch}}"
            " WHERE coalesce(strftime(bill_billing_period_start_date, '%Y-%m'), '') <> _billing_period",
            "load the delivery into the period that its rows name",
            column="bill_billing_period_start_date",
        ),
        no_rows(
            "usage_is_in_the_period",
            f"SELECT {_ROW}, line_item_usage_start_date FROM {{batch}} WHERE line_item_line_item_type IN {_USAGE_TYPES} AND {outside}",
            _READ_ROW,
            column="line_item_usage_start_date",
        ),
        no_rows(
            "charges_are_in_the_period",
            f"SELECT {_ROW}, line_item_line_item_type, line_item_usage_start_date FROM {{batch}}"
            f" WHERE line_item_line_item_type NOT IN {_USAGE_TYPES} AND {outside}",
            "credits, refunds and fees may name the time of what they correct; look whether these do",
            severity="warn",
            column="line_item_usage_start_date",
        ),
        no_rows(
            "usage_ends_after_it_starts",
            f"SELECT {_ROW} FROM {{batch}} WHERE line_item_usage_end_date < line_item_usage_start_date",
            _READ_ROW,
        ),
        no_rows(
            "covered_usage_has_an_effective_cost",
            f"SELECT {_ROW}, line_item_line_item_type FROM {{batch}} WHERE"
            " (line_item_line_item_type = 'DiscountedUsage'"
            " AND coalesce(reservation_net_effective_cost, reservation_effective_cost) IS NULL)"
            " OR (line_item_line_item_type = 'SavingsPlanCoveredUsage'"
            " AND coalesce(savings_plan_net_savings_plan_effective_cost, savings_plan_savings_plan_effective_cost) IS NULL)",
            "let the export include the reservation and savings plan columns; without them effective cost is too low",
            severity="warn",
        ),
    )


def _buckets(start: str, end: str) -> tuple[Rule, ...]:
    return (
        not_null(start, _READ_ROW),
        not_null(end, _READ_ROW),
        no_rows(
            "bucket_is_in_the_slice",
            f"SELECT {_ROW}, _slice, {start} FROM {{batch}} WHERE strftime({start}, '%Y-%m-%d') <> _slice"
            " OR left(_slice, 7) <> _billing_period",
            "load the pull again: a bucket lies outside the UTC day that it was filed under",
            column=start,
        ),
        no_rows(
            "bucket_is_at_most_a_day",
            f"SELECT {_ROW}, {start}, {end} FROM {{batch}} WHERE {end} <= {start} OR {end} > {start} + INTERVAL 1 DAY",
            "pull with a bucket width of one day or less",
            column=end,
        ),
    )


def _openai_usage() -> tuple[Rule, ...]:
    return (
        *_buckets("bucket_start", "bucket_end"),
        not_null("model", "pull the usage grouped by model", severity="warn"),
        no_rows(
            "cached_tokens_are_part_of_input",
            f"SELECT {_ROW}, input_tokens, input_cached_tokens, input_cache_write_tokens FROM {{batch}}"
            " WHERE coalesce(input_cached_tokens, 0) + coalesce(input_cache_write_tokens, 0) > input_tokens",
            "OpenAI's input_tokens contains the cached ones; look whether the payload's meaning has changed (law 4)",
            column="input_cached_tokens",
        ),
        no_rows(
            "input_tokens_are_the_sum_of_their_parts",
            f"SELECT {_ROW}, input_tokens FROM {{batch}} WHERE input_uncached_tokens + coalesce(input_cached_tokens, 0)"
            " + coalesce(input_cache_write_tokens, 0) <> input_tokens",
            "OpenAI's input_tokens is uncached + cached + cache writes; look whether the payload's meaning has changed (law 4)",
            severity="warn",
            column="input_tokens",
        ),
    )


def _anthropic_usage() -> tuple[Rule, ...]:
    return (
        *_buckets("starting_at", "ending_at"),
        not_null("model", "pull the usage grouped by model", severity="warn"),
    )


def _gcp() -> tuple[Rule, ...]:
    month_end = f"({_MONTH_START} + INTERVAL 1 MONTH)::TIMESTAMP AT TIME ZONE 'America/Los_Angeles'"
    return (
        not_null("billing_account_id", _READ_ROW),
        not_null("service_description", _READ_ROW, severity="warn"),
        no_rows(
            "bill_is_of_the_slice",
            f"SELECT {_ROW}, invoice_month FROM {{batch}}"
            " WHERE left(invoice_month, 4) || '-' || right(invoice_month, 2) <> _billing_period",
            "load the export day again: a row was filed under another month than its invoice's",
            column="invoice_month",
        ),
        no_rows(
            "usage_is_not_after_its_invoice_month",
            f"SELECT {_ROW}, usage_start_time, invoice_month FROM {{batch}} WHERE usage_start_time >= {month_end}",
            "Google invoices usage late, never early: " + _READ_ROW,
            column="usage_start_time",
        ),
        no_rows(
            "usage_ends_after_it_starts",
            f"SELECT {_ROW} FROM {{batch}} WHERE usage_end_time < usage_start_time",
            _READ_ROW,
        ),
        no_rows(
            "credits_are_of_known_types",
            f"SELECT {_ROW}, credit.type FROM (SELECT {_ROW}, unnest(credits) AS credit FROM {{batch}}) WHERE credit.type IS NULL OR"
            " credit.type NOT IN ('SUSTAINED_USAGE_DISCOUNT', 'COMMITTED_USAGE_DISCOUNT', 'COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE',"
            " 'DISCOUNT', 'FEE_UTILIZATION_OFFSET', 'FREE_TIER', 'PROMOTION', 'RESELLER_MARGIN', 'SUBSCRIPTION_BENEFIT')",
            "an unknown credit is a charge of its own: if it lowers a price, add it to the macro gcp_price_credits",
            severity="warn",
            column="credits",
        ),
    )


def _azure_actual() -> tuple[Rule, ...]:
    return (
        not_null("date", _READ_ROW),
        no_rows(
            "commitments_have_an_amortized_export",
            f"SELECT {_ROW}, pricing_model, cost_in_billing_currency FROM {{batch}} WHERE _amortized_by IS NULL"
            " AND lower(charge_type) IN ('purchase', 'refund')"
            " AND lower(replace(pricing_model, ' ', '')) IN ('reservation', 'savingsplan')",
            "ingest the account's amortized export too and name it in amortized_by; until then effective cost is what was paid",
            severity="warn",
            column="pricing_model",
        ),
    )


def _oci() -> tuple[Rule, ...]:
    line = (
        "line_item_reference_no, line_item_interval_usage_start, product_service, product_resource_id, cost_product_sku,"
        " line_item_is_correction, usage_billed_quantity, cost_my_cost"
    )
    return (
        not_null("line_item_reference_no", _READ_ROW, severity="warn"),
        no_rows(
            "usage_is_in_the_period",
            f"SELECT {_ROW}, line_item_interval_usage_start FROM {{batch}}"
            " WHERE strftime(line_item_interval_usage_start, '%Y-%m') IS DISTINCT FROM _billing_period",
            "correct the reader: a line belongs to the UTC month in which its hour begins",
            column="line_item_interval_usage_start",
        ),
        no_rows(
            "no_line_came_in_two_files",
            f"SELECT {line}, min(_object_key) AS one, max(_object_key) AS other FROM {{batch}}"
            f" WHERE line_item_reference_no IS NOT NULL GROUP BY {line} HAVING count(DISTINCT _slice) > 1",
            "remove the copy of the report from the export's location: files are incremental, so that a copy counts twice",
        ),
    )


def _litellm() -> tuple[Rule, ...]:
    return (
        no_rows(
            "cached_tokens_are_part_of_the_prompt",
            f"SELECT {_ROW}, model, prompt_tokens FROM {{batch}} WHERE coalesce(greatest(usage_cached_tokens, usage_cache_read_tokens,"
            " older_cache_read_tokens), 0) + coalesce(greatest(usage_cache_creation_tokens, usage_cache_write_tokens,"
            " older_cache_creation_tokens), 0) > prompt_tokens",
            "these rows are read as Anthropic's own, disjoint numbers; look which LiteLLM version or callback wrote them",
            severity="warn",
            column="prompt_tokens",
        ),
        no_rows(
            "requests_end_after_they_start",
            f"SELECT {_ROW}, start_time, end_time FROM {{batch}} WHERE end_time < start_time",
            "look at the clocks of the gateway's machines",
            severity="warn",
            column="end_time",
        ),
    )


def _bedrock() -> tuple[Rule, ...]:
    return (
        no_rows(
            "a_request_is_there_once",
            "SELECT account_id, region, request_id, min(_slice) AS one, max(_slice) AS other FROM {batch}"
            " GROUP BY account_id, region, request_id HAVING count(*) > 1",
            "AWS filed copies of a record under two days: delete one of the objects, then ingest both days again",
        ),
    )


_REGISTRY: Mapping[str, Callable[[], tuple[Rule, ...]]] = {
    "aws_cur": _aws,
    "aws_cur2": _aws,
    "azure_actual": _azure_actual,
    "azure_amortized": lambda: (not_null("date", _READ_ROW),),
    "oci_cost": _oci,
    "openai_usage": _openai_usage,
    "openai_costs": lambda: _buckets("bucket_start", "bucket_end"),
    "anthropic_usage": _anthropic_usage,
    "anthropic_costs": lambda: _buckets("starting_at", "ending_at"),
    "gcp_billing": _gcp,
    "litellm_requests": _litellm,
    "bedrock_logs": _bedrock,
}
