-- Two prices of one thing on one day would double the usage that joins them; the second of two for the same prompt length is left
-- without any prompt.
select
    provider_name,
    model_id,
    token_class,
    service_tier,
    region_scope,
    valid_from
from {{ ref('int_price_book') }}
group by all
having
    count(*) > count(distinct context_from_tokens)
    or bool_or(context_to_tokens <= context_from_tokens)
    or count(distinct valid_to) > 1

union all

-- days of one thing follow each other
select
    provider_name,
    model_id,
    token_class,
    service_tier,
    region_scope,
    valid_from
from (
    select
        *,
        max(valid_to) over (
            partition by provider_name, model_id, token_class, service_tier, region_scope, context_from_tokens
            order by valid_from
            rows between unbounded preceding and 1 preceding
        ) as before
    from {{ ref('int_price_book') }}
)
where valid_from < before
