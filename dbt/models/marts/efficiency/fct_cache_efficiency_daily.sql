{{
    config(
        materialized='incremental',
        incremental_strategy='mart_periods',
        on_schema_change='fail',
    )
}}
-- What the prompt cache served and what that was worth, at list prices of the day. Tokens and dollars are kept beside every rate.
{%- set key = ['billing_period', 'route_id', 'provider_name', 'project_id', 'model_id', 'base_model_id'] %}
{%- set grain = key + ['charge_date'] %}
{%- set writes = "token_class like 'input_cache_write%'" %}
{%- set reads = "token_class like 'input%cache_read'" %}
{%- set uncached = "token_class in ('input_uncached', 'input_audio', 'input_image')" %}

with

flows as (

    select
        *,
        {{ llm_cost('tokens', 'uncached_rate') }} as at_full_price,
        {{ llm_cost('tokens', 'rate') }} as at_rate,
        {{ llm_cost('tokens', 'uncached_rate - cache_read_rate') }} as read_discount
    from {{ ref('int_llm_priced_flows') }}
    where
        token_class like 'input%'
        and tokens <> 0
        {%- if is_incremental() %}
        and {{ in_changed_periods() }}
        {%- endif %}

),

daily as (

    select
        {{ grain | join(', ') }},
        {%- for class in llm_token_classes() if class.startswith('input') %}
        cast(coalesce(sum(tokens) filter (where token_class = '{{ class }}'), 0) as decimal(38, 0)) as {{ class }}_tokens,
        {%- endfor %}
        cast(sum(tokens) as decimal(38, 0)) as input_tokens_total,
        cast(coalesce(sum(tokens) filter (where {{ uncached }}), 0) as decimal(38, 0)) as uncached_tokens_total,
        cast(coalesce(sum(tokens) filter (where {{ reads }}), 0) as decimal(38, 0)) as cache_read_tokens_total,
        cast(coalesce(sum(tokens) filter (where {{ writes }}), 0) as decimal(38, 0)) as write_tokens,
        {{ known_sum('at_full_price') }} as input_at_full_price_usd,
        {{ known_sum('at_full_price', reads) }} as cache_read_at_full_price_usd,
        {{ known_sum('at_rate', reads) }} as cache_read_usd,
        {{ known_sum('at_full_price', writes) }} as cache_write_at_full_price_usd,
        {{ known_sum('at_rate', writes) }} as cache_write_usd,
        {{ known_sum('read_discount', uncached) }} as uncached_read_discount_usd,
        min(rate) filter (where {{ writes }}) as cheapest_write_rate
    from flows
    group by {{ grain | join(', ') }}

),

-- a rate that the same traffic has reached: the project's own best day among days of at least half the usual input, else the best project
own_best as (

    select
        {{ key | join(', ') }},
        max_by(struct_pack(read := cache_read_tokens_total, whole := input_tokens_total), hit) as best
    from (
        select
            *,
            {{ exact_quotient('cache_read_tokens_total', 'input_tokens_total') }} as hit,
            sum(input_tokens_total) over (partition by {{ key | join(', ') }}) as month_tokens,
            count(*) over (partition by {{ key | join(', ') }}) as days
        from daily
    ) as days
    where 2 * days * input_tokens_total >= month_tokens
    group by {{ key | join(', ') }}

),

model_best as (

    select
        billing_period,
        route_id,
        base_model_id,
        max_by(best, {{ exact_quotient('best.read', 'best.whole') }}) as best
    from own_best
    group by billing_period, route_id, base_model_id

),

measured as (

    select
        daily.*,
        case when own_best.best.read > 0 then own_best.best when model_best.best.read > 0 then model_best.best end as reference,
        case
            when own_best.best.read > 0 then 'best_day_of_month_of_project_and_model'
            when model_best.best.read > 0 then 'best_project_of_month_of_model'
        end as lost_basis,
        lead(cache_read_tokens_total) over next_days as next_day_reads,
        lead(daily.charge_date) over next_days as next_day,
        daily.charge_date < max(daily.charge_date) over (partition by daily.billing_period, daily.route_id) as next_day_is_known
    from daily
    inner join own_best on {{ same_keys(key, 'daily', 'own_best') }}
    left join model_best on {{ same_keys(['billing_period', 'route_id', 'base_model_id'], 'daily', 'model_best') }}
    window next_days as (partition by {% for column in key %}daily.{{ column }}{{ ', ' if not loop.last }}{% endfor %} order by daily.charge_date)

),

bounded as (

    select
        *,
        case when write_tokens = 0 then 0 when next_day_is_known then greatest(
            write_tokens - cache_read_tokens_total - case when next_day = charge_date + 1 then next_day_reads else 0 end, 0
        ) end as unread,
        -- greatest and least pass over nulls
        case when lost_basis is not null then least(greatest(
            cast(reference.read as hugeint) * cast(input_tokens_total as hugeint) // cast(reference.whole as hugeint)
            - cast(cache_read_tokens_total as hugeint), 0
        ), cast(uncached_tokens_total as hugeint)) end as lost
    from measured

)

{{ cache_efficiency_columns(grain) }}
from bounded
