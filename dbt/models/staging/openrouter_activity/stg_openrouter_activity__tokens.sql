-- OpenRouter's tokens by hour (CSV) or day (API). Prompt tokens contain cached ones; only where a column counts these are they taken out, and
-- where none does the read class is unknown, not 0. Reasoning is inside completion tokens.

with

source as (

    select
        *,
        date_trunc('hour', used_at at time zone 'UTC') at time zone 'UTC' as usage_start,
        coalesce(generation_id, '') <> '' as is_generation
    from {{ source('bronze', 'openrouter_activity') }}

),

final as (

    select
        {{ summed_usage('OpenRouter', 'usage_start', "case when is_generation then 'hour' else 'day' end") }},
        model_permaslug as model_id,
        api_key_name as api_key_id,
        user_id,
        sum(prompt_tokens - least(coalesce(cached_tokens, 0), prompt_tokens)) as input_uncached_tokens,
        sum(case when cached_tokens is not null then least(cached_tokens, prompt_tokens) end) as input_cache_read_tokens,
        sum(completion_tokens) as output_tokens,
        sum(prompt_tokens) as reported_input_tokens,
        sum(case when is_generation then 1 else requests end) as request_count,
        count(*) as row_count
    from source
    group by _source_id, _billing_period, _account_id, usage_start, is_generation, model_permaslug, api_key_name, user_id

)

select * from final
