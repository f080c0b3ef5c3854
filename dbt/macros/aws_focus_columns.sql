{# CTE `mapped`: the FOCUS columns by their names, out of CTE `named` of aws_focus. #}
{% macro aws_focus_mapped_cte() %}
    mapped as (
        select
            line_item_availability_zone as AvailabilityZone,
            billed_cost as BilledCost,
            bill_payer_account_id as BillingAccountId,
            coalesce(bill_payer_account_name, _account_name, bill_payer_account_id) as BillingAccountName,
            'Payer' as BillingAccountType,
            line_item_currency_code as BillingCurrency,
            bill_billing_period_end_date as BillingPeriodEnd,
            bill_billing_period_start_date as BillingPeriodStart,
            {{ aws_capacity_reservation() }} as CapacityReservationId,
            case
                when {{ aws_capacity_reservation() }} is null or not is_usage then null
                when line_item_usage_type like '%UnusedBox%'
                    or line_item_usage_type like '%UnusedDed%'
                    or lower(capacity_reservation_capacity_reservation_status) = 'unused' then 'Unused'
                else 'Used'
            end as CapacityReservationStatus,
            case
                when is_usage then 'Usage'
                when is_purchase then 'Purchase'
                when kind = 'tax' then 'Tax'
                when kind = 'credit' then 'Credit'
                else 'Adjustment'
            end as ChargeCategory,
            case
                when bill_bill_type = 'Refund' or charge_end <= bill_billing_period_start_date then 'Correction'
            end as ChargeClass,
            case charge_part
                when ':Unused' then 'Unused part of ' || commitment_id
                when ':Residual' then 'What ' || line_item_line_item_type || ' lines leave after they cancel'
                else coalesce(
                    line_item_line_item_description,
                    concat_ws(' ', line_item_line_item_type, line_item_usage_type)
                )
            end as ChargeDescription,
            case
                when is_usage then 'Usage-Based'
                when kind in ('sp_fee', 'ri_fee') then 'Recurring'
                when kind = 'fee' and charge_end - line_item_usage_start_date >= interval 27 day then 'Recurring'
                else 'One-Time'
            end as ChargeFrequency,
            coalesce(charge_end, line_item_usage_start_date + interval 1 second, bill_billing_period_end_date)
                as ChargePeriodEnd,
            coalesce(line_item_usage_start_date, bill_billing_period_start_date) as ChargePeriodStart,
            case when starts_with(kind, 'sp_') then 'Spend' when starts_with(kind, 'ri_') then 'Usage' end
                as CommitmentDiscountCategory,
            commitment_id as CommitmentDiscountId,
            {{ aws_commitment_quantity() }} as CommitmentDiscountQuantity,
            case
                when kind in ('sp_used', 'ri_used') then 'Used'
                when kind in ('sp_unused', 'ri_unused') then 'Unused'
            end as CommitmentDiscountStatus,
            case
                when starts_with(kind, 'sp_') then coalesce(savings_plan_offering_type, 'Savings Plan')
                when starts_with(kind, 'ri_') then 'Reserved Instance'
            end as CommitmentDiscountType,
            case
                when starts_with(kind, 'sp_') then line_item_currency_code
                when starts_with(kind, 'ri_')
                    then case when line_item_normalized_usage_amount is null then 'Hours' else 'Normalized Hours' end
            end as CommitmentDiscountUnit,
            case
                when kind not in ('usage', 'sp_used', 'ri_used') then null
                when unit_factor = 1 then coalesce(usage_amount, quantity)
                else coalesce(usage_amount, quantity) * cast(unit_factor as decimal(12, 0))
            end as ConsumedQuantity,
            case when kind in ('usage', 'sp_used', 'ri_used') then unit_of_use end as ConsumedUnit,
            contracted_cost as ContractedCost,
            contracted_price as ContractedUnitPrice,
            effective_cost as EffectiveCost,
            'AWS' as HostProviderName,
            bill_invoice_id as InvoiceId,
            'AWS' as InvoiceIssuerName,
            case
                when list_price is null then billed_cost
                else {{ exact_product('list_price', 'pricing_quantity', 'contracted_cost') }}
            end as ListCost,
            list_price as ListUnitPrice,
            case
                when not (is_usage or is_purchase) then null
                when kind in ('sp_used', 'ri_used', 'sp_unused', 'ri_unused') then 'Committed'
                when line_item_usage_type like '%SpotUsage%' then 'Dynamic'
                else 'Standard'
            end as PricingCategory,
            line_item_currency_code as PricingCurrency,
            contracted_price as PricingCurrencyContractedUnitPrice,
            effective_cost as PricingCurrencyEffectiveCost,
            list_price as PricingCurrencyListUnitPrice,
            pricing_quantity as PricingQuantity,
            case
                -- the same rows as those without a quantity, said without it: the AI rules read this column alone
                when not (is_usage or is_purchase) then null
                when kind = 'sp_unused' then line_item_currency_code
                when kind in ('ri_fee', 'ri_unused') and pricing_unit is null then 'Hours'
                else unit_of_price
            end as PricingUnit,
            region as RegionId,
            case when region is not null then coalesce(known_region.region_name, region) end as RegionName,
            resource as ResourceId,
            case when resource is not null and name_tag <> resource then name_tag end as ResourceName,
            case
                when kind in ('sp_unused', 'sp_fee', 'sp_upfront') and resource is not null then 'savingsplans:savingsplan'
                when kind in ('ri_unused', 'ri_fee', 'ri_upfront') and resource is not null then 'reserved-instance'
                else {{ aws_resource_type('resource') }}
            end as ResourceType,
            category as ServiceCategory,
            service as ServiceName,
            case
                when bill_billing_entity = 'AWS Marketplace' and line_item_legal_entity not like 'Amazon%'
                    then line_item_legal_entity
                else 'AWS'
            end as ServiceProviderName,
            subcategory as ServiceSubcategory,
            case when is_usage or is_purchase then sku end as SkuId,
            case when is_usage or is_purchase then coalesce(sku_meter, line_item_line_item_type) end as SkuMeter,
            case when is_usage or is_purchase then {{ aws_sku_price_details() }} end as SkuPriceDetails,
            case when is_usage or is_purchase then sku_price end as SkuPriceId,
            line_item_usage_account_id as SubAccountId,
            case when line_item_usage_account_id is not null
                then coalesce(line_item_usage_account_name, line_item_usage_account_id) end as SubAccountName,
            case when line_item_usage_account_id is not null then 'Account' end as SubAccountType,
            tags_json as Tags,
            _billing_period as x_BillingPeriod,
            _delivery_id as x_DeliveryId,
            coalesce(
                product_instance_type,
                nullif(regexp_extract(line_item_usage_type, ':((?:ml\.|db\.|cache\.)?[a-z][a-z0-9-]*\.[a-z0-9-]+)$', 1), '')
            ) as x_InstanceType,
            coalesce(bill_invoicing_entity, line_item_legal_entity) as x_InvoicingEntity,
            line_item_line_item_type || charge_part as x_LineItemType,
            -- what Kubernetes calls the node: aws:///<zone>/<instance id>
            nullif(regexp_extract(line_item_resource_id, '(?:^|instance/)(i-[0-9a-f]{8,})$', 1), '') as x_NodeId,
            _object_key as x_ObjectKey,
            line_item_operation as x_Operation,
            owner_tag as x_Owner,
            case
                when owner_tag is not null then null
                when not is_usage then 'not_a_usage_charge'
                when tags_json is null then 'untagged'
                else 'no_owner_tag'
            end as x_OwnerReason,
            case
                when quantity is null then null
                when unit_is_unknown then derivation || '_unit_unknown'
                else derivation
            end as x_QuantitySource,
            _row_number as x_RowNumber,
            _source_id as x_SourceId,
            line_item_usage_type as x_UsageType
        from named
        left join {{ ref('aws_regions') }} as known_region on known_region.region_id = named.region
    )
{% endmacro %}

{# Savings Plans are measured in money, reservations in normalised hours (plain hours where the service has none). #}
{% macro aws_commitment_quantity() -%}
    cast(case
        when kind in ('sp_used', 'sp_unused') then effective_cost
        when kind in ('sp_fee', 'sp_upfront') then coalesce(savings_plan_total_commitment_to_date, bill_cost)
        when kind = 'ri_used' then coalesce(line_item_normalized_usage_amount, usage_amount)
        when kind in ('ri_fee', 'ri_upfront') then coalesce(
            case
                when line_item_normalized_usage_amount is null
                    then try_cast(reservation_total_reserved_units as decimal(38, 12))
                else try_cast(reservation_total_reserved_normalized_units as decimal(38, 12))
            end,
            line_item_normalized_usage_amount, quantity
        )
        when kind = 'ri_unused' then case
            when line_item_normalized_usage_amount is null then reservation_unused_quantity
            else coalesce(reservation_unused_normalized_unit_quantity, reservation_unused_quantity)
        end
    end as decimal(38, 12))
{%- endmacro %}

{# Reports without the capacity reservation columns (legacy ones) still name an idle reservation as the resource. #}
{% macro aws_capacity_reservation() -%}
    coalesce(
        capacity_reservation_capacity_reservation_arn,
        case when line_item_resource_id like 'arn:%:capacity-reservation/%' then line_item_resource_id end
    )
{%- endmacro %}
