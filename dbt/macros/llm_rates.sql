{# Money out of tokens and rates per million; a sum of which a part is unknown is unknown. #}

{# A provider's word for how a request was served -> standard, batch, or its own word (flex, priority, provisioned …). #}
{% macro llm_tier(tier) -%}
    case when lower(coalesce({{ tier }}, 'default')) in ('default', 'standard', 'auto', 'on_demand', '') then 'standard' else lower({{ tier }}) end
{%- endmacro %}

{# tokens x USD per million, at 12 decimals, rounded once; NULL where either is unknown. #}
{% macro llm_cost(tokens, usd_per_million) -%}
    cast(cast({{ tokens }} as decimal(20, 0)) * cast({{ usd_per_million }} as decimal(18, 9)) * cast(0.000001 as decimal(7, 6)) as decimal(38, 12))
{%- endmacro %}

{# sum(amount), or NULL when a row that counts (`needed`) has none: half a sum is not a sum. #}
{% macro known_sum(amount, needed='true') -%}
    cast(case when bool_and({{ amount }} is not null or not ({{ needed }})) then coalesce(sum({{ amount }}) filter (where {{ needed }}), 0) end as decimal(38, 12))
{%- endmacro %}

{# Which AI charges the comparison of routes is about: models, tokens, provisioned throughput; not training, notebooks or tools. #}
{% macro llm_compared(model_id='model_id', usage_kind='usage_kind') -%}
    ({{ model_id }} is not null or coalesce({{ usage_kind }}, '') in ('token', 'provisioned_throughput'))
{%- endmacro %}
