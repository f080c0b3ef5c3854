-- Tokens of usage reports cost on their own route what the ledger says, per month, provider and model: one price book, two readers.
-- Both round each row to 12 decimals, so they may differ by half a unit of the last one per row.
select
    *
from (
    select
        billing_period,
        provider_name,
        model_id,
        sum(list_cost_usd) as list_cost,
        count(*) filter (where list_cost_usd is null) > 0 as is_unknown,
        count(*) as ledger_rows
    from {{ ref('fct_token_usage') }}
    where
        is_counted
        and token_class in ('{{ llm_token_classes() | join("', '") }}')
    group by all
) as ledger
inner join (
    select
        billing_period,
        provider_name,
        model_id,
        sum({{ llm_cost('tokens', 'rate') }}) as list_cost,
        count(*) filter (where rate is null) > 0 as is_unknown
    from {{ ref('int_llm_priced_flows') }}
    where counted_by = 'usage_report'
    group by all
) as flows
    on {{ same_keys(['billing_period', 'provider_name', 'model_id'], 'ledger', 'flows') }}
where
    not ledger.is_unknown
    and (flows.is_unknown or abs(ledger.list_cost - flows.list_cost) > 0.000000000001 * ledger.ledger_rows)
