{# What repeats inside a row of Google Cloud's export, as one value of that row. Never joined: a row with two credits would cost
   twice. Lists are DuckDB's here; another engine adds <engine>__<name>. #}

{# Types of credits that lower a price. The others (PROMOTION, new ones) pay a charge: they are charges of their own. #}
{% macro gcp_price_credits() -%}
    ('SUSTAINED_USAGE_DISCOUNT', 'COMMITTED_USAGE_DISCOUNT', 'COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE', 'DISCOUNT',
    'RESELLER_MARGIN', 'FREE_TIER', 'SUBSCRIPTION_BENEFIT', 'FEE_UTILIZATION_OFFSET')
{%- endmacro %}

{# The sum of the row's credits of these types (a SQL list; none: all), at 18 decimals. #}
{% macro gcp_sum_of_credits(types=none) %}{{ return(adapter.dispatch('gcp_sum_of_credits', 'costlake')(types)) }}{% endmacro %}
{% macro default__gcp_sum_of_credits(types) -%}
    {%- set chosen = 'credits' if types is none else 'list_filter(credits, lambda credit: credit.type in ' ~ types ~ ')' -%}
    coalesce(list_sum(list_transform({{ chosen }}, lambda credit: credit.amount)), 0)
{%- endmacro %}

{# The credits that are charges of their own, with their amounts at 12 decimals. #}
{% macro gcp_other_credits() %}{{ return(adapter.dispatch('gcp_other_credits', 'costlake')()) }}{% endmacro %}
{% macro default__gcp_other_credits() -%}
    list_transform(
        list_filter(credits, lambda credit: coalesce(credit.type not in {{ gcp_price_credits() }}, true)),
        lambda credit: struct_pack(
            name := coalesce(credit.full_name, credit.name, credit.id, credit.type, 'Credit'),
            amount := cast(credit.amount as decimal(38, 12))
        )
    )
{%- endmacro %}

{# The sum of what `gcp_other_credits` gave, at 12 decimals. #}
{% macro gcp_sum_of_other_credits(credits) %}{{ return(adapter.dispatch('gcp_sum_of_other_credits', 'costlake')(credits)) }}{% endmacro %}
{% macro default__gcp_sum_of_other_credits(credits) -%}
    coalesce(list_sum(list_transform({{ credits }}, lambda credit: credit.amount)), 0)
{%- endmacro %}

{# The value of a key in a list of (key, value); NULL where there is none or it is empty. #}
{% macro gcp_value_of(list, key) %}{{ return(adapter.dispatch('gcp_value_of', 'costlake')(list, key)) }}{% endmacro %}
{% macro default__gcp_value_of(list, key) -%}
    nullif(list_filter({{ list }}, lambda entry: entry.key = '{{ key }}')[1].value, '')
{%- endmacro %}

{# Labels under their own keys; project labels `project:`, Google's own `gcp:`, resource-manager tags `tag:<namespace>/`. A key
   without a value is true (FOCUS TagKeyValue); of a key that comes twice the first counts. #}
{% macro gcp_tags_json() %}{{ return(adapter.dispatch('gcp_tags_json', 'costlake')()) }}{% endmacro %}
{% macro default__gcp_tags_json() -%}
    {%- set entries -%}
    list_concat(
        list_transform(coalesce(labels, []), lambda entry: struct_pack(key := entry.key, value := entry.value)),
        list_transform(
            coalesce(project_labels, []), lambda entry: struct_pack(key := 'project:' || entry.key, value := entry.value)
        ),
        list_transform(coalesce(system_labels, []), lambda entry: struct_pack(key := 'gcp:' || entry.key, value := entry.value)),
        list_transform(
            coalesce(tags, []),
            lambda entry: struct_pack(key := 'tag:' || coalesce(entry.namespace || '/', '') || entry.key, value := entry.value)
        )
    )
    {%- endset -%}
    '{' || nullif(array_to_string(list_transform(
        list_filter({{ entries }}, lambda entry, place:
            list_position(list_transform({{ entries }}, lambda other: other.key), entry.key) = place),
        lambda entry: cast(to_json(entry.key) as varchar) || ':'
            || coalesce(cast(to_json(nullif(entry.value, '')) as varchar), 'true')
    ), ','), '') || '}'
{%- endmacro %}

{# The first of vars.owner_tags that a row has: as label, label of its project, or tag. Keys of Google often have hyphens. #}
{% macro gcp_owner() -%}
    {%- set candidates = [] -%}
    {%- for tag in var('owner_tags') -%}
        {%- for list in ['labels', 'project_labels', 'tags'] -%}
            {%- for key in [tag, tag | replace('_', '-')] | unique -%}
                {%- do candidates.append(gcp_value_of(list, key)) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    coalesce({{ candidates | join(', ') }})
{%- endmacro %}

{# First instant of a billing month "YYYY-MM": Google's invoices run from midnight to midnight in US Pacific time. #}
{% macro gcp_month_start(period, months_later=0) %}{{ return(adapter.dispatch('gcp_month_start', 'costlake')(period, months_later)) }}{% endmacro %}
{% macro default__gcp_month_start(period, months_later) -%}
    ((cast({{ period }} || '-01' as timestamp) + interval {{ months_later }} month) at time zone 'America/Los_Angeles')
{%- endmacro %}

{# The FOCUS rows of a row of the export as a list of (part, amount, name); see gcp_charges. #}
{% macro gcp_charge_parts() %}{{ return(adapter.dispatch('gcp_charge_parts', 'costlake')()) }}{% endmacro %}
{% macro default__gcp_charge_parts() -%}
    {%- set nothing = 'amount := cast(null as decimal(38, 12)), name := cast(null as varchar)' -%}
    list_concat(
        case when fee_share is null or covered_part < 1 or reduced_cost <> 0 then [struct_pack(part := '', {{ nothing }})] else [] end,
        case when fee_share is not null then [struct_pack(part := ':Covered', {{ nothing }})] else [] end,
        case when is_fee and not is_spread and reduced_cost <> 0 then [struct_pack(part := ':Unused', {{ nothing }})] else [] end,
        list_transform(coalesce(other_credits, []), lambda credit, place: struct_pack(
            part := ':Credit' || cast(place as varchar), amount := credit.amount, name := credit.name
        ))
    )
{%- endmacro %}
