{{
    config(
        materialized='incremental',
        incremental_strategy='slices',
        alias='cost_and_usage',
        on_schema_change='fail',
    )
}}
-- Bills of all sources in one table, with the AI columns that the rules derive. The sources are read twice, the first time for a dozen
-- text columns of the few rows that may be AI: rules run on distinct texts, and no row of all columns has to be kept meanwhile.
-- Seeds that only the tests read, so that they are built with the table:
-- depends_on: {{ ref('focus_service_categories') }}, {{ ref('focus_units') }}, {{ ref('ai_cases') }}
-- And the view that tells these tests which rows of vendors' own FOCUS files may break a rule:
-- depends_on: {{ ref('focus__faults') }}
-- With no slice named a run that is not a full refresh replaces every slice.
{%- set derived = ai_derived_columns() %}
with

ai_texts as (

    select distinct {% for name, text in ai_texts().items() %}{{ text }} as {{ name }}{{ ', ' if not loop.last }}{% endfor %}
    from (
        {%- for source in built('focus_sources') %}
        select {{ ai_source_columns() | join(', ') }}
        from {{ ref('stg_' ~ source ~ '__focus') }}
        where
            {{ ai_candidate() }}
            {%- if is_incremental() %}
            and {{ in_changed_slices() }}
            {%- endif %}
        {{ 'union all by name' if not loop.last }}
        {%- endfor %}
    ) as candidates

),

{{ ai_match_ctes('ai_texts') }}

{% for source in built('focus_sources') %}
select
    {%- for name in focus_columns() %}
    {% if name in derived %}cast({{ derived[name][1] }} as {{ derived[name][0] }}) as {{ name }}{% else %}line.{{ name }}{% endif %}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ ref('stg_' ~ source ~ '__focus') }} as line
left join ai_matched as ai
    on {{ ai_joined_by('line', 'ai') }}
{%- if is_incremental() %}
where {{ in_changed_slices('line.x_SourceId', 'line.x_BillingPeriod') }}
{%- endif %}
{{ 'union all by name' if not loop.last }}
{%- endfor %}
