-- FOCUS BillingCurrency-C-005: a billing account is billed in one currency per period.
select x_SourceId, x_BillingPeriod, BillingAccountId, count(distinct BillingCurrency) as currencies
from {{ ref('focus__cost_and_usage') }}
where {{ in_changed_slices() }}
group by 1, 2, 3
having count(distinct BillingCurrency) > 1
