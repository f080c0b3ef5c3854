{{
    config(
        materialized='incremental',
        incremental_strategy='gpu_hours',
        on_schema_change='fail',
    )
}}
-- Whose time it was: each piece of an accelerator's time, split over what held it, summed by GPU, slice, holder and state in a UTC hour.
-- Weights are whole numbers (microseconds x 5040 x share of the GPU) and sum to the piece's own weight, whatever was measured.
{%- set basis = var('gpu_allocation_basis') %}
{%- if basis not in ['allocation', 'memory', 'engine_activity'] %}
    {{ exceptions.raise_compiler_error('gpu_allocation_basis is ' ~ basis ~ '; allocation, memory or engine_activity is expected') }}
{%- endif %}

with

chosen as (

    select '{{ basis }}' as chosen_basis

),

placed as (

    select
        *,
        1 as place,
        case when activity is null then 'activity_unknown' else 'busy' end as busy_state,
        activity is not null and own_activity < {{ var('gpu_idle_below_ratio') }} * held_ratio as is_idle,
        activity is not null and chosen_basis = 'engine_activity' as by_activity,
        chosen_basis = 'memory' and is_held and memory_is_known as by_memory,
        memory_part / greatest(1.0, sum(memory_part) over (partition by piece_id)) as own_memory
    from {{ ref('int_gpu_holders') }}, chosen

),

parts as (

    select
        *,
        case when by_memory then own_memory else held_ratio end as part,
        case when is_idle then idle_state else busy_state end as state,
        case when by_memory then 'memory' else 'allocation' end as basis
    from placed
    where not by_activity
    union all
    -- By activity the working part of the time is apart from the idle part, of which each holder has what it holds.
    select *, own_activity as part, 'busy' as state, 'engine_activity' as basis
    from placed
    where by_activity
    union all
    select * replace (2 as place), held_ratio * (1 - activity) as part, idle_state as state, 'engine_activity' as basis
    from placed
    where by_activity
    union all
    -- One row per piece takes what is left, so that the last running total is the whole.
    select * exclude (number) from (
        select
            * replace (
                null as namespace, null as pod, null as job_id, 3 as place,
                case when chosen_basis = 'memory' and memory_is_known then 'memory_not_held' end as holder_reason
            ),
            0.0 as part,
            'unallocated' as state,
            chosen_basis as basis,
            row_number() over (partition by piece_id) as number
        from placed
    )
    where number = 1

),

weighed as (

    select
        *,
        cast(floor(cast(piece_weight as double) * case
            when place = 3 then 1.0 else least(1.0, round(sum(part) over running, 12))
        end) as hugeint) as weight_until
    from parts
    window running as (
        partition by piece_id order by place, namespace, pod, job_id, held_ratio, own_activity rows between unbounded preceding and current row
    )

),

pieced as (

    select
        *,
        weight_until - coalesce(
            lag(weight_until) over (partition by piece_id order by place, namespace, pod, job_id, held_ratio, own_activity), 0
        ) as weight
    from weighed

)

select
    event_hour,
    gpu_uuid,
    node_id,
    mig_gpu_instance_id,
    mig_profile,
    namespace,
    pod,
    job_id,
    state,
    holder_reason as state_reason,
    basis,
    cast(sum(weight) as hugeint) as weight
from pieced
where weight <> 0
group by all
