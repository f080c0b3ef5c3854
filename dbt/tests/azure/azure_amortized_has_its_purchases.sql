{{ config(severity='warn') }}
-- An amortized export alone knows what commitments covered and not what was paid for them: BilledCost lacks the purchases. Let the actual
-- export of the account be ingested too, with amortized_by.
-- depends_on: {{ ref('focus__cost_and_usage') }}
select
    amortized._source_id,
    amortized._billing_period,
    sum(amortized.cost_in_billing_currency) as covered_cost
from {{ source('bronze', 'azure_amortized') }} as amortized
left join (select distinct _amortized_by, _billing_period from {{ source('bronze', 'azure_actual') }}) as actual
    on amortized._source_id = actual._amortized_by and amortized._billing_period = actual._billing_period
where actual._amortized_by is null and {{ azure_is_covered() }}
group by 1, 2
