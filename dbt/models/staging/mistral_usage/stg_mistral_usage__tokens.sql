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
        _source_id as source_id,
        _billing_period as billing_period,
        min(_delivery_id) as delivery_id,
        min(_object_key) as object_key,
        min(_row_number) as row_number,
        _account_id as account_id,
        'provider_report' as usage_role,
        'Mistral' as provider_name,
        category as endpoint,
        used_on as charge_start,
        used_on as usage_start,
        'day' as usage_grain,
        {{ utc_date('used_on') }} as charge_date,
        cast(null as varchar) as project_id,
        model as model_id,
        cast(null as varchar) as api_key_id,
        cast(null as varchar) as user_id,
        service_tier,
        service_tier = 'batch' as batch,
        sum(tokens) filter (where lane = 'input') as input_uncached_tokens,
        sum(tokens) filter (where lane = 'cached') as input_cache_read_tokens,
        cast(null as bigint) as input_cache_write_5m_tokens,
        cast(null as bigint) as input_cache_write_1h_tokens,
        sum(tokens) filter (where lane = 'output') as output_tokens,
        cast(null as bigint) as reported_input_tokens,
        cast(null as bigint) as request_count,
        cast(null as bigint) as web_search_requests,
        count(*) as row_count
    from source
    group by _source_id, _billing_period, _account_id, category, used_on, model, service_tier

)

select * from final
