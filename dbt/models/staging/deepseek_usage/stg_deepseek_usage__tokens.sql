-- DeepSeek's usage by day, model, key and user: its rows name one class each, and the classes are disjoint.

with

source as (

    select * from {{ source('bronze', 'deepseek_usage') }}

),

final as (

    select
        {{ summed_usage('DeepSeek', 'period_start', "'day'") }},
        model as model_id,
        coalesce(api_key_name, api_key) as api_key_id,
        user_id,
        sum(amount) filter (where type = 'input_cache_miss_tokens') as input_uncached_tokens,
        sum(amount) filter (where type = 'input_cache_hit_tokens') as input_cache_read_tokens,
        sum(amount) filter (where type = 'output_tokens') as output_tokens,
        sum(amount) filter (where type = 'request_count') as request_count,
        count(*) as row_count
    from source
    group by _source_id, _billing_period, _account_id, period_start, model, coalesce(api_key_name, api_key), user_id

)

select * from final
