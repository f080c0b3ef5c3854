-- A negative class means that a provider's parts overlap in a way that staging does not know.
with

reported as (

    {{ token_usage_contract() }}
    {% for source in var('token_sources') %}
    union all by name
    select * from {{ ref('stg_' ~ source ~ '__tokens') }}
    {%- endfor %}

)

select
    source_id,
    charge_date,
    row_number
from reported
where least({% for class in llm_token_classes() %}{{ class }}_tokens{{ ', ' if not loop.last }}{% endfor %}) < 0
