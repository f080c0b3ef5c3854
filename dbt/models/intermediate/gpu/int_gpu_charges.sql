-- What machines with accelerators cost, and for which GPU-hours: one row per bill, machine and stretch of time (an hour where the bill says
-- hours and the machine was seen that day, else the UTC day), or per rate, owned host and day. Sums of a machine's day are its EffectiveCost.

with

seen_days as (

    select
        node_id,
        cast(hour_start at time zone 'UTC' as date) as charge_date
    from {{ ref('int_gpu_hours') }}
    group by all

),

-- Machines whose cost is that of accelerators: the bill names one, or telemetry saw one.
nodes as (

    select node_id, charge_date from {{ ref('fct_node_cost_daily') }}
    where accelerator_count > 0 or accelerator_hours > 0
    union
    select node_id, charge_date from seen_days

),

charges as (

    select
        focus.x_SourceId as bill_source_id,
        focus.x_BillingPeriod as billing_period,
        {{ utc_date('focus.ChargePeriodStart') }} as charge_date,
        focus.x_NodeId as node_id,
        focus.BillingCurrency as billing_currency,
        date_trunc('hour', focus.ChargePeriodStart) as hour_start,
        focus.ChargePeriodEnd <= date_trunc('hour', focus.ChargePeriodStart) + interval 1 hour as is_hourly,
        focus.EffectiveCost as effective_cost,
        focus.x_AcceleratorHours as accelerator_hours
    from {{ ref('focus__cost_and_usage') }} as focus
    inner join nodes
        on focus.x_NodeId = nodes.node_id and {{ utc_date('focus.ChargePeriodStart') }} = nodes.charge_date
    where focus.x_NodeId is not null

),

grained as (

    select
        charges.*,
        seen_days.node_id is not null
        and bool_and(is_hourly) over (partition by bill_source_id, billing_period, charges.charge_date, charges.node_id, billing_currency)
            as by_hour
    from charges
    left join seen_days on charges.node_id = seen_days.node_id and charges.charge_date = seen_days.charge_date

),

billed as (

    select
        'bill' as cost_basis,
        bill_source_id,
        billing_period,
        billing_currency,
        cast(null as varchar) as rate_id,
        node_id,
        charge_date,
        case when by_hour then hour_start else cast(charge_date as timestamp) at time zone 'UTC' end as bucket_start,
        by_hour,
        cast(sum(effective_cost) as decimal(38, 12)) as effective_cost,
        cast(sum(accelerator_hours) as decimal(38, 12)) as billed_gpu_hours
    from grained
    group by all

)

select * from billed
union all
select * from {{ ref('int_gpu_owned') }}
