{#- Audio and image tokens: their classes, whose price they have, and how bills that don't name them are met. -#}

{# Audio and image classes → whose price a class without one of its own has: the first of these that has one. The last is its class of text.
   `PARENTS` of ingest/usage_bodies.py is the same rule (tested). #}
{% macro llm_modality_classes() -%}
    {{ return({
        'input_audio': ['input_uncached'],
        'input_audio_cache_read': ['input_audio', 'input_cache_read'],
        'output_audio': ['output'],
        'input_image': ['input_uncached'],
        'input_image_cache_read': ['input_image', 'input_cache_read'],
        'output_image': ['output'],
    }) }}
{%- endmacro %}

{# The class of text that an audio or image class is in where nothing is told apart. #}
{% macro llm_text_class(token_class) -%}
    case {{ token_class }}
        {% for class, parents in llm_modality_classes().items() %}when '{{ class }}' then '{{ parents[-1] }}'
        {% endfor %}else {{ token_class }}
    end
{%- endmacro %}

{# The uncached input of a class' own modality. #}
{% macro llm_uncached_class(token_class) -%}
    case
        when {{ token_class }} like 'input_audio%' then 'input_audio'
        when {{ token_class }} like 'input_image%' then 'input_image'
        else 'input_uncached'
    end
{%- endmacro %}

{# The cache reads of a class' own modality. #}
{% macro llm_cache_read_class(token_class) -%}
    case
        when {{ token_class }} like 'input_audio%' then 'input_audio_cache_read'
        when {{ token_class }} like 'input_image%' then 'input_image_cache_read'
        else 'input_cache_read'
    end
{%- endmacro %}

{# Columns of all input that no cache served, as a list to sum. #}
{% macro llm_input_but_reads() -%}
    [{% for class in llm_token_classes() if class.startswith('input') and not class.endswith('cache_read') %}{{ class }}_tokens{{ ', ' if not loop.last }}{% endfor %}]
{%- endmacro %}

{# Columns of all classes that begin with `prefix` and end with `suffix`, as a list to sum. #}
{% macro llm_class_columns(prefix, suffix='') -%}
    [{% for class in llm_token_classes() if class.startswith(prefix) and class.endswith(suffix) %}{{ class }}_tokens{{ ', ' if not loop.last }}{% endfor %}]
{%- endmacro %}

{# The class of a modality whose class of text is `text_class`; the class of text where the modality is none of ours. #}
{% macro llm_class_of_modality(text_class, modality) -%}
    case
        {% for class, parents in llm_modality_classes().items() -%}
        when {{ modality }} = '{{ class.split('_')[1] }}' and {{ text_class }} = '{{ parents[-1] }}' then '{{ class }}'
        {% endfor -%}
        else {{ text_class }}
    end
{%- endmacro %}

{# Rows of `usage` (with token_class) in the classes that `charges` bill their model in, per month and provider: a bill that names no audio or
   images is for all tokens. A model of which nothing is billed keeps its own classes. #}
{% macro llm_in_billed_classes(usage, charges) -%}
    select
        {{ usage }}.* replace (
            case
                when billed.token_classes is null or list_contains(billed.token_classes, {{ usage }}.token_class) then {{ usage }}.token_class
                else {{ llm_text_class(usage ~ '.token_class') }}
            end as token_class
        )
    from {{ usage }}
    left join (
        select
            billing_period,
            provider_name,
            model_id,
            list(distinct token_class) as token_classes
        from {{ charges }}
        where token_class is not null
        group by billing_period, provider_name, model_id
    ) as billed
        on {{ usage }}.billing_period = billed.billing_period
        and {{ usage }}.provider_name = billed.provider_name
        and {{ usage }}.model_id = billed.model_id
{%- endmacro %}

{# Rows of `prices` for the audio and image classes of which a model has no price at all: they cost what their nearest parent costs. #}
{% macro llm_inherited_prices(prices) -%}
    select
        {{ prices }}.* exclude (token_class),
        modalities.token_class,
        {{ prices }}.token_class as priced_as
    from {{ prices }}
    inner join (
        select
            provider_name,
            model_id,
            list(distinct token_class) as token_classes
        from {{ prices }}
        group by provider_name, model_id
    ) as owned
        on {{ prices }}.provider_name = owned.provider_name
        and {{ prices }}.model_id = owned.model_id
    cross join (
        values {% for class, parents in llm_modality_classes().items() -%}
        ('{{ class }}', '{{ parents[0] }}', '{{ parents[-1] }}'){{ ', ' if not loop.last }}
        {%- endfor %}
    ) as modalities (token_class, nearest_class, text_class)
    where
        not list_contains(owned.token_classes, modalities.token_class)
        and {{ prices }}.token_class = case
            when list_contains(owned.token_classes, modalities.nearest_class) then modalities.nearest_class else modalities.text_class
        end
{%- endmacro %}
