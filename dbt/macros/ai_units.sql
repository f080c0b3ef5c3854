{# Units of tokens and machine time, and the last CTE of the matching: what a row of each text gets. #}

{# The number of a unit text: "1000000 Tokens" 1000000, "1K" 1000, "1M tokens" 1000000, "Hours" 1. #}
{% macro ai_unit_number(unit) -%}
    coalesce(try_cast(nullif(replace(regexp_extract({{ unit }}, '^([0-9][0-9,]*)', 1), ',', ''), '') as bigint), 1)
    * case
        when regexp_matches({{ unit }}, '(?i)^[0-9,]* ?(k|thousand)\b') then 1000
        when regexp_matches({{ unit }}, '(?i)^[0-9,]* ?(m|million)\b') then 1000000
        else 1
    end
{%- endmacro %}

{# Hours in one unit as seconds (3600 for "Hours" and "PTU-Hours"); NULL where the unit is no time. #}
{% macro ai_unit_seconds(unit) -%}
    case
        when regexp_matches({{ unit }}, '(?i)(^|[ -])(hours?|hrs?)$') then 3600 * {{ ai_unit_number(unit) }}
        when regexp_matches({{ unit }}, '(?i)(^|[ -])minutes?$') then 60 * {{ ai_unit_number(unit) }}
        when regexp_matches({{ unit }}, '(?i)(^|[ -])seconds?$') then {{ ai_unit_number(unit) }}
    end
{%- endmacro %}

{# CTE `ai_matched`. token_factor: tokens in one ConsumedUnit. time_seconds: seconds in one unit of time_quantity ('consumed', else
   'pricing'). hours_count: accelerators per hour of that time. Units without a number of their own are read by the rules. #}
{% macro ai_unit_cte() %}
    ai_matched as (
        select
            t.*,
            said.rule_ids,
            models.model_key,
            models.developer,
            models.family,
            models.version,
            said.model_said,
            coalesce(models.model_id, said.model_said) as model_id_said,
            said.token_class_said,
            case when said.token_class_said like 'input%' then 'Input' when said.token_class_said = 'output' then 'Output' end as token_direction,
            case
                when said.token_class_said = 'input_uncached' then 'Uncached'
                when said.token_class_said = 'input_cache_read' then 'Read'
                when said.token_class_said like 'input_cache_write%' then 'Write'
            end as token_cache_action,
            said.service_tier_said,
            said.region_scope_said,
            said.provisioned_unit_said,
            coalesce(machines.accelerator_type, said.accelerator_said) as accelerator_type,
            machines.accelerator_count,
            case said.hours_said
                when 'per_machine' then cast(machines.accelerator_count as decimal(18, 12))
                when 'per_accelerator' then cast(1 as decimal(18, 12))
            end as hours_count,
            cast(case
                when said.token_class_said is null then null
                when regexp_matches(t.consumed_unit, '(?i)tokens?$') then {{ ai_unit_number('t.consumed_unit') }}
                when regexp_matches(t.consumed_unit, '(?i)^[0-9,]+ ?(k|m|thousand|million)?\b|^(k|m|thousand|million)\b')
                    then {{ ai_unit_number('t.consumed_unit') }}
                when t.consumed_unit is null or regexp_matches(t.consumed_unit, '(?i)^(units?|count|requests?|quantity|each)$')
                    then try_cast(said.token_unit_said as bigint)
            end as decimal(12, 0)) as token_factor,
            coalesce({{ ai_unit_seconds('t.consumed_unit') }}, {{ ai_unit_seconds('t.pricing_unit') }}) as time_seconds,
            {{ ai_unit_seconds('t.consumed_unit') }} is not null as time_is_consumed
        from ai_kinded as t
        left join ai_said as said on t.text_id = said.text_id
        left join ai_models_known as models on said.model_said = models.model_said
        left join {{ ref('ai_accelerators') }} as machines
            on t.host_key = machines.host
            and regexp_replace(regexp_replace(t.machine_text, '^(ml\.|standard_)', ''), '[ _]+', '_', 'g') = machines.machine
    )
{% endmacro %}
