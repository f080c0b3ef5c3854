-- What the comparison says was paid is FOCUS: per month, provider and currency, to the last decimal; and only the used route was paid.
-- Each offer prices the same tokens: a route that is compared with fewer tokens would look cheap.
with

focus as (

    select
        x_BillingPeriod as billing_period,
        coalesce(aliases.provider_name, charges.ServiceProviderName) as provider_name,
        BillingCurrency as billing_currency,
        sum(EffectiveCost) as effective_cost,
        sum(ContractedCost) as contracted_cost
    from {{ ref('focus__cost_and_usage') }} as charges
    left join {{ ref('llm_provider_aliases') }} as aliases
        on charges.ServiceProviderName = aliases.alias
    where
        ChargeCategory = 'Usage'
        and (x_ModelId is not null or x_ModelReason is not null)
        and {{ llm_compared('x_ModelId', 'x_AiUsageKind') }}
    group by all

),

mart as (

    select
        billing_period,
        provider_name,
        billing_currency,
        sum(actual_cost) as effective_cost,
        sum(committed_cost) filter (where is_current) as contracted_cost
    from {{ ref('fct_provider_comparison') }}
    where actual_cost is not null
    group by all

)

select
    'cost' as law,
    billing_period,
    provider_name,
    billing_currency,
    focus.effective_cost as wanted,
    mart.effective_cost as found
from focus
full join mart using (billing_period, provider_name, billing_currency)
where
    focus.effective_cost is distinct from mart.effective_cost
    or focus.contracted_cost is distinct from mart.contracted_cost

union all

select
    'paid_elsewhere',
    billing_period,
    provider_name,
    billing_currency,
    0,
    actual_cost
from {{ ref('fct_provider_comparison') }}
where
    not is_current
    and actual_cost is not null

union all

select
    'same_mix',
    offered.billing_period,
    offered.provider_name,
    offered.billing_currency,
    used.tokens_total,
    offered.tokens_total
from {{ ref('fct_provider_comparison') }} as offered
left join {{ ref('fct_provider_comparison') }} as used
    on used.is_current
    and {{ same_keys(['billing_period', 'used_route_id', 'used_scope', 'provider_name', 'project_id', 'model_id', 'billing_currency'], 'offered', 'used') }}
where
    not offered.is_current
    and (
        offered.tokens_total is distinct from used.tokens_total
        {%- for class in llm_token_classes() %}
        or offered.{{ class }}_tokens is distinct from used.{{ class }}_tokens
        {%- endfor %}
    )
