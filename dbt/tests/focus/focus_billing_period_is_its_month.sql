-- FOCUS BillingPeriodStart/End: [first instant of the month, first instant of the next); the end is exclusive. A month is one in UTC,
-- Google's one in US Pacific time
-- (decision 0017), or in UTC where a FOCUS file says so.
select *
from (
    select distinct x_BillingPeriod, InvoiceIssuerName, BillingPeriodStart, BillingPeriodEnd
    from {{ ref('focus__cost_and_usage') }}
    where {{ in_changed_slices() }}
)
where
    (
        BillingPeriodStart is distinct from {{ utc_month_start('x_BillingPeriod') }}
        or BillingPeriodEnd is distinct from {{ utc_month_start('x_BillingPeriod', 1) }}
    )
    and (
        InvoiceIssuerName <> 'Google Cloud'
        or BillingPeriodStart is distinct from {{ gcp_month_start('x_BillingPeriod') }}
        or BillingPeriodEnd is distinct from {{ gcp_month_start('x_BillingPeriod', 1) }}
    )
