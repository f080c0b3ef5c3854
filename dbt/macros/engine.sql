{# SQL that differs between engines. DuckDB is the default here; another engine adds <engine>__<name>. #}

{# One member `"key":"value"` of a JSON object, or NULL where the text is NULL. #}
{% macro json_text_member(key, text) %}{{ return(adapter.dispatch('json_text_member', 'costlake')(key, text)) }}{% endmacro %}
{% macro default__json_text_member(key, text) -%}
    '"{{ key }}":' || cast(to_json({{ text }}) as varchar)
{%- endmacro %}

{# A JSON object out of members as above; NULL when all are NULL. #}
{% macro json_object_of(members) %}{{ return(adapter.dispatch('json_object_of', 'costlake')(members)) }}{% endmacro %}
{% macro default__json_object_of(members) -%}
    {%- if members -%}
    '{' || nullif(concat_ws(',', {{ members | join(', ') }}), '') || '}'
    {%- else -%}
    cast(null as varchar)
    {%- endif -%}
{%- endmacro %}

{# price * quantity at 12 decimals, exact: both factors have 12, so the product is exact before it is rounded once. #}
{% macro exact_product(price, quantity) %}{{ return(adapter.dispatch('exact_product', 'costlake')(price, quantity)) }}{% endmacro %}
{% macro default__exact_product(price, quantity) -%}
    cast(({{ price }}) * ({{ quantity }}) as decimal(38, 12))
{%- endmacro %}

{# The relation's columns whose names start with `prefix`, found when the project compiles; [] while parsing. #}
{% macro columns_like(relation, prefix) %}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- for column in adapter.get_columns_in_relation(relation) if column.name.startswith(prefix) -%}
            {%- do found.append(column.name) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found | sort) }}
{% endmacro %}
