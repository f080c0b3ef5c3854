{{ config(materialized='ephemeral') }}
-- Samples of accelerators as disjoint pieces of time: a message that came twice counts once, where two samples of one accelerator overlap
-- (two collectors, a clock set back) the later one counts from where the earlier ends, and a sample is cut at the full hour.
{%- set telemetry = source('bronze', 'gpu_telemetry') %}

with

samples as (

    select
        event_hour as partition_hour,
        event_id,
        coalesce(nullif(cluster, ''), 'unknown') as cluster,
        {{ gpu_node_id() }} as node_id,
        nullif(resource_id, '') as resource_id,
        host,
        source,
        interval_start,
        interval_end,
        gpu_uuid,
        gpu_index,
        model_name,
        {{ gpu_column(telemetry, 'vendor', 'varchar') }} as vendor,
        {{ gpu_column(telemetry, 'accelerator_kind', 'varchar') }} as accelerator_kind,
        mig_gpu_instance_id,
        mig_profile,
        coalesce(
            gr_engine_active_ratio,
            sm_active_ratio,
            case when mig_gpu_instance_id is null then gpu_utilization_percent / 100 end
        ) as activity_ratio,
        sm_active_ratio,
        tensor_active_ratio,
        memory_used_bytes,
        memory_total_bytes,
        power_watts,
        power_limit_watts,
        energy_joules,
        processes,
        _ingested_at > interval_end + interval {{ var('gpu_late_after_seconds') }} second as is_late,
        count(*) over copies as copy_count,
        row_number() over (copies order by _ingested_at, _topic, _partition, _offset) as copy_number,
        max(mig_gpu_instance_id) over (partition by event_id, gpu_uuid) as event_instance
    from {{ telemetry }}
    where
        {{ in_read_gpu_hours() }}
        and gpu_uuid is not null
        and interval_end > interval_start
        and interval_end <= interval_start + interval {{ var('gpu_max_interval_seconds') }} second
    window copies as (partition by event_id, gpu_uuid, mig_gpu_instance_id)

),

ordered as (

    select
        *,
        greatest(interval_start, max(interval_end) over (
            partition by gpu_uuid, mig_gpu_instance_id
            order by interval_start, interval_end, source, event_id
            rows between unbounded preceding and 1 preceding
        )) as starts_at
    from samples
    where copy_number = 1

),

hours as (

    select
        *,
        unnest(range(
            date_trunc('hour', coalesce(starts_at, interval_start) at time zone 'UTC'),
            interval_end at time zone 'UTC',
            interval 1 hour
        )) as hour
    from ordered
    where coalesce(starts_at, interval_start) < interval_end

),

pieces as (

    select
        * exclude (starts_at, hour),
        strftime(hour, '%Y-%m-%dT%H') as event_hour,
        hour at time zone 'UTC' as hour_start,
        greatest(coalesce(starts_at, interval_start), hour at time zone 'UTC') as piece_start,
        least(interval_end, (hour + interval 1 hour) at time zone 'UTC') as piece_end,
        -- A whole GPU that comes beside its own slices tells of power and memory, its time belongs to the slices.
        mig_gpu_instance_id is null and event_instance is not null as is_parent,
        coalesce(try_cast(regexp_extract(mig_profile, '([0-9]+)g\.', 1) as bigint), 1) as slice_count,
        {{ mig_slice_total('model_name') }} as slice_total
    from hours

)

select
    * replace (
        case when mig_gpu_instance_id is null then 1 else least(slice_count, slice_total) end as slice_count,
        case when mig_gpu_instance_id is null then 1 else slice_total end as slice_total
    ),
    cast(epoch_us(piece_end) - epoch_us(piece_start) as bigint) as piece_us
from pieces
where {{ in_changed_gpu_hours() }}
