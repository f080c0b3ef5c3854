{# Slices (source id, billing month) are the unit of replacement. Only literals reach the filter, so that the scan
   prunes hive partitions. #}

{# "source_id|YYYY-MM" -> predicate on two columns. The plain IN lists are what the file pruning understands. #}
{% macro slice_predicate(slices, source_column, period_column) -%}
    {%- if not slices -%}
    false
    {%- else -%}
    {%- set sources, periods, pairs = [], [], [] -%}
    {%- for slice in slices -%}
        {%- set source, period = slice.rsplit('|', 1) -%}
        {%- set source_text, period_text = "'" ~ source.replace("'", "''") ~ "'", "'" ~ period.replace("'", "''") ~ "'" -%}
        {%- do sources.append(source_text) -%}
        {%- do periods.append(period_text) -%}
        {%- do pairs.append('(' ~ source_column ~ ' = ' ~ source_text ~ ' and ' ~ period_column ~ ' = ' ~ period_text ~ ')') -%}
    {%- endfor -%}
    {{ source_column }} in ({{ sources | unique | join(', ') }})
    and {{ period_column }} in ({{ periods | unique | join(', ') }})
    {%- if slices | length > 1 %}
    and ({{ pairs | join(' or ') }})
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# The rows a test or an incremental model has to look at: the changed slices, or everything when none is named. #}
{% macro in_changed_slices(source_column='x_SourceId', period_column='x_BillingPeriod') -%}
    {%- set slices = var('changed_slices', none) -%}
    {%- if slices is none -%}true{%- else -%}{{ slice_predicate(slices, source_column, period_column) }}{%- endif -%}
{%- endmacro %}

{# Incremental strategy `slices`: out go the changed and the dead slices, in go the changed ones, in one transaction. #}
{% macro get_incremental_slices_sql(arg_dict) %}
    {%- set slices = var('changed_slices', none) -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    delete from {{ arg_dict['target_relation'] }}
    where
        {% if slices is none -%}
        true
        {%- else -%}
        ({{ slice_predicate(slices, 'x_SourceId', 'x_BillingPeriod') }})
        or ({{ slice_predicate(var('dead_slices', []), 'x_SourceId', 'x_BillingPeriod') }})
        {%- endif %};
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
{% endmacro %}

{# The sources of a var that this run builds: a lake has few of them, and the staging models of the others may not exist. #}
{% macro built(sources) -%}
    {%- set chosen = var('built_sources', none) -%}
    {{ return(var(sources) if chosen is none else var(sources) | select('in', chosen) | list) }}
{%- endmacro %}
