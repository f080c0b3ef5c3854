-- fct_cost_daily carries FOCUS to the last decimal and row, per source, month and currency; stale or missing slices show too.
{%- set costs = ['billed_cost', 'effective_cost', 'list_cost', 'contracted_cost'] %}
with

focus as (

    select
        x_SourceId as source_id,
        x_BillingPeriod as billing_period,
        BillingCurrency as billing_currency,
        sum(BilledCost) as billed_cost,
        sum(EffectiveCost) as effective_cost,
        sum(ListCost) as list_cost,
        sum(ContractedCost) as contracted_cost,
        count(*) as line_count
    from {{ ref('focus__cost_and_usage') }}
    group by all

),

mart as (

    select
        source_id,
        billing_period,
        billing_currency,
        {% for cost in costs %}sum({{ cost }}) as {{ cost }}, {% endfor %}
        sum(line_count) as line_count
    from {{ ref('fct_cost_daily') }}
    group by all

)

select
    *
from focus
full join mart using (source_id, billing_period, billing_currency)
where
    focus.line_count is distinct from mart.line_count
    {%- for cost in costs %}
    or focus.{{ cost }} is distinct from mart.{{ cost }}
    {%- endfor %}
