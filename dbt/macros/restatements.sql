{# The ledger of deliveries as steps: what each load of a slice added to its month, or took from it.

   CTEs `events` .. `steps`: one row per source, month, slice, currency and load, with `<measure>_step`, the delivery it replaced and the
   ingest that it was part of. A slice holds what its newest load said, so that the steps of a month sum to what was reported of it. #}
{% macro ledger_steps(measures) %}
    events as (

        select
            *,
            lag(delivery_id) over by_writing as previous_id,
            lag(recorded_at) over by_writing as previous_at
        from {{ source('ops', 'deliveries') }}
        where
            status = 'loaded'
            and slice is not null
            and source in ('{{ var("focus_sources") | join("', '") }}')
        window by_writing as (partition by source_id order by event_id)

    ),

    -- The lines of one delivery, written together, are one load; the loads of one ingest together are one change.
    loads as (

        select
            source_id,
            billing_period,
            slice,
            currency,
            delivery_id,
            recorded_at,
            event_id,
            ingest_id,
            row_count,
            coalesce(control_total, 0) as billed,
            coalesce(gross_total, 0) as gross,
            sum(case when delivery_id is distinct from previous_id or recorded_at is distinct from previous_at then 1 else 0 end)
                over (partition by source_id order by event_id) as load_number
        from events

    ),

    slice_loads as (

        select
            source_id,
            billing_period,
            slice,
            load_number,
            min(delivery_id) as delivery_id,
            min(recorded_at) as recorded_at,
            coalesce(min(ingest_id), cast(load_number as varchar)) as ingest
        from loads
        group by source_id, billing_period, slice, load_number

    ),

    amounts as (

        select source_id, billing_period, slice, currency, load_number,
            {% for measure in measures %}arg_max({{ measure }}, event_id) as {{ measure }}{{ ', ' if not loop.last }}{% endfor %}
        from loads
        where currency is not null
        group by source_id, billing_period, slice, currency, load_number

    ),

    slice_currencies as (

        select distinct source_id, billing_period, slice, currency from amounts

    ),

    -- A load that has no more rows of a slice in a currency, or none at all, says 0 of it.
    steps as (

        select
            slice_loads.*,
            slice_currencies.currency as billing_currency,
            lag(slice_loads.delivery_id) over by_slice as replaced_id
            {%- for measure in measures %},
            coalesce(amounts.{{ measure }}, 0) - coalesce(lag(coalesce(amounts.{{ measure }}, 0)) over by_slice, 0) as {{ measure }}_step
            {%- endfor %}
        from slice_loads
        inner join slice_currencies using (source_id, billing_period, slice)
        left join amounts
            on amounts.source_id = slice_loads.source_id and amounts.billing_period = slice_loads.billing_period
            and amounts.slice = slice_loads.slice and amounts.load_number = slice_loads.load_number
            and amounts.currency = slice_currencies.currency
        window by_slice as (
            partition by slice_loads.source_id, slice_loads.billing_period, slice_loads.slice, slice_currencies.currency
            order by slice_loads.load_number
        )

    )
{% endmacro %}
