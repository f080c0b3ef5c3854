-- A rate is its row's numerator over its denominator, to the last decimal that the rate keeps; unknown is null, never 0.
select
    billing_period,
    charge_date,
    provider_name,
    model_id,
    token_class,
    cost_per_million_tokens as rate
from {{ ref('fct_token_economics_daily') }}
where
    (cost_per_million_tokens is null) <> (effective_cost is null or coalesce(tokens, 0) = 0)
    or (cost_per_million_tokens is null) <> (cost_reason is not null)
    or abs(cost_per_million_tokens * tokens - effective_cost * 1000000) > 0.000000000001 * tokens

union all

select
    billing_period,
    charge_date,
    provider_name,
    model_id,
    null,
    cache_hit_rate
from {{ ref('fct_model_economics_daily') }}
where
    not cache_hit_rate between 0 and 1
    or input_tokens_total is distinct from list_sum({{ llm_class_columns('input') }})
    or output_tokens_total is distinct from list_sum({{ llm_class_columns('output') }})
    or abs(cache_hit_rate * input_tokens_total - cache_read_tokens_total) > 0.000000000001 * input_tokens_total
    or abs(cost_per_request * request_count - effective_cost) > 0.000000000001 * request_count
