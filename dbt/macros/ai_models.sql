{# Text of a model -> who made it, its family, id and version: the first pattern of seed ai_models that fits. #}

{# A model's name as rules compare it: lower case, words joined by '-', without region, developer or path before it. #}
{% macro ai_model_name(text) -%}
    regexp_replace(
        regexp_replace(regexp_replace(trim(lower({{ text }})), '[\s_]+', '-', 'g'), '^.*/', ''),
        '^(?:(?:us|eu|apac|au|jp|ca|global|us-gov)\.)?(?:anthropic|amazon|openai|meta|mistral|cohere|ai21|deepseek|qwen|google|moonshotai|moonshot|zai|minimax|nvidia|writer|stability|twelvelabs|luma)\.',
        ''
    )
{%- endmacro %}

{# A template of ai_models (\1, \2 …) filled from the name; NULL when nothing is left. #}
{% macro ai_filled(template) -%}
    nullif(regexp_replace(rtrim(
        case
            when contains({{ template }}, '\') then regexp_replace(regexp_extract(names.name, models.pattern), models.pattern, {{ template }})
            else {{ template }}
        end, '-'), '--+', '-', 'g'), '')
{%- endmacro %}

{# CTE `ai_models_known`: one row per model text of `ai_said`. #}
{% macro ai_model_ctes() %}
    ai_model_names as (
        select distinct model_said, {{ ai_model_name('model_said') }} as name
        from ai_said
        where model_said is not null
    ),

    ai_models_known as (
        select
            model_said,
            arg_min(model_key, priority) as model_key,
            arg_min(developer, priority) as developer,
            arg_min(family, priority) as family,
            arg_min(struct_pack(v := model_id), priority).v as model_id,
            arg_min(struct_pack(v := version), priority).v as version
        from (
            select
                names.model_said,
                models.model_key,
                models.priority,
                models.developer,
                -- words of three letters and more begin with a capital: "claude sonnet" -> "Claude Sonnet", "o3" stays
                array_to_string(list_transform(
                    string_split({{ ai_filled('models.family') }}, ' '),
                    lambda word: case when regexp_matches(word, '^[a-z]{3}') then upper(word[1]) || word[2:] else word end
                ), ' ') as family,
                {{ ai_filled('models.model_id') }} as model_id,
                {{ ai_filled('models.version') }} as version
            from ai_model_names as names
            inner join {{ ref('ai_models') }} as models on regexp_matches(names.name, models.pattern)
        ) as fitting
        group by model_said
    )
{% endmacro %}
