-- The prices in force: the newest revision of each price's timeline, in days and minutes of the UTC day from (incl.) to (excl.), with open ends
-- closed so that they can be joined as ranges. A price holds for the whole request when its prompt has more than context_from_tokens.
{%- set group = 'provider_name, provider, model_id, token_class, service_tier, region_scope' %}

with

written as (

    select
        * replace (
            -- prices of before there were prices by the hour
            cast(coalesce(from_minute_utc, 0) as bigint) as from_minute_utc,
            cast(coalesce(to_minute_utc, 1440) as bigint) as to_minute_utc
        )
    from {{ source('ops', 'price_book') }}

),

revisions as (

    select
        *,
        max(revision) over (
            partition by provider, model_id, token_class, service_tier, context_from_tokens, region_scope, from_minute_utc, to_minute_utc
        ) as newest_revision
    from written

),

in_force as (

    select * from revisions
    where
        revision = newest_revision
        and active

),

named as (

    select
        in_force.*,
        names.provider_name,
        cast(coalesce(in_force.valid_from, date '1970-01-01') as date) as starts_on,
        cast(coalesce(in_force.valid_to, date '9999-12-31') as date) as ends_on
    from in_force
    inner join {{ ref('llm_price_providers') }} as names on in_force.provider = names.price_provider

),

days as (

    select {{ group }}, starts_on as day from named
    union
    select {{ group }}, ends_on from named

),

intervals as (

    select
        *,
        lead(day) over (partition by {{ group }} order by day) as next_day
    from days

),

-- where the next longer prompt has a price of its own, this one ends; on the days on which both hold
bounded as (

    select
        named.* exclude (starts_on, ends_on),
        intervals.day as starts_on,
        intervals.next_day as ends_on,
        coalesce(
            lead(named.context_from_tokens) over (
                partition by {% for column in group.split(', ') %}named.{{ column }}, {% endfor %}intervals.day,
                    named.from_minute_utc, named.to_minute_utc
                order by named.context_from_tokens
            ),
            9223372036854775807
        ) as context_to_tokens
    from named
    inner join intervals
        on {% for column in group.split(', ') %}named.{{ column }} = intervals.{{ column }}
        and {% endfor %}named.starts_on <= intervals.day
        and intervals.next_day <= named.ends_on

),

in_classes as (

    select
        *,
        cast(null as varchar) as priced_as
    from bounded

    union all by name

    {{ llm_inherited_prices('bounded') }}

),

final as (

    select
        provider_name,
        provider as price_provider,
        model_id,
        listed_model,
        token_class,
        priced_as,
        service_tier,
        context_from_tokens,
        context_to_tokens,
        case
            when context_to_tokens = 9223372036854775807 then context_from_tokens || '+'
            else context_from_tokens || '-' || context_to_tokens
        end as context_tier,
        region_scope,
        from_minute_utc,
        to_minute_utc,
        unit,
        starts_on as valid_from,
        ends_on as valid_to,
        price_usd_per_million,
        cast(price_usd_per_million * cast(0.000001 as decimal(7, 6)) as decimal(38, 18)) as unit_price_usd,
        held_price_usd_per_million,
        price_reason,
        origin as price_origin,
        note as price_note,
        revision,
        recorded_at,
        concat_ws('/', provider, model_id, token_class, service_tier, context_from_tokens, region_scope)
        || '@' || starts_on
        || case when to_minute_utc - from_minute_utc < 1440 then '/' || from_minute_utc || '-' || to_minute_utc else '' end
        || '#' || revision as price_id
    from in_classes

)

select * from final
