-- Mistral's consumed tokens by day, model, category and tier, plan-covered ones included; its lanes are disjoint. Entries that count pages or
-- seconds have no tokens.

with

source as (

    select
        *,
        date_trunc('day', used_at at time zone 'UTC') at time zone 'UTC' as used_on,
        case when coalesce(event_type, 'api_tokens') like '%tokens' then coalesce(value, value_paid) end as tokens
    from {{ source('bronze', 'mistral_usage') }}

),

final as (

    select
        {{ summed_usage('Mistral', 'used_on', "'day'") }},
        category as endpoint,
        model as model_id,
        service_tier,
        service_tier = 'batch' as batch,
        sum(tokens) filter (where lane = 'input') as input_uncached_tokens,
        sum(tokens) filter (where lane = 'cached') as input_cache_read_tokens,
        sum(tokens) filter (where lane = 'output') as output_tokens,
        cast(null as bigint) as request_count,
        count(*) as row_count
    from source
    group by _source_id, _billing_period, _account_id, category, used_on, model, service_tier

)

select * from final
