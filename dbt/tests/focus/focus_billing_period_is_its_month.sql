-- FOCUS BillingPeriodStart/End: [first instant of the month, first instant of the next); the end is exclusive. A month is one in UTC,
-- Google's one in US Pacific time (decision 0017).
select *
from (
    select distinct x_BillingPeriod, InvoiceIssuerName, BillingPeriodStart, BillingPeriodEnd
    from {{ ref('focus__cost_and_usage') }}
    where {{ in_changed_slices() }}
)
where
    BillingPeriodStart is distinct from
    case InvoiceIssuerName
        when 'Google Cloud' then {{ gcp_month_start('x_BillingPeriod') }} else {{ utc_month_start('x_BillingPeriod') }}
    end
    or BillingPeriodEnd is distinct from
    case InvoiceIssuerName
        when 'Google Cloud' then {{ gcp_month_start('x_BillingPeriod', 1) }} else {{ utc_month_start('x_BillingPeriod', 1) }}
    end
