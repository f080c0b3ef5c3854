-- The lines under the names of FOCUS 1.4, one row each; where each column comes from stands in _focus_files.yml.
with

mapped as (
    select
        case when json_valid(AllocatedMethodDetails) then AllocatedMethodDetails end as AllocatedMethodDetails,
        AllocatedMethodId,
        AllocatedResourceId,
        case when AllocatedResourceId is not null then coalesce(AllocatedResourceName, AllocatedResourceId) end as AllocatedResourceName,
        {{ focus_in_flat_object(focus_in_object_text('AllocatedTags')) }} as AllocatedTags,
        AvailabilityZone,
        billed_cost as BilledCost,
        coalesce(BillingAccountId, _account_id, _source_id) as BillingAccountId,
        coalesce(BillingAccountName, _account_name, BillingAccountId, _account_id, _source_id) as BillingAccountName,
        coalesce(BillingAccountType, {{ focus_in_account_type('issuer', 'Payer', 'Billing Account', 'Billing Account', 'Billing Account') }})
            as BillingAccountType,
        BillingCurrency,
        period_end as BillingPeriodEnd,
        period_start as BillingPeriodStart,
        CapacityReservationId,
        case
            when CapacityReservationId is not null and charge_category = 'Usage'
                then coalesce({{ focus_in_word('CapacityReservationStatus', {'used': 'Used', 'unused': 'Unused'}) }}, 'Used')
        end as CapacityReservationStatus,
        charge_category as ChargeCategory,
        charge_class as ChargeClass,
        coalesce(ChargeDescription, concat_ws(' ', ServiceName, SkuMeter, charge_category)) as ChargeDescription,
        {{ focus_in_frequency_of_line() }} as ChargeFrequency,
        charge_end as ChargePeriodEnd,
        ChargePeriodStart,
        commitment_category as CommitmentDiscountCategory,
        CommitmentDiscountId,
        case when CommitmentDiscountId is not null then CommitmentDiscountName end as CommitmentDiscountName,
        {{ focus_in_commitment_quantity() }} as CommitmentDiscountQuantity,
        commitment_status as CommitmentDiscountStatus,
        case
            when CommitmentDiscountId is not null
                then coalesce(CommitmentDiscountType, case commitment_category when 'Spend' then 'Savings Plan' else 'Reservation' end)
        end as CommitmentDiscountType,
        {{ focus_in_commitment_unit() }} as CommitmentDiscountUnit,
        case when json_valid(CommitmentProgramEligibilityDetails) then CommitmentProgramEligibilityDetails end
            as CommitmentProgramEligibilityDetails,
        {{ focus_in_consumed_quantity() }} as ConsumedQuantity,
        case
            when charge_category = 'Usage' and commitment_status is distinct from 'Unused'
                then coalesce(known_consumed_unit, case when ConsumedUnit is null then known_pricing_unit end, 'Units')
        end as ConsumedUnit,
        case when json_valid(ContractApplied) then ContractApplied end as ContractApplied,
        contracted_cost as ContractedCost,
        contracted_price as ContractedUnitPrice,
        effective_cost as EffectiveCost,
        coalesce({{ focus_in_provider('HostProviderName') }}, provider) as HostProviderName,
        InvoiceDetailId,
        InvoiceId,
        issuer as InvoiceIssuerName,
        list_cost as ListCost,
        list_price as ListUnitPrice,
        {{ focus_in_pricing_category_of_line() }} as PricingCategory,
        case when has_pricing_currency then PricingCurrency else BillingCurrency end as PricingCurrency,
        case when has_pricing_currency and is_priced then PricingCurrencyContractedUnitPrice else contracted_price end
            as PricingCurrencyContractedUnitPrice,
        case when has_pricing_currency then PricingCurrencyEffectiveCost else effective_cost end as PricingCurrencyEffectiveCost,
        case when has_pricing_currency and is_priced then PricingCurrencyListUnitPrice else list_price end
            as PricingCurrencyListUnitPrice,
        quantity as PricingQuantity,
        case
            when is_priced then coalesce(known_pricing_unit, case when PricingUnit is null then known_consumed_unit end, 'Units')
        end as PricingUnit,
        coalesce({{ focus_in_region('RegionId') }}, {{ focus_in_region('RegionName') }}) as RegionId,
        case
            when coalesce({{ focus_in_region('RegionId') }}, {{ focus_in_region('RegionName') }}) is not null
                then coalesce({{ focus_in_region('RegionName') }}, RegionId)
        end as RegionName,
        resource as ResourceId,
        case
            when resource is distinct from ResourceId then nullif(CommitmentDiscountName, resource)
            when ResourceId is not null then nullif(ResourceName, ResourceId)
        end as ResourceName,
        case
            when resource is null then null
            when resource is distinct from ResourceId then coalesce(CommitmentDiscountType, 'Commitment Discount')
            else coalesce(ResourceType, {{ focus_in_resource_type('ResourceId') }})
        end as ResourceType,
        category as ServiceCategory,
        coalesce(ServiceName, x_ServiceCode, provider) as ServiceName,
        provider as ServiceProviderName,
        {{ focus_in_subcategory() }} as ServiceSubcategory,
        case when is_priced then sku when charge_category <> 'Tax' then SkuId end as SkuId,
        case when is_priced or (charge_category <> 'Tax' and SkuId is not null) then coalesce(SkuMeter, ChargeDescription, charge_category) end as SkuMeter,
        price_details as SkuPriceDetails,
        case when is_priced then coalesce(SkuPriceId, sku) end as SkuPriceId,
        SubAccountId,
        case when SubAccountId is not null then coalesce(SubAccountName, SubAccountId) end as SubAccountName,
        case
            when SubAccountId is not null
                then coalesce(SubAccountType, {{ focus_in_account_type('issuer', 'Account', 'Subscription', 'Project', 'Sub Account') }})
        end as SubAccountType,
        flat_tags as Tags,
        _billing_period as x_BillingPeriod,
        _delivery_id as x_DeliveryId,
        {{ focus_in_instance_type() }} as x_InstanceType,
        InvoiceIssuerName as x_InvoicingEntity,
        coalesce(ChargeSubcategory, ChargeCategory, charge_category) as x_LineItemType,
        case when category = 'AI and Machine Learning' then 'service_bills_no_model' end as x_ModelReason,
        {{ focus_in_node_id('resource') }} as x_NodeId,
        _object_key as x_ObjectKey,
        x_Operation,
        {{ focus_in_owner('flat_tags') }} as x_Owner,
        case
            when {{ focus_in_owner('flat_tags') }} is not null then null
            when charge_category <> 'Usage' then 'not_a_usage_charge'
            when flat_tags is null then 'untagged'
            else 'no_owner_tag'
        end as x_OwnerReason,
        case
            when quantity_source is null then null
            when known_pricing_unit is null and PricingUnit is not null then quantity_source || '_unit_unknown'
            else quantity_source
        end as x_QuantitySource,
        _row_number as x_RowNumber,
        _source_id as x_SourceId,
        coalesce(x_UsageType, SkuMeter) as x_UsageType
    from {{ ref('stg_focus_files__lines') }}
)

{{ focus_select('mapped', absent=['x_ModelId', 'x_ProjectId', 'x_ServiceTier', 'x_TokenClass']) }}
