-- The organisation's own tokens priced on every route that offers the model: flow x option, with the rates of the flow's own day.
-- The route that was used is an option like the others, and always there.
{%- set columns = ['billing_period', 'charge_date', 'route_id', 'own_scope', 'host_provider_name', 'provider_name', 'project_id', 'model_id',
    'base_model_id', 'token_class', 'service_tier', 'context_tier', 'region_scope', 'counted_by', 'price_gap', 'from_minute_utc', 'to_minute_utc', 'tokens'] %}
{%- set rates = {
    'rate': 'rates.token_class = offered.token_class and rates.service_tier = offered.service_tier',
    'batch_rate': "rates.token_class = offered.token_class and rates.service_tier = 'batch'",
    'uncached_rate': 'rates.token_class = ' ~ llm_uncached_class('offered.token_class') ~ ' and rates.service_tier = offered.service_tier',
    'cache_read_rate': 'rates.token_class = ' ~ llm_cache_read_class('offered.token_class') ~ ' and rates.service_tier = offered.service_tier',
} %}

with

flows as (

    select
        *,
        {{ llm_option_scope('priced') }} as own_scope
    from {{ ref('int_llm_priced_flows') }} as priced

),

offered as (

    select
        {% for column in columns %}flows.{{ column }}, {% endfor %}
        options.route_id as option_route_id,
        options.option_scope,
        options.equivalence,
        options.route_model_id
    from flows
    inner join {{ ref('int_llm_route_options') }} as options
        on flows.base_model_id = options.base_model_id
    where
        options.equivalence <> 'same'
        or options.route_id <> flows.route_id
        or options.option_scope <> flows.own_scope

)

-- grouped by all of an offer, so that a reader's filter on the month reaches the flows
select
    offered.*,
    false as is_current,
    {% for name, condition in rates.items() %}
    arg_min(rates.usd_per_million, rates.rate_order) filter (where {{ condition }}) as {{ name }},
    {% endfor %}
    max(rates.contracted_usd_per_million) filter (where {{ rates['rate'] }}) as contracted_rate
from offered
left join {{ ref('int_llm_route_rates') }} as rates
    on offered.base_model_id = rates.base_model_id
    and offered.option_route_id = rates.route_id
    and offered.option_scope = rates.option_scope
    and offered.equivalence = rates.equivalence
    and rates.token_class in (offered.token_class, {{ llm_uncached_class('offered.token_class') }}, {{ llm_cache_read_class('offered.token_class') }})
    and {{ llm_rate_holds('offered', 'rates') }}
    and offered.price_gap is null
    and rates.rate_order <> 2
    and rates.price_scope = 'global'
    -- a list without a price for long prompts does not say that they cost no more: a long prompt is priced by a price for long prompts
    and ({{ context_from('offered.context_tier') }} = 0 or rates.context_from_tokens > 0)
group by all

union all by name

select
    {{ columns | join(', ') }},
    route_id as option_route_id,
    own_scope as option_scope,
    'same' as equivalence,
    model_id as route_model_id,
    true as is_current,
    {{ rates.keys() | join(', ') }},
    cast(null as decimal(38, 12)) as contracted_rate
from flows
