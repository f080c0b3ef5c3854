-- The organisation's own tokens priced on every route that offers the model: flow x option, with the rates of the flow's own day.
-- The route that was used is an option like the others, and always there.
{%- set rates = {
    'rate': 'rates.token_class = offered.token_class and rates.service_tier = offered.service_tier',
    'batch_rate': "rates.token_class = offered.token_class and rates.service_tier = 'batch'",
    'uncached_rate': "rates.token_class = 'input_uncached' and rates.service_tier = offered.service_tier",
    'cache_read_rate': "rates.token_class = 'input_cache_read' and rates.service_tier = offered.service_tier",
} %}

with

flows as (

    select
        row_number() over () as flow_id,
        *,
        {{ llm_option_scope('priced') }} as own_scope
    from {{ ref('int_llm_priced_flows') }} as priced

),

others as (

    select
        flows.*,
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

),

offered as (

    select
        *,
        row_number() over () as offer_id
    from others

),

repriced as (

    select
        offered.offer_id,
        {% for name, condition in rates.items() %}
        arg_min(rates.usd_per_million, rates.rate_order) filter (where {{ condition }}) as {{ name }},
        {% endfor %}
        max(rates.contracted_usd_per_million) filter (where {{ rates['rate'] }}) as contracted_rate
    from offered
    inner join {{ ref('int_llm_route_rates') }} as rates
        on offered.base_model_id = rates.base_model_id
        and offered.option_route_id = rates.route_id
        and offered.option_scope = rates.option_scope
        and offered.equivalence = rates.equivalence
        and {{ llm_rate_holds('offered', 'rates') }}
        and rates.rate_order <> 2
        and rates.price_scope = 'global'
        -- a list without a price for long prompts does not say that they cost no more: a long prompt is priced by a price for long prompts
        and ({{ context_from('offered.context_tier') }} = 0 or rates.context_from_tokens > 0)
    group by offered.offer_id

)

select
    offered.* exclude (offer_id, rate, standard_rate, batch_rate, uncached_rate, cache_read_rate, rate_origin),
    false as is_current,
    {% for name in rates %}repriced.{{ name }}, {% endfor %}
    repriced.contracted_rate
from offered
left join repriced on offered.offer_id = repriced.offer_id

union all by name

select
    * exclude (standard_rate, rate_origin),
    route_id as option_route_id,
    own_scope as option_scope,
    'same' as equivalence,
    model_id as route_model_id,
    true as is_current
from flows
