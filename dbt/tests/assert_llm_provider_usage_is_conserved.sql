-- Input, output, requests and rows of int_token_usage are those of bronze, per export and month: the smaller providers and the gateways.
-- A source is tested where it is a token source of the project.
{% set cached = "coalesce(greatest(usage_cached_tokens, usage_cache_read_tokens, older_cache_read_tokens), 0)"
    ~ " + coalesce(greatest(usage_cache_creation_tokens, usage_cache_write_tokens, older_cache_creation_tokens), 0)" %}
{% set asked = "filter (where coalesce(cache_hit, '') not ilike 'true')" %}
{# source -> [input, output, requests], aggregates over bronze #}
{% set usage = {
    'bedrock_logs': ['sum(list_sum([input_tokens, cache_read_tokens, cache_write_tokens]))', 'sum(output_tokens)', 'count(*)'],
    'cursor_events': ['sum(list_sum([input_tokens, cache_read_tokens, cache_write_tokens]))', 'sum(output_tokens)', 'count(*)'],
    'deepseek_usage': [
        "sum(amount) filter (where type like 'input%')", "sum(amount) filter (where type = 'output_tokens')",
        "sum(amount) filter (where type = 'request_count')"
    ],
    'fireworks_metrics': ['sum(prompt_tokens)', 'sum(completion_tokens)', 'cast(null as bigint)'],
    'litellm_requests': [
        'sum(prompt_tokens + case when ' ~ cached ~ ' > prompt_tokens then ' ~ cached ~ ' else 0 end) ' ~ asked,
        'sum(completion_tokens) ' ~ asked,
        'count(*)'
    ],
    'mistral_usage': [
        "sum(coalesce(value, value_paid)) filter (where lane <> 'output' and coalesce(event_type, 'api_tokens') like '%tokens')",
        "sum(coalesce(value, value_paid)) filter (where lane = 'output' and coalesce(event_type, 'api_tokens') like '%tokens')",
        'cast(null as bigint)'
    ],
    'openrouter_activity': ['sum(prompt_tokens)', 'sum(completion_tokens)', "sum(case when generation_id <> '' then 1 else requests end)"],
} %}
with

bronze as (

    select
        cast(null as varchar) as source_id,
        cast(null as varchar) as billing_period,
        cast(null as bigint) as row_count,
        cast(null as hugeint) as input_tokens,
        cast(null as hugeint) as output_tokens,
        cast(null as hugeint) as request_count
    where false
    {% for table, sums in usage.items() if table in var('token_sources') %}
    union all
    select
        _source_id,
        _billing_period,
        count(*),
        {{ sums[0] }},
        {{ sums[1] }},
        {{ sums[2] }}
    from {{ source('bronze', table) }}
    group by all
    {% endfor %}

),

modelled as (

    select
        source_id,
        billing_period,
        sum(row_count) as row_count,
        sum(input_tokens_total) as input_tokens,
        sum(output_tokens_total) as output_tokens,
        sum(request_count) as request_count
    from {{ ref('int_token_usage') }}
    where source_id in (select source_id from bronze)
    group by all

)

select
    *
from bronze
full join modelled using (source_id, billing_period)
where
    bronze.row_count is distinct from modelled.row_count
    or bronze.input_tokens is distinct from modelled.input_tokens
    or bronze.output_tokens is distinct from modelled.output_tokens
    or bronze.request_count is distinct from modelled.request_count
