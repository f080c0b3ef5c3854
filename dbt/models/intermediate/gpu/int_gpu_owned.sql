-- What owned accelerators cost (ops.gpu_rates): one row per rate, host and UTC day, over the hours of the day that are over. The last day that
-- telemetry has of a month counts up to its last hour.

with

seen as (

    select
        cast(hour_start at time zone 'UTC' as date) as charge_date,
        max(event_hour) over (partition by strftime(hour_start at time zone 'UTC', '%Y-%m')) as last_hour
    from {{ ref('int_gpu_hours') }}

),

rates as (

    select * from {{ ref('int_gpu_rates') }}

),

billed_nodes as (

    select distinct node_id from {{ ref('fct_node_cost_daily') }}

),

-- What the machines of the rates are called in the marts, and whether they are on a bill.
hosts as (

    select
        rates.host,
        max(seen.node_id) as node_id,
        bool_or(billed_nodes.node_id is not null) as is_billed
    from rates
    left join (select distinct node_id, host, resource_id from {{ ref('int_gpu_hours') }}) as seen
        on rates.host in (seen.host, seen.resource_id)
    left join billed_nodes on billed_nodes.node_id in (rates.host, seen.node_id)
    where rates.host is not null
    group by rates.host

),

owned_seen as (

    select rate_id, valid_from, node_id, charge_date, count(distinct gpu_uuid) as seen_count
    from {{ ref('int_gpu_rated') }}
    group by all

),

fleet_days as (

    select
        charge_date,
        cast(least(24, date_diff('hour', cast(charge_date as timestamp), strptime(max(last_hour), '%Y-%m-%dT%H')) + 1) as decimal(38, 0)) as day_hours
    from seen
    group by charge_date

),

-- An owned host that nobody saw that day still cost its price: where the rate says how many GPUs it has.
owned_days as (

    select rate_id, valid_from, node_id, charge_date, seen_count from owned_seen
    union all
    select rates.rate_id, rates.valid_from, coalesce(hosts.node_id, rates.host) as node_id, days.charge_date, 0 as seen_count
    from rates
    inner join hosts on rates.host = hosts.host and not hosts.is_billed
    inner join fleet_days as days
        on days.charge_date >= rates.valid_from and (rates.valid_to is null or days.charge_date < rates.valid_to)
    where
        rates.gpu_count is not null
        and not exists (select 1 from owned_seen where owned_seen.rate_id = rates.rate_id and owned_seen.charge_date = days.charge_date)

),

owned as (

    select
        'owned_rate' as cost_basis,
        cast(null as varchar) as bill_source_id,
        strftime(owned_days.charge_date, '%Y-%m') as billing_period,
        rates.billing_currency,
        owned_days.rate_id,
        owned_days.node_id,
        owned_days.charge_date,
        cast(owned_days.charge_date as timestamp) at time zone 'UTC' as bucket_start,
        false as by_hour,
        {{ to_twelve('rates.hourly_rate * owned_days.gpu_hours') }} as effective_cost,
        cast(owned_days.gpu_hours as decimal(38, 12)) as billed_gpu_hours
    from (
        select
            days.*,
            cast(greatest(coalesce(rates.gpu_count, 0), days.seen_count) * fleet_days.day_hours as decimal(9, 0)) as gpu_hours
        from owned_days as days
        inner join fleet_days using (charge_date)
        inner join rates
            on days.rate_id = rates.rate_id and days.valid_from = rates.valid_from
    ) as owned_days
    inner join rates
        on owned_days.rate_id = rates.rate_id and owned_days.valid_from = rates.valid_from

)

select * from owned
