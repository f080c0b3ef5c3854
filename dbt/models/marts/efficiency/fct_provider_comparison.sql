{{
    config(
        materialized='incremental',
        incremental_strategy='mart_periods',
        on_schema_change='fail',
    )
}}
-- The organisation's own token mix of a month on each route that offers the model. What was paid stands on the route that was used, and sums to
-- FOCUS; what it would cost elsewhere is at list prices of each day, with caching and batch as they were used and as they could be.
{%- set mine = ['billing_period', 'used_route_id', 'used_scope', 'provider_name', 'project_id', 'model_id'] %}
{%- set option = ['route_id', 'region_scope', 'equivalence', 'is_current'] %}

with

flows as (

    select
        *,
        route_id as used_route_id,
        {{ llm_option_scope('flows') }} as used_scope,
        base_model_id as model
    from {{ ref('int_llm_token_flows') }} as flows
    {%- if is_incremental() %}
    where {{ in_changed_periods() }}
    {%- endif %}

),

paid as (

    select
        {{ mine[:-1] | join(', ') }},
        model as model_id,
        billing_currency,
        cast(sum(effective_cost) as decimal(38, 12)) as actual_cost,
        cast(sum(contracted_cost) as decimal(38, 12)) as contracted_cost
    from flows
    where
        effective_cost is not null
        and {{ llm_compared() }}
    group by all

),

currencies as (

    select
        {{ mine | join(', ') }},
        case when count(distinct billing_currency) = 1 then min(billing_currency) end as billing_currency
    from paid
    group by {{ mine | join(', ') }}

),

offers as (

    select
        offers.*,
        cache.lost_read_tokens_estimate as lost,
        cache.uncached_tokens_total
    from {{ ref('int_llm_repriced_flows') }} as offers
    left join {{ ref('fct_cache_efficiency_daily') }} as cache
        on {{ same_keys(['billing_period', 'charge_date', 'route_id', 'provider_name', 'project_id', 'model_id'], 'offers', 'cache') }}
    {%- if is_incremental() %}
    where {{ in_changed_periods('offers.billing_period') }}
    {%- endif %}

),

costed as (

    select
        billing_period,
        route_id as used_route_id,
        own_scope as used_scope,
        provider_name,
        project_id,
        base_model_id as model_id,
        option_route_id as route_id,
        option_scope as region_scope,
        equivalence,
        is_current,
        route_model_id,
        token_class,
        service_tier,
        price_gap,
        {{ context_from('context_tier') }} > 0 as is_long,
        tokens,
        {{ llm_cost('tokens', 'rate') }} as list_cost,
        {{ llm_cost('tokens', 'contracted_rate') }} as contracted,
        {{ llm_cost('tokens', "case when token_class like 'input%' then uncached_rate else rate end") }} as uncached_cost,
        {{ llm_cost('tokens', "case when service_tier in ('standard', 'batch') then batch_rate else rate end") }} as batch_cost,
        case
            when token_class not in ('input_uncached', 'input_audio', 'input_image') or lost = 0 then 0
            else cast({{ llm_cost('tokens', 'uncached_rate - cache_read_rate') }} * {{ exact_quotient('lost', 'uncached_tokens_total') }} as decimal(38, 12))
        end as cache_gain
    from offers

),

summed as (

    select
        {{ (mine + option) | join(', ') }},
        min(route_model_id) as route_model_id,
        {%- for class in llm_token_classes() %}
        cast(coalesce(sum(tokens) filter (where token_class = '{{ class }}'), 0) as decimal(38, 0)) as {{ class }}_tokens,
        {%- endfor %}
        cast(sum(tokens) as decimal(38, 0)) as tokens_total,
        cast(coalesce(sum(tokens) filter (where service_tier = 'batch'), 0) as decimal(38, 0)) as batch_tokens,
        cast(coalesce(sum(tokens) filter (where list_cost is null), 0) as decimal(38, 0)) as unpriced_tokens,
        {{ known_sum('list_cost') }} as list_cost_usd,
        {{ known_sum('uncached_cost') }} as list_cost_without_cache_usd,
        {{ known_sum('list_cost - cache_gain') }} as list_cost_best_cache_usd,
        {{ known_sum('batch_cost') }} as list_cost_all_batch_usd,
        {{ known_sum('contracted') }} as contracted_elsewhere,
        min(price_gap) as modality_gap,
        bool_or(list_cost is null and is_long) as lacks_long_prompts,
        bool_or(list_cost is null and service_tier <> 'standard') as lacks_a_tier
    from costed
    where tokens <> 0
    group by {{ (mine + option) | join(', ') }}

)

{{ provider_comparison_columns(mine, option) }}
