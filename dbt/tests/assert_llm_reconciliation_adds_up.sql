-- The reconciliation holds every billed dollar of FOCUS and every list dollar of the ledger once, and its causes add up to the residual.
with

mart as (

    select
        billing_period,
        provider_name,
        sum(billed_cost) as billed_cost,
        sum(captured_cost_usd) as captured_cost_usd
    from {{ ref('fct_llm_reconciliation_daily') }}
    group by all

),

focus as (

    select
        charges.x_BillingPeriod as billing_period,
        charges.InvoiceIssuerName as provider_name,
        sum(charges.BilledCost) as billed_cost
    from {{ ref('focus__cost_and_usage') }} as charges
    inner join {{ ref('llm_price_providers') }} as names on charges.InvoiceIssuerName = names.provider_name
    where names.bills_models_only
    group by all

),

ledger as (

    select
        billing_period,
        provider_name,
        sum(list_cost_usd) as captured_cost_usd
    from {{ ref('fct_token_usage') }}
    where is_counted
    group by all

)

select
    'billed' as side,
    mart.provider_name,
    mart.billing_period
from mart
full join focus using (billing_period, provider_name)
where
    mart.billed_cost is distinct from focus.billed_cost
    and coalesce(focus.provider_name, mart.provider_name)
    in (select provider_name from {{ ref('llm_price_providers') }} where bills_models_only)

union all

select
    'captured',
    provider_name,
    billing_period
from mart
full join ledger using (billing_period, provider_name)
where coalesce(mart.captured_cost_usd, 0) <> coalesce(ledger.captured_cost_usd, 0)

union all

select
    'causes',
    provider_name,
    billing_period
from {{ ref('fct_llm_reconciliation_daily') }}
where
    residual_usd <> billed_cost_usd - captured_cost_usd
    or residual_usd <> 0 {% for cause in residual_causes() if cause != 'other_currency' %}+ residual_{{ cause }}_usd {% endfor %}
