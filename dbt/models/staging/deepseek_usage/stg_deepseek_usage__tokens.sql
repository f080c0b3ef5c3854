-- DeepSeek's usage by day, model, key and user: its rows name one class each, and the classes are disjoint.

with

source as (

    select * from {{ source('bronze', 'deepseek_usage') }}

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
        'DeepSeek' as provider_name,
        period_start as charge_start,
        period_start as usage_start,
        'day' as usage_grain,
        {{ utc_date('period_start') }} as charge_date,
        cast(null as varchar) as project_id,
        model as model_id,
        coalesce(api_key_name, api_key) as api_key_id,
        user_id,
        cast(null as varchar) as service_tier,
        cast(null as boolean) as batch,
        sum(amount) filter (where type = 'input_cache_miss_tokens') as input_uncached_tokens,
        sum(amount) filter (where type = 'input_cache_hit_tokens') as input_cache_read_tokens,
        cast(null as bigint) as input_cache_write_5m_tokens,
        cast(null as bigint) as input_cache_write_1h_tokens,
        sum(amount) filter (where type = 'output_tokens') as output_tokens,
        cast(null as bigint) as reported_input_tokens,
        sum(amount) filter (where type = 'request_count') as request_count,
        cast(null as bigint) as web_search_requests,
        count(*) as row_count
    from source
    group by _source_id, _billing_period, _account_id, period_start, model, coalesce(api_key_name, api_key), user_id

)

select * from final
