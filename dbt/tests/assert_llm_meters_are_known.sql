{{ config(severity='warn') }}
-- Costs whose meter no seed knows: they keep their money but have no token class. Add the meter to the seed.
{% for source in ['openai_costs', 'anthropic_costs'] %}
select
    source_id,
    meter,
    meter_reason,
    count(*) as charges,
    sum(amount) as amount
from {{ ref('stg_' ~ source ~ '__metered') }}
where meter_reason is not null
group by source_id, meter, meter_reason
{{ 'union all' if not loop.last }}
{% endfor %}
