{{ config(severity='warn') }}
-- FOCUS EffectiveCost-C-022, CostAndUsage-D-082: used + unused of a Savings Plan = what was committed in the period.
-- A warning: with private discounts the used part is net while the commitment is gross.
with committed as (
    {% for report in ['aws_cur', 'aws_cur2'] -%}
    select
        _source_id,
        _billing_period,
        savings_plan_savings_plan_a_r_n as commitment,
        sum(savings_plan_total_commitment_to_date) as amount
    from {{ source('bronze', report) }}
    where
        line_item_line_item_type = 'SavingsPlanRecurringFee'
        and {{ in_changed_slices('_source_id', '_billing_period') }}
    group by 1, 2, 3
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select committed.*, sum(focus.EffectiveCost) as spent
from committed
inner join {{ ref('focus__cost_and_usage') }} as focus
    on committed._source_id = focus.x_SourceId
    and committed._billing_period = focus.x_BillingPeriod
    and committed.commitment = focus.CommitmentDiscountId
where focus.CommitmentDiscountStatus is not null
group by all
having abs(sum(focus.EffectiveCost) - committed.amount) > 0.01
