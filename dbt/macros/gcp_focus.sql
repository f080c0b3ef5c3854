{# stg_gcp_billing__lines -> FOCUS 1.4 rows of the contract. Split: rows (gcp_charges), money (gcp_pricing), names and units (gcp_names),
   lists inside a row (gcp_lists), columns here. #}
{% macro gcp_focus(lines) %}
    with

    {{ gcp_charge_ctes(lines) }},

    {{ gcp_pricing_ctes() }},

    named as (
        select
            *,
            coalesce(nullif(sku_id, ''), nullif(concat_ws(':', nullif(service_id, ''), nullif(sku_description, '')), ''), 'unknown') as sku,
            {{ gcp_month_start('_billing_period') }} as period_start,
            {{ gcp_month_start('_billing_period', 1) }} as period_end,
            greatest(usage_end_time, usage_start_time + interval 1 second) as usage_end,
            case when kind in ('fee', 'unused', 'covered') then case
                when kind <> 'covered' and not is_spread and subscription_instance_id is not null then subscription_instance_id
                -- the older models do not say which commitment paid: all of a kind and service are one
                else 'committed-use/' || commitment_kind || '/' || coalesce(pool_service, 'unknown') || '/' || billing_account_id
            end end as commitment_id,
            coalesce(nullif(resource_global_name, ''), nullif(resource_name, '')) as resource
        from charged
    ),

    {{ gcp_focus_mapped_cte() }}

    {{ focus_select('mapped', absent=[
        'AllocatedMethodDetails', 'AllocatedMethodId', 'AllocatedResourceId', 'AllocatedResourceName', 'AllocatedTags',
        'CapacityReservationId', 'CapacityReservationStatus', 'CommitmentDiscountName', 'CommitmentProgramEligibilityDetails',
        'ContractApplied', 'InvoiceDetailId', 'InvoiceId', 'x_InvoicingEntity', 'x_ModelId', 'x_Operation', 'x_ProjectId',
        'x_ServiceTier', 'x_TokenClass'
    ]) }}
{% endmacro %}
