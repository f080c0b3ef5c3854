{{
    config(
        materialized='incremental',
        incremental_strategy='mart_periods',
        on_schema_change='fail',
    )
}}
-- How much of the traffic went through batch processing, what that saved, and what the rest would save, at list prices of the day.
-- Every token is in exactly one of four: batch, could move, no batch price, another tier.
{%- set grain = ['billing_period', 'charge_date', 'route_id', 'provider_name', 'project_id', 'model_id', 'base_model_id'] %}
{%- set could_move = "service_tier = 'standard' and batch_rate is not null" %}
{%- set amounts = {
    'batch': "service_tier = 'batch'",
    'could_move': could_move,
    'no_batch_price': "service_tier = 'standard' and batch_rate is null",
    'other_tier': "service_tier not in ('batch', 'standard')",
} %}

with

flows as (

    select
        *,
        {{ llm_cost('tokens', 'standard_rate - batch_rate') }} as batch_discount
    from {{ ref('int_llm_priced_flows') }}
    where
        tokens <> 0
        {%- if is_incremental() %}
        and {{ in_changed_periods() }}
        {%- endif %}

),

daily as (

    select
        {{ grain | join(', ') }},
        cast(sum(tokens) as decimal(38, 0)) as tokens_total,
        {%- for name, condition in amounts.items() %}
        cast(coalesce(sum(tokens) filter (where {{ condition }}), 0) as decimal(38, 0)) as {{ name }}_tokens,
        {%- endfor %}
        {{ known_sum('batch_discount', amounts['batch']) }} as saved_by_batch_usd,
        {{ known_sum('batch_discount', could_move) }} as could_save_usd
    from flows
    group by {{ grain | join(', ') }}

),

final as (

    select
        {{ grain | join(', ') }},
        tokens_total,
        batch_tokens,
        could_move_tokens,
        no_batch_price_tokens,
        other_tier_tokens,
        {{ exact_quotient('batch_tokens', 'batch_tokens + could_move_tokens') }} as batch_share,
        saved_by_batch_usd,
        could_save_usd,
        case
            when batch_tokens + could_move_tokens = 0 then 'no_batch_price'
        end as batch_share_reason,
        case
            when saved_by_batch_usd is null then 'no_rate_to_compare_batch_with'
            when could_save_usd is null then 'no_standard_rate'
        end as price_reason
    from daily

)

select * from final
