{# What the tests of paired exports compare. #}

{% macro azure_charge() -%}
    coalesce(lower(replace(charge_type, ' ', '')), 'usage')
{%- endmacro %}

{# Usage that a commitment covers, and what of it stayed unused. #}
{% macro azure_is_covered() -%}
    ({{ azure_charge() }} like 'unused%' or ({{ azure_charge() }} = 'usage' and {{ azure_is_commitment() }}))
{%- endmacro %}

{# CTE `pairs`: per pair, month and currency the cost in the actual export and what of it the two give to FOCUS, over the days before
   the last one that both have. #}
{% macro azure_pairs() %}
    with per_day as (
        {% for report, export in [('azure_actual', '_amortized_by'), ('azure_amortized', '_source_id')] -%}
        select
            '{{ report }}' as report,
            {{ export }} as amortized_export,
            {{ "_source_id" if report == 'azure_actual' else "null" }} as actual_export,
            _billing_period,
            billing_currency,
            date,
            sum(cost_in_billing_currency) as cost,
            sum(abs(cost_in_billing_currency)) as gross,
            sum(case when {{ azure_charge() }} in ('purchase', 'refund') and {{ azure_is_commitment() }}
                then cost_in_billing_currency else 0 end) as trade,
            sum(case when {{ azure_is_covered() }} then 0 else cost_in_billing_currency end) as uncovered
        from {{ source('bronze', report) }}
        where {{ export }} is not null
        group by all
        {{ 'union all' if not loop.last }}
        {% endfor %}
    ),

    reach as (
        select
            amortized_export,
            _billing_period,
            max(case when report = 'azure_actual' then date end) as actual_day,
            max(case when report = 'azure_amortized' then date end) as amortized_day
        from per_day
        group by 1, 2
        having actual_day is not null
    ),

    pairs as (
        select
            per_day.amortized_export,
            max(per_day.actual_export) as actual_export,
            per_day._billing_period,
            per_day.billing_currency,
            max(reach.amortized_day) as amortized_days,
            sum(case when report = 'azure_actual' then cost else 0 end) as in_actual,
            sum(case when report = 'azure_actual' then gross else 0 end) as in_actual_gross,
            sum(case when report = 'azure_actual' then trade else uncovered end) as in_focus
        from per_day
        inner join reach using (amortized_export, _billing_period)
        where reach.amortized_day is null or per_day.date < least(reach.actual_day, reach.amortized_day)
        group by 1, 3, 4
    )
{% endmacro %}
