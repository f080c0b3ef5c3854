-- FOCUS BillingPeriodStart/End: [first instant of the month, first instant of the next), UTC; the end is exclusive.
select *
from (
    select distinct x_BillingPeriod, BillingPeriodStart, BillingPeriodEnd
    from {{ ref('focus__cost_and_usage') }}
    where {{ in_changed_slices() }}
)
where
    BillingPeriodStart is distinct from {{ utc_month_start('x_BillingPeriod') }}
    or BillingPeriodEnd is distinct from {{ utc_month_start('x_BillingPeriod', 1) }}
