{{
    config(
        materialized='incremental',
        incremental_strategy='mart_periods',
        on_schema_change='fail',
    )
}}
-- What a model cost a day, per request and per million tokens, and how much of its input the cache served. Cost comes
-- from FOCUS alone, tokens and requests from the usage reports; both are stacked and summed, so neither can fan out.
{%- set key = ['billing_period', 'charge_date', 'provider_name', 'host_provider_name', 'project_id', 'model_id'] %}
{%- set grain = key + ['billing_currency'] %}

with

charges as (

    select * from {{ ref('int_ai_charges') }}
    {%- if is_incremental() %}
    where {{ in_changed_periods() }}
    {%- endif %}

),

used as (

    select
        *,
        provider_name as host_provider_name
    from {{ ref('int_token_usage') }}
    where
        usage_role is distinct from 'gateway_log'
        {%- if is_incremental() %}
        and {{ in_changed_periods() }}
        {%- endif %}

),

billed_keys as (

    select
        {{ key | join(', ') }},
        count(distinct billing_currency) = 1 as has_one_currency,
        min(billing_currency) as billing_currency
    from charges
    group by {{ key | join(', ') }}

),

stacked as (

    select
        {{ grain | join(', ') }},
        effective_cost,
        cast(null as bigint) as request_count,
        {% for class in llm_token_classes() -%}
        case when token_class = '{{ class }}' then consumed_tokens end as {{ class }}_tokens,
        {% endfor -%}
        case when token_class like 'input%' then consumed_tokens end as input_tokens_total,
        case when token_class like 'output%' then consumed_tokens end as output_tokens_total
    from charges

    union all by name

    select
        {% for column in key %}used.{{ column }}, {% endfor %}
        case when billed_keys.has_one_currency then billed_keys.billing_currency end as billing_currency,
        cast(null as decimal(38, 12)) as effective_cost,
        used.request_count,
        {% for class in llm_token_classes() -%}
        used.{{ class }}_tokens,
        {% endfor -%}
        used.input_tokens_total,
        used.output_tokens_total
    from used
    left join billed_keys
        on {% for column in key %}used.{{ column }} is not distinct from billed_keys.{{ column }}{{ ' and ' if not loop.last }}{% endfor %}

),

summed as (

    select
        {{ grain | join(', ') }},
        cast(sum(request_count) as bigint) as request_count,
        {% for class in llm_token_classes() -%}
        cast(sum({{ class }}_tokens) as decimal(38, 0)) as {{ class }}_tokens,
        {% endfor -%}
        cast(list_sum([
            {%- for class in llm_token_classes() if class.endswith('cache_read') %}
            sum({{ class }}_tokens){{ ',' if not loop.last }}
            {%- endfor %}
        ]) as decimal(38, 0)) as cache_read_tokens_total,
        cast(sum(input_tokens_total) as decimal(38, 0)) as input_tokens_total,
        cast(sum(output_tokens_total) as decimal(38, 0)) as output_tokens_total,
        cast(sum(effective_cost) as decimal(38, 12)) as effective_cost
    from stacked
    group by {{ grain | join(', ') }}

),

ai_said as (

    select distinct model_id as model_said from summed

),

{{ ai_model_ctes() }},

final as (

    select
        summed.*,
        coalesce(models.model_id, summed.model_id) as base_model_id,
        {{ exact_quotient('effective_cost', 'request_count') }} as cost_per_request,
        {{ exact_quotient('effective_cost', 'list_sum([input_tokens_total, output_tokens_total]) * 0.000001') }} as cost_per_million_tokens,
        {{ exact_quotient('cache_read_tokens_total', 'input_tokens_total') }} as cache_hit_rate
    from summed
    left join ai_models_known as models
        on summed.model_id = models.model_said

)

select * from final
