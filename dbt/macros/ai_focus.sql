{# The AI columns of a FOCUS row, out of the row (`line`) and what the rules say of its text (`ai`, all NULL out of scope).
   What the source itself knew wins. #}

{% macro ai_derived_columns() %}
    {%- set money = 'decimal(38, 12)' -%}
    {{ return({
        'x_AcceleratorCount': [money, 'ai.accelerator_count'],
        'x_AcceleratorHours': [money, ai_time('ai.hours_count')],
        'x_AcceleratorType': ['varchar', 'ai.accelerator_type'],
        'x_AiReason': ['varchar', ai_reason()],
        'x_AiRuleId': ['varchar', "nullif(concat_ws(' ', ai.kind_rule, ai.rule_ids, ai.model_key), '')"],
        'x_AiUsageKind': ['varchar', 'ai.usage_kind'],
        'x_ModelDeveloper': ['varchar', 'ai.developer'],
        'x_ModelFamily': ['varchar', 'ai.family'],
        'x_ModelId': ['varchar', 'coalesce(line.x_ModelId, ai.model_id_said)'],
        'x_ModelReason': ['varchar', ai_model_reason()],
        'x_ModelVersion': ['varchar', 'ai.version'],
        'x_ProvisionedUnitHours': [money, "case when ai.provisioned_unit_said is not null then " ~ ai_time('1') ~ " end"],
        'x_ProvisionedUnits': [money, ai_provisioned_units()],
        'x_ProvisionedUnitType': ['varchar', 'ai.provisioned_unit_said'],
        'x_RegionScope': ['varchar', 'ai.region_scope_said'],
        'x_ServiceTier': ['varchar', 'coalesce(line.x_ServiceTier, ai.service_tier_said)'],
        'x_TokenCacheAction': ['varchar', 'ai.token_cache_action'],
        'x_TokenClass': ['varchar', 'coalesce(line.x_TokenClass, ai.token_class_said)'],
        'x_TokenDirection': ['varchar', 'ai.token_direction'],
        'x_Tokens': [money, "case when line.ChargeCategory = 'Usage' then line.ConsumedQuantity * ai.token_factor end"],
    }) }}
{% endmacro %}

{# Hours of use times `count`, exact; NULL where the row measures no time or nothing was used (fees, unused commitments). #}
{% macro ai_time(count) -%}
    case
        when {{ count }} is null or ai.time_seconds is null or line.ConsumedQuantity is null or line.ChargeCategory <> 'Usage' then null
        when ai.time_seconds = 3600
            then case when ai.time_is_consumed then line.ConsumedQuantity else line.PricingQuantity end * {{ count }}
        else {{ exact_quotient(
            "(case when ai.time_is_consumed then line.ConsumedQuantity else line.PricingQuantity end * cast(ai.time_seconds as decimal(12, 0)))",
            "cast(3600 as decimal(38, 12))"
        ) }} * {{ count }}
    end
{%- endmacro %}

{# Units held on average over the row's charge period: unit hours per hour. #}
{% macro ai_provisioned_units() -%}
    case when ai.provisioned_unit_said is not null then {{ exact_quotient(
        "(" ~ ai_time('1') ~ " * cast(3600 as decimal(4, 0)))",
        "cast(epoch(line.ChargePeriodEnd) - epoch(line.ChargePeriodStart) as decimal(38, 12))"
    ) }} end
{%- endmacro %}

{# Why something about an AI row is not known. #}
{% macro ai_reason() -%}
    case
        when ai.text_id is null then null
        when ai.usage_kind is null then 'no_rule_for_this_usage'
        when ai.usage_kind = 'accelerator_compute' and ai.accelerator_type is null then 'machine_not_in_ai_accelerators'
        when ai.usage_kind = 'token' and line.ConsumedQuantity is not null and ai.token_class_said is null then 'no_rule_for_this_token_class'
        when ai.usage_kind = 'token' and line.ConsumedQuantity is not null and ai.token_factor is null then 'unit_counts_no_tokens'
        when ai.model_said is not null and ai.model_key is null then 'model_not_in_ai_models'
    end
{%- endmacro %}

{# Why x_ModelId is NULL: the source's reason, or for AI services that their meter or service names none. #}
{% macro ai_model_reason() -%}
    case
        when coalesce(line.x_ModelId, ai.model_said) is not null then null
        when line.x_ModelReason is not null then line.x_ModelReason
        when line.ServiceCategory <> 'AI and Machine Learning' then null
        when line.ServiceSubcategory = 'Generative AI' then 'meter_names_no_model'
        else 'service_bills_no_model'
    end
{%- endmacro %}
