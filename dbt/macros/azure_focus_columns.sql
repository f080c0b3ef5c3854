{# CTE `mapped`: the FOCUS columns by their names, out of CTE `named` of azure_focus. #}
{% macro azure_focus_mapped_cte() %}
    resourced as (
        select
            *,
            case
                when kind in ('unused', 'trade') then commitment_id
                else nullif(resource, '')
            end as charged_resource,
            case
                when info_vmcapacityreservationid is not null then lower(info_vmcapacityreservationid)
                when provider_type = 'microsoft.compute/capacityreservationgroups/capacityreservations' then resource
            end as capacity_reservation,
            date < {{ utc_month_start('_billing_period') }} as is_correction
        from named
    ),

    mapped as (
        select
            availability_zone as AvailabilityZone,
            billed_cost as BilledCost,
            coalesce(billing_profile_id, billing_account_id, _account_id, subscription_id, _source_id) as BillingAccountId,
            case
                when billing_profile_id is not null then coalesce(billing_profile_name, _account_name, billing_profile_id)
                when billing_account_id is not null then coalesce(billing_account_name, _account_name, billing_account_id)
                else coalesce(_account_name, _account_id, subscription_name, subscription_id, _source_id)
            end as BillingAccountName,
            case
                when billing_profile_id <> coalesce(billing_account_id, '') then 'Billing Profile'
                when coalesce(billing_profile_id, billing_account_id, _account_id) is not null then 'Billing Account'
                else 'Subscription'
            end as BillingAccountType,
            billing_currency as BillingCurrency,
            {{ utc_month_start('_billing_period', 1) }} as BillingPeriodEnd,
            {{ utc_month_start('_billing_period') }} as BillingPeriodStart,
            case when is_usage then capacity_reservation end as CapacityReservationId,
            case
                when capacity_reservation is null or not is_usage then null
                when capacity_reservation = resource then 'Unused'
                else 'Used'
            end as CapacityReservationStatus,
            case
                when is_usage then 'Usage'
                when is_purchase then 'Purchase'
                when kind = 'tax' then 'Tax'
                when kind = 'credit' then 'Credit'
                else 'Adjustment'
            end as ChargeCategory,
            case when is_correction then 'Correction' end as ChargeClass,
            coalesce(product_name, nullif(concat_ws(' - ', meter_category, meter_sub_category, meter_name), ''), charge_type, 'Usage')
                as ChargeDescription,
            case
                when is_usage then 'Usage-Based'
                when lower(frequency) = 'recurring' then 'Recurring'
                else 'One-Time'
            end as ChargeFrequency,
            date + interval 1 day as ChargePeriodEnd,
            date as ChargePeriodStart,
            case when commitment_id is null then null when commitment_type = 'Reservation' then 'Usage' else 'Spend' end
                as CommitmentDiscountCategory,
            commitment_id as CommitmentDiscountId,
            case when commitment_id is not null then coalesce(benefit_name, reservation_name) end as CommitmentDiscountName,
            case
                when commitment_id is null or is_correction then null
                when commitment_type = 'Reservation' then pricing_quantity
                else cost
            end as CommitmentDiscountQuantity,
            case kind when 'used' then 'Used' when 'unused' then 'Unused' end as CommitmentDiscountStatus,
            case when commitment_id is not null then commitment_type end as CommitmentDiscountType,
            case
                when commitment_id is null or is_correction then null
                when commitment_type = 'Reservation' then {{ azure_pricing_unit() }}
                else billing_currency
            end as CommitmentDiscountUnit,
            consumed_quantity as ConsumedQuantity,
            case when consumed_quantity is not null then unit end as ConsumedUnit,
            contracted_cost as ContractedCost,
            contracted_price as ContractedUnitPrice,
            effective_cost as EffectiveCost,
            case
                when not (is_usage or is_purchase) then null
                when not coalesce(is_marketplace, false) or starts_with(provider_type, 'microsoft.') then 'Microsoft'
            end as HostProviderName,
            invoice_id as InvoiceId,
            coalesce(partner_name, 'Microsoft') as InvoiceIssuerName,
            case
                when list_price is null then billed_cost
                else {{ exact_product('list_price', 'pricing_quantity', 'contracted_cost') }}
            end as ListCost,
            list_price as ListUnitPrice,
            case
                when unit_quantity is null then null
                when kind in ('used', 'unused') then 'Committed'
                when pricing_model ilike 'spot' then 'Dynamic'
                else 'Standard'
            end as PricingCategory,
            {{ azure_pricing_currency() }} as PricingCurrency,
            {{ azure_in_pricing_currency('contracted_price') }} as PricingCurrencyContractedUnitPrice,
            case
                when not {{ azure_has_own_pricing_currency() }} then effective_cost
                when kind = 'trade' then cast(0 as decimal(38, 12))
                else coalesce(cost_in_pricing_currency, {{ exact_quotient('effective_cost', 'exchange_rate') }})
            end as PricingCurrencyEffectiveCost,
            {{ azure_in_pricing_currency('list_price') }} as PricingCurrencyListUnitPrice,
            pricing_quantity as PricingQuantity,
            {{ azure_pricing_unit() }} as PricingUnit,
            region as RegionId,
            case when region is not null then coalesce(region_name, resource_location, location, region) end as RegionName,
            charged_resource as ResourceId,
            case
                when charged_resource is null then null
                when kind in ('unused', 'trade') then nullif(coalesce(benefit_name, reservation_name), charged_resource)
                when lower(coalesce(resource_name, '')) = charged_resource then null
                else coalesce(resource_name, case when path[3] is not null then path[-1] end)
            end as ResourceName,
            case
                when charged_resource is null then null
                when kind in ('unused', 'trade') and commitment_type = 'Reservation' then 'microsoft.capacity/reservationorders/reservations'
                when kind in ('unused', 'trade') then 'microsoft.billingbenefits/savingsplanorders/savingsplans'
                else coalesce(provider_type, lower(resource_type), lower(consumed_service), 'azure/resource')
            end as ResourceType,
            category as ServiceCategory,
            service as ServiceName,
            case when is_marketplace then coalesce(publisher_name, 'Microsoft') else 'Microsoft' end as ServiceProviderName,
            subcategory as ServiceSubcategory,
            case when unit_quantity is not null then sku end as SkuId,
            case when unit_quantity is not null then coalesce(meter_name, product_name, plan_name, meter_category, charge_type, 'Usage') end
                as SkuMeter,
            case when unit_quantity is not null then {{ azure_sku_price_details() }} end as SkuPriceDetails,
            case when unit_quantity is not null then
                concat_ws('_', sku, coalesce(part_number, product_id), lower(replace(pricing_model, ' ', '')), term, lower(info_servicetype))
            end as SkuPriceId,
            lower(subscription_id) as SubAccountId,
            case when subscription_id is not null then coalesce(subscription_name, lower(subscription_id)) end as SubAccountName,
            case when subscription_id is not null then 'Subscription' end as SubAccountType,
            tags_json as Tags,
            _billing_period as x_BillingPeriod,
            _delivery_id as x_DeliveryId,
            {{ azure_instance_type() }} as x_InstanceType,
            coalesce(partner_name, reseller_name, 'Microsoft') as x_InvoicingEntity,
            coalesce(charge_type, 'Usage') as x_LineItemType,
            case when subcategory = 'Generative AI' then 'service_bills_no_model' end as x_ModelReason,
            -- what Kubernetes calls the node: azure:///subscriptions/…; of a scale set the bill names the set, not the instance
            case
                when starts_with(provider_type, 'microsoft.compute/virtualmachine') and kind in ('usage', 'used') then resource
            end as x_NodeId,
            _object_key as x_ObjectKey,
            info_usagetype as x_Operation,
            owner_tag as x_Owner,
            case
                when owner_tag is not null then null
                when not is_usage then 'not_a_usage_charge'
                when tags_json is null then 'untagged'
                else 'no_owner_tag'
            end as x_OwnerReason,
            case
                when unit_quantity is null then null
                when unit_is_unknown then derivation || '_unit_unknown'
                else derivation
            end as x_QuantitySource,
            _row_number as x_RowNumber,
            _source_id as x_SourceId,
            nullif(concat_ws(' - ', meter_category, meter_sub_category), '') as x_UsageType
        from resourced
    )
{% endmacro %}

{% macro azure_pricing_unit() -%}
    case
        when unit_quantity is null then null
        when has_quantity and priced_block <> unit_block then cast(unit_block as varchar) || ' ' || unit
        else unit
    end
{%- endmacro %}

{# Prices in another currency than the bill's are known where the bill has a rate. #}
{% macro azure_has_own_pricing_currency() -%}
    coalesce(pricing_currency <> billing_currency and exchange_rate is not null, false)
{%- endmacro %}
{% macro azure_pricing_currency() -%}
    case when {{ azure_has_own_pricing_currency() }} then pricing_currency else billing_currency end
{%- endmacro %}
{% macro azure_in_pricing_currency(price) -%}
    case when {{ azure_has_own_pricing_currency() }} then {{ exact_quotient(price, 'exchange_rate') }} else {{ price }} end
{%- endmacro %}

{# The machine: of usage out of AdditionalInfo, of a reservation out of the order's name ("Reserved VM Instance, Standard_B1s, UK South"). #}
{% macro azure_instance_type() -%}
    coalesce(
        case when regexp_matches(info_servicetype, '^(Standard|Basic)_[A-Za-z0-9]') then info_servicetype end,
        nullif(regexp_extract(case when kind in ('trade', 'purchase', 'unused') then product_order_name end, '\b((?:Standard|Basic)_\w+)', 1), '')
    )
{%- endmacro %}

{% macro azure_sku_price_details() -%}
    {{ json_object_of([
        json_text_member('InstanceType', "nullif(regexp_extract(info_servicetype, '^(?:Standard|Basic)_.*'), '')"),
        "'\"CoreCount\":' || case when info_servicetype is not null then cast(try_cast(info_vcpus as integer) as varchar) end",
        json_text_member('x_HybridBenefit', 'info_ahb'),
        json_text_member('x_MeterSubCategory', 'meter_sub_category'),
        json_text_member('x_ServiceFamily', 'service_family'),
        json_text_member('x_Term', 'term'),
    ]) }}
{%- endmacro %}
