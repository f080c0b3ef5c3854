{{ config(materialized='ephemeral') }}
-- Who held each piece of an accelerator's time: one row per piece and holder, or one row for a piece that nobody held, with the part of the
-- accelerator it holds, the part of the device's activity that is its own, and what to call its time when it is idle.

with

pieces as (

    select
        *,
        row_number() over (order by gpu_uuid, mig_gpu_instance_id, piece_start, event_id, node_id) as piece_id,
        cast(piece_us as hugeint) * 5040 * slice_count // slice_total as piece_weight
    from {{ ref('int_gpu_pieces') }}
    where not is_parent

),

processes as (

    select
        piece_id,
        process.namespace as namespace,
        process.pod as pod,
        process.job_id as process_job,
        case when process.pod is null then process.job_id end as holder_job,
        process.memory_used_bytes as process_bytes,
        process.sm_utilization_percent / 100 as process_activity,
        {{ gpu_process_field(source('bronze', 'gpu_telemetry'), 'allocation_ratio', 'double') }} as process_ratio
    from (select piece_id, unnest(processes) as process from pieces)
    where process is not null

),

-- One holder per pod (or job, or all processes of which neither is known): its processes and containers add up.
named as (

    select
        piece_id,
        namespace,
        pod,
        max(process_job) as job_id,
        case when pod is null and holder_job is null then 'process_without_workload' end as holder_reason,
        case when count(*) = count(process_bytes) then sum(process_bytes) end as holder_bytes,
        case when count(*) = count(process_activity) then sum(process_activity) end as holder_activity,
        max(process_ratio) as holder_ratio
    from processes
    group by piece_id, namespace, pod, holder_job

),

joined as (

    select
        pieces.piece_id,
        pieces.piece_weight,
        pieces.gpu_uuid,
        pieces.node_id,
        pieces.event_hour,
        pieces.mig_gpu_instance_id,
        pieces.mig_profile,
        pieces.activity_ratio,
        pieces.memory_total_bytes,
        pieces.memory_used_bytes,
        named.namespace,
        named.pod,
        named.job_id,
        named.piece_id is not null as is_held,
        case
            when named.piece_id is not null then named.holder_reason
            when pieces.processes is null then 'processes_not_listed'
            when pieces.activity_ratio >= {{ var('gpu_idle_below_ratio') }} then 'activity_without_process'
        end as holder_reason,
        named.holder_bytes,
        named.holder_activity,
        named.holder_ratio,
        count(*) over piece as holder_count,
        coalesce(sum(named.holder_ratio) over piece, 0) as known_ratio,
        count(*) over piece - count(named.holder_ratio) over piece as unknown_count
    from pieces
    left join named using (piece_id)
    window piece as (partition by pieces.piece_id)

),

-- What of the accelerator a holder holds: what the scheduler gave it, else an equal part of the rest. More than all of it is scaled down.
held as (

    select
        *,
        holder_part / greatest(sum(holder_part) over (partition by piece_id), 1.0) as held_ratio
    from (
        select
            *,
            case
                when not is_held then 1.0
                when unknown_count > 0 and known_ratio >= 1 then coalesce(holder_ratio, 1.0 / holder_count)
                else coalesce(holder_ratio, (1.0 - known_ratio) / nullif(unknown_count, 0))
            end as holder_part
        from joined
    )

),

-- The device's activity is one value, whoever reads it: it is split, by the processes' own where all are known, else by what they hold.
measured as (

    select
        *,
        coalesce(activity_ratio, case when all_active then least(1.0, all_activity) end) as activity,
        case
            when all_active and all_activity > 0 then holder_activity / all_activity
            else held_ratio / nullif(sum(held_ratio) over (partition by piece_id), 0)
        end as activity_part,
        coalesce(holder_bytes, memory_used_bytes * held_ratio) / nullif(memory_total_bytes, 0) as memory_part,
        count(holder_bytes) over (partition by piece_id) = holder_count and memory_total_bytes > 0 as memory_is_known
    from (
        select
            *,
            count(holder_activity) over (partition by piece_id) = holder_count as all_active,
            sum(holder_activity) over (partition by piece_id) as all_activity
        from held
    )

)

select
    *,
    case
        when not is_held and holder_reason is distinct from 'processes_not_listed' then 'unallocated'
        when memory_part >= {{ var('gpu_warm_from_memory_ratio') }} * held_ratio and held_ratio > 0 then 'warm_unused'
        when is_held then 'allocated_idle'
        else 'unallocated'
    end as idle_state,
    activity * coalesce(activity_part, 0) as own_activity
from measured
