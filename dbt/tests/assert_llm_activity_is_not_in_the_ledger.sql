-- Activity reports tell of tokens that count elsewhere: an export of theirs in the token ledger would count them twice.
{% for source in var('activity_sources') %}
select distinct usage.source_id
from {{ ref('int_token_usage') }} as usage
inner join {{ ref('stg_' ~ source ~ '__activity') }} as activity on usage.source_id = activity.source_id
{{ 'union all' if not loop.last }}
{% endfor %}
