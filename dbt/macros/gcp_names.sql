{# Names, ids and units of Google Cloud charges: what a FOCUS reader groups by. #}

{# Meters of generative models count tokens, whatever their unit says ("requests", "count"): provider-formats 7.6. Storage of
   cached tokens, characters, images and videos made, and reserved throughput are no tokens. #}
{% macro gcp_is_token() -%}
    (
        coalesce(by_id.service_category, by_name.service_category, '') = 'AI and Machine Learning'
        and (
            lower(usage_pricing_unit) like '%token%'
            or (
                lower(usage_pricing_unit) in ('count', 'request', 'requests')
                and regexp_matches(sku_description, '(?i)(token|\b(input|output|caching|cached|thinking)\b)')
                and not regexp_matches(
                    sku_description,
                    '(?i)(storage|character|second|minute|hour|imagen|veo|lyria|generation|training|tuning|throughput|\bgsu\b|grounding)'
                )
            )
        )
    )
{%- endmacro %}

{# CTE `recognised`: service, units, and the quantity in units of price (of tokens a million, for their prices are too small for 12
   decimals). `consumed` is the amount used of the whole line. #}
{% macro gcp_recognised_cte() %}
    recognised as (
        select
            *,
            case when is_token then '1000000 Tokens' else coalesce(pricing.focus_unit, 'Units') end as unit_of_price,
            case when is_token then 'Tokens' else coalesce(used.focus_unit, 'Units') end as unit_of_use,
            not is_token and pricing.unit_key is null and usage_pricing_unit is not null as unit_is_unknown,
            case
                when is_token and lower(usage_pricing_unit) not in ('1000000 tokens', '1m tokens')
                    then cast(line_quantity * cast(0.000001 as decimal(7, 6)) as decimal(38, 12))
                else line_quantity
            end as whole_quantity,
            case
                when is_token and lower(usage_pricing_unit) in ('1000000 tokens', '1m tokens')
                    then cast(line_quantity * 1000000 as decimal(38, 12))
                when is_token then line_quantity
                when usage_amount is null then line_quantity
                when coalesce(used.divisor, 1) = 1 then usage_amount
                else {{ gcp_whole_divided('usage_amount', 'used.divisor') }}
            end as consumed
        from (
            select
                measured.*,
                coalesce(
                    by_id.service_name, by_name.service_name, nullif(service_description, ''), nullif(service_id, ''), 'Google Cloud'
                ) as service,
                {%- set model = "regexp_matches(service_description, '^(Claude|Llama|Mistral|Codestral|Jamba|Grok|DeepSeek|Qwen)\\b')" %}
                coalesce(
                    by_id.service_category, by_name.service_category,
                    case when {{ model }} then 'AI and Machine Learning' else 'Other' end
                ) as category,
                coalesce(
                    by_id.service_subcategory, by_name.service_subcategory,
                    case when {{ model }} then 'Generative AI' else 'Other (Other)' end
                ) as subcategory,
                is_priced and ({{ gcp_is_token() }} or coalesce({{ model }} and lower(usage_pricing_unit) like '%token%', false)) as is_token
            from measured
            left join {{ ref('gcp_services') }} as by_id on by_id.service_key = measured.service_id
            left join {{ ref('gcp_services') }} as by_name
                on by_name.service_key = case when by_id.service_key is null then measured.service_description end
        ) as served
        left join {{ ref('gcp_units') }} as pricing on pricing.unit_key = lower(served.usage_pricing_unit)
        left join {{ ref('gcp_units') }} as used on used.unit_key = lower(served.usage_unit)
    )
{% endmacro %}

{# A large whole amount (byte-seconds) divided by a whole divisor, at 12 decimals. DuckDB's `/` would answer in DOUBLE. #}
{% macro gcp_whole_divided(amount, divisor) %}{{ return(adapter.dispatch('gcp_whole_divided', 'costlake')(amount, divisor)) }}{% endmacro %}
{% macro default__gcp_whole_divided(amount, divisor) -%}
    cast(
        cast(cast(cast({{ amount }} as decimal(38, 0)) as hugeint) * 1000000000000::hugeint // {{ divisor }} as decimal(38, 0))
        * cast(0.000000000001 as decimal(13, 12))
        as decimal(38, 12)
    )
{%- endmacro %}

{# `//compute.googleapis.com/projects/1/zones/z/instances/9` -> `compute:instances`; never NULL for an id. #}
{% macro gcp_resource_type(resource_id) -%}
    case
        when {{ resource_id }} is null then null
        else coalesce(
            regexp_extract({{ resource_id }}, '^//([a-z0-9-]+)\.googleapis\.com/', 1), lower(replace(service, ' ', '-'))
        ) || ':' || coalesce(nullif(regexp_extract({{ resource_id }}, '/([A-Za-z]+)/[^/]+$', 1), ''), 'resource')
    end
{%- endmacro %}

{# What Kubernetes calls the node: gce://<project>/<zone>/<instance name>. The export's global name has ids instead of names. #}
{% macro gcp_node_id() -%}
    case
        when resource_global_name like '//compute.googleapis.com/%/instances/%'
            then project_id || '/' || regexp_extract(resource_global_name, '/zones/([^/]+)/', 1) || '/'
                || nullif(regexp_extract(resource_name, '([^/]+)$', 1), '')
    end
{%- endmacro %}

{# A price is the SKU's at a tier of usage and, since 2025, under a consumption model. #}
{% macro gcp_sku_price() -%}
    concat_ws(
        '/', sku, regexp_replace(cast(tier_start as varchar), '\.?0+$', ''),
        case when consumption_model_description <> 'Default' then consumption_model_id end
    )
{%- endmacro %}

{% macro gcp_sku_price_details() -%}
    {{ json_object_of([
        json_text_member('InstanceType', 'machine_type'),
        "'\"CoreCount\":' || cast(try_cast(core_count as decimal(18, 0)) as varchar)",
        json_text_member('x_ConsumptionModelId', 'consumption_model_id'),
        json_text_member('x_ConsumptionModel', 'consumption_model_description')
    ]) }}
{%- endmacro %}
