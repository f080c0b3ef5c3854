{{
    config(
        materialized='incremental',
        incremental_strategy='mart_periods',
        on_schema_change='fail',
    )
}}
-- Per provider and UTC day: usage at list prices (captured) beside the provider's own bill (billed). The difference is named, charge by
-- charge class, and the names add up to it. Both sides are stacked and summed, so neither can fan out. Nothing of it enters the bill.
{%- set key = ['billing_period', 'charge_date', 'provider_name', 'billing_currency'] %}

with

charges as (

    select * from {{ ref('focus__cost_and_usage') }}
    {%- if is_incremental() %}
    where {{ in_changed_periods('x_BillingPeriod') }}
    {%- endif %}

),

used as (

    select * from {{ ref('fct_token_usage') }}
    where
        is_counted
        and not ({{ counts_requests_only() }})
        -- what units bought by the hour served explains no charge by the token
        and not (service_tier = 'provisioned' and list_cost_usd is null)
        {%- if is_incremental() %}
        and {{ in_changed_periods() }}
        {%- endif %}

),

issuers as (

    select
        provider_name,
        bills_models_only
    from {{ ref('llm_price_providers') }}
    where bills_models_only or provider_name in (select provider_name from used)

),

-- prices of longer prompts: where the report doesn't say how long they were, some may have been priced too low
longer as (

    select distinct
        provider_name,
        model_id
    from {{ ref('int_price_book') }}
    where context_from_tokens > 0

),

stacked as (

    select
        charges.x_BillingPeriod as billing_period,
        {{ utc_date('charges.ChargePeriodStart') }} as charge_date,
        charges.InvoiceIssuerName as provider_name,
        charges.BillingCurrency as billing_currency,
        charges.ChargeCategory as charge_category,
        case when charges.x_TokenClass is not null then charges.x_ModelId end as model_id,
        coalesce({{ llm_text_class('charges.x_TokenClass') }}, {{ metric_of_meter('charges.x_LineItemType') }}) as metric,
        case when charges.BillingCurrency = 'USD' then charges.BilledCost end as billed_cost_usd,
        charges.BilledCost as billed_cost,
        1 as billed_rows,
        0 as used_rows,
        charges.BilledCost = round(charges.BilledCost, 2) as is_in_cents,
        case when charges.x_QuantitySource = 'provider' then charges.ConsumedQuantity end as counted_by_bill,
        {{ price_tier('charges.x_ServiceTier', 'false') }} as billed_tier
    from charges
    inner join issuers on charges.InvoiceIssuerName = issuers.provider_name
    where issuers.bills_models_only or charges.x_ModelId is not null or charges.x_ModelReason is not null

    union all by name

    select
        used.billing_period,
        used.charge_date,
        used.provider_name,
        'USD' as billing_currency,
        'Usage' as charge_category,
        case when used.unit = 'Tokens' then used.model_id end as model_id,
        -- a bill may name audio and images apart, or not
        {{ llm_text_class('used.token_class') }} as metric,
        0 as billed_rows,
        1 as used_rows,
        used.list_cost_usd as captured_cost_usd,
        coalesce(used.held_list_cost_usd, used.list_cost_usd) as captured_at_held_usd,
        used.held_list_cost_usd is not null as is_held,
        used.list_cost_usd is null as is_unpriced,
        used.quantity as captured_quantity,
        used.service_tier as used_tier,
        used.context_tier is null as context_unknown,
        longer.model_id is not null as has_longer_prices
    from used
    left join longer
        on used.provider_name = longer.provider_name
        and used.model_id = longer.model_id

),

{{ said_alike_ctes('stacked', key + ['charge_category', 'model_id', 'metric']) }},

compared as (

    {{ sums_of_both_sides('said_alike', key + ['charge_category', 'model_id', 'metric']) }}

),

named as (

    select
        *,
        {{ residual_cause() }} as cause
    from compared

),

final as (

    select
        {{ key | join(', ') }},
        cast(sum(billed_cost) as decimal(38, 12)) as billed_cost,
        case when billing_currency = 'USD' then cast(sum(billed_cost_usd) as decimal(38, 12)) end as billed_cost_usd,
        cast(sum(captured_cost_usd) as decimal(38, 12)) as captured_cost_usd,
        case when billing_currency = 'USD' then cast(sum(residual_usd) as decimal(38, 12)) end as residual_usd,
        case
            when billing_currency = 'USD' then {{ exact_quotient('sum(captured_cost_usd)', 'sum(billed_cost_usd)') }}
        end as capture_rate,
        {% for cause in residual_causes() if cause != 'other_currency' -%}
        cast(coalesce(sum(residual_usd) filter (where cause = '{{ cause }}'), 0) as decimal(38, 12)) as residual_{{ cause }}_usd,
        {% endfor -%}
        cast(sum(unpriced_quantity) as decimal(38, 0)) as unpriced_quantity,
        case
            when billing_currency <> 'USD' then 'billed_in_another_currency'
            when sum(billed_rows) = 0 then 'nothing_billed'
            when sum(billed_cost_usd) = 0 then 'billed_nothing'
        end as capture_reason
    from named
    group by {{ key | join(', ') }}

)

select * from final
