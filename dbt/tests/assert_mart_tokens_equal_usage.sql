-- Every token that a provider's usage report or a charge counts is in both unit economics marts once, per month and provider.
with

counted as (

    select
        billing_period,
        provider_name,
        sum(tokens) as tokens
    from (
        select
            billing_period,
            provider_name,
            consumed_tokens as tokens
        from {{ ref('int_ai_charges') }}

        union all

        select
            billing_period,
            provider_name,
            list_sum([{% for class in llm_token_classes() %}{{ class }}_tokens{{ ', ' if not loop.last }}{% endfor %}])
        from {{ ref('int_token_usage') }}
        where usage_role is distinct from 'gateway_log'
    )
    group by all
    having sum(tokens) <> 0

),

by_class as (

    select
        billing_period,
        provider_name,
        sum(tokens) as tokens
    from {{ ref('fct_token_economics_daily') }}
    group by all
    having sum(tokens) <> 0

),

by_model as (

    select
        billing_period,
        provider_name,
        sum(list_sum([input_tokens_total, output_tokens_total])) as tokens
    from {{ ref('fct_model_economics_daily') }}
    group by all
    having sum(list_sum([input_tokens_total, output_tokens_total])) <> 0

)

select
    *
from counted
full join by_class using (billing_period, provider_name)
full join by_model using (billing_period, provider_name)
where
    counted.tokens is distinct from by_class.tokens
    or counted.tokens is distinct from by_model.tokens
