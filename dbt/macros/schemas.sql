{# A model's schema is its layer's name, in every target: `focus.cost_and_usage`, never `main_focus`. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name is not none else target.schema }}
{%- endmacro %}
