-- bronze.oci_cost -> one relation with what the mapping asks for more than once: kind of line, price, quantity, unit, commitment to a period.
with

-- How far the reports had come with each file, in the order of their numbers: what a correction could still correct in an open month.
reports as (

    select
        _source_id,
        _slice,
        max(max(line_item_interval_usage_start)) over (partition by _source_id order by _slice) as reached
    from {{ source('bronze', 'oci_cost') }}
    group by _source_id, _slice

),

lines as (

    select
        *,
        {{ oci_is_correction() }} as is_correction,
        {{ oci_flag('cost_overage_flag') }} as is_overage,
        {{ to_twelve('cost_my_cost') }} as cost,
        {{ to_twelve('usage_billed_quantity') }} as billed_quantity,
        {{ to_twelve('cost_unit_price') }} as unit_price,
        {{ oci_unit_part(2) }} as unit_size,
        {{ oci_unit_part(3) }} as unit_time,
        upper({{ oci_unit_part(4) }}) as unit_measure,
        {{ oci_unit_amount() }} as readable_amount,
        upper(regexp_replace(product_service, '[^A-Za-z0-9]+', '_', 'g')) as service_key
    from {{ source('bronze', 'oci_cost') }}

),

-- A line without quantity is one unit at its cost, a line without price costs what its quantity divides into.
measured as (

    select
        *,
        cast(case
            when billed_quantity is null or (billed_quantity = 0 and cost <> 0) then 1
            else billed_quantity
        end as decimal(38, 12)) as quantity,
        case
            when billed_quantity is null or (billed_quantity = 0 and cost <> 0) then 'one_unit_assumed'
            when unit_price is null then 'bill_without_price'
            when unit_price < 0 then 'sign_moved_from_price'
            else 'bill_without_list_price'
        end as quantity_source
    from lines

),

priced as (

    select
        *,
        cast(case
            when quantity_source = 'one_unit_assumed' then cost
            when unit_price is not null then unit_price
            when quantity = 0 then 0
            else {{ exact_quotient('cost', 'quantity') }}
        end as decimal(38, 12)) as rate
    from measured

)

select
    priced.*,
    coalesce({{ oci_unit() }}, described_unit.unit) as unit,
    case when {{ oci_unit() }} is null then described_unit.amount else readable_amount end as unit_amount,
    case when rate < 0 then -quantity else quantity end as pricing_quantity,
    abs(rate) as price,
    priced.is_correction and reports.reached >= {{ utc_month_start('priced._billing_period', 1) }} as corrects_closed_period
from priced
left join {{ ref('oci_units') }} as known_unit on known_unit.measure = priced.unit_measure
left join {{ ref('oci_units') }} as described_unit on described_unit.measure = upper(priced.cost_sku_unit_description)
left join reports
    on priced.is_correction and reports._source_id = priced._source_id and reports._slice = priced._slice
