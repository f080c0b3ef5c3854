-- What is wrong in the vendors' rows, counted per rule: one pass over the lines, each giving the rules that it breaks.
with

found as (
    select
        _source_id,
        _billing_period,
        _object_key,
        _row_number,
        unnest(list_filter([
            {% for rule, (condition, shown) in focus_in_fault_rules().items() -%}
            case when {{ condition }} then {'rule_id': '{{ rule }}', 'shown': cast({{ shown }} as varchar)} end{{ ',' if not loop.last }}
            {% endfor %}
        ], lambda fault: fault is not null)) as fault
    from {{ ref('stg_focus_files__lines') }}
),

of_rows as (
    select
        _source_id as source_id,
        _billing_period as billing_period,
        fault.rule_id as rule_id,
        count(*) as row_count,
        min_by({'object_key': _object_key, 'row_number': _row_number, 'shown': fault.shown}, (_object_key, _row_number)) as example
    from found
    group by 1, 2, 3
)

select * from of_rows
{#- what only several rows together show: a name that means two things in one bill -#}
{% for rule, name, meant in [
    ('service_has_several_categories', 'ServiceName', 'category'), ('sku_price_has_several_skus', 'coalesce(SkuPriceId, sku)', 'sku')
] %}
union all
select
    _source_id,
    _billing_period,
    '{{ rule }}',
    cast(sum(row_count) as bigint),
    min_by({'object_key': object_key, 'row_number': row_number, 'shown': concat_ws(' / ', name, meant)}, (object_key, row_number))
from (
    select
        _source_id, _billing_period, {{ name }} as name, {{ meant }} as meant, count(*) as row_count,
        min(_object_key) as object_key, min_by(_row_number, (_object_key, _row_number)) as row_number,
        count(*) over (partition by _source_id, _billing_period, {{ name }}) as meanings
    from {{ ref('stg_focus_files__lines') }}
    where {{ name }} is not null{{ ' and is_priced' if meant == 'sku' }}
    group by 1, 2, 3, 4
)
where meanings > 1
group by 1, 2
{% endfor %}
