{# A bronze table of Azure cost details -> FOCUS 1.4 rows of the contract. Split: lines (azure_lines), units (azure_units), money
   (azure_pricing), the columns (azure_focus_columns), names here. Why so: docs/decisions/0016. #}
{% macro azure_focus(bronze, is_actual) %}
    with

    {{ azure_line_ctes(bronze, is_actual) }},

    {{ azure_pricing_ctes() }},

    keyed as (
        select
            *,
            string_split(provider_path, '/') as path,
            lower(replace(coalesce(nullif(resource_location_normalized, ''), resource_location, location, meter_region), ' ', ''))
                as region_key,
            case
                when kind in ('used', 'unused', 'trade') then {{ azure_commitment_id() }}
            end as commitment_id,
            case
                when benefit_id ilike '%/microsoft.billingbenefits/%' or pricing_model ilike 'savings%' then 'Savings Plan'
                else 'Reservation'
            end as commitment_type,
            coalesce(
                meter_id, product_id, part_number,
                nullif(concat_ws(':', coalesce(publisher_name, consumed_service), plan_name, meter_category, meter_name), ''),
                'unidentified'
            ) as sku,
            publisher_type ilike 'marketplace' as is_marketplace
        from charged
    ),

    typed as (
        select
            *,
            -- ns/type/subtype out of ns/type/name/subtype/name
            case when provider_path is not null then concat_ws('/', path[1], path[2], path[4], path[6]) end as provider_type
        from keyed
    ),

    named as (
        select
            typed.*,
            coalesce(
                by_meter.service_name, by_type.service_name,
                case when not by_provider.is_generic then by_provider.service_name end,
                by_category.service_name, by_provider.service_name,
                case when is_marketplace then coalesce(product_name, plan_name, publisher_name) end,
                meter_category, typed.service_name, consumed_service, product_name, 'Azure'
            ) as service,
            coalesce(
                by_meter.service_category, by_type.service_category,
                case when not by_provider.is_generic then by_provider.service_category end,
                by_category.service_category, by_provider.service_category, 'Other'
            ) as category,
            coalesce(
                by_meter.service_subcategory, by_type.service_subcategory,
                case when not by_provider.is_generic then by_provider.service_subcategory end,
                by_category.service_subcategory, by_provider.service_subcategory, 'Other (Other)'
            ) as subcategory,
            case when typed.region_key not in ('', 'global', 'unassigned', 'unknown', 'all', 'allregions', 'intercontinental', 'n/a')
                then coalesce(known_region.region_id, typed.region_key) end as region,
            known_region.region_name
        from typed
        left join {{ ref('azure_services') }} as by_meter
            on by_meter.service_key = 'meter:' || lower(typed.meter_category) || '/'
            -- "Azure OpenAI GPT5", "Azure OpenAI Media" and what comes next
            || case when typed.meter_sub_category ilike 'azure openai%' then 'azure openai' else lower(typed.meter_sub_category) end
        left join {{ ref('azure_services') }} as by_type
            on by_type.service_key = 'type:' || split_part(typed.provider_type, '/', 1) || '/' || split_part(typed.provider_type, '/', 2)
        left join {{ ref('azure_services') }} as by_provider
            on by_provider.service_key = 'provider:' || coalesce(nullif(lower(typed.consumed_service), ''), typed.path[1])
        left join {{ ref('azure_services') }} as by_category
            on by_category.service_key = 'category:' || lower(typed.meter_category)
        left join {{ ref('azure_regions') }} as known_region on known_region.region_key = typed.region_key
    ),

    {{ azure_focus_mapped_cte() }}

    {{ focus_select('mapped', absent=[
        'AllocatedMethodDetails', 'AllocatedMethodId', 'AllocatedResourceId', 'AllocatedResourceName', 'AllocatedTags',
        'CommitmentProgramEligibilityDetails', 'ContractApplied', 'InvoiceDetailId',
        'x_ModelId', 'x_ProjectId', 'x_ServiceTier', 'x_TokenClass'
    ]) }}
{% endmacro %}

{# A commitment by its benefit id in lower case; older exports give a reservation's order and id instead. The purchase names the order only. #}
{% macro azure_commitment_id() -%}
    coalesce(
        regexp_replace(lower(benefit_id), '/(reservations|savingsplans)/?$', ''),
        case
            when reservation_id is not null and product_order_id is not null and lower(reservation_id) <> lower(product_order_id)
                then '/providers/microsoft.capacity/reservationorders/' || lower(product_order_id) || '/reservations/' || lower(reservation_id)
            when coalesce(product_order_id, reservation_id) is not null
                then '/providers/microsoft.capacity/reservationorders/' || lower(coalesce(product_order_id, reservation_id))
        end,
        'commitment/unidentified/' || coalesce(billing_profile_id, billing_account_id, subscription_id, _source_id)
    )
{%- endmacro %}
