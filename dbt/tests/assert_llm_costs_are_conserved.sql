-- One FOCUS row per cost row and the same money, per export, month and currency: the usage join fans nothing out,
-- drops nothing, and Anthropic's cents are cents.
with

bronze as (

    select
        _source_id as source_id,
        _billing_period as billing_period,
        upper(amount_currency) as currency,
        count(*) as row_count,
        sum(cast(amount_value as decimal(38, 12))) as amount
    from {{ source('bronze', 'openai_costs') }}
    group by all

    union all

    select
        _source_id,
        _billing_period,
        upper(currency),
        count(*),
        sum(cast(amount_cents * cast(0.01 as decimal(3, 2)) as decimal(38, 12)))
    from {{ source('bronze', 'anthropic_costs') }}
    group by all

),

focus as (

    {% for source in ['openai_costs', 'anthropic_costs'] %}
    select
        x_SourceId as source_id,
        x_BillingPeriod as billing_period,
        BillingCurrency as currency,
        count(*) as row_count,
        sum(BilledCost) as amount
    from {{ ref('stg_' ~ source ~ '__focus') }}
    group by all
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select
    *
from bronze
full join focus using (source_id, billing_period, currency)
where
    bronze.row_count is distinct from focus.row_count
    or bronze.amount is distinct from focus.amount
