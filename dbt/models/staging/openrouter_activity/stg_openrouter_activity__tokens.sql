-- OpenRouter's tokens by hour (CSV) or day (API). Prompt tokens contain cached ones; only where a column counts these are they taken out, and
-- where none does the read class is unknown, not 0. Reasoning is inside completion tokens.

with

source as (

    select
        *,
        coalesce(generation_id, '') <> '' as is_generation
    from {{ source('bronze', 'openrouter_activity') }}

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
        'OpenRouter' as provider_name,
        date_trunc('hour', used_at at time zone 'UTC') at time zone 'UTC' as usage_start,
        date_trunc('hour', used_at at time zone 'UTC') at time zone 'UTC' as charge_start,
        case when is_generation then 'hour' else 'day' end as usage_grain,
        {{ utc_date('used_at') }} as charge_date,
        cast(null as varchar) as project_id,
        model_permaslug as model_id,
        api_key_name as api_key_id,
        user_id,
        cast(null as varchar) as service_tier,
        cast(null as boolean) as batch,
        sum(prompt_tokens - least(coalesce(cached_tokens, 0), prompt_tokens)) as input_uncached_tokens,
        sum(case when cached_tokens is not null then least(cached_tokens, prompt_tokens) end) as input_cache_read_tokens,
        cast(null as bigint) as input_cache_write_5m_tokens,
        cast(null as bigint) as input_cache_write_1h_tokens,
        sum(completion_tokens) as output_tokens,
        sum(prompt_tokens) as reported_input_tokens,
        sum(case when is_generation then 1 else requests end) as request_count,
        cast(null as bigint) as web_search_requests,
        count(*) as row_count
    from source
    group by
        _source_id, _billing_period, _account_id, date_trunc('hour', used_at at time zone 'UTC'), is_generation, {{ utc_date('used_at') }},
        model_permaslug, api_key_name, user_id

)

select * from final
