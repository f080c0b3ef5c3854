-- The rates in force: the newest revision of each month and currency, into the one currency that is reported in.

with

revisions as (

    select
        *,
        row_number() over (
            partition by month, from_currency, to_currency
            order by revision desc, recorded_at desc, rate
        ) as place
    from {{ source('ops', 'exchange_rates') }}

),

final as (

    select
        month as billing_period,
        from_currency as billing_currency,
        to_currency as reporting_currency,
        rate as exchange_rate,
        rate_date as exchange_rate_date,
        origin as exchange_rate_origin,
        note as exchange_rate_note,
        locked as exchange_rate_locked
    from revisions
    where
        place = 1
        and active

)

select * from final
