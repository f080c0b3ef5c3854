-- An amount in the reporting currency is the billed one at the rate in force; without a rate it is null with a reason,
-- and the monthly mart is the sum of the daily one. A row built with another rate than today's shows too.
with

stale_or_wrong as (

    select
        'fct_cost_daily' as mart,
        daily.billing_period,
        daily.billing_currency
    from {{ ref('fct_cost_daily') }} as daily
    left join {{ ref('int_exchange_rates') }} as rates
        on daily.billing_period = rates.billing_period
        and daily.billing_currency = rates.billing_currency
    where
        daily.exchange_rate is distinct from rates.exchange_rate
        or daily.reporting_currency is distinct from rates.reporting_currency
        or daily.exchange_rate_locked is distinct from rates.exchange_rate_locked
        or (daily.billing_currency = daily.reporting_currency and daily.exchange_rate is distinct from 1)
        or daily.exchange_rate <= 0
        or (daily.exchange_rate is null) <> (daily.exchange_rate_reason is not null)
        {%- for cost in converted_costs() %}
        or (daily.exchange_rate is null) <> (daily.{{ cost }}_reporting is null)
        or abs(cast(daily.{{ cost }}_reporting as double) - cast(daily.{{ cost }} as double) * daily.exchange_rate)
        > 0.000000000001 + 0.000000000001 * abs(cast(daily.{{ cost }}_reporting as double))
        {%- endfor %}

),

daily_sums as (

    select
        billing_period,
        billing_currency,
        {%- for cost in converted_costs() %}
        sum({{ cost }}) as {{ cost }},
        sum({{ cost }}_reporting) as {{ cost }}_reporting,
        {%- endfor %}
        sum(line_count) as line_count
    from {{ ref('fct_cost_daily') }}
    group by billing_period, billing_currency

),

monthly_sums as (

    select
        billing_period,
        billing_currency,
        {%- for cost in converted_costs() %}
        sum({{ cost }}) as {{ cost }},
        sum({{ cost }}_reporting) as {{ cost }}_reporting,
        {%- endfor %}
        sum(line_count) as line_count
    from {{ ref('fct_cost_monthly_reporting') }}
    group by billing_period, billing_currency

)

select * from stale_or_wrong

union all

select
    'fct_cost_monthly_reporting' as mart,
    billing_period,
    billing_currency
from daily_sums
full join monthly_sums using (billing_period, billing_currency)
where
    daily_sums.line_count is distinct from monthly_sums.line_count
    {%- for cost in converted_costs() %}
    or daily_sums.{{ cost }} is distinct from monthly_sums.{{ cost }}
    or daily_sums.{{ cost }}_reporting is distinct from monthly_sums.{{ cost }}_reporting
    {%- endfor %}
