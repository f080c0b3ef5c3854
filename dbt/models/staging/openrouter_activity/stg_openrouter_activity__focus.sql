-- One FOCUS row per row of OpenRouter's activity. A row is one price for input, output and extras together, so its quantity is the amount
-- itself; the tokens are in stg_openrouter_activity__tokens. A generation is charged at its instant, the API's row for its day.

with

source as (

    select
        *,
        coalesce(generation_id, '') <> '' as is_generation
    from {{ source('bronze', 'openrouter_activity') }}

),

metered as (

    {{ llm_metered('source', {
        'charge_start': "case when is_generation then date_trunc('hour', used_at at time zone 'UTC') at time zone 'UTC' else used_at end",
        'charge_end': "case when is_generation then " ~ after("date_trunc('hour', used_at at time zone 'UTC') at time zone 'UTC'", 'hour')
            ~ " else " ~ after('used_at', 'day') ~ " end",
        'amount': 'cast(usage as decimal(38, 12))',
        'description': "concat_ws(' ', model_permaslug, 'by way of', provider_name)",
        'api_key_id': 'api_key_name',
        'model_id': 'model_permaslug',
        'meter': "'requests'",
        'meter_kind': "'requests'",
        'sku_id': 'model_permaslug',
        'sku_meter': "'Requests'",
        'operation': 'provider_name',
    }) }}

),

priced as (

    {{ llm_priced('metered') }}

),

mapped as (

    {{ llm_focus_row(
        'priced', provider='OpenRouter', service='OpenRouter API', sub_account_type='Workspace',
        developer="nullif(split_part(model_id, '/', 1), model_id)"
    ) }}

),

final as (

    {{ focus_select('mapped', absent=llm_absent_columns()) }}

)

select * from final
