{{
    config(
        materialized='incremental',
        incremental_strategy='mart_periods',
        on_schema_change='fail',
    )
}}
-- The token ledger: what was used, class by class, at the list price of its own day. Each row of usage meets at most one price: those of
-- a key are disjoint in time (of a price by the hour: within the day) and prompt length. What has no price keeps its quantity, with the reason.
{%- set dimensions = [
    'source_id', 'billing_period', 'charge_date', 'usage_start', 'usage_grain', 'usage_role', 'is_counted', 'provider_name', 'account_id',
    'project_id', 'api_key_id', 'user_id', 'feature_tag', 'model_id', 'service_tier', 'context_tier', 'region_scope', 'price_gap'
] %}

with

used as (

    select
        * exclude (service_tier, batch),
        {{ price_tier('service_tier', 'batch') }} as service_tier
    from {{ ref('int_token_usage') }}
    {%- if is_incremental() %}
    where {{ in_changed_periods() }}
    {%- endif %}

),

summed as (

    {{ usage_by_class('used', dimensions) }}

),

book as (

    select * from {{ ref('int_price_book') }}

),

regional as (

    select
        provider_name,
        model_id,
        region_scope,
        min(valid_from) as valid_from
    from book
    where region_scope <> 'global'
    group by all

),

known as (

    select
        provider_name,
        model_id,
        list(distinct token_class) as token_classes,
        bool_or(priced_as is null and token_class in ('{{ llm_modality_classes().keys() | join("', '") }}')) as prices_modalities,
        list(distinct token_class || '/' || service_tier) filter (where to_minute_utc - from_minute_utc < 1440) as by_hour
    from book
    where price_usd_per_million is not null
    group by provider_name, model_id

),

placed as (

    select
        summed.*,
        known.token_classes,
        known.by_hour,
        {{ usage_minute('summed', 'known.by_hour is not null') }} as from_minute_utc,
        {{ usage_minute('summed', 'known.by_hour is not null', ends=true) }} as to_minute_utc,
        coalesce(known.prices_modalities and {{ price_gap_covers('summed.price_gap', 'summed.token_class') }}, false) as is_mixed,
        -- a region without a price of its own costs what the world pays; what is mixed is priced nowhere
        case when not is_mixed then coalesce(regional.region_scope, 'global') end as price_region
    from summed
    left join known
        on summed.provider_name = known.provider_name
        and summed.model_id = known.model_id
    left join regional
        on summed.provider_name = regional.provider_name
        and summed.model_id = regional.model_id
        and summed.region_scope = regional.region_scope
        and summed.charge_date >= regional.valid_from

),

priced as (

    select
        placed.*,
        book.price_usd_per_million,
        book.held_price_usd_per_million,
        book.unit_price_usd,
        book.price_id,
        book.price_reason as book_reason
    from placed
    -- no condition on one side alone: it would make a nested loop of the hash join (94 s of CPU for 10M requests instead of 1)
    left join book
        on placed.provider_name = book.provider_name
        and placed.model_id = book.model_id
        and placed.token_class = book.token_class
        and placed.service_tier = book.service_tier
        and placed.price_region = book.region_scope
        and placed.charge_date >= book.valid_from
        and placed.charge_date < book.valid_to
        and placed.from_minute_utc >= book.from_minute_utc
        and placed.to_minute_utc <= book.to_minute_utc
        and placed.prompt_tokens >= book.context_from_tokens
        and placed.prompt_tokens < book.context_to_tokens

),

final as (

    select
        {% for column in dimensions %}priced.{{ column }},
        {% endfor -%}
        priced.token_class,
        case
            {% for metric, unit in llm_metrics().items() %}when priced.token_class = '{{ metric }}' then '{{ unit }}'
            {% endfor %}else 'Tokens'
        end as unit,
        -- 18 digits: DuckDB unpacks wider ones 15 times slower, and a query of one key waits for it
        cast(priced.quantity as decimal(18, 0)) as quantity,
        case when priced.token_class = 'requests' then cast(priced.quantity as bigint) end as request_count,
        priced.unit_price_usd as list_unit_price_usd,
        {{ cost_at('priced.quantity', 'priced.price_usd_per_million') }} as list_cost_usd,
        {{ cost_at('priced.quantity', 'priced.held_price_usd_per_million') }} as held_list_cost_usd,
        priced.price_id,
        case
            when priced.price_usd_per_million is not null then null
            when priced.book_reason is not null then priced.book_reason
            when priced.model_id is null then 'usage_names_no_model'
            when priced.service_tier = 'provisioned' and priced.token_class <> 'requests' then 'provisioned_units_are_billed_by_time'
            when priced.is_mixed then priced.price_gap
            when priced.token_classes is null then 'model_not_in_price_book'
            when priced.token_class = 'requests' then 'requests_are_not_billed'
            when not list_contains(priced.token_classes, priced.token_class) then 'class_not_in_price_book'
            when list_contains(priced.by_hour, priced.token_class || '/' || priced.service_tier) then 'bucket_spans_prices_by_hour'
            else 'tier_not_in_price_book'
        end as price_reason
    from priced

)

select * from final
