-- A rule that wins no case is untested, or an earlier one always takes its texts; the same for a scope that no case shows.
with

cases as (

    select case_id, {{ ai_texts().keys() | join(', ') }} from {{ ref('ai_cases') }}

),

{{ ai_match_ctes('cases') }},

winners as (

    select kind_rule as rule_id from ai_matched
    union all
    select unnest(string_split(rule_ids, ' ')) from ai_matched
    union all
    select rule_id from ai_machines

)

select rule_id, 'wins no case' as fault
from {{ ref('ai_rules') }}
where rule_id not in (select rule_id from winners where rule_id is not null)

union all

select scope_id, 'shown by no case'
from {{ ref('ai_scopes') }} as scopes
where not exists (
    select 1
    from ai_fields as t
    where (scopes.host is null or scopes.host = t.host_key) and regexp_matches({{ ai_field('scopes.field') }}, scopes.pattern)
)

union all

select string_agg(rule_id, ', '), 'share a priority: which of them wins would be chance'
from {{ ref('ai_rules') }}
group by aspect, priority
having count(*) > 1
