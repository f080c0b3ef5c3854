{# Tags and price details of a vendor's FOCUS file -> flat JSON objects (FOCUS KeyValueFormat); NULL where the text cannot be one. #}

{# The members of a JSON object's text, a nested value as its text; NULL for what is none or names a key twice. #}
{% macro focus_in_entries(json_text) -%}
    map_entries(try_cast(try_cast({{ json_text }} as json) as map(varchar, json)))
{%- endmacro %}

{% macro focus_in_flat_value(value) -%}
    case when json_type({{ value }}) in ('OBJECT', 'ARRAY') then cast(to_json(cast({{ value }} as varchar)) as varchar) else cast({{ value }} as varchar) end
{%- endmacro %}

{# An object, an object without its braces (Azure), or a list of {key, value} (Google) as the text of an object; else NULL. #}
{% macro focus_in_object_text(text) -%}
    case
        when {{ text }} is null then null
        when left(trim({{ text }}), 1) = '{' then case when json_valid({{ text }}) then trim({{ text }}) end
        when left(trim({{ text }}), 1) = '[' then case when json_valid({{ text }}) then {{ focus_in_list_object(text) }} end
        when json_valid('{' || {{ text }} || '}') then '{' || {{ text }} || '}'
    end
{%- endmacro %}

{# The first of several values of a key counts: Google lists those of a resource before those that it inherits. #}
{% macro focus_in_list_object(text) -%}
    {%- set lowered = "regexp_replace(regexp_replace(" ~ text ~ ", '\"(?i:key)\"\\s*:', '\"key\":', 'g'), '\"(?i:value)\"\\s*:', '\"value\":', 'g')" -%}
    {%- set pairs = 'try_cast(try_cast(' ~ lowered ~ ' as json) as struct("key" varchar, "value" varchar)[])' -%}
    '{' || nullif(array_to_string(list_transform(
        list_filter({{ pairs }}, lambda each, place: each."key" is not null
            and list_position(list_transform({{ pairs }}, lambda other: other."key"), each."key") = place),
        lambda each: cast(to_json(each."key") as varchar) || ':' || coalesce(cast(to_json(each."value") as varchar), 'null')
    ), ','), '') || '}'
{%- endmacro %}

{# Flat object; the text itself where it already is one, for the rebuilding costs. `object` is an object's text (above). #}
{% macro focus_in_flat_object(object) -%}
    case
        when {{ object }} is null or {{ object }} = '{}' then null
        when not regexp_matches({{ object }}, '[:,]\s*[\[{]')
            and len(json_keys({{ object }})) = len(list_distinct(json_keys({{ object }}))) then {{ object }}
        else '{' || nullif(array_to_string(list_transform(
            {{ focus_in_entries(object) }},
            lambda entry: cast(to_json(entry.key) as varchar) || ':' || {{ focus_in_flat_value('entry.value') }}
        ), ','), '') || '}'
    end
{%- endmacro %}

{% macro focus_in_detail_keys() -%}
    {{ return([
        'CoreCount', 'DiskMaxIops', 'DiskSpace', 'GpuCount', 'MemorySize', 'NetworkMaxIops', 'NetworkMaxThroughput',
        'DiskType', 'InstanceSeries', 'InstanceType', 'OperatingSystem', 'Redundancy', 'StorageClass'
    ]) }}
{%- endmacro %}

{# SkuPriceDetails-C-017/020/021: FOCUS keys as FOCUS spells them, the first seven of them numbers; any other key starts with x_. #}
{% macro focus_in_price_details(object) -%}
    {%- set known = focus_in_detail_keys() -%}
    {%- set numeric = [] -%}
    {%- for key in known[:7] %}{% do numeric.append("'" ~ key ~ "'") %}{% endfor -%}
    {%- set canonical -%}
    case lower(entry.key) {% for key in known %}when '{{ key | lower }}' then '{{ key }}' {% endfor -%} end
    {%- endset -%}
    {%- set number -%}
    try_cast(nullif(regexp_extract(trim(cast(entry.value as varchar), '"'), '^[0-9]+(\.[0-9]+)?'), '') as decimal(18, 6))
    {%- endset -%}
    {%- set members -%}
    list_transform({{ focus_in_entries(object) }}, lambda entry: {
        'name': case
            when {{ canonical }} in ({{ numeric | join(', ') }}) and {{ number }} is null then 'x_' || {{ canonical }}
            else coalesce({{ canonical }}, {{ focus_in_own_key('entry.key') }})
        end,
        'text': case
            when {{ canonical }} in ({{ numeric | join(', ') }}) and {{ number }} is not null
                then rtrim(rtrim(cast({{ number }} as varchar), '0'), '.')
            else {{ focus_in_flat_value('entry.value') }}
        end
    })
    {%- endset -%}
    case
        when {{ object }} is null or {{ object }} = '{}' then null
        -- most files need nothing of this
        when not regexp_matches({{ object }}, '[:,]\s*[\[{]|"({{ known[:7] | join('|') }})"\s*:\s*"')
            and len(list_filter(json_keys({{ object }}), lambda key: not regexp_matches(key, '^(x_[A-Z][A-Za-z0-9]*|{{ known | join('|') }})$'))) = 0
            and len(json_keys({{ object }})) = len(list_distinct(json_keys({{ object }}))) then {{ object }}
        else '{' || nullif(array_to_string(list_transform(
            list_filter({{ members }}, lambda each, place: list_position(list_transform({{ members }}, lambda other: other.name), each.name) = place),
            lambda each: cast(to_json(each.name) as varchar) || ':' || each.text
        ), ','), '') || '}'
    end
{%- endmacro %}

{# `x_term` -> `x_Term`, `purchase option` -> `x_PurchaseOption`-like; letters and digits only, a capital first. #}
{% macro focus_in_own_key(key) -%}
    {%- set stem = "regexp_replace(regexp_replace(" ~ key ~ ", '^x_', ''), '[^A-Za-z0-9]+', '', 'g')" -%}
    'x_' || case when regexp_matches({{ stem }}, '^[A-Za-z]') then '' else 'K' end || upper(left({{ stem }}, 1)) || substring({{ stem }}, 2)
{%- endmacro %}

{# The first of vars.owner_tags that the tags have, whatever its case: `CostCenter`, `cost-center` and `cost_center` are one. #}
{% macro focus_in_owner(tags) -%}
    {%- set paths = [] -%}
    {%- for tag in var('owner_tags') -%}
        {%- set words = tag.split('_') -%}
        {%- set camel = words | map('capitalize') | join('') -%}
        {%- for spelt in [tag, tag.replace('_', '-'), tag.replace('_', ''), tag | capitalize, camel, words | map('capitalize') | join('-'), tag | upper] | unique(case_sensitive=true) -%}
            {%- do paths.append("'$.\"" ~ spelt ~ "\"'") -%}
        {%- endfor -%}
    {%- endfor -%}
    list_filter(json_extract_string({{ tags }}, [{{ paths | join(', ') }}]), lambda owner: coalesce(owner, '') <> '')[1]
{%- endmacro %}
