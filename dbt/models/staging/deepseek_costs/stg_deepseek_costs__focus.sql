-- One FOCUS row per row of DeepSeek's costs: a day, a model and a wallet. It covers all classes of tokens, so the quantity is the amount. What
-- came out of granted balance has its price and is billed at nothing.

with

source as (

    select * from {{ source('bronze', 'deepseek_costs') }}

),

metered as (

    {{ llm_metered('source', {
        'charge_start': 'period_start',
        'charge_end': 'coalesce(period_end, ' ~ after('period_start', 'day') ~ ')',
        'amount': 'cast(cost as decimal(38, 12))',
        'is_granted': "lower(wallet_type) like '%grant%'",
        'currency': 'upper(currency)',
        'description': "concat_ws(', ', model, wallet_type)",
        'model_id': 'model',
        'meter': 'wallet_type',
        'meter_kind': "'requests'",
        'sku_id': 'model',
        'sku_meter': "'Requests'",
        'operation': 'wallet_type',
    }) }}

),

priced as (

    {{ llm_priced('metered') }}

),

billed as (

    select * replace (case when is_granted then cast(0 as decimal(38, 12)) else amount end as amount)
    from priced

),

mapped as (

    {{ llm_focus_row('billed', provider='DeepSeek', service='DeepSeek API', sub_account_type='Project') }}

),

final as (

    {{ focus_select('mapped', absent=llm_absent_columns()) }}

)

select * from final
