{# Rows of the changed slices that break a FOCUS rule; `violated_when` is the condition of a wrong row. `listed_as` names the rule of
   focus__faults under which a vendor's own rows may break it: in a slice where it lists exactly as many rows as break the rule, they
   are known and shown in fct_focus_faults. #}
{% test focus_rule(model, violated_when, listed_as=none) %}
with

wrong as (
    select x_SourceId, x_BillingPeriod, x_ObjectKey, x_RowNumber, x_LineItemType
    from {{ model }}
    where
        {{ in_changed_slices() }}
        and ({{ violated_when }})
)

select wrong.* from wrong
{%- if listed_as is not none %}
anti join (
    select x_SourceId, x_BillingPeriod
    from (select x_SourceId, x_BillingPeriod, count(*) as row_count from wrong group by 1, 2) as counted
    inner join {{ ref('focus__faults') }} as listed
        on listed.source_id = counted.x_SourceId
        and listed.billing_period = counted.x_BillingPeriod
        and listed.row_count = counted.row_count
    where listed.rule_id = '{{ listed_as }}'
) as known using (x_SourceId, x_BillingPeriod)
{%- endif %}
{% endtest %}
