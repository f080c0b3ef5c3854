-- Both unit economics marts carry the effective cost of every AI usage charge once, per month, provider and currency.
with

focus as (

    select
        x_BillingPeriod as billing_period,
        coalesce(aliases.provider_name, charges.ServiceProviderName) as provider_name,
        BillingCurrency as billing_currency,
        sum(EffectiveCost) as effective_cost
    from {{ ref('focus__cost_and_usage') }} as charges
    left join {{ ref('llm_provider_aliases') }} as aliases
        on charges.ServiceProviderName = aliases.alias
    where
        ChargeCategory = 'Usage'
        and (x_ModelId is not null or x_ModelReason is not null)
    group by all

),

{% for mart in ['fct_token_economics_daily', 'fct_model_economics_daily'] -%}
{{ mart }} as (

    select
        billing_period,
        provider_name,
        billing_currency,
        sum(effective_cost) as effective_cost
    from {{ ref(mart) }}
    where effective_cost is not null
    group by all

){{ ',' if not loop.last }}

{% endfor -%}
{% for mart in ['fct_token_economics_daily', 'fct_model_economics_daily'] %}
select
    '{{ mart }}' as mart,
    *
from focus
full join {{ mart }} using (billing_period, provider_name, billing_currency)
where focus.effective_cost is distinct from {{ mart }}.effective_cost
{{ 'union all' if not loop.last }}
{% endfor %}
