{{
    config(
        materialized='incremental',
        incremental_strategy='slices',
        alias='cost_and_usage',
        on_schema_change='fail',
    )
}}
-- Seeds that only the tests read, so that they are built with the table:
-- depends_on: {{ ref('focus_service_categories') }}, {{ ref('focus_units') }}
-- And the view that tells these tests which rows of vendors' own FOCUS files may break a rule:
-- depends_on: {{ ref('focus__faults') }}
-- With no slice named a run that is not a full refresh replaces every slice.
{% for source in var('focus_sources') %}
select {{ focus_columns() | join(', ') }}
from {{ ref('stg_' ~ source ~ '__focus') }}
{%- if is_incremental() %}
where {{ in_changed_slices() }}
{%- endif %}
{{ 'union all by name' if not loop.last }}
{%- endfor %}
