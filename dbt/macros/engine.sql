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

{# A decimal at 12 decimals, rounded half away from zero. DuckDB rescales a DECIMAL(38) by a 128-bit division that costs
   2-4 microseconds a row; below 1 the number fits 64 bits, and below 100 000 its text is rounded several times faster. #}
{% macro to_twelve(number) %}{{ return(adapter.dispatch('to_twelve', 'costlake')(number)) }}{% endmacro %}
{% macro default__to_twelve(number) -%}
    cast({{ number }} as decimal(38, 12))
{%- endmacro %}
{% macro duckdb__to_twelve(number) -%}
    case
        when abs({{ number }}) < 1 then cast(cast({{ number }} as decimal(18, 18)) as decimal(18, 12))
        when {{ number }} = 1 then cast(1 as decimal(18, 12))
        when abs({{ number }}) < 100000 then cast(cast({{ number }} as varchar) as decimal(18, 12))
        else cast({{ number }} as decimal(38, 12))
    end
{%- endmacro %}

{# A number in text as DECIMAL(38,12), NULL where it is none; the narrow type first, it is 100 times faster. #}
{% macro decimal_of_text(text) %}{{ return(adapter.dispatch('decimal_of_text', 'costlake')(text)) }}{% endmacro %}
{% macro default__decimal_of_text(text) -%}
    try_cast({{ text }} as decimal(38, 12))
{%- endmacro %}
{% macro duckdb__decimal_of_text(text) -%}
    coalesce(try_cast({{ text }} as decimal(18, 12)), try_cast({{ text }} as decimal(38, 12)))
{%- endmacro %}

{# price * quantity at 12 decimals: both factors have 12, so the product is exact before it is rounded once.
   `guess` (a DECIMAL(38,12), mostly the billed amount) is taken when it is that rounded product. #}
{% macro exact_product(price, quantity, guess) -%}
    case
        when abs({{ price }} * {{ quantity }} - {{ guess }}) < 0.0000000000005 then {{ guess }}
        when {{ quantity }} = 1 then {{ price }}
        else {{ round_product(price ~ ' * ' ~ quantity) }}
    end
{%- endmacro %}
{% macro round_product(product) %}{{ return(adapter.dispatch('round_product', 'costlake')(product)) }}{% endmacro %}
{% macro default__round_product(product) -%}
    cast({{ product }} as decimal(38, 12))
{%- endmacro %}
{% macro duckdb__round_product(product) -%}
    case
        when abs({{ product }}) < 100000 then cast(cast({{ product }} as varchar) as decimal(18, 12))
        else cast({{ product }} as decimal(38, 12))
    end
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
