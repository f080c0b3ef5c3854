{{
    config(
        materialized='incremental',
        incremental_strategy='mart_slices',
        on_schema_change='fail',
    )
}}
-- The AI inside every bill, by day, model, meter and machine: FOCUS rows in AI scope (a kind of usage, or the reason why none is known),
-- summed. What no rule explains stays, with ai_reason.

with

charges as (

    select
        charges.*,
        coalesce(aliases.provider_name, charges.ServiceProviderName) as provider_name
    from {{ ref('focus__cost_and_usage') }} as charges
    left join {{ ref('llm_provider_aliases') }} as aliases
        on charges.ServiceProviderName = aliases.alias
    where
        (x_AiUsageKind is not null or x_AiReason is not null)
        {%- if is_incremental() %}
        and {{ in_changed_slices() }}
        {%- endif %}

),

final as (

    select
        x_SourceId as source_id,
        x_BillingPeriod as billing_period,
        {{ utc_date('ChargePeriodStart') }} as charge_date,
        HostProviderName as host_provider_name,
        provider_name,
        ServiceName as service_name,
        SubAccountId as sub_account_id,
        SubAccountName as sub_account_name,
        x_Owner as owner,
        x_OwnerReason as owner_reason,
        x_AiUsageKind as usage_kind,
        x_AiReason as ai_reason,
        x_ModelDeveloper as model_developer,
        x_ModelFamily as model_family,
        x_ModelId as model_id,
        x_TokenClass as token_class,
        x_ServiceTier as service_tier,
        x_RegionScope as region_scope,
        x_AcceleratorType as accelerator_type,
        x_ProvisionedUnitType as provisioned_unit_type,
        PricingCategory as pricing_category,
        CommitmentDiscountStatus as commitment_discount_status,
        CapacityReservationStatus as capacity_reservation_status,
        ChargeCategory as charge_category,
        BillingCurrency as billing_currency,
        cast(sum(BilledCost) as decimal(38, 12)) as billed_cost,
        cast(sum(EffectiveCost) as decimal(38, 12)) as effective_cost,
        cast(sum(ListCost) as decimal(38, 12)) as list_cost,
        cast(sum(x_Tokens) as decimal(38, 12)) as tokens,
        cast(sum(x_AcceleratorHours) as decimal(38, 12)) as accelerator_hours,
        cast(sum(x_ProvisionedUnitHours) as decimal(38, 12)) as provisioned_unit_hours,
        count(*) as line_count
    from charges
    group by all

)

select * from final
