-- Which rate of ops.gpu_rates a GPU has in an hour: one that names its host, else the longest one that is part of its model's name. A machine
-- on a bill has the bill's price; one with an id on a bill has none by the name of its model alone, for its bill may only be late.

with

billed_nodes as (

    select distinct node_id from {{ ref('fct_node_cost_daily') }}

),

rated as (

    select
        seen.gpu_uuid,
        seen.event_hour,
        seen.node_id,
        cast(seen.hour_start at time zone 'UTC' as date) as charge_date,
        rates.rate_id,
        rates.valid_from,
        row_number() over (
            partition by seen.gpu_uuid, seen.event_hour, seen.node_id
            order by rates.host is null, length(rates.model) desc nulls last, rates.rate_id
        ) as place
    from {{ ref('int_gpu_hours') }} as seen
    inner join {{ ref('int_gpu_rates') }} as rates
        on
            (rates.host in (seen.host, seen.resource_id) or (rates.host is null and seen.resource_id is null))
            and (rates.model is null or contains(lower(seen.model_name), rates.model))
            and cast(seen.hour_start at time zone 'UTC' as date) >= rates.valid_from
            and (rates.valid_to is null or cast(seen.hour_start at time zone 'UTC' as date) < rates.valid_to)
    where seen.node_id not in (select node_id from billed_nodes)

)

select * exclude (place) from rated
where place = 1
