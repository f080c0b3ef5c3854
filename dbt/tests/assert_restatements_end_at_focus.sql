-- What the ledger says of a month in the end is what FOCUS holds of it, but for what 12 decimals cut off each row (at most half a unit);
-- a month of one side that the other does not know shows too. The exact equality with bronze is the reconciliation's.
with

newest as (

    select source_id, billing_period, billing_currency, billed_now, row_count_now
    from {{ ref('fct_restatements') }}
    qualify row_number() over (partition by source_id, billing_period, billing_currency order by change_number desc) = 1

),

focus as (

    select
        x_SourceId as source_id,
        x_BillingPeriod as billing_period,
        BillingCurrency as billing_currency,
        sum(BilledCost) as billed_cost,
        count(*) as line_count
    from {{ ref('focus__cost_and_usage') }}
    group by all

)

select *
from newest
full join focus using (source_id, billing_period, billing_currency)
where
    abs(coalesce(billed_now, 0) - coalesce(billed_cost, 0))
    > 0.0000000000005 * greatest(coalesce(row_count_now, 0), coalesce(line_count, 0))
    or (line_count is not null and row_count_now is null)
    or (row_count_now > 0 and line_count is null)
