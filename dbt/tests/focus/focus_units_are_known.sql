-- FOCUS UnitFormat: `<number> <unit>`, units joined by - or /, each from our closed list (seed focus_units) or the
-- billing currency. The validator accepts any word, so `Hrs` and `tokens` would pass it.
with units as (
    {% for column in ['PricingUnit', 'ConsumedUnit', 'CommitmentDiscountUnit'] -%}
    select distinct '{{ column }}' as column_name, {{ column }} as unit, BillingCurrency
    from {{ ref('focus__cost_and_usage') }}
    where {{ column }} is not null and {{ in_changed_slices() }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

base_units as (
    select
        column_name,
        unit,
        BillingCurrency,
        unnest(string_split(replace(regexp_replace(unit, '^[1-9][0-9]* ', ''), '/', '-'), '-')) as base_unit
    from units
)

select base_units.*
from base_units
left join {{ ref('focus_units') }} as known using (base_unit)
where known.base_unit is null and base_units.base_unit <> base_units.BillingCurrency
