-- FOCUS KeyValueFormat-001..004: Tags and SkuPriceDetails are JSON objects with unique keys and scalar values.
with texts as (
    {% for column in ['Tags', 'SkuPriceDetails'] -%}
    select distinct '{{ column }}' as column_name, {{ column }} as json_text
    from {{ ref('focus__cost_and_usage') }}
    where {{ column }} is not null and {{ in_changed_slices() }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select *
from texts
where
    not json_valid(json_text)
    or json_type(case when json_valid(json_text) then json_text end) <> 'OBJECT'
    or len(json_keys(case when json_valid(json_text) then json_text end))
        <> len(list_distinct(json_keys(case when json_valid(json_text) then json_text end)))
    or list_has_any(
        list_transform(
            json_extract(case when json_valid(json_text) then json_text end, '$.*'), lambda value: json_type(value)
        ),
        ['OBJECT', 'ARRAY']
    )
