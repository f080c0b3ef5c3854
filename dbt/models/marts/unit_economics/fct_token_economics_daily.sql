{{
    config(
        materialized='incremental',
        incremental_strategy='mart_periods',
        on_schema_change='fail',
    )
}}
-- What a million tokens of each class cost. Cost comes from FOCUS alone, tokens from the usage reports (or from the
-- charge, where it measures them). Both are stacked and summed, never joined row to row, so neither can fan out.
{%- set key = ['billing_period', 'charge_date', 'provider_name', 'host_provider_name', 'project_id', 'model_id', 'token_class'] %}
{%- set grain = key + ['service_tier', 'billing_currency'] %}

with

charges as (

    select * from {{ ref('int_ai_charges') }}
    {%- if is_incremental() %}
    where {{ in_changed_periods() }}
    {%- endif %}

),

usage_reports as (

    select
        billing_period,
        charge_date,
        provider_name,
        provider_name as host_provider_name,
        project_id,
        model_id,
        case when batch then 'batch' else service_tier end as service_tier,
        {% for class in llm_token_classes() %}{{ class }}_tokens{{ ', ' if not loop.last }}{% endfor %}
    from {{ ref('int_token_usage') }}
    where
        usage_role is distinct from 'gateway_log'
        {%- if is_incremental() %}
        and {{ in_changed_periods() }}
        {%- endif %}

),

told_apart as (

    unpivot usage_reports
    on {% for class in llm_token_classes() %}{{ class }}_tokens as {{ class }}{{ ', ' if not loop.last }}{% endfor %}
    into name token_class value tokens

),

used as (

    {{ llm_in_billed_classes('told_apart', 'charges') }}

),

-- how the bill speaks of a key: tiers only where every charge names one, a currency only where there is one
billed_keys as (

    select
        {{ key | join(', ') }},
        count(*) = count(service_tier) as has_tiers,
        count(distinct billing_currency) = 1 as has_one_currency,
        min(billing_currency) as billing_currency
    from charges
    group by {{ key | join(', ') }}

),

stacked as (

    select
        {% for column in key %}charges.{{ column }}, {% endfor %}
        case when billed_keys.has_tiers then charges.service_tier end as service_tier,
        charges.billing_currency,
        charges.consumed_tokens as tokens,
        charges.effective_cost,
        cast(null as varchar) as cost_gap
    from charges
    inner join billed_keys
        on {% for column in key %}charges.{{ column }} is not distinct from billed_keys.{{ column }}{{ ' and ' if not loop.last }}{% endfor %}

    union all by name

    select
        {% for column in key %}used.{{ column }}, {% endfor %}
        case when coalesce(billed_keys.has_tiers, true) then used.service_tier end as service_tier,
        case when billed_keys.has_one_currency then billed_keys.billing_currency end as billing_currency,
        used.tokens,
        cast(null as decimal(38, 12)) as effective_cost,
        case
            when billed_keys.billing_period is null then 'tokens_not_charged'
            when not billed_keys.has_one_currency then 'charged_in_several_currencies'
            else 'tier_not_charged'
        end as cost_gap
    from used
    left join billed_keys
        on {% for column in key %}used.{{ column }} is not distinct from billed_keys.{{ column }}{{ ' and ' if not loop.last }}{% endfor %}
    where used.tokens <> 0

),

summed as (

    select
        {{ grain | join(', ') }},
        cast(sum(tokens) as decimal(38, 0)) as tokens,
        cast(sum(effective_cost) as decimal(38, 12)) as effective_cost,
        min(cost_gap) as cost_gap
    from stacked
    group by {{ grain | join(', ') }}

),

ai_said as (

    select distinct model_id as model_said from summed

),

{{ ai_model_ctes() }},

final as (

    select
        summed.* exclude (cost_gap),
        coalesce(models.model_id, summed.model_id) as base_model_id,
        {{ exact_quotient('effective_cost', 'tokens * 0.000001') }} as cost_per_million_tokens,
        case
            when tokens is null and token_class is null then 'charge_is_for_no_token_class'
            when tokens is null then 'tokens_not_reported'
            when effective_cost is null then cost_gap
            when tokens = 0 then 'charge_counts_no_tokens'
        end as cost_reason
    from summed
    left join ai_models_known as models
        on summed.model_id = models.model_said

)

select * from final
