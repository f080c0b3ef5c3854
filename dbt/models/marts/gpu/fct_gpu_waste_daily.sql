{{
    config(
        materialized='incremental',
        incremental_strategy='mart_periods',
        on_schema_change='fail',
    )
}}
-- GPU time that was paid for and did nothing, by day, machine, holder and owner: unallocated, allocated but idle, warm but unused.

with

idle as (

    select * from {{ ref('fct_gpu_allocation_hourly') }}
    where
        usage_state in ('unallocated', 'allocated_idle', 'warm_unused')
        {%- if is_incremental() %}
        and {{ in_changed_periods() }}
        {%- endif %}

)

select
    billing_period,
    charge_date,
    node_id,
    host,
    cluster,
    model_name,
    vendor,
    namespace,
    pod,
    job_id,
    usage_state,
    cost_basis,
    billing_currency,
    cost_reason,
    owner,
    owner_reason,
    cast(count(distinct gpu_uuid) as bigint) as gpu_count,
    cast(sum(gpu_hours) as decimal(38, 12)) as idle_gpu_hours,
    cast(sum(effective_cost) as decimal(38, 12)) as wasted_cost
from idle
group by all
