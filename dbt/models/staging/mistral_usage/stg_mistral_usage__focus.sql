-- One FOCUS row per entry of a month of Mistral: a model, a lane and a day, at the price that the file gives. Billed units are the quantity;
-- what a plan covers has none.

with

source as (

    select
        *,
        coalesce(event_type, 'api_tokens') like '%tokens' as is_tokens,
        coalesce(value_paid, value) as billed_units,
        date_trunc('day', used_at at time zone 'UTC') at time zone 'UTC' as used_on
    from {{ source('bronze', 'mistral_usage') }}

),

metered as (

    {{ llm_metered('source', {
        'charge_start': 'used_on',
        'charge_end': after('used_on', 'day'),
        'amount': 'cast(amount as decimal(38, 12))',
        'currency': 'currency',
        'description': "concat_ws(', ', coalesce(billing_display_name, model), category, lane)",
        'model_id': 'model',
        'meter': "concat_ws(' ', category, lane)",
        'meter_kind': "case when is_tokens then 'tokens' else coalesce(event_type, category) end",
        'sku_id': "concat_ws('/', model, category, lane)",
        'token_class': "case when is_tokens then case lane when 'input' then 'input_uncached' when 'cached' then 'input_cache_read' else lane end end",
        'token_direction': "case when is_tokens then case lane when 'output' then 'Output' else 'Input' end end",
        'token_cache_action': "case when is_tokens then case lane when 'input' then 'Uncached' when 'cached' then 'Read' end end",
        'service_tier': 'service_tier',
        'operation': 'usage_type',
        'provider_quantity': "case when is_tokens or contains(event_type, 'pages') or contains(event_type, 'seconds') "
            ~ "then cast(billed_units as decimal(38, 12)) end",
        'provider_unit': "case when is_tokens then 'Tokens' when contains(event_type, 'pages') then 'Pages' "
            ~ "when contains(event_type, 'seconds') then 'Seconds' end",
    }) }}

),

priced as (

    {{ llm_priced('metered') }}

),

mapped as (

    {{ llm_focus_row('priced', provider='Mistral', service='Mistral API', sub_account_type='Workspace') }}

),

final as (

    {{ focus_select('mapped', absent=llm_absent_columns()) }}

)

select * from final
