-- Tokens, requests and rows of int_token_usage are those of bronze, per export and month: OpenAI and Anthropic. The smaller providers:
-- assert_llm_provider_usage_is_conserved.
with

bronze as (

    select
        _source_id as source_id,
        _billing_period as billing_period,
        count(*) as row_count,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        -- those with a web search stand in completions, too
        sum(num_model_requests) filter (where endpoint is distinct from 'web_search_calls') as request_count
    from {{ source('bronze', 'openai_usage') }}
    group by all

    union all

    select
        _source_id,
        _billing_period,
        count(*),
        sum(list_sum([
            uncached_input_tokens, cache_read_input_tokens, cache_creation_5m_input_tokens, cache_creation_1h_input_tokens
        ])),
        sum(output_tokens),
        null
    from {{ source('bronze', 'anthropic_usage') }}
    group by all

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
