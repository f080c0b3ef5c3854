-- stg_oci_cost__lines -> FOCUS 1.4. Cost, quantity and price of a line include its overage (Oracle, "Cost report schema").
with

named as (

    select
        lines.*,
        coalesce(known_service.service_name, lines.product_service, 'Oracle Cloud') as service,
        coalesce(known_service.service_category, 'Other') as category,
        coalesce(known_service.service_subcategory, 'Other (Other)') as subcategory,
        coalesce(lines.unit, 'Units') as unit_of_use,
        coalesce(lines.unit_amount, 1) as unit_factor,
        coalesce(
            lines.cost_product_sku,
            coalesce(lines.product_service, 'unknown') || ':' || coalesce(lines.product_description, 'unknown')
        ) as sku,
        coalesce(lines.product_description, lines.cost_product_sku, lines.product_service, 'OCI usage') as meter,
        nullif(lines.product_region, '') as region,
        {{ utc_month_start('lines._billing_period') }} as period_start,
        {{ utc_month_start('lines._billing_period', 1) }} as period_end,
        {{ oci_instance_type('lines.product_description') }} as instance_type,
        {{ oci_owner_tag('lines.tags', var('owner_tags')) }} as owner_tag,
        nullif(cast(to_json(lines.tags) as varchar), '{}') as tags_json
    from {{ ref('stg_oci_cost__lines') }} as lines
    left join {{ ref('oci_services') }} as known_service
        on known_service.service_key = case
            when lines.product_description ilike '%generative ai%' then 'GENERATIVE_AI' else lines.service_key
        end

),

mapped as (

    select
        product_availability_domain as AvailabilityZone,
        cost as BilledCost,
        coalesce(cost_subscription_id, line_item_tenant_id) as BillingAccountId,
        coalesce(_account_name, cost_subscription_id, line_item_tenant_id) as BillingAccountName,
        case when cost_subscription_id is null then 'Tenancy' else 'Subscription' end as BillingAccountType,
        cost_currency_code as BillingCurrency,
        period_end as BillingPeriodEnd,
        period_start as BillingPeriodStart,
        'Usage' as ChargeCategory,
        case when corrects_closed_period then 'Correction' end as ChargeClass,
        meter as ChargeDescription,
        'Usage-Based' as ChargeFrequency,
        case
            when line_item_interval_usage_end <= line_item_interval_usage_start
                then line_item_interval_usage_start + interval 1 second
            else least(line_item_interval_usage_end, period_end)
        end as ChargePeriodEnd,
        line_item_interval_usage_start as ChargePeriodStart,
        billed_quantity * cast(unit_factor as decimal(12, 0)) as ConsumedQuantity,
        case when billed_quantity is not null then unit_of_use end as ConsumedUnit,
        {{ exact_product('price', 'pricing_quantity', 'cost') }} as ContractedCost,
        price as ContractedUnitPrice,
        cost as EffectiveCost,
        'Oracle' as HostProviderName,
        'Oracle' as InvoiceIssuerName,
        {{ exact_product('price', 'pricing_quantity', 'cost') }} as ListCost,
        price as ListUnitPrice,
        case when meter ilike '%preemptible%' then 'Dynamic' else 'Standard' end as PricingCategory,
        cost_currency_code as PricingCurrency,
        price as PricingCurrencyContractedUnitPrice,
        cost as PricingCurrencyEffectiveCost,
        price as PricingCurrencyListUnitPrice,
        pricing_quantity as PricingQuantity,
        case when unit_factor > 1 then cast(unit_factor as varchar) || ' ' else '' end || unit_of_use as PricingUnit,
        region as RegionId,
        coalesce(known_region.region_name, region) as RegionName,
        product_resource_id as ResourceId,
        case
            when product_resource_id like 'ocid1.%' then split_part(product_resource_id, '.', 2)
            when product_resource_id is not null then lower(coalesce(service_key, 'oci')) || ':resource'
        end as ResourceType,
        category as ServiceCategory,
        service as ServiceName,
        'Oracle' as ServiceProviderName,
        subcategory as ServiceSubcategory,
        sku as SkuId,
        meter as SkuMeter,
        {{ json_object_of([json_text_member('InstanceType', 'instance_type')]) }} as SkuPriceDetails,
        sku || case when is_overage then '.Overage' else '.Standard' end as SkuPriceId,
        coalesce(product_compartment_id, line_item_tenant_id) as SubAccountId,
        coalesce(product_compartment_name, product_compartment_id, line_item_tenant_id) as SubAccountName,
        case when coalesce(product_compartment_id, line_item_tenant_id) = line_item_tenant_id then 'Tenancy' else 'Compartment' end
            as SubAccountType,
        tags_json as Tags,
        _billing_period as x_BillingPeriod,
        _delivery_id as x_DeliveryId,
        instance_type as x_InstanceType,
        case when is_correction then 'Correction' when is_overage then 'Overage' else 'Usage' end as x_LineItemType,
        case when category = 'AI and Machine Learning' then 'service_bills_no_model' end as x_ModelReason,
        -- what Kubernetes calls the node: the instance's OCID
        case when product_resource_id like 'ocid1.instance.%' then product_resource_id end as x_NodeId,
        _object_key as x_ObjectKey,
        owner_tag as x_Owner,
        case when owner_tag is null then case when tags_json is null then 'untagged' else 'no_owner_tag' end end as x_OwnerReason,
        quantity_source || case when unit is null then '_unit_unknown' else '' end as x_QuantitySource,
        _row_number as x_RowNumber,
        _source_id as x_SourceId,
        cost_billing_unit_readable as x_UsageType
    from named
    left join {{ ref('oci_regions') }} as known_region on known_region.region_id = named.region

)

{{ focus_select('mapped', absent=[
    'AllocatedMethodDetails', 'AllocatedMethodId', 'AllocatedResourceId', 'AllocatedResourceName', 'AllocatedTags',
    'CapacityReservationId', 'CapacityReservationStatus', 'CommitmentDiscountCategory', 'CommitmentDiscountId',
    'CommitmentDiscountName', 'CommitmentDiscountQuantity', 'CommitmentDiscountStatus', 'CommitmentDiscountType',
    'CommitmentDiscountUnit', 'CommitmentProgramEligibilityDetails', 'ContractApplied', 'InvoiceDetailId', 'InvoiceId',
    'ResourceName', 'x_InvoicingEntity', 'x_ModelId', 'x_Operation', 'x_ProjectId', 'x_ServiceTier', 'x_TokenClass'
]) }}
