-- The hourly rates of owned accelerators in force: the newest revision of each, by host or by model.

with

revisions as (

    select
        *,
        row_number() over (partition by rate_id, valid_from order by revision desc, recorded_at desc) as place
    from {{ source('ops', 'gpu_rates') }}

)

select
    rate_id,
    host,
    lower(model) as model,
    gpu_count,
    currency as billing_currency,
    hourly_rate,
    owner,
    valid_from,
    valid_to
from revisions
where
    place = 1
    and active
