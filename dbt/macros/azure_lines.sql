{# Azure cost details -> lines that say what they are, with their JSON columns read. Rules: docs/decisions/0016. #}

{% macro azure_is_commitment() -%}
    (
        lower(replace(pricing_model, ' ', '')) in ('reservation', 'savingsplan')
        or (pricing_model is null and (reservation_id is not null or benefit_id is not null))
    )
{%- endmacro %}

{# One short word per treatment. `trade` is the purchase or refund of a commitment whose covered usage is in the amortized export;
   an actual export alone has no such usage, so there it is a purchase like any other (cash basis). #}
{% macro azure_kind(is_actual) -%}
    case
        when starts_with(charge, 'unused') then 'unused'
        when charge = 'usage' and is_commitment then 'used'
        when charge = 'usage' then 'usage'
        when charge in ('purchase', 'refund') and is_commitment
            {{- " and _amortized_by is not null" if is_actual }} then 'trade'
        when charge in ('purchase', 'refund', 'tax', 'credit') then charge
        else 'adjustment'
    end
{%- endmacro %}

{# JSON text that an EA export may give without its braces; NULL where it is no JSON object. #}
{% macro azure_json(text) -%}
    case
        when {{ text }} is null then null
        when starts_with(ltrim({{ text }}), '{')
            then case when json_valid({{ text }}) then {{ text }} end
        when json_valid('{' || {{ text }} || '}') then '{' || {{ text }} || '}'
    end
{%- endmacro %}

{# Tags as a flat object with unique keys; a value that is no scalar becomes its text. Azure's own tags keep their names. #}
{% macro azure_tags(json) -%}
    case
        when {{ json }} is null or json_keys({{ json }}) = [] then null
        when
            len(json_keys({{ json }})) = len(list_distinct(json_keys({{ json }})))
            and not list_has_any(list_transform(json_extract({{ json }}, '$.*'), lambda v: json_type(v)), ['OBJECT', 'ARRAY'])
            then {{ json }}
        else cast(to_json(map_from_entries(list_transform(
            list_distinct(json_keys({{ json }})),
            lambda k: {'key': k, 'value': json_extract_string({{ json }}, '$."' || replace(k, '"', '\"') || '"')}
        ))) as varchar)
    end
{%- endmacro %}

{# The first owner tag that a row has, in the spellings that are usual on Azure (cost_center, CostCenter, cost-center). #}
{% macro azure_owner(json) -%}
    {%- set paths = [] -%}
    {%- for tag in var('owner_tags') -%}
        {%- set words = tag.split('_') -%}
        {%- set joined = words | map('capitalize') | join('') -%}
        {%- for spelling in [tag, tag | capitalize, tag | upper, joined, words | join('-'), words | join(''), joined[:1] | lower ~ joined[1:]] -%}
            {%- if "'$.\"" ~ spelling ~ "\"'" not in paths -%}{%- do paths.append("'$.\"" ~ spelling ~ "\"'") -%}{%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    list_filter(json_extract_string({{ json }}, [{{ paths | join(', ') }}]), lambda v: v <> '')[1]
{%- endmacro %}

{# CTE `lines`. A paired actual export contributes the trade in commitments alone. #}
{% macro azure_line_ctes(bronze, is_actual) %}
    {#- the members of AdditionalInfo that FOCUS has a place for -#}
    {%- set info = ['ServiceType', 'VCPUs', 'UsageType', 'VMCapacityReservationId', 'AHB'] -%}
    worded as (
        select
            *,
            coalesce(lower(replace(charge_type, ' ', '')), 'usage') as charge,
            {{ azure_is_commitment() }} as is_commitment,
            {{ azure_unit_text('unit_of_measure') }} as unit_text,
            lower(rtrim(resource_id, '/')) as resource,
            {{ azure_json('tags') }} as tags_object,
            {{ azure_json('additional_info') }} as info_object
        from {{ bronze }}
    ),

    lines as (
        select
            *,
            {{ azure_kind(is_actual) }} as kind,
            {{ azure_tags('tags_object') }} as tags_json,
            nullif({{ azure_owner('tags_object') }}, '') as owner_tag,
            {%- for member in info %}
            nullif(json_extract_string(info_object, '$.{{ member }}'), '') as info_{{ member | lower }},
            {%- endfor %}
            nullif(regexp_extract(resource, '.*/providers/([^/]+/.+)$', 1), '') as provider_path
        from worded
        {%- if is_actual %}
        where _amortized_by is null or (charge in ('purchase', 'refund') and is_commitment)
        {%- endif %}
    )
{% endmacro %}
