-- Unit costs hold the ledger's tokens, requests and dollars once, and a rate is its numerator over its denominator.
with

ledger as (

    select
        billing_period,
        provider_name,
        coalesce(sum(quantity) filter (where unit = 'Tokens'), 0) as tokens,
        coalesce(sum(request_count), 0) as requests,
        coalesce(sum(list_cost_usd), 0) as cost
    from {{ ref('fct_token_usage') }}
    where is_counted
    group by all

),

mart as (

    select
        billing_period,
        provider_name,
        sum({% for class in llm_token_classes() %}coalesce({{ class }}_tokens, 0){{ ' + ' if not loop.last }}{% endfor %}) as tokens,
        coalesce(sum(request_count), 0) as requests,
        coalesce(sum(list_cost_usd), 0) as cost
    from {{ ref('fct_llm_unit_cost_daily') }}
    group by all

)

select
    billing_period,
    provider_name
from ledger
full join mart using (billing_period, provider_name)
where (ledger.tokens, ledger.requests, ledger.cost) is distinct from (mart.tokens, mart.requests, mart.cost)

union all

select
    billing_period,
    provider_name
from {{ ref('fct_llm_unit_cost_daily') }}
where
    abs(usd_per_request * request_count - list_cost_usd) > 0.000001 * request_count
    or (usd_per_request is null) <> (rate_reason is not null)
