-- Law 6: the shares of a GPU (whole, slice, time slice) and its idle time sum to its cost in every hour, exactly, and no share is against it.
with

hours as (

    select billing_period, bill_source_id, rate_id, billing_currency, node_id, gpu_uuid, hour_start, row_kind as usage_kind, sum(effective_cost) as cost
    from {{ ref('fct_gpu_hours') }}
    group by all

),

shares as (

    select
        billing_period,
        bill_source_id,
        rate_id,
        billing_currency,
        node_id,
        gpu_uuid,
        hour_start,
        case when usage_state in ('not_observed', 'host') then usage_state else 'gpu' end as usage_kind,
        sum(effective_cost) as cost,
        max(sign(effective_cost)) - min(sign(effective_cost)) > 1 as is_mixed
    from {{ ref('fct_gpu_allocation_hourly') }}
    group by all

)

select
    coalesce(hours.gpu_uuid, shares.gpu_uuid) as gpu_uuid,
    coalesce(hours.hour_start, shares.hour_start) as hour_start,
    hours.cost,
    shares.cost as shares_cost
from hours
full join shares
    on
        hours.billing_period = shares.billing_period
        and hours.bill_source_id is not distinct from shares.bill_source_id
        and hours.rate_id is not distinct from shares.rate_id
        and hours.billing_currency is not distinct from shares.billing_currency
        and hours.node_id is not distinct from shares.node_id
        and hours.gpu_uuid is not distinct from shares.gpu_uuid
        and hours.hour_start is not distinct from shares.hour_start
        and hours.usage_kind = shares.usage_kind
where
    hours.cost is distinct from shares.cost
    or hours.usage_kind is null
    or shares.usage_kind is null
    or shares.is_mixed
