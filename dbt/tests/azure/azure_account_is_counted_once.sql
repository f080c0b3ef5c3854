-- Actual and amortized cost of one account hold the same usage. Both of them counted would double the bill, unless the actual export names
-- the amortized one in accounts.yml (amortized_by): then it gives the purchases of commitments alone. Rows here: what is counted twice.
-- depends_on: {{ ref('focus__cost_and_usage') }}
with counted as (
    {% for report in ['azure_actual', 'azure_amortized'] -%}
    select distinct
        '{{ report }}' as report,
        _source_id,
        _billing_period,
        coalesce(billing_profile_id, billing_account_id, _account_id, '') as account,
        coalesce(lower(subscription_id), '') as subscription
    from {{ source('bronze', report) }}
    where {{ "_amortized_by is null" if report == 'azure_actual' else "true" }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    actual._source_id as actual_export,
    amortized._source_id as amortized_export,
    actual._billing_period,
    actual.account,
    actual.subscription
from counted as actual
inner join counted as amortized
    on actual._billing_period = amortized._billing_period
    and actual.account = amortized.account
    and actual.subscription = amortized.subscription
where
    actual.report = 'azure_actual'
    and amortized.report = 'azure_amortized'
    and (actual.account <> '' or actual.subscription <> '')
