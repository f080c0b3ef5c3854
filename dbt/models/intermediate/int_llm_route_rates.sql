-- What a million tokens cost at list on every route that offers a model: model x route x scope x class x tier x context x days.
-- Three origins, the first that knows a rate counts: what the account's own bill lists in the month (list cost over tokens), the price book's
-- entry for the model as it was reported, the price book's entry for the model that seed llm_model_routes names.
{%- set columns = ['route_id', 'option_scope', 'base_model_id', 'route_model_id', 'equivalence', 'token_class', 'service_tier', 'price_scope',
    'context_from_tokens', 'context_to_tokens', 'from_minute_utc', 'to_minute_utc', 'valid_from', 'valid_to', 'usd_per_million', 'contracted_usd_per_million', 'rate_origin', 'rate_order', 'price_id'] %}

with

flows as (

    select * from {{ ref('int_llm_token_flows') }}

),

book as (

    select
        *,
        region_scope as price_scope,
        price_usd_per_million as usd_per_million
    from {{ ref('int_price_book') }}
    where token_class in ('{{ llm_token_classes() | join("', '") }}')

),

own_bill as (

    select
        flows.route_id,
        {{ llm_option_scope('flows') }} as option_scope,
        flows.base_model_id,
        flows.base_model_id as route_model_id,
        'same' as equivalence,
        flows.token_class,
        flows.service_tier,
        'global' as price_scope,
        0 as context_from_tokens,
        9223372036854775807 as context_to_tokens,
        0 as from_minute_utc,
        1440 as to_minute_utc,
        cast(strptime(flows.billing_period || '-01', '%Y-%m-%d') as date) as valid_from,
        cast(strptime(flows.billing_period || '-01', '%Y-%m-%d') + interval 1 month as date) as valid_to,
        {{ exact_quotient('sum(flows.list_cost)', 'sum(flows.tokens) * 0.000001') }} as usd_per_million,
        {{ exact_quotient('sum(flows.contracted_cost)', 'sum(flows.tokens) * 0.000001') }} as contracted_usd_per_million,
        'own_bill' as rate_origin,
        1 as rate_order,
        cast(null as varchar) as price_id
    from flows
    where
        flows.counted_by = 'bill'
        and flows.billing_currency = 'USD'
        and flows.tokens > 0
        and flows.list_cost >= 0
        and flows.base_model_id is not null
    group by all

),

reported as (

    select distinct
        flows.route_id,
        flows.base_model_id,
        flows.model_id,
        flows.host_provider_name
    from flows
    where flows.base_model_id is not null

),

as_reported as (

    select
        reported.route_id,
        '' as option_scope,
        reported.base_model_id,
        reported.model_id as route_model_id,
        'same' as equivalence,
        book.token_class,
        book.service_tier,
        book.price_scope,
        book.context_from_tokens,
        book.context_to_tokens,
        book.from_minute_utc,
        book.to_minute_utc,
        book.valid_from,
        book.valid_to,
        book.usd_per_million,
        cast(null as decimal(38, 12)) as contracted_usd_per_million,
        'price_book' as rate_origin,
        2 as rate_order,
        book.price_id
    from reported
    inner join book
        on reported.host_provider_name = book.provider_name
        and reported.model_id = book.model_id

),

as_mapped as (

    select
        mapped.route_id,
        coalesce(mapped.region_scope, '') as option_scope,
        mapped.model_id as base_model_id,
        mapped.price_model_id as route_model_id,
        mapped.equivalence,
        book.token_class,
        book.service_tier,
        book.price_scope,
        book.context_from_tokens,
        book.context_to_tokens,
        book.from_minute_utc,
        book.to_minute_utc,
        book.valid_from,
        book.valid_to,
        book.usd_per_million,
        cast(null as decimal(38, 12)) as contracted_usd_per_million,
        'price_book' as rate_origin,
        3 as rate_order,
        book.price_id
    from {{ ref('llm_model_routes') }} as mapped
    inner join {{ ref('llm_routes') }} as routes
        on mapped.route_id = routes.route_id
    inner join book
        on routes.host_provider_name = book.provider_name
        and mapped.price_model_id = book.model_id

)

{% for relation in ['own_bill', 'as_reported', 'as_mapped'] %}
select {{ columns | join(', ') }} from {{ relation }}
{{ 'union all' if not loop.last }}
{%- endfor %}
