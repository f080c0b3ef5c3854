-- Each case of seed ai_cases is read as it says: kind of usage, token class, tier, scope, model, accelerator, unit. A row is a case that is not.
{%- set expected = {
    'token_class_said': 'token_class_said', 'service_tier': 'service_tier_said', 'region_scope': 'region_scope_said',
    'model_id': 'model_id_said', 'developer': 'developer', 'family': 'family', 'version': 'version',
    'accelerator_type': 'accelerator_type', 'accelerator_count': 'accelerator_count', 'hours_count': 'hours_count',
    'provisioned_unit': 'provisioned_unit_said', 'token_factor': 'token_factor',
} %}
with

cases as (

    select case_id, {{ ai_texts().keys() | join(', ') }} from {{ ref('ai_cases') }}

),

{{ ai_match_ctes('cases') }},

compared as (

    select
        wanted.case_id,
        found.usage_kind,
        found.rule_ids,
        {% for wish, said in expected.items() -%}
        found.{{ said }} as said_{{ wish }},
        {% endfor -%}
        list_filter([
            {% for wish, said in expected.items() -%}
            case when wanted.{{ wish }} is distinct from found.{{ said }} then '{{ wish }}' end,
            {% endfor -%}
            case when coalesce(wanted.usage_kind, 'unexplained') <> coalesce(found.usage_kind, case when found.case_id is null then 'outside' else 'unexplained' end) then 'usage_kind' end
        ], lambda wrong: wrong is not null) as wrong
    from {{ ref('ai_cases') }} as wanted
    left join ai_matched as found on wanted.case_id = found.case_id

)

select * from compared where len(wrong) > 0
