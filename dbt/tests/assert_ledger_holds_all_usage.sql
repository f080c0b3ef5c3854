-- The ledger has every token and request of the usage reports once, per export, month and class: no price join drops or doubles a row.
with

reported as (

    unpivot (
        select
            source_id,
            billing_period,
            {% for class in llm_token_classes() %}{{ class }}_tokens as {{ class }},
            {% endfor -%}
            cast(web_search_requests as decimal(38, 0)) as web_search_requests,
            cast(request_count as decimal(38, 0)) as requests
        from {{ ref('int_token_usage') }}
    )
    on {{ llm_token_classes() | join(', ') }}, web_search_requests, requests
    into name token_class value quantity

),

both_sides as (

    select source_id, billing_period, token_class, quantity from reported
    union all
    select source_id, billing_period, token_class, -quantity from {{ ref('fct_token_usage') }}
    where token_class in (select token_class from reported)

)

select
    source_id,
    billing_period,
    token_class,
    sum(quantity) as difference
from both_sides
group by all
having sum(quantity) <> 0
