{{
    config(
        materialized='incremental',
        incremental_strategy='mart_slices',
        on_schema_change='fail',
    )
}}
-- What vendors' own FOCUS files get wrong, per bill and rule, and what we did about it.

with

faults as (

    select * from {{ ref('focus__faults') }}
    {%- if is_incremental() %}
    where {{ in_changed_slices('source_id', 'billing_period') }}
    {%- endif %}

),

final as (

    select
        faults.source_id,
        faults.billing_period,
        faults.rule_id,
        coalesce(known.focus_rule, 'unknown') as focus_rule,
        coalesce(known.column_name, 'unknown') as column_name,
        coalesce(known.severity, 'error') as severity,
        faults.row_count,
        faults.example_object_key,
        faults.example_row_number,
        faults.example_value,
        known.treatment,
        known.meaning
    from faults
    left join {{ ref('focus_faults') }} as known on faults.rule_id = known.rule_id

)

select
    source_id,
    billing_period,
    rule_id,
    focus_rule,
    column_name,
    severity,
    row_count,
    example_object_key,
    example_row_number,
    example_value,
    treatment,
    meaning
from final
