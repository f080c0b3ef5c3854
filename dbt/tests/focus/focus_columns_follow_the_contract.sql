-- FOCUS CustomColumnHandling-002, DateTimeFormat, StringHandling: the table has the contract's columns and types, and a
-- column beyond it must start with x_. Read from the catalogue, so that it also sees what was altered after the build.
{%- set table = ref('focus__cost_and_usage') %}
{%- set types = {'varchar': 'VARCHAR', 'bigint': 'BIGINT', 'timestamptz': 'TIMESTAMP WITH TIME ZONE', 'decimal(38, 12)': 'DECIMAL(38,12)'} %}
with expected (column_name, data_type) as (
    values
    {% for name, type in focus_columns().items() -%}
    ('{{ name }}', '{{ types[type] }}'){{ ',' if not loop.last }}
    {% endfor %}
),

found as (
    select column_name, data_type
    from information_schema.columns
    where table_schema = '{{ table.schema }}' and table_name = '{{ table.identifier }}'
        and table_catalog = current_database()
)

select column_name, expected.data_type as expected_type, found.data_type as found_type
from expected
full join found using (column_name)
where
    found.data_type is distinct from expected.data_type
    and not (expected.data_type is null and regexp_matches(column_name, '^x_[A-Z][A-Za-z0-9]{0,47}$'))
