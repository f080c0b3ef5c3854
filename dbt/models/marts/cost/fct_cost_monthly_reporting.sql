{{
    config(
        materialized='incremental',
        incremental_strategy='mart_periods',
        on_schema_change='fail',
    )
}}
-- Monthly cost in both currencies, with the rate between them. The reporting amounts are the sums of fct_cost_daily's
-- and may be added up over all rows: there is one reporting currency. The billed ones only within a billing_currency.
{%- set grain = ['billing_period', 'provider_name', 'service_category', 'billing_currency', 'reporting_currency'] %}

with

daily as (

    select * from {{ ref('fct_cost_daily') }}
    {%- if is_incremental() %}
    where {{ in_changed_periods() }}
    {%- endif %}

),

summed as (

    select
        {{ grain | join(', ') }},
        {%- for cost in converted_costs() %}
        cast(sum({{ cost }}) as decimal(38, 12)) as {{ cost }},
        cast(sum({{ cost }}_reporting) as decimal(38, 12)) as {{ cost }}_reporting,
        {%- endfor %}
        sum(line_count) as line_count
    from daily
    group by {{ grain | join(', ') }}

),

rates as (

    select * from {{ ref('int_exchange_rates') }}

),

final as (

    select
        {% for column in grain %}summed.{{ column }}, {% endfor %}
        rates.exchange_rate,
        rates.exchange_rate_date,
        rates.exchange_rate_origin,
        rates.exchange_rate_note,
        rates.exchange_rate_locked,
        case when rates.exchange_rate is null then 'no_rate_for_month' end as exchange_rate_reason,
        {%- for cost in converted_costs() %}
        summed.{{ cost }},
        summed.{{ cost }}_reporting,
        {%- endfor %}
        cast(summed.line_count as bigint) as line_count
    from summed
    left join rates
        on summed.billing_period = rates.billing_period
        and summed.billing_currency = rates.billing_currency

)

select * from final
