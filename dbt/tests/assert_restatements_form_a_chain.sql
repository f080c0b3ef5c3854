-- Each `then` is the `now` of the change before, to the last decimal: no report is skipped, told twice or changed afterwards.
select *
from (
    select
        *,
        lag(change_number, 1, 0) over by_change as previous_number,
        lag(billed_now) over by_change as previous_billed,
        lag(row_count_now) over by_change as previous_rows,
        lag(replaced_at) over by_change as previous_at
    from {{ ref('fct_restatements') }}
    window by_change as (partition by source_id, billing_period, billing_currency order by change_number)
)
where
    change_number <> previous_number + 1
    or billed_then is distinct from previous_billed
    or row_count_then is distinct from previous_rows
    or reported_at is distinct from previous_at
    or difference <> billed_now - coalesce(billed_then, 0)
