{{
    config(
        materialized='incremental',
        incremental_strategy='mart_periods',
        on_schema_change='fail',
    )
}}
-- Unit costs of models at list prices: per million tokens by class and per request, by model, project, key, user, feature and latency class.
-- Numerator and denominator stay beside each rate. A rate over usage of which a part has no price is null.
{%- set key = [
    'billing_period', 'charge_date', 'provider_name', 'project_id', 'api_key_id', 'user_id', 'feature_tag', 'model_id', 'service_tier'
] %}

with

used as (

    select * from {{ ref('fct_token_usage') }}
    where
        is_counted
        {%- if is_incremental() %}
        and {{ in_changed_periods() }}
        {%- endif %}

),

sizes as (

    select
        models.model_id,
        arg_min(patterns.model_size_class, patterns.priority) as model_size_class
    from (select distinct model_id from used) as models
    inner join {{ ref('llm_model_sizes') }} as patterns on regexp_matches(lower(models.model_id), patterns.pattern)
    group by models.model_id

),

summed as (

    select
        {{ key | join(', ') }},
        cast(sum(request_count) as bigint) as request_count,
        {% for class in llm_token_classes() -%}
        cast(sum(quantity) filter (where token_class = '{{ class }}') as decimal(38, 0)) as {{ class }}_tokens,
        cast(sum(list_cost_usd) filter (where token_class = '{{ class }}') as decimal(38, 12)) as {{ class }}_cost_usd,
        {% endfor -%}
        cast(sum(list_cost_usd) filter (where unit <> 'Tokens') as decimal(38, 12)) as other_cost_usd,
        cast(sum(list_cost_usd) as decimal(38, 12)) as list_cost_usd,
        cast(sum(quantity) filter (where price_reason is not null and not ({{ counts_requests_only() }})) as decimal(38, 0)) as unpriced_quantity,
        min(price_reason) filter (where not ({{ counts_requests_only() }})) as unpriced_reason
    from used
    group by {{ key | join(', ') }}

),

ai_said as (

    select distinct model_id as model_said from summed

),

{{ ai_model_ctes() }},

final as (

    select
        {% for column in key %}summed.{{ column }},
        {% endfor -%}
        coalesce(models.model_id, summed.model_id) as base_model_id,
        sizes.model_size_class,
        case summed.service_tier
            when 'batch' then 'within_a_day'
            when 'flex' then 'best_effort'
            when 'standard' then 'standard'
            when 'priority' then 'low_latency'
            when 'fast' then 'low_latency'
        end as latency_class,
        summed.request_count,
        {% for class in llm_token_classes() -%}
        summed.{{ class }}_tokens,
        summed.{{ class }}_cost_usd,
        {{ exact_quotient('summed.' ~ class ~ '_cost_usd', 'summed.' ~ class ~ '_tokens * 0.000001') }} as {{ class }}_usd_per_million,
        {% endfor -%}
        summed.other_cost_usd,
        summed.list_cost_usd,
        case
            when summed.unpriced_quantity is null then {{ exact_quotient('summed.list_cost_usd', 'summed.request_count') }}
        end as usd_per_request,
        summed.unpriced_quantity,
        case
            when summed.unpriced_quantity is not null then summed.unpriced_reason
            when summed.request_count is null then 'requests_not_reported'
            when summed.list_cost_usd is null then 'no_usage_but_requests'
        end as rate_reason
    from summed
    left join sizes on summed.model_id = sizes.model_id
    left join ai_models_known as models on summed.model_id = models.model_said

)

select * from final
