-- Every token that a usage report or a bill counts is in the efficiency marts once, and on the used route of the comparison once, per month
-- and provider: counted here from charges and ledger, not from the flows that the marts read.
{%- set classes = "token_class in ('" ~ llm_token_classes() | join("', '") ~ "')" %}
{%- set marts = {
    'fct_cache_efficiency_daily': ('input_tokens_total', 'true', 'input_tokens'),
    'fct_batch_efficiency_daily': ('tokens_total', 'true', 'tokens'),
    'fct_provider_comparison': ('tokens_total', 'is_current', 'tokens'),
} %}
with

counted as (

    select
        billing_period,
        provider_name,
        sum(tokens) as tokens,
        coalesce(sum(tokens) filter (where token_class like 'input%'), 0) as input_tokens
    from (
        select
            billing_period,
            provider_name,
            token_class,
            consumed_tokens as tokens
        from {{ ref('int_ai_charges') }}
        where {{ classes }}

        union all

        select
            billing_period,
            provider_name,
            token_class,
            quantity
        from {{ ref('fct_token_usage') }} as ledger
        where
            is_counted
            and {{ classes }}
            and not exists (
                select 1
                from {{ ref('int_ai_charges') }} as charges
                where
                    charges.billing_period = ledger.billing_period
                    and charges.host_provider_name = ledger.provider_name
                    and charges.consumed_tokens <> 0
            )
    )
    group by all
    having sum(tokens) <> 0

)

{% for mart, (column, condition, wanted) in marts.items() %}
select
    '{{ mart }}' as mart,
    billing_period,
    provider_name,
    counted.{{ wanted }} as wanted,
    found.tokens as found
from counted
full join (
    select
        billing_period,
        provider_name,
        sum({{ column }}) as tokens
    from {{ ref(mart) }}
    where {{ condition }}
    group by all
) as found using (billing_period, provider_name)
where coalesce(counted.{{ wanted }}, 0) <> coalesce(found.tokens, 0)
{{ 'union all' if not loop.last }}
{% endfor %}
