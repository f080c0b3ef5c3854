{#- The token ledger: what a stg_<source>__tokens model gives, and how its words become those of the price book. -#}

{# What usage is counted in beside tokens: metric → unit. A staging model gives it as column <metric>_units. #}
{% macro llm_metrics() -%}
    {{ return({
        'requests': 'Requests', 'web_search_requests': 'Requests', 'file_search_requests': 'Requests', 'images': 'Images',
        'audio_seconds': 'Seconds', 'characters': 'Characters', 'code_interpreter_sessions': 'Sessions', 'vector_store_bytes': 'Bytes'
    }) }}
{%- endmacro %}

{# The columns of a staging model of usage with their types. A source leaves out what it doesn't know: union all by name
   with this empty row set makes it null. #}
{% macro token_usage_contract() -%}
    {%- set texts = [
        'source_id', 'billing_period', 'usage_grain', 'usage_role', 'provider_name', 'account_id', 'project_id', 'model_id', 'api_key_id',
        'user_id', 'feature_tag', 'service_tier', 'context_tier', 'region_scope', 'price_gap'
    ] -%}
    {%- set counts = [
        'reported_input_tokens', 'request_count', 'web_search_requests', 'row_count', 'failed_request_count', 'failed_tokens'
    ] -%}
    select
        {% for column in texts %}cast(null as varchar) as {{ column }},
        {% endfor -%}
        cast(null as date) as charge_date,
        cast(null as timestamptz) as usage_start,
        cast(null as boolean) as batch,
        {% for column in counts %}cast(null as bigint) as {{ column }},
        {% endfor -%}
        {% for class in llm_token_classes() %}cast(null as bigint) as {{ class }}_tokens,
        {% endfor -%}
        {% for metric in llm_metrics() if metric != 'requests' %}cast(null as decimal(38, 0)) as {{ metric }}_units,
        {% endfor -%}
        cast(null as decimal(38, 12)) as provider_cost_usd,
        cast(null as decimal(38, 12)) as failed_cost_usd
    where false
{%- endmacro %}

{# 'hour' or 'day': how long a bucket is; null where its end is not known. #}
{% macro usage_grain(starts, ends) -%}
    case when {{ ends }} - {{ starts }} <= interval 1 hour then 'hour' when {{ ends }} is not null then 'day' end
{%- endmacro %}

{# Whether what a report does not separate (price_gap) leaves a class without a price, of a model that has prices for audio or images. Classes of
   audio and images are separated by themselves. #}
{% macro price_gap_covers(price_gap, token_class) -%}
    case {{ price_gap }}
        when 'modalities_not_told' then {{ token_class }} in ('{{ llm_text_token_classes() | join("', '") }}')
        when 'modalities_exceed_tokens' then {{ token_class }} in ('{{ llm_text_token_classes() | join("', '") }}')
        when 'modalities_not_separated' then
            {{ token_class }} in ('{{ llm_text_token_classes() | select('ne', 'output') | join("', '") }}')
        when 'cache_writes_not_separated_by_modality' then {{ token_class }} like 'input_cache_write%'
        else false
    end
{%- endmacro %}

{# A tier in the price book's words. #}
{% macro price_tier(service_tier, batch) -%}
    case
        when {{ batch }} then 'batch'
        when {{ service_tier }} is null or lower({{ service_tier }}) in ('default', 'auto', 'standard', 'on_demand', 'not_available')
            then 'standard'
        else lower({{ service_tier }})
    end
{%- endmacro %}

{# The least number of prompt tokens in a context tier such as '200k-1M' or '0-200k'; 0 where the report names none. #}
{% macro context_from(context_tier) -%}
    coalesce(
        try_cast(regexp_extract({{ context_tier }}, '^>?\s*(\d+)', 1) as bigint)
        * case lower(regexp_extract({{ context_tier }}, '^>?\s*\d+([kKmM]?)', 1)) when 'k' then 1000 when 'm' then 1000000 else 1 end,
        0
    )
{%- endmacro %}

{# The minute of the UTC day in which a bucket of usage begins (or, with `ends`, the first after it); all day where the model has no prices by
   the hour (`by_hour` says which has) or the bucket is a day. #}
{% macro usage_minute(usage, by_hour, ends=false) -%}
    case
        when {{ by_hour }} and {{ usage }}.usage_grain = 'hour'
            then date_diff('minute', cast({{ usage }}.charge_date as timestamp), {{ usage }}.usage_start at time zone 'UTC'){{ ' + 60' if ends }}
        else {{ 1440 if ends else 0 }}
    end
{%- endmacro %}

{# quantity x price per million, exact, rounded once to 12 decimals. #}
{% macro cost_at(quantity, price_per_million) -%}
    cast({{ quantity }} * {{ price_per_million }} * cast(0.000001 as decimal(7, 6)) as decimal(38, 12))
{%- endmacro %}

{# One row per class or metric that was used, with the least number of tokens its prompts had. Two tiers of a report may be
   one of the book: they are summed. #}
{% macro usage_by_class(relation, dimensions) -%}
    select
        {{ dimensions | join(', ') }},
        token_class,
        {{ context_from('context_tier') }} as prompt_tokens,
        cast(sum(quantity) as decimal(38, 0)) as quantity
    from (
        unpivot (
            select
                {{ dimensions | join(', ') }},
                {% for class in llm_token_classes() %}{{ class }}_tokens as {{ class }},
                {% endfor -%}
                cast(request_count as decimal(38, 0)) as requests,
                cast(web_search_requests as decimal(38, 0)) as web_search_requests
                {%- for metric in llm_metrics() if metric not in ('requests', 'web_search_requests') %},
                {{ metric }}
                {%- endfor %}
            from {{ relation }}
        )
        on {{ llm_token_classes() | join(', ') }}, {{ llm_metrics().keys() | join(', ') }}
        into name token_class value quantity
    )
    where quantity <> 0
    group by all
{%- endmacro %}
