{{
    config(
        materialized='incremental',
        incremental_strategy='mart_slices',
        on_schema_change='fail',
    )
}}
-- Requests that failed and what they cost, where the source tells it (a gateway's log, Bedrock's invocation log). A source that counts no
-- failures says so in waste_reason; its failures are not 0. Sources are not added up: a gateway sees what the provider reports, too.

with

used as (

    select * from {{ ref('int_token_usage') }}
    {%- if is_incremental() %}
    where {{ in_changed_slices('source_id', 'billing_period') }}
    {%- endif %}

),

summed as (

    select
        source_id,
        billing_period,
        charge_date,
        usage_role,
        provider_name,
        project_id,
        model_id,
        cast(sum(request_count) as bigint) as request_count,
        cast(sum(failed_request_count) as bigint) as failed_request_count,
        cast(sum(failed_tokens) as decimal(38, 0)) as failed_tokens,
        cast(sum(failed_cost_usd) as decimal(38, 12)) as failed_cost_usd,
        cast(sum(list_sum([input_tokens_total, output_tokens_total])) as decimal(38, 0)) as tokens_total
    from used
    group by all

),

final as (

    select
        *,
        {{ exact_quotient('failed_request_count', 'request_count') }} as failed_request_share,
        case when failed_request_count is null then 'source_counts_no_failures' end as failed_request_reason,
        case
            when failed_request_count is null then 'source_counts_no_failures'
            when failed_tokens is null then 'source_counts_no_tokens_of_failures'
        end as failed_tokens_reason,
        case
            when failed_request_count is null then 'source_counts_no_failures'
            when failed_cost_usd is null then 'source_prices_no_failures'
        end as failed_cost_reason,
        'source_tells_no_retries' as retry_reason
    from summed

)

select * from final
