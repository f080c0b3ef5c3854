-- fct_gpu_hours holds the cost of each machine-day with accelerators once, to the last decimal: of a bill the EffectiveCost of
-- fct_node_cost_daily, of owned hardware the rate's. A day without telemetry counts as well, and a machine-day too many is also a fault.
with

wanted as (

    select
        nodes.source_id as bill_source_id,
        nodes.billing_period,
        nodes.billing_currency,
        nodes.node_id,
        nodes.charge_date,
        nodes.effective_cost
    from {{ ref('fct_node_cost_daily') }} as nodes
    where
        nodes.accelerator_count > 0
        or nodes.accelerator_hours > 0
        or exists (
            select 1 from {{ ref('int_gpu_hours') }} as seen
            where seen.node_id = nodes.node_id and cast(seen.hour_start at time zone 'UTC' as date) = nodes.charge_date
        )
    union all
    select null, billing_period, billing_currency, node_id, charge_date, sum(effective_cost)
    from {{ ref('int_gpu_owned') }}
    group by all

),

found as (

    select bill_source_id, billing_period, billing_currency, node_id, charge_date, sum(effective_cost) as effective_cost
    from {{ ref('fct_gpu_hours') }}
    where cost_basis is not null
    group by all

)

select
    coalesce(wanted.node_id, found.node_id) as node_id,
    coalesce(wanted.charge_date, found.charge_date) as charge_date,
    wanted.effective_cost,
    found.effective_cost as mart_effective_cost
from wanted
full join found
    on
        wanted.bill_source_id is not distinct from found.bill_source_id
        and wanted.billing_period = found.billing_period
        and wanted.billing_currency = found.billing_currency
        and wanted.node_id = found.node_id
        and wanted.charge_date = found.charge_date
where wanted.effective_cost is distinct from found.effective_cost
