-- A negative class means that a provider's parts overlap in a way that staging does not know.
{% for source in var('token_sources') %}
select
    source_id,
    charge_date,
    row_number
from {{ ref('stg_' ~ source ~ '__tokens') }}
where least({% for class in llm_token_classes() %}{{ class }}_tokens{{ ', ' if not loop.last }}{% endfor %}) < 0
{{ 'union all' if not loop.last }}
{% endfor %}
