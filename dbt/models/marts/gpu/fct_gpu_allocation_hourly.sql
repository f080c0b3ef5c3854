{{
    config(
        materialized='incremental',
        incremental_strategy='mart_periods',
        on_schema_change='fail',
    )
}}
-- Whose GPU time it was and what it cost: each row of fct_gpu_hours split over what held the GPU and what nobody held, so that the rows of a
-- GPU-hour sum to its cost exactly. Rows that are no GPU-hour (not_observed, host) are there as they are: the mart sums to the bill.

with

gpu_hours as (

    select
        *,
        strftime(hour_start at time zone 'UTC', '%Y-%m-%dT%H') as event_hour,
        row_number() over (order by billing_period, bill_source_id, billing_currency, node_id, gpu_uuid, hour_start, row_kind, rate_id) as cell_id
    from {{ ref('fct_gpu_hours') }}
    {%- if is_incremental() %}
    where {{ in_changed_periods() }}
    {%- endif %}

),

shares as (

    select * from {{ ref('int_gpu_shares') }}
    union all by name
    -- Slices that no instance was made of.
    select
        hours.event_hour,
        hours.gpu_uuid,
        hours.node_id,
        'unallocated' as state,
        'not_partitioned' as state_reason,
        min(shares.basis) as basis,
        cast(hours.observed_us as hugeint) * 5040 - coalesce(sum(shares.weight), 0) as weight
    from {{ ref('int_gpu_hours') }} as hours
    left join {{ ref('int_gpu_shares') }} as shares using (event_hour, gpu_uuid, node_id)
    group by hours.event_hour, hours.gpu_uuid, hours.node_id, hours.observed_us
    having weight > 0

),

split as (

    select
        gpu_hours.*,
        shares.mig_gpu_instance_id,
        shares.mig_profile,
        shares.namespace,
        shares.pod,
        shares.job_id,
        coalesce(shares.state, gpu_hours.row_kind) as usage_state,
        coalesce(shares.state_reason, case when shares.state is null then gpu_hours.row_reason end) as state_reason,
        shares.basis as allocation_basis,
        coalesce(shares.weight, 1) as weight,
        coalesce(sum(shares.weight) over running, 1) as weight_until,
        coalesce(sum(shares.weight) over cell, 1) as weight_total
    from gpu_hours
    left join shares
        on gpu_hours.gpu_uuid = shares.gpu_uuid and gpu_hours.event_hour = shares.event_hour and gpu_hours.node_id = shares.node_id
    window
        cell as (partition by gpu_hours.cell_id),
        running as (
            partition by gpu_hours.cell_id
            order by
                shares.state, shares.mig_gpu_instance_id, shares.namespace, shares.pod, shares.job_id,
                shares.mig_profile, shares.state_reason, shares.basis
            rows between unbounded preceding and current row
        )

)

select
    billing_period,
    charge_date,
    hour_start,
    node_id,
    host,
    cluster,
    gpu_uuid,
    model_name,
    vendor,
    mig_gpu_instance_id,
    mig_profile,
    namespace,
    pod,
    job_id,
    usage_state,
    state_reason,
    allocation_basis,
    cost_basis,
    bill_source_id,
    rate_id,
    billing_currency,
    {{ from_counts(split_by_weight(to_counts('effective_cost'), 'weight_until', 'weight', 'weight_total')) }} as effective_cost,
    cost_reason,
    cast(gpu_hours * weight / weight_total as decimal(38, 12)) as gpu_hours,
    owner,
    owner_reason
from split
