-- Tokens, requests and rows of int_token_usage are those of bronze, per export and month.
with

bronze as (

    select
        _source_id as source_id,
        _billing_period as billing_period,
        count(*) as row_count,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(num_model_requests) as request_count
    from {{ source('bronze', 'openai_usage') }}
    group by all

    union all

    select
        _source_id,
        _billing_period,
        count(*),
        sum(list_sum([
            uncached_input_tokens, cache_read_input_tokens, cache_creation_5m_input_tokens, cache_creation_1h_input_tokens
        ])),
        sum(output_tokens),
        null
    from {{ source('bronze', 'anthropic_usage') }}
    group by all

    -- a gateway's request counts its tokens unless its own cache answered
    union all

    select
        _source_id,
        _billing_period,
        count(*),
        sum(
            prompt_tokens
            + case when cached > prompt_tokens then cached else 0 end
        ) filter (where coalesce(cache_hit, '') not ilike 'true'),
        sum(completion_tokens) filter (where coalesce(cache_hit, '') not ilike 'true'),
        count(*)
    from (
        select
            *,
            coalesce(greatest(usage_cached_tokens, usage_cache_read_tokens, older_cache_read_tokens), 0)
            + coalesce(greatest(usage_cache_creation_tokens, usage_cache_write_tokens, older_cache_creation_tokens), 0) as cached
        from {{ source('bronze', 'litellm_requests') }}
    )
    group by all

),

modelled as (

    select
        source_id,
        billing_period,
        sum(row_count) as row_count,
        sum(input_tokens_total) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(request_count) as request_count
    from {{ ref('int_token_usage') }}
    group by all

)

select
    *
from bronze
full join modelled using (source_id, billing_period)
where
    bronze.row_count is distinct from modelled.row_count
    or bronze.input_tokens is distinct from modelled.input_tokens
    or bronze.output_tokens is distinct from modelled.output_tokens
    or bronze.request_count is distinct from modelled.request_count
