{{ config(materialized='table') }}
{%- set measures = ['row_count', 'billed', 'gross'] %}
-- ops.deliveries -> what was reported of each month, one row per change. The ledger is small: rebuilt whole.
-- A month is the sum of its slices (itself, its days, or its files), each at its newest load by then.
with

{{ ledger_steps(measures) }},

changes as (

    select
        source_id,
        billing_period,
        billing_currency,
        ingest,
        min(load_number) as first_load,
        max(recorded_at) as replaced_at,
        string_agg(distinct delivery_id, ', ' order by delivery_id) as delivery_id_now,
        string_agg(distinct replaced_id, ', ' order by replaced_id) filter (where replaced_id <> delivery_id) as delivery_id_then,
        {% for measure in measures %}sum({{ measure }}_step) as {{ measure }}_step{{ ', ' if not loop.last }}{% endfor %}
    from steps
    group by source_id, billing_period, billing_currency, ingest
    having sum(row_count_step) <> 0 or sum(billed_step) <> 0

),

chain as (

    select
        *,
        row_number() over by_load as change_number,
        lag(replaced_at) over by_load as reported_at,
        replaced_at >= {{ utc_month_start('billing_period', 1) }} + interval {{ var('month_closed_after_days') | int }} day as was_closed
        {%- for measure in measures %},
        sum({{ measure }}_step) over by_load as {{ measure }}_now
        {%- endfor %}
    from changes
    window by_load as (partition by source_id, billing_period, billing_currency order by first_load)

),

told as (

    select
        *
        {%- for measure in measures %},
        case when change_number > 1 then {{ measure }}_now - {{ measure }}_step end as {{ measure }}_then
        {%- endfor %}
    from chain

)

select
    source_id,
    billing_period,
    billing_currency,
    cast(change_number as bigint) as change_number,
    reported_at,
    replaced_at,
    was_closed,
    was_closed and change_number > 1 as closed_month_reopened,
    case
        when change_number = 1 then 'first_report'
        when gross_step = 0 and billed_step <> 0 then 'credits_or_refunds'
        when row_count_step < 0 then 'rows_withdrawn'
        when row_count_step = 0 or gross_step < 0 then 'price_restated'
        when was_closed then 'late_rows'
        else 'open_month_grew'
    end as cause,
    {%- for moment in ['then', 'now'] %}
    cast(billed_{{ moment }} as decimal(38, 18)) as billed_{{ moment }},
    cast(gross_{{ moment }} as decimal(38, 18)) as gross_{{ moment }},
    cast(row_count_{{ moment }} as bigint) as row_count_{{ moment }},
    delivery_id_{{ moment }},
    {%- endfor %}
    cast(billed_step as decimal(38, 18)) as difference
from told
