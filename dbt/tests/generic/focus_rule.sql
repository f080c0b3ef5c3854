{# Rows of the changed slices that break a FOCUS rule; `violated_when` is the condition of a wrong row. #}
{% test focus_rule(model, violated_when) %}
select x_SourceId, x_BillingPeriod, x_ObjectKey, x_RowNumber, x_LineItemType
from {{ model }}
where
    {{ in_changed_slices() }}
    and ({{ violated_when }})
{% endtest %}
