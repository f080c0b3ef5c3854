{{
    config(
        materialized='incremental',
        incremental_strategy='mart_slices',
        on_schema_change='fail',
    )
}}
-- FOCUS summed to days; the sums per (source_id, billing_period, billing_currency) are those of FOCUS, exactly.

with

charges as (

    select * from {{ ref('focus__cost_and_usage') }}
    {%- if is_incremental() %}
    where {{ in_changed_slices() }}
    {%- endif %}

),

final as (

    select
        x_SourceId as source_id,
        x_BillingPeriod as billing_period,
        {{ utc_date('ChargePeriodStart') }} as charge_date,
        ServiceProviderName as provider_name,
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

)

select * from final
