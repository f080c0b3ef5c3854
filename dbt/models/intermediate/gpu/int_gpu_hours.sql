{{
    config(
        materialized='incremental',
        incremental_strategy='gpu_hours',
        on_schema_change='fail',
    )
}}
-- What was seen of each GPU in each UTC hour, one row per GPU, machine and hour. Of every mean the sums are kept: value x seconds and the seconds in
-- which it was measured; slices of a GPU weigh by their size. Energy is the sum of the counter's steps.

with

pieces as (

    select
        *,
        piece_us / 1000000 * slice_count / slice_total as weight,
        greatest(piece_start, max(piece_end) over (
            partition by gpu_uuid, node_id, event_hour order by piece_start, piece_end, power_watts is null, mig_gpu_instance_id, event_id
            rows between unbounded preceding and 1 preceding
        )) as seen_from
    from {{ ref('int_gpu_pieces') }}

),

-- The counter is the whole GPU's, whichever of its slices reports it.
readings as (

    select
        gpu_uuid,
        {{ gpu_node_id() }} as node_id,
        interval_end,
        max(energy_joules) as energy_joules,
        max(power_limit_watts) as power_limit_watts
    from {{ source('bronze', 'gpu_telemetry') }}
    where
        energy_joules is not null
        and interval_end > interval_start
        and {{ in_read_gpu_hours() }}
    group by all

),

steps as (

    select
        gpu_uuid,
        node_id,
        interval_end,
        energy_joules,
        lag(interval_end) over counter as read_before,
        lag(energy_joules) over counter as joules_before,
        coalesce(power_limit_watts, {{ var('gpu_max_watts') }}) * 1.25
        * epoch(interval_end - lag(interval_end) over counter) as most_joules
    from readings
    window counter as (partition by gpu_uuid, node_id order by interval_end)

),

-- After a reset the counter starts from 0. A step that the board cannot have drawn is no energy: it is left out, and its time with it.
counted as (

    select
        *,
        energy_joules < joules_before as is_reset,
        case when energy_joules < joules_before then energy_joules else energy_joules - joules_before end as step_joules,
        unnest(range(
            date_trunc('hour', read_before at time zone 'UTC'), interval_end at time zone 'UTC', interval 1 hour
        )) at time zone 'UTC' as hour_start
    from steps
    where epoch(interval_end - read_before) <= {{ var('gpu_max_interval_seconds') }}

),

energy as (

    select
        gpu_uuid,
        node_id,
        strftime(hour_start at time zone 'UTC', '%Y-%m-%dT%H') as event_hour,
        sum(step_joules * seconds / epoch(interval_end - read_before)) as energy_joules,
        sum(seconds) as energy_seconds,
        count(*) filter (is_reset and interval_end > hour_start and interval_end <= hour_start + interval 1 hour) as energy_reset_count
    from (
        select
            *,
            epoch(least(interval_end, hour_start + interval 1 hour) - greatest(read_before, hour_start)) as seconds
        from counted
        where step_joules <= most_joules
    )
    where seconds > 0
    group by all

),

final as (

    select
        event_hour,
        min(hour_start) as hour_start,
        gpu_uuid,
        node_id,
        max(cluster) as cluster,
        max(resource_id) as resource_id,
        max(host) as host,
        max(gpu_index) as gpu_index,
        max(model_name) as model_name,
        max(vendor) as vendor,
        max(accelerator_kind) as accelerator_kind,
        cast(sum(greatest(epoch_us(piece_end) - epoch_us(coalesce(seen_from, piece_start)), 0)) as bigint) as observed_us,
        {% for name, (value, scope) in {
            'activity': ('activity_ratio', 'not is_parent'),
            'sm_active': ('sm_active_ratio', 'not is_parent'),
            'tensor_active': ('tensor_active_ratio', 'not is_parent'),
            'memory_used': ('memory_used_bytes / nullif(memory_total_bytes, 0)', 'not is_parent'),
        }.items() -%}
        sum({{ value }} * weight) filter ({{ scope }}) as {{ name }}_seconds,
        sum(weight) filter ({{ scope }} and {{ value }} is not null) as {{ name }}_measured_seconds,
        max({{ value }}) filter ({{ scope }}) as {{ name }}_max_ratio,
        {% endfor -%}
        -- Power is the whole GPU's: of several slices that say it at the same time, one counts.
        sum(power_watts * greatest(epoch_us(piece_end) - epoch_us(coalesce(seen_from, piece_start)), 0) / 1000000) as power_joules,
        sum(greatest(epoch_us(piece_end) - epoch_us(coalesce(seen_from, piece_start)), 0) / 1000000)
            filter (power_watts is not null) as power_measured_seconds,
        max(power_watts) as power_max_watts,
        max(power_limit_watts) as power_limit_watts,
        count(distinct mig_gpu_instance_id) as mig_instance_count,
        count(*) filter (partition_hour = event_hour) as sample_count,
        cast(coalesce(sum(copy_count - 1) filter (partition_hour = event_hour), 0) as bigint) as duplicate_count,
        count(*) filter (is_late and partition_hour = event_hour) as late_count,
        max(piece_end) as last_seen_at
    from pieces
    group by event_hour, gpu_uuid, node_id

)

select
    final.*,
    energy.energy_joules,
    energy.energy_seconds,
    coalesce(energy.energy_reset_count, 0) as energy_reset_count
from final
left join energy using (gpu_uuid, node_id, event_hour)
