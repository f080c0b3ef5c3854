{# What a mart rebuilds: a bill's mart follows slices (source, month), a mart that mixes sources follows whole months.
   As in slices.sql, none named means all, and only literals reach the filter. #}

{% macro in_changed_periods(period_column='billing_period') -%}
    {%- set periods = var('changed_periods', none) -%}
    {%- if periods is none -%}
    true
    {%- elif periods | length == 0 -%}
    false
    {%- else -%}
    {{ period_column }} in ({% for period in periods %}'{{ period | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor %})
    {%- endif -%}
{%- endmacro %}

{# Incremental strategy `mart_slices`: changed and dead slices go, changed ones come, in one transaction. #}
{% macro get_incremental_mart_slices_sql(arg_dict) %}
    {{ replace_rows(
        arg_dict,
        '(' ~ in_changed_slices('source_id', 'billing_period') ~ ') or ('
        ~ slice_predicate(var('dead_slices', []), 'source_id', 'billing_period') ~ ')'
    ) }}
{% endmacro %}

{# Incremental strategy `mart_periods`: the changed months go and come; a month that lost its last row just goes. #}
{% macro get_incremental_mart_periods_sql(arg_dict) %}
    {{ replace_rows(arg_dict, in_changed_periods('billing_period')) }}
{% endmacro %}

{% macro replace_rows(arg_dict, predicate) %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    delete from {{ arg_dict['target_relation'] }}
    where {{ predicate }};
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
{% endmacro %}
