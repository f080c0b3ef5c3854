{{ config(severity='warn') }}
-- Costs whose meter no seed knows: they keep their money but have no token class. Add the meter to the seed.
with

metered as (

    select
        cast(null as varchar) as source_id,
        cast(null as varchar) as meter,
        cast(null as varchar) as meter_reason,
        cast(null as decimal(38, 12)) as amount
    where false
    {% for source in built('focus_sources') if source in ('openai_costs', 'anthropic_costs') %}
    union all
    select
        source_id,
        meter,
        meter_reason,
        amount
    from {{ ref('stg_' ~ source ~ '__metered') }}
    {%- endfor %}

)

select
    source_id,
    meter,
    meter_reason,
    count(*) as charges,
    sum(amount) as amount
from metered
where meter_reason is not null
group by source_id, meter, meter_reason
