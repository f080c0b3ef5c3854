-- One FOCUS row per Cursor event, in dollars: listed at what its tokens cost, billed at what was charged beyond the plan. An event has one price for
-- all its tokens, so the quantity is the amount.

with

source as (

    select
        *,
        coalesce(charged_cents, case when regexp_matches(lower(kind), 'usage.?based|on.?demand') then total_cents else 0 end) as billed_cents
    from {{ source('bronze', 'cursor_events') }}

),

metered as (

    {{ llm_metered('source', {
        'charge_start': "date_trunc('hour', used_at at time zone 'UTC') at time zone 'UTC'",
        'charge_end': after("date_trunc('hour', used_at at time zone 'UTC') at time zone 'UTC'", 'hour'),
        'amount': 'cast(coalesce(total_cents, billed_cents) * cast(0.01 as decimal(3, 2)) as decimal(38, 12))',
        'billed_amount': 'cast(billed_cents * cast(0.01 as decimal(3, 2)) as decimal(38, 12))',
        'description': "concat_ws(', ', model, kind)",
        'model_id': 'model',
        'meter': "'requests'",
        'meter_kind': "'requests'",
        'sku_id': 'model',
        'sku_meter': "'Requests'",
        'operation': 'kind',
    }) }}

),

priced as (

    {{ llm_priced('metered') }}

),

billed as (

    select * replace (billed_amount as amount)
    from priced

),

mapped as (

    {{ llm_focus_row('billed', provider='Cursor', service='Cursor', sub_account_type='Workspace', developer="cast(null as varchar)") }}

),

final as (

    {{ focus_select('mapped', absent=llm_absent_columns()) }}

)

select * from final
