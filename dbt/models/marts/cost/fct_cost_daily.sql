{{
    config(
        materialized='incremental',
        incremental_strategy='mart_slices',
        on_schema_change='fail',
    )
}}
-- FOCUS summed to days; the sums per (source_id, billing_period, billing_currency) are those of FOCUS, exactly. Beside
-- them each amount in the reporting currency, at its month's rate, each row rounded once to 12 decimals.

with

charges as (

    select
        charges.*,
        coalesce(aliases.provider_name, charges.ServiceProviderName) as provider_name
    from {{ ref('focus__cost_and_usage') }} as charges
    left join {{ ref('llm_provider_aliases') }} as aliases
        on charges.ServiceProviderName = aliases.alias
    {%- if is_incremental() %}
    where {{ in_changed_slices() }}
    {%- endif %}

),

summed as (

    select
        x_SourceId as source_id,
        x_BillingPeriod as billing_period,
        {{ utc_date('ChargePeriodStart') }} as charge_date,
        provider_name,
        BillingAccountId as billing_account_id,
        BillingAccountName as billing_account_name,
        SubAccountId as sub_account_id,
        SubAccountName as sub_account_name,
        ServiceCategory as service_category,
        ServiceSubcategory as service_subcategory,
        ServiceName as service_name,
        RegionId as region_id,
        x_ModelId as model_id,
        x_Owner as owner,
        x_OwnerReason as owner_reason,
        ChargeCategory as charge_category,
        PricingCategory as pricing_category,
        CommitmentDiscountStatus as commitment_discount_status,
        BillingCurrency as billing_currency,
        cast(sum(BilledCost) as decimal(38, 12)) as billed_cost,
        cast(sum(EffectiveCost) as decimal(38, 12)) as effective_cost,
        cast(sum(ListCost) as decimal(38, 12)) as list_cost,
        cast(sum(ContractedCost) as decimal(38, 12)) as contracted_cost,
        count(*) as line_count
    from charges
    group by all

),

rates as (

    select * from {{ ref('int_exchange_rates') }}

),

final as (

    select
        summed.*,
        rates.reporting_currency,
        rates.exchange_rate,
        rates.exchange_rate_locked,
        case when rates.exchange_rate is null then 'no_rate_for_month' end as exchange_rate_reason,
        {%- for cost in converted_costs() %}
        {{ in_reporting_currency('summed.' ~ cost, 'rates.exchange_rate') }} as {{ cost }}_reporting{{ ',' if not loop.last }}
        {%- endfor %}
    from summed
    left join rates
        on summed.billing_period = rates.billing_period
        and summed.billing_currency = rates.billing_currency

)

select * from final
