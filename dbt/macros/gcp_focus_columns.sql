{# CTE `mapped`: the FOCUS columns by their names, out of CTE `named` of gcp_focus. #}
{% macro gcp_focus_mapped_cte() %}
    mapped as (
        select
            coalesce(nullif(location_zone, ''), nullif(zone_in_region, '')) as AvailabilityZone,
            billed_cost as BilledCost,
            billing_account_id as BillingAccountId,
            coalesce(_account_name, billing_account_id) as BillingAccountName,
            'Billing Account' as BillingAccountType,
            currency as BillingCurrency,
            period_end as BillingPeriodEnd,
            period_start as BillingPeriodStart,
            case
                when kind in ('usage', 'covered', 'unused') then 'Usage'
                when kind in ('fee', 'subscription') then 'Purchase'
                when kind = 'tax' then 'Tax'
                when kind = 'credit' then 'Credit'
                else 'Adjustment'
            end as ChargeCategory,
            -- usage of a month that was invoiced already; a correction inside the open month is none
            case when usage_end <= period_start then 'Correction' end as ChargeClass,
            case kind
                when 'credit' then credit_name
                when 'unused' then 'Unused part of ' || commitment_id
                else coalesce(nullif(sku_description, ''), adjustment_info_description, cost_type)
            end as ChargeDescription,
            case when is_usage then 'Usage-Based' when is_purchase then 'Recurring' else 'One-Time' end as ChargeFrequency,
            -- a window that only leans over the edge of its month is cut there (UTC months, invoiced by Pacific ones)
            case when usage_end <= period_start then usage_end else least(usage_end, period_end) end as ChargePeriodEnd,
            case when usage_end <= period_start then usage_start_time else greatest(usage_start_time, period_start) end
                as ChargePeriodStart,
            case when commitment_id is not null then case commitment_kind when 'spend' then 'Spend' else 'Usage' end end
                as CommitmentDiscountCategory,
            commitment_id as CommitmentDiscountId,
            case when commitment_id is not null then case
                when commitment_kind = 'resource' and kind = 'unused' then line_quantity
                when commitment_kind = 'resource' then pricing_quantity
                when kind = 'fee' then gross_cost
                else effective_cost
            end end as CommitmentDiscountQuantity,
            case kind when 'covered' then 'Used' when 'unused' then 'Unused' end as CommitmentDiscountStatus,
            case when commitment_id is not null
                then case commitment_kind when 'spend' then 'Spend-based CUD' else 'Resource-based CUD' end end
                as CommitmentDiscountType,
            case when commitment_id is not null then case commitment_kind when 'spend' then currency else unit_of_price end end
                as CommitmentDiscountUnit,
            case
                when kind not in ('usage', 'covered') then null
                when part = 1 then consumed
                else cast(consumed * part as decimal(38, 12))
            end as ConsumedQuantity,
            case when kind in ('usage', 'covered') then unit_of_use end as ConsumedUnit,
            contracted_cost as ContractedCost,
            contracted_price as ContractedUnitPrice,
            effective_cost as EffectiveCost,
            'Google Cloud' as HostProviderName,
            'Google Cloud' as InvoiceIssuerName,
            list_cost as ListCost,
            list_price as ListUnitPrice,
            case
                when not is_priced then null
                when kind in ('covered', 'unused') then 'Committed'
                when regexp_matches(sku_description, '(?i)\b(spot|preemptible)\b') then 'Dynamic'
                -- priced by a commitment, but invoiced on its own: FOCUS' Committed would need a billed cost of 0
                when kind = 'usage' and consumption_model_description <> 'Default' then 'Other'
                else 'Standard'
            end as PricingCategory,
            currency as PricingCurrency,
            contracted_price as PricingCurrencyContractedUnitPrice,
            effective_cost as PricingCurrencyEffectiveCost,
            list_price as PricingCurrencyListUnitPrice,
            pricing_quantity as PricingQuantity,
            case when kind = 'unused' then currency when is_priced then unit_of_price end as PricingUnit,
            nullif(region, '') as RegionId,
            case when region <> '' then coalesce(known_region.region_name, region) end as RegionName,
            case when kind in ('fee', 'unused') then commitment_id else resource end as ResourceId,
            case when kind not in ('fee', 'unused') and resource_name <> resource then resource_name end as ResourceName,
            case when kind in ('fee', 'unused') then 'committed-use-discount' else {{ gcp_resource_type('resource') }} end as ResourceType,
            category as ServiceCategory,
            service as ServiceName,
            case
                when invoice_publisher_type = 'PARTNER' or transaction_type in ('THIRD_PARTY_AGENCY', 'THIRD_PARTY_RESELLER')
                    then coalesce(nullif(seller_name, ''), 'Google Cloud')
                else 'Google Cloud'
            end as ServiceProviderName,
            subcategory as ServiceSubcategory,
            case when is_priced then sku end as SkuId,
            case when is_priced then coalesce(nullif(sku_description, ''), sku) end as SkuMeter,
            case when is_priced then {{ gcp_sku_price_details() }} end as SkuPriceDetails,
            case when is_priced then {{ gcp_sku_price() }} end as SkuPriceId,
            project_id as SubAccountId,
            case when project_id is not null then coalesce(project_name, project_id) end as SubAccountName,
            case when project_id is not null then 'Project' end as SubAccountType,
            tags_json as Tags,
            _billing_period as x_BillingPeriod,
            _delivery_id as x_DeliveryId,
            machine_type as x_InstanceType,
            cost_type || charge_part as x_LineItemType,
            case when subcategory = 'Generative AI' then 'service_bills_no_model' end as x_ModelReason,
            {{ gcp_node_id() }} as x_NodeId,
            _object_key as x_ObjectKey,
            owner as x_Owner,
            case
                when owner is not null then null
                when not is_usage then 'not_a_usage_charge'
                when tags_json is null then 'untagged'
                else 'no_owner_tag'
            end as x_OwnerReason,
            case when unit_is_unknown then quantity_source || '_unit_unknown' else quantity_source end as x_QuantitySource,
            _row_number as x_RowNumber,
            _source_id as x_SourceId,
            sku_description as x_UsageType
        from named
        left join {{ ref('gcp_regions') }} as known_region on known_region.region_id = named.region
    )
{% endmacro %}
