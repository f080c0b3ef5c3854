{{
    config(
        materialized='incremental',
        incremental_strategy='mart_periods',
        on_schema_change='fail',
    )
}}
-- Cost and use of each GPU in each UTC hour. What a machine's bill asks beyond the GPU time that telemetry saw is a row `not_observed`, the
-- machine's part that is not its GPUs' (gpu_share_of_node_cost) a row `host`: per bill and machine-day the rows sum to EffectiveCost exactly.
{%- set gpu_share = 'cast(1000000 * ' ~ var('gpu_share_of_node_cost') ~ ' as hugeint)' %}

with

rates as (

    select * from {{ ref('int_gpu_rates') }}

),

seen as (

    select
        *,
        cast(hour_start at time zone 'UTC' as date) as charge_date
    from {{ ref('int_gpu_hours') }}

),

charges as (

    select
        *,
        row_number() over (order by billing_period, bill_source_id, billing_currency, rate_id, node_id, bucket_start) as bucket_id,
        {{ to_counts('effective_cost') }} as counts,
        {{ split_by_weight(to_counts('effective_cost'), gpu_share, gpu_share, 'cast(1000000 as hugeint)') }} as gpu_counts
    from {{ ref('int_gpu_charges') }}
    {%- if is_incremental() %}
    where {{ in_changed_periods() }}
    {%- endif %}

),

-- GPU-hours to which a charge belongs: the same machine and hour or day; an owned one's rate.
cells as (

    select
        charges.*,
        'gpu' as row_kind,
        seen.gpu_uuid,
        seen.event_hour,
        cast(seen.observed_us as hugeint) as weight
    from charges
    inner join seen
        on
            charges.node_id = seen.node_id
            and charges.charge_date = seen.charge_date
            and (not charges.by_hour or charges.bucket_start = seen.hour_start)
    left join {{ ref('int_gpu_rated') }} as rated
        on seen.gpu_uuid = rated.gpu_uuid and seen.event_hour = rated.event_hour and seen.node_id = rated.node_id
    where charges.rate_id is not distinct from rated.rate_id

),

parts as (

    select * from cells
    union all
    select
        charges.*,
        'not_observed' as row_kind,
        null as gpu_uuid,
        null as event_hour,
        case
            when observed.weight is null then 1
            else greatest(cast(coalesce(charges.billed_gpu_hours, 0) * 3600000000 as hugeint) - observed.weight, 0)
        end as weight
    from charges
    left join (select bucket_id, sum(weight) as weight from cells group by bucket_id) as observed using (bucket_id)

),

priced as (

    select
        * exclude (counts, gpu_counts),
        {{ split_by_weight('gpu_counts', 'sum(weight) over running', 'weight', 'sum(weight) over bucket') }} as counts
    from parts
    where weight > 0
    window
        bucket as (partition by bucket_id),
        running as (
            partition by bucket_id
            order by row_kind, event_hour, gpu_uuid rows between unbounded preceding and current row
        )
    union all by name
    select * exclude (gpu_counts) replace (counts - gpu_counts as counts), 'host' as row_kind
    from charges
    where counts <> gpu_counts

),

-- GPU-hours without any charge: time that was seen and has no price.
unpriced as (

    select
        strftime(seen.charge_date, '%Y-%m') as billing_period,
        seen.node_id,
        seen.charge_date,
        'gpu' as row_kind,
        seen.gpu_uuid,
        seen.event_hour,
        case
            when exists (select 1 from {{ ref('fct_node_cost_daily') }} as bills where bills.node_id = seen.node_id)
                then 'machine_not_charged_for_this_time'
            when seen.resource_id is null then 'machine_without_bill_id_and_no_owned_rate'
            else 'machine_on_no_bill_and_no_owned_rate'
        end as cost_reason
    from seen
    where
        not exists (
            select 1 from cells
            where cells.gpu_uuid = seen.gpu_uuid and cells.event_hour = seen.event_hour and cells.node_id = seen.node_id
        )
        {%- if is_incremental() %}
        and {{ in_changed_periods("strftime(seen.charge_date, '%Y-%m')") }}
        {%- endif %}

),

costed as (

    select
        *,
        {{ from_counts('counts') }} as effective_cost_part
    from priced
    union all by name
    select * from unpriced

),

nodes as (

    select * from {{ ref('fct_node_cost_daily') }}

)

{{ gpu_hours_final() }}
