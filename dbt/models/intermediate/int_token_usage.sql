{{
    config(
        materialized='incremental',
        incremental_strategy='mart_periods',
        on_schema_change='fail',
    )
}}
-- Usage reports of all token sources: disjoint token classes and what else is counted, per source, hour or day, provider, account,
-- project, model, key, user, feature, tier, batch, context tier and region. A class that no row reports stays null.
-- Where the provider reports a month itself, what a gateway saw of it is kept, but not counted again.
{%- set dimensions = [
    'source_id', 'billing_period', 'charge_date', 'usage_start', 'usage_grain', 'usage_role', 'provider_name', 'account_id', 'project_id',
    'model_id', 'api_key_id', 'user_id', 'feature_tag', 'service_tier', 'batch', 'context_tier', 'region_scope',
    'price_gap'
] %}

with

reported as (

    {{ token_usage_contract() }}
    {% for source in built('token_sources') %}
    union all by name
    select * from {{ ref('stg_' ~ source ~ '__tokens') }}
    {%- endfor %}

),

summed as (

    select
        {% for column in dimensions if column not in ('usage_role', 'usage_start') %}{{ column }},
        {% endfor -%}
        coalesce(usage_start, cast(charge_date as timestamp) at time zone 'UTC') as usage_start,
        coalesce(usage_role, 'provider_report') as usage_role,
        {% for class in llm_token_classes() -%}
        cast(sum({{ class }}_tokens) as decimal(38, 0)) as {{ class }}_tokens,
        {% endfor -%}
        {% for direction in ['input', 'output'] -%}
        cast(list_sum([
            {%- for class in llm_token_classes() if class.startswith(direction) %}
            sum({{ class }}_tokens){{ ',' if not loop.last }}
            {%- endfor %}
        ]) as decimal(38, 0)) as {{ direction }}_tokens_total,
        {% endfor -%}
        cast(sum(reported_input_tokens) as decimal(38, 0)) as reported_input_tokens,
        cast(sum(request_count) as bigint) as request_count,
        cast(sum(coalesce(web_search_requests, cast(web_search_requests_units as bigint))) as bigint) as web_search_requests,
        {% for metric in llm_metrics() if metric not in ('requests', 'web_search_requests') -%}
        cast(sum({{ metric }}_units) as decimal(38, 0)) as {{ metric }},
        {% endfor -%}
        cast(sum(provider_cost_usd) as decimal(38, 12)) as provider_cost_usd,
        cast(sum(failed_request_count) as bigint) as failed_request_count,
        cast(sum(failed_tokens) as decimal(38, 0)) as failed_tokens,
        cast(sum(failed_cost_usd) as decimal(38, 12)) as failed_cost_usd,
        cast(sum(coalesce(row_count, 1)) as bigint) as row_count
    from reported
    {%- if is_incremental() %}
    where {{ in_changed_periods() }}
    {%- endif %}
    group by all

),

final as (

    select
        *,
        usage_role = 'provider_report'
        or not bool_or(usage_role = 'provider_report') over (partition by provider_name, billing_period) as is_counted
    from summed

)

select * from final
