-- The prices in force: the newest revision of each price's timeline, in days from (incl.) to (excl.), with open ends closed so that
-- they can be joined as ranges. A price holds for the whole request when its prompt has more than context_from_tokens.

with

revisions as (

    select
        *,
        max(revision) over (
            partition by provider, model_id, token_class, service_tier, context_from_tokens, region_scope
        ) as newest_revision
    from {{ source('ops', 'price_book') }}

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
        cast(coalesce(in_force.valid_from, date '1970-01-01') as date) as price_starts_on,
        cast(coalesce(in_force.valid_to, date '9999-12-31') as date) as price_ends_on,
        row_number() over () as price_row
    from in_force
    inner join {{ ref('llm_price_providers') }} as names on in_force.provider = names.price_provider

),

-- the prices of longer prompts beside each price, with their days
longer as (

    select
        named.price_row,
        others.context_from_tokens,
        greatest(named.price_starts_on, coalesce(others.valid_from, date '1970-01-01')) as starts_on,
        least(named.price_ends_on, coalesce(others.valid_to, date '9999-12-31')) as ends_on
    from named
    inner join in_force as others
        on named.provider = others.provider
        and named.model_id = others.model_id
        and named.token_class = others.token_class
        and named.service_tier = others.service_tier
        and named.region_scope = others.region_scope
        and named.context_from_tokens < others.context_from_tokens
        and named.price_starts_on < coalesce(others.valid_to, date '9999-12-31')
        and coalesce(others.valid_from, date '1970-01-01') < named.price_ends_on

),

-- a price goes for all lengths above its own, save on the days on which a longer prompt has a price: it is cut where these begin and end
days as (

    select
        price_row,
        day as starts_on,
        lead(day) over (partition by price_row order by day) as ends_on
    from (
        select price_row, price_starts_on as day from named
        union
        select price_row, price_ends_on from named
        union
        select price_row, starts_on from longer
        union
        select price_row, ends_on from longer
    ) as turns

),

bounded as (

    select
        named.*,
        days.starts_on,
        days.ends_on,
        coalesce(min(longer.context_from_tokens), 9223372036854775807) as context_to_tokens
    from named
    inner join days
        on named.price_row = days.price_row
        and days.ends_on is not null
    left join longer
        on days.price_row = longer.price_row
        and days.starts_on >= longer.starts_on
        and days.starts_on < longer.ends_on
    group by all

),

final as (

    select
        provider_name,
        provider as price_provider,
        model_id,
        listed_model,
        token_class,
        service_tier,
        context_from_tokens,
        context_to_tokens,
        case
            when context_to_tokens = 9223372036854775807 then context_from_tokens || '+'
            else context_from_tokens || '-' || context_to_tokens
        end as context_tier,
        region_scope,
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
        || '@' || starts_on || '#' || revision as price_id
    from bounded

)

select * from final
