-- Tokens of model use by day and route, each with what a million of them cost at list: as used, at the standard tier, as batch, as input that
-- no cache served, and as a cache read. Rates hold on the row's own day; a rate that nobody knows is null.
{%- set key = ['billing_period', 'charge_date', 'route_id', 'host_provider_name', 'provider_name', 'project_id', 'model_id', 'base_model_id',
    'token_class', 'service_tier', 'context_tier', 'region_scope', 'counted_by', 'price_gap', 'from_minute_utc', 'to_minute_utc'] %}
{%- set rates = {
    'rate': 'rates.token_class = flows.token_class and rates.service_tier = flows.service_tier',
    'standard_rate': "rates.token_class = flows.token_class and rates.service_tier = 'standard'",
    'batch_rate': "rates.token_class = flows.token_class and rates.service_tier = 'batch'",
    'uncached_rate': 'rates.token_class = ' ~ llm_uncached_class('flows.token_class') ~ ' and rates.service_tier = flows.service_tier',
    'cache_read_rate': 'rates.token_class = ' ~ llm_cache_read_class('flows.token_class') ~ ' and rates.service_tier = flows.service_tier',
} %}

{#- of two rates of one origin that of the region counts; a region without a price of its own costs what the world pays #}
{%- set order = "2 * rates.rate_order + case when rates.price_scope = " ~ llm_price_scope('flows') ~ " then 0 else 1 end" %}

with

flows as (

    select
        {{ key | join(', ') }},
        cast(sum(tokens) as decimal(38, 0)) as tokens
    from {{ ref('int_llm_token_flows') }}
    where
        tokens is not null
        and token_class in ('{{ llm_token_classes() | join("', '") }}')
    group by {{ key | join(', ') }}

),

-- grouped by the whole key, so that a reader's filter on the month reaches the flows
priced as (

    select
        {% for column in key %}flows.{{ column }}, {% endfor %}
        flows.tokens,
        {% for name, condition in rates.items() %}
        arg_min(rates.usd_per_million, {{ order }}) filter (where {{ condition }}) as {{ name }},
        {% endfor %}
        arg_min(rates.rate_origin, {{ order }}) filter (where {{ rates['rate'] }} and rates.usd_per_million is not null) as rate_origin
    from flows
    left join {{ ref('int_llm_route_rates') }} as rates
        on flows.route_id = rates.route_id
        and flows.base_model_id = rates.base_model_id
        and rates.equivalence = 'same'
        and rates.token_class in (flows.token_class, {{ llm_uncached_class('flows.token_class') }}, {{ llm_cache_read_class('flows.token_class') }})
        and {{ llm_own_rate('flows', 'rates') }}
    group by {% for column in key %}flows.{{ column }}, {% endfor %}flows.tokens

)

select * from priced
