{{
    config(
        materialized='incremental',
        incremental_strategy='mart_slices',
        on_schema_change='fail',
    )
}}
-- What each machine cost a day, under the id by which Kubernetes knows it (macro node_id_of_provider_id): to be joined to cluster nodes.
-- One row per machine, day and currency; where its rows disagree on machine type or owner, that column is null with a reason.

with

charges as (

    select * from {{ ref('focus__cost_and_usage') }}
    where
        x_NodeId is not null
        {%- if is_incremental() %}
        and {{ in_changed_slices() }}
        {%- endif %}

),

summed as (

    select
        x_SourceId as source_id,
        x_BillingPeriod as billing_period,
        {{ utc_date('ChargePeriodStart') }} as charge_date,
        x_NodeId as node_id,
        BillingCurrency as billing_currency,
        min(coalesce(HostProviderName, ServiceProviderName)) as host_provider_name,
        {% for name, column in {
            'sub_account_id': 'SubAccountId', 'region_id': 'RegionId', 'instance_type': 'x_InstanceType',
            'accelerator_type': 'x_AcceleratorType', 'accelerator_count': 'x_AcceleratorCount', 'owner': 'x_Owner'
        }.items() -%}
        case when count(distinct {{ column }}) = 1 then min({{ column }}) end as {{ name }},
        {% endfor -%}
        case when count(distinct x_InstanceType) > 1 then 'several_machine_types' end as instance_type_reason,
        case
            when count(distinct x_Owner) > 1 then 'several_owners'
            when count(distinct x_Owner) = 0 then min(x_OwnerReason)
        end as owner_reason,
        cast(sum(BilledCost) as decimal(38, 12)) as billed_cost,
        cast(sum(EffectiveCost) as decimal(38, 12)) as effective_cost,
        cast(sum(ListCost) as decimal(38, 12)) as list_cost,
        cast(sum(x_AcceleratorHours) as decimal(38, 12)) as accelerator_hours,
        count(*) as line_count
    from charges
    group by all

),

final as (

    select
        source_id,
        billing_period,
        charge_date,
        node_id,
        host_provider_name,
        sub_account_id,
        region_id,
        instance_type,
        case
            when instance_type is null then coalesce(instance_type_reason, 'charges_name_no_machine_type')
        end as instance_type_reason,
        accelerator_type,
        accelerator_count,
        owner,
        owner_reason,
        billing_currency,
        billed_cost,
        effective_cost,
        list_cost,
        accelerator_hours,
        line_count
    from summed

)

select * from final
