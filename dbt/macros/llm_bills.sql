{# Bills of providers whose rows need no reading of meters: a metered charge (see macro llm) out of a few expressions. -#}

{# SELECT of a metered charge with usage: `given` says column -> expression over the relation; what it leaves out is lineage or unknown.
   `charge_start`, `charge_end`, `amount`, `meter`, `meter_kind` and `sku_id` must be given. #}
{% macro llm_metered(relation, given) -%}
    {%- set columns = {
        'source_id': '_source_id',
        'billing_period': '_billing_period',
        'delivery_id': '_delivery_id',
        'object_key': '_object_key',
        'row_number': '_row_number',
        'account_id': '_account_id',
        'account_name': '_account_name',
        'currency': "'USD'",
    } -%}
    {%- for name in [
        'description', 'project_id', 'project_name', 'api_key_id', 'model_id', 'model_reason', 'token_class', 'token_direction',
        'token_cache_action', 'service_tier', 'operation', 'context_window', 'inference_geo', 'provider_unit', 'default_unit'
    ] -%}
        {%- do columns.update({name: 'cast(null as varchar)'}) -%}
    {%- endfor -%}
    {%- do columns.update({'provider_quantity': 'cast(null as decimal(38, 12))', 'reported_quantity': 'cast(null as decimal(38, 12))'}) -%}
    {%- do columns.update({'sku_meter': given['meter']}) -%}
    {%- do columns.update(given) -%}
    select
        {%- for name, expression in columns.items() %}
        {{ expression }} as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ relation }}
{%- endmacro %}

{# Last instant of an hour's or a day's charge: the first one of the next. #}
{% macro after(instant, unit) -%}
    {{ instant }} + interval 1 {{ unit }}
{%- endmacro %}
