-- One row per Anthropic messages usage row. Anthropic's classes are disjoint as delivered (thinking is inside
-- output); a null workspace is the organisation's default workspace. The report counts no requests.

with

source as (

    select * from {{ source('bronze', 'anthropic_usage') }}

),

final as (

    select
        _source_id as source_id,
        _billing_period as billing_period,
        _delivery_id as delivery_id,
        _object_key as object_key,
        _row_number as row_number,
        _account_id as account_id,
        'provider_report' as usage_role,
        'Anthropic' as provider_name,
        starting_at as charge_start,
        starting_at as usage_start,
        {{ usage_grain('starting_at', 'ending_at') }} as usage_grain,
        {{ utc_date('starting_at') }} as charge_date,
        coalesce(workspace_id, 'default') as project_id,
        model as model_id,
        api_key_id,
        service_tier,
        service_tier = 'batch' as batch,
        context_window,
        inference_geo,
        context_window as context_tier,
        nullif(inference_geo, 'not_available') as region_scope,
        uncached_input_tokens as input_uncached_tokens,
        cache_read_input_tokens as input_cache_read_tokens,
        cache_creation_5m_input_tokens as input_cache_write_5m_tokens,
        cache_creation_1h_input_tokens as input_cache_write_1h_tokens,
        output_tokens,
        cast(null as bigint) as reported_input_tokens,
        cast(null as bigint) as request_count,
        web_search_requests
    from source

)

select * from final
