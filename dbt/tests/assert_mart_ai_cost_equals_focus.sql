-- fct_ai_cost_daily holds every FOCUS row in AI scope once, fct_node_cost_daily every row of a machine: to the last decimal and row, per
-- source, month and currency; tokens and accelerator hours too. Stale or missing slices show as well.
{%- set marts = {
    'fct_ai_cost_daily': ('x_AiUsageKind is not null or x_AiReason is not null', {
        'billed_cost': 'BilledCost', 'effective_cost': 'EffectiveCost', 'list_cost': 'ListCost', 'accelerator_hours': 'x_AcceleratorHours',
        'provisioned_unit_hours': 'x_ProvisionedUnitHours', 'tokens': 'x_Tokens'
    }),
    'fct_node_cost_daily': ('x_NodeId is not null', {
        'billed_cost': 'BilledCost', 'effective_cost': 'EffectiveCost', 'list_cost': 'ListCost', 'accelerator_hours': 'x_AcceleratorHours'
    }),
} %}
{%- for mart, (scope, sums) in marts.items() %}
select
    '{{ mart }}' as mart,
    source_id,
    billing_period,
    billing_currency,
    focus.effective_cost,
    mart.effective_cost as mart_effective_cost
from (
    select
        x_SourceId as source_id,
        x_BillingPeriod as billing_period,
        BillingCurrency as billing_currency,
        {% for name, column in sums.items() %}sum({{ column }}) as {{ name }}, {% endfor %}
        count(*) as line_count
    from {{ ref('focus__cost_and_usage') }}
    where {{ scope }}
    group by all
) as focus
full join (
    select
        source_id,
        billing_period,
        billing_currency,
        {% for name in sums %}sum({{ name }}) as {{ name }}, {% endfor %}
        sum(line_count) as line_count
    from {{ ref(mart) }}
    group by all
) as mart using (source_id, billing_period, billing_currency)
where
    focus.line_count is distinct from mart.line_count
    {%- for name in sums %}
    or focus.{{ name }} is distinct from mart.{{ name }}
    {%- endfor %}
{{ 'union all' if not loop.last }}
{%- endfor %}
