-- Fireworks' usage events by hour, model, kind and user. Nothing counts cached tokens, which are among the uncached; an event is not said to be a
-- request, so the number of requests is unknown.

with

source as (

    select
        *,
        date_trunc('hour', start_time at time zone 'UTC') at time zone 'UTC' as usage_start
    from {{ source('bronze', 'fireworks_metrics') }}

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
        'Fireworks AI' as provider_name,
        usage_type as endpoint,
        usage_start as charge_start,
        usage_start,
        'hour' as usage_grain,
        {{ utc_date('usage_start') }} as charge_date,
        cast(null as varchar) as project_id,
        base_model_name as model_id,
        cast(null as varchar) as api_key_id,
        user_id,
        cast(null as varchar) as service_tier,
        contains(lower(usage_type), 'batch') as batch,
        sum(prompt_tokens) as input_uncached_tokens,
        cast(null as bigint) as input_cache_read_tokens,
        cast(null as bigint) as input_cache_write_5m_tokens,
        cast(null as bigint) as input_cache_write_1h_tokens,
        sum(completion_tokens) as output_tokens,
        sum(prompt_tokens) as reported_input_tokens,
        cast(null as bigint) as request_count,
        cast(null as bigint) as web_search_requests,
        cast(sum(accelerator_seconds) as decimal(38, 12)) as accelerator_seconds,
        count(*) as row_count
    from source
    group by _source_id, _billing_period, _account_id, usage_type, usage_start, base_model_name, user_id

)

select * from final
