{{
    config(
        materialized='incremental',
        incremental_strategy='mart_periods',
        on_schema_change='fail',
    )
}}
-- Tokens and cost of model use by day and route, stacked: charges bring cost (and tokens where nobody else counts them), usage reports bring
-- tokens. Nothing is joined row to row, so neither can fan out; a key may have a row with cost and another with tokens.
{%- set key = ['billing_period', 'charge_date', 'host_provider_name', 'provider_name', 'project_id', 'model_id', 'token_class'] %}

with

charges as (

    select
        {{ key | join(', ') }},
        -- where the usage report counts tokens, it also names tier and scope
        case when consumed_tokens is not null then {{ llm_tier('service_tier') }} end as service_tier,
        cast(null as varchar) as context_tier,
        case when consumed_tokens is not null then region_scope end as region_scope,
        0 as from_minute_utc,
        1440 as to_minute_utc,
        billing_currency,
        consumed_tokens as tokens,
        case when consumed_tokens is not null then 'bill' end as counted_by,
        cast(null as varchar) as price_gap,
        effective_cost,
        contracted_cost,
        list_cost,
        usage_kind
    from {{ ref('int_ai_charges') }}
    {%- if is_incremental() %}
    where {{ in_changed_periods() }}
    {%- endif %}

),

-- whose bill counts tokens: what a gateway logged of it would be the same tokens again
counted_by_bill as (

    select distinct
        billing_period,
        host_provider_name
    from charges
    where tokens <> 0

),

by_hour as (

    select distinct
        provider_name,
        model_id
    from {{ ref('int_price_book') }}
    where to_minute_utc - from_minute_utc < 1440

),

used as (

    select
        usage.billing_period,
        usage.charge_date,
        usage.provider_name as host_provider_name,
        usage.provider_name,
        usage.project_id,
        usage.model_id,
        usage.token_class,
        usage.service_tier,
        usage.context_tier,
        usage.region_scope,
        {{ usage_minute('usage', 'by_hour.model_id is not null') }} as from_minute_utc,
        {{ usage_minute('usage', 'by_hour.model_id is not null', ends=true) }} as to_minute_utc,
        cast(null as varchar) as billing_currency,
        usage.quantity as tokens,
        'usage_report' as counted_by,
        -- audio or images counted among text: no price per class is theirs, on no route
        case when usage.price_reason = usage.price_gap then usage.price_gap end as price_gap,
        cast(null as decimal(38, 12)) as effective_cost,
        cast(null as decimal(38, 12)) as contracted_cost,
        cast(null as decimal(38, 12)) as list_cost,
        cast(null as varchar) as usage_kind
    from {{ ref('fct_token_usage') }} as usage
    left join by_hour
        on usage.provider_name = by_hour.provider_name
        and usage.model_id = by_hour.model_id
    where
        usage.is_counted
        and usage.token_class in ('{{ llm_token_classes() | join("', '") }}')
        and not exists (
            select 1
            from counted_by_bill
            where
                usage.billing_period = counted_by_bill.billing_period
                and usage.provider_name = counted_by_bill.host_provider_name
        )
        {%- if is_incremental() %}
        and {{ in_changed_periods('usage.billing_period') }}
        {%- endif %}

),

stacked as (

    select * from charges
    union all by name
    select * from used

),

ai_said as (

    select distinct model_id as model_said from stacked

),

{{ ai_model_ctes() }},

final as (

    select
        stacked.*,
        coalesce(models.model_id, stacked.model_id) as base_model_id,
        coalesce(routes.route_id, {{ llm_slug('stacked.host_provider_name') }}) as route_id
    from stacked
    left join ai_models_known as models
        on stacked.model_id = models.model_said
    left join {{ ref('llm_routes') }} as routes
        on stacked.host_provider_name = routes.host_provider_name

)

select * from final
