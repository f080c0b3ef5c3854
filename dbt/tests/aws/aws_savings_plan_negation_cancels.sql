-- Per Savings Plan and period the negation lines cancel the on-demand cost of the covered usage. What stays is a
-- named residual row; above a cent it is no rounding. A plan without any negation (a filtered extract) is not judged.
-- depends_on: {{ ref('focus__cost_and_usage') }}
{% for report in ['aws_cur', 'aws_cur2'] %}
select
    _source_id,
    _billing_period,
    savings_plan_savings_plan_a_r_n,
    sum(coalesce(line_item_net_unblended_cost, line_item_unblended_cost)) as residual
from {{ source('bronze', report) }}
where
    line_item_line_item_type in ('SavingsPlanCoveredUsage', 'SavingsPlanNegation')
    and {{ in_changed_slices('_source_id', '_billing_period') }}
group by 1, 2, 3
having
    abs(sum(coalesce(line_item_net_unblended_cost, line_item_unblended_cost))) > 0.01
    and count(case when line_item_line_item_type = 'SavingsPlanNegation' then 1 end) > 0
{{ 'union all' if not loop.last }}
{% endfor %}
