-- A negative class means that a provider's parts overlap in a way that staging does not know.
with

staged as (

    {{ token_usage_contract() }}
    {% for source in built('token_sources') %}
    union all by name
    select * from {{ ref('stg_' ~ source ~ '__tokens') }}
    {%- endfor %}

)

select * from staged
where least({% for class in llm_token_classes() %}{{ class }}_tokens{{ ', ' if not loop.last }}{% endfor %}) < 0
