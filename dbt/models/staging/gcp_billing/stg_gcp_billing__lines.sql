-- bronze.gcp_billing -> one row per row of the export: credits summed by what they are, labels as text, money at 12 decimals.
select
    *,
    -- what the line costs once the price is lowered: the rest of its net cost is credits that are rows of their own
    net_cost - other_credit_cost as reduced_cost,
    greatest(-spend_credit - resource_credit, 0) as covered_cost,
    case when spend_credit <> 0 then 'spend' else 'resource' end as covered_by,
    case when is_fee then case when sku_description ilike '%dollar based%' then 'spend' else 'resource' end end as fee_kind
from (
    select
        *,
        cast({{ gcp_sum_of_other_credits('other_credits') }} as decimal(38, 12)) as other_credit_cost
    from (
        select
            _source_id, _billing_period, _delivery_id, _object_key, _row_number, _account_name,
            adjustment_info_description, billing_account_id, consumption_model_description, consumption_model_id, currency,
            invoice_publisher_type, location_zone, project_id, project_name, resource_global_name, resource_name, seller_name,
            service_description, service_id, sku_description, sku_id, subscription_instance_id, transaction_type,
            usage_end_time, usage_pricing_unit, usage_start_time, usage_unit,
            coalesce(cost_type, 'regular') as cost_type,
            -- some writers put the zone into the region
            regexp_replace(location_region, '-[a-z]$', '') as region,
            regexp_extract(location_region, '^[a-z]+-[a-z]+[0-9]+-[a-z]$') as zone_in_region,
            cast(cost + {{ gcp_sum_of_credits() }} as decimal(38, 12)) as net_cost,
            cast(cost as decimal(38, 12)) as gross_cost,
            cast(cost_at_list as decimal(38, 12)) as list_gross,
            cast(
                coalesce(cost_at_effective_price_default, cost) + {{ gcp_sum_of_credits("('DISCOUNT', 'RESELLER_MARGIN')") }}
                as decimal(38, 12)
            ) as contracted_gross,
            cast(usage_amount as decimal(38, 12)) as usage_amount,
            cast(usage_amount_in_pricing_units as decimal(38, 12)) as pricing_amount,
            price_tier_start_amount as tier_start,
            cast({{ gcp_sum_of_credits("('COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE')") }} as decimal(38, 12)) as spend_credit,
            cast({{ gcp_sum_of_credits("('COMMITTED_USAGE_DISCOUNT')") }} as decimal(38, 12)) as resource_credit,
            {{ gcp_sum_of_credits("('FEE_UTILIZATION_OFFSET')") }} <> 0 as has_offset,
            coalesce(cost_type, 'regular') = 'regular' and sku_description ilike 'commitment%' as is_fee,
            {{ gcp_other_credits() }} as other_credits,
            {{ gcp_value_of('system_labels', 'compute.googleapis.com/machine_spec') }} as machine_type,
            {{ gcp_value_of('system_labels', 'compute.googleapis.com/cores') }} as core_count,
            {{ gcp_tags_json() }} as tags_json,
            {{ gcp_owner() }} as owner
        from {{ source('bronze', 'gcp_billing') }}
    ) as typed
) as credited
