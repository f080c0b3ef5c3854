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
        {{ summed_usage('Cursor', 'usage_start', "'hour'") }},
        kind as endpoint,
        model as model_id,
        user_id,
        sum(input_tokens) as input_uncached_tokens,
        sum(cache_read_tokens) as input_cache_read_tokens,
        sum(cache_write_tokens) as input_cache_write_5m_tokens,
        sum(output_tokens) as output_tokens,
        count(*) as request_count,
        count(*) as row_count
    from source
    group by _source_id, _billing_period, _account_id, kind, usage_start, model, user_id

)

select * from final
