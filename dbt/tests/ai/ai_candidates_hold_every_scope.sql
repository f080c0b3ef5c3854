-- Only candidates (macro ai_candidate) reach the rules: a case in scope that is none would be lost in silence.
with

cases as (

    select
        case_id,
        category as ServiceCategory,
        service as ServiceName,
        meter as SkuMeter,
        machine as x_InstanceType,
        model as x_ModelId,
        token_class as x_TokenClass,
        usage_kind
    from {{ ref('ai_cases') }}

)

select *
from cases
where
    coalesce(usage_kind, '') <> 'outside'
    and not coalesce({{ ai_candidate() }}, false)
