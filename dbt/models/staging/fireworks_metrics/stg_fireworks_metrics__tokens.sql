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
        {{ summed_usage('Fireworks AI', 'usage_start', "'hour'") }},
        usage_type as endpoint,
        base_model_name as model_id,
        user_id,
        contains(lower(usage_type), 'batch') as batch,
        sum(prompt_tokens) as input_uncached_tokens,
        cast(null as bigint) as input_cache_read_tokens,
        sum(completion_tokens) as output_tokens,
        sum(prompt_tokens) as reported_input_tokens,
        cast(null as bigint) as request_count,
        cast(sum(accelerator_seconds) as decimal(38, 12)) as accelerator_seconds,
        count(*) as row_count
    from source
    group by _source_id, _billing_period, _account_id, usage_type, usage_start, base_model_name, user_id

)

select * from final
