-- Where a model can be had: model x route x scope, the same model or its equivalent. From the reviewed seed, and from the account's own bill
-- where that names a scope that the seed does not. A route without any known price stays, so that the comparison can say so.

with

priced as (

    select
        base_model_id,
        route_id,
        option_scope,
        equivalence,
        min_by(route_model_id, rate_order) as route_model_id
    from {{ ref('int_llm_route_rates') }}
    where rate_order in (1, 3)
    group by base_model_id, route_id, option_scope, equivalence

),

unpriced as (

    select
        model_id as base_model_id,
        route_id,
        coalesce(region_scope, '') as option_scope,
        equivalence,
        coalesce(nullif(price_model_id, ''), model_id) as route_model_id
    from {{ ref('llm_model_routes') }} as mapped
    where not exists (
        select 1
        from priced
        where
            priced.base_model_id = mapped.model_id
            and priced.route_id = mapped.route_id
            and priced.equivalence = mapped.equivalence
            and (priced.option_scope = coalesce(mapped.region_scope, '') or coalesce(mapped.region_scope, '') = '')
    )

)

select * from priced
union all
select * from unpriced
