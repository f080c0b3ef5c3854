{{ config(materialized='view') }}
-- The faults of all bills that come as FOCUS from somebody else.
{% for source in var('fault_sources') %}
select
    source_id,
    billing_period,
    rule_id,
    row_count,
    example.object_key as example_object_key,
    example.row_number as example_row_number,
    left(example.shown, 200) as example_value
from {{ ref('stg_' ~ source ~ '__faults') }}
{{ 'union all by name' if not loop.last }}
{%- endfor %}
