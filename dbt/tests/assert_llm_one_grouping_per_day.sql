-- Two pulls of a day with different group_by are the same tokens twice.
select
    source_id,
    endpoint,
    charge_date,
    count(distinct coalesce(group_by_signature, '')) as groupings
from {{ ref('stg_openai_usage__tokens') }}
group by source_id, endpoint, charge_date
having count(distinct coalesce(group_by_signature, '')) > 1
