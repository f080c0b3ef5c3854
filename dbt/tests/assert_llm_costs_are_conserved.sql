-- One FOCUS row per row of the LLM providers' bills, and the same money, per export, month and currency: no usage that is joined
-- fans a charge out, and Anthropic's cents are cents.
{# source -> [billed amount, currency] over a bronze row #}
{% set bills = {
    'anthropic_costs': ['amount_cents * cast(0.01 as decimal(3, 2))', 'upper(currency)'],
    'cursor_events': [
        "coalesce(charged_cents, case when regexp_matches(lower(kind), 'usage.?based|on.?demand') then total_cents end, 0)"
        ~ " * cast(0.01 as decimal(3, 2))",
        "'USD'"
    ],
    'databricks_usage': ['0', 'list_price_currency'],
    'deepseek_costs': ["case when lower(wallet_type) like '%grant%' then 0 else cost end", 'upper(currency)'],
    'fireworks_costs': ['total_cost', 'currency'],
    'github_billing': ['net_amount', "'USD'"],
    'mistral_usage': ['amount', 'currency'],
    'openai_costs': ['amount_value', 'upper(amount_currency)'],
    'openrouter_activity': ['usage', "'USD'"],
} %}
with

bronze as (

    select
        cast(null as varchar) as source_id,
        cast(null as varchar) as billing_period,
        cast(null as varchar) as currency,
        cast(null as bigint) as row_count,
        cast(null as decimal(38, 12)) as amount
    where false
    {% for table, bill in bills.items() if table in var('focus_sources') %}
    union all
    select
        _source_id,
        _billing_period,
        {{ bill[1] }},
        count(*),
        sum(cast({{ bill[0] }} as decimal(38, 12)))
    from {{ source('bronze', table) }}
    group by all
    {% endfor %}

),

focus as (

    select
        x_SourceId as source_id,
        x_BillingPeriod as billing_period,
        BillingCurrency as currency,
        count(*) as row_count,
        sum(BilledCost) as amount
    from {{ ref('focus__cost_and_usage') }}
    where x_SourceId in (select source_id from bronze)
    group by all

)

select
    *
from bronze
full join focus using (source_id, billing_period, currency)
where
    bronze.row_count is distinct from focus.row_count
    or bronze.amount is distinct from focus.amount
