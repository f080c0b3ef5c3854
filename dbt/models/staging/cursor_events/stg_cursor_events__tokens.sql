-- Cursor's tokens by hour, model and person; its four counts are disjoint.

with

source as (

    select
        *,
        date_trunc('hour', used_at at time zone 'UTC') at time zone 'UTC' as usage_start
    from {{ source('bronze', 'cursor_events') }}

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
        'Cursor' as provider_name,
        kind as endpoint,
        usage_start as charge_start,
        usage_start,
        'hour' as usage_grain,
        {{ utc_date('usage_start') }} as charge_date,
        cast(null as varchar) as project_id,
        model as model_id,
        cast(null as varchar) as api_key_id,
        user_id,
        cast(null as varchar) as service_tier,
        cast(null as boolean) as batch,
        sum(input_tokens) as input_uncached_tokens,
        sum(cache_read_tokens) as input_cache_read_tokens,
        sum(cache_write_tokens) as input_cache_write_5m_tokens,
        cast(null as bigint) as input_cache_write_1h_tokens,
        sum(output_tokens) as output_tokens,
        cast(null as bigint) as reported_input_tokens,
        count(*) as request_count,
        cast(null as bigint) as web_search_requests,
        count(*) as row_count
    from source
    group by _source_id, _billing_period, _account_id, kind, usage_start, model, user_id

)

select * from final
