{# A relation of AWS bill lines (stg_aws_cur__lines, stg_aws_cur2__lines) -> FOCUS 1.4 rows of the contract.
   Mapping table: docs of stg_aws_cur__focus. Split: rows (aws_charges), money (aws_pricing), names (aws_names), here. #}
{% macro aws_focus(lines) %}
    with

    {{ aws_charge_ctes(lines) }},
    {{ aws_pricing_ctes() }},

    metered as (
        select
            charged.*,
            -- on the Marketplace only the product names the model
            case when is_bedrock and bill_billing_entity = 'AWS Marketplace' then product_name || ': ' else '' end
            || {{ aws_usage_type_without_region('line_item_usage_type') }} as sku_meter,
            coalesce(product_sku, nullif(split_part(pricing_rate_code, '.', 1), ''),
                coalesce(line_item_product_code, 'unknown') || ':' || coalesce(line_item_usage_type, line_item_line_item_type))
                as sku,
            case
                when is_bedrock and line_item_line_item_description ilike '%million%token%' then '1m tokens'
                when is_bedrock and line_item_line_item_description ilike '%thousand%token%' then '1k tokens'
                else lower(pricing_unit)
            end as unit_key,
            case
                when kind in ('sp_used', 'sp_fee', 'sp_unused', 'sp_upfront') then coalesce(
                    savings_plan_savings_plan_a_r_n, 'savings-plan/unidentified/' || bill_payer_account_id)
                when kind in ('ri_used', 'ri_fee', 'ri_unused', 'ri_upfront') then coalesce(
                    reservation_reservation_a_r_n, 'reservation/unidentified/' || bill_payer_account_id)
            end as commitment_id,
            case
                when line_item_usage_end_date <= line_item_usage_start_date then null
                when kind in ('usage', 'sp_used', 'ri_used') then line_item_usage_end_date
                -- fee rows end one second before the period does: FOCUS ends are exclusive
                when extract(second from line_item_usage_end_date) = 59 then line_item_usage_end_date + interval 1 second
                else line_item_usage_end_date
            end as charge_end
        from charged
    ),

    named as (
        select
            metered.*,
            case
                when kind in ('sp_unused', 'sp_fee', 'sp_upfront', 'ri_unused', 'ri_fee', 'ri_upfront') then commitment_id
                else line_item_resource_id
            end as resource,
            case
                when starts_with(pricing_rate_code, sku || '.') then pricing_rate_code
                else sku || '.' || coalesce(pricing_rate_code, pricing_rate_id, pricing_term, 'OnDemand')
            end as sku_price,
            nullif(region_code, 'global') as region,
            coalesce(by_code.service_name, by_name.service_name, product_name, line_item_product_code, 'AWS') as service,
            coalesce(by_code.service_category, by_name.service_category, 'Other') as category,
            coalesce(by_code.service_subcategory, by_name.service_subcategory, 'Other (Other)') as subcategory,
            coalesce(known_unit.pricing_unit, 'Units') as unit_of_price,
            coalesce(known_unit.consumed_unit, 'Units') as unit_of_use,
            coalesce(known_unit.consumed_factor, 1) as unit_factor,
            known_unit.pricing_unit is null and metered.unit_key is not null as unit_is_unknown
        from metered
        left join {{ ref('aws_services') }} as by_code
            on by_code.service_key = case when is_bedrock then 'AmazonBedrock' else metered.line_item_product_code end
        left join {{ ref('aws_services') }} as by_name
            on by_name.service_key = case when by_code.service_key is null then metered.product_name end
        left join {{ ref('aws_units') }} as known_unit on known_unit.unit_key = metered.unit_key
    ),

    {{ aws_focus_mapped_cte() }}

    {{ focus_select('mapped', absent=[
        'AllocatedMethodDetails', 'AllocatedMethodId', 'AllocatedResourceId', 'AllocatedResourceName', 'AllocatedTags',
        'CommitmentDiscountName', 'CommitmentProgramEligibilityDetails', 'ContractApplied', 'InvoiceDetailId',
        'x_ModelId', 'x_ModelReason', 'x_ProjectId', 'x_ServiceTier', 'x_TokenClass'
    ]) }}
{% endmacro %}
