-- Rates of the efficiency marts are their row's numerator over its denominator; parts sum to the whole; a null amount has a reason, and no
-- reason stands beside an amount.
select
    'fct_cache_efficiency_daily' as mart,
    billing_period,
    charge_date,
    model_id
from {{ ref('fct_cache_efficiency_daily') }}
where
    input_tokens_total
    <> list_sum({{ llm_class_columns('input') }})
    or input_tokens_total <> uncached_tokens_total + cache_read_tokens_total + input_cache_write_5m_tokens + input_cache_write_1h_tokens
    or cache_read_tokens_total <> list_sum({{ llm_class_columns('input', 'cache_read') }})
    or not cache_hit_rate between 0 and 1
    or not cache_hit_rate_dollar_weighted between 0 and 1
    or abs(cache_hit_rate * input_tokens_total - cache_read_tokens_total) > 0.000000000001 * input_tokens_total
    or abs(cache_hit_rate_dollar_weighted * input_at_full_price_usd - cache_read_at_full_price_usd) > 0.000000000001 * input_at_full_price_usd + 0.000000000001
    or (price_reason is null) <> (input_at_full_price_usd is not null and cache_read_usd is not null and cache_write_usd is not null)
    or (unread_write_reason is null) <> (unread_write_usd_at_least is not null)
    or (lost_reason is null) <> (lost_usd_estimate is not null)
    or (lost_basis is null) <> (lost_read_tokens_estimate is null)
    or unread_write_tokens_at_least > input_cache_write_5m_tokens + input_cache_write_1h_tokens
    or lost_read_tokens_estimate > uncached_tokens_total
    or net_saved_usd <> saved_by_reads_usd - write_premium_usd

union all

select
    'fct_batch_efficiency_daily',
    billing_period,
    charge_date,
    model_id
from {{ ref('fct_batch_efficiency_daily') }}
where
    tokens_total <> batch_tokens + could_move_tokens + no_batch_price_tokens + other_tier_tokens
    or (batch_share is null) <> (batch_share_reason is not null)
    or abs(batch_share * (batch_tokens + could_move_tokens) - batch_tokens) > 0.000000000001 * tokens_total
    or (price_reason is null) <> (saved_by_batch_usd is not null and could_save_usd is not null)

union all

select
    'fct_provisioned_throughput',
    billing_period,
    charge_date,
    model_id
from {{ ref('fct_provisioned_throughput') }}
where
    (tokens_served is null) <> (served_reason is not null)
    or (capacity_token_equivalents is null) <> (capacity_reason is not null)
    or (break_even_utilisation is null) <> (break_even_reason is not null)
    or (model_id is null) <> (model_reason is not null)
    or abs(utilisation * capacity_token_equivalents - used_token_equivalents) > 0.000000000001 * capacity_token_equivalents
    or abs(cost_per_million_tokens * tokens_served - effective_cost * 1000000) > 0.000000000001 * tokens_served

union all

select
    'fct_provider_comparison',
    billing_period,
    null,
    model_id
from {{ ref('fct_provider_comparison') }}
where
    (list_cost_usd is null) <> (list_reason is not null)
    or (list_cost_usd is null) <> (coalesce(unpriced_tokens, 1) > 0)
    or (actual_cost is null) <> (actual_reason is not null)
    or (committed_cost is null) <> (committed_reason is not null)
    or (list_cost_all_batch_usd is null) <> (batch_reason is not null)
    or (is_current and list_difference_usd <> 0)
