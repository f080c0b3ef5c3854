-- One FOCUS row per Databricks usage record: quantity and list cost, and nothing billed, for the table invoices nothing (docs/decisions/0026).
-- Retractions are negative records of the same SKU and price.

with

source as (

    select
        *,
        case upper(usage_unit) when 'DBU' then 'DBUs' when 'GB' then 'GB' when 'HOUR' then 'Hours' end as unit
    from {{ source('bronze', 'databricks_usage') }}

),

metered as (

    {{ llm_metered('source', {
        'charge_start': 'usage_start_time',
        'charge_end': 'usage_end_time',
        'account_id': 'coalesce(_account_id, account_id)',
        'currency': 'list_price_currency',
        'amount': 'cast(cast(usage_quantity as decimal(38, 12)) * cast(list_price as decimal(38, 12)) as decimal(38, 12))',
        'list_price': 'cast(list_price as decimal(38, 12))',
        'description': "concat_ws(' ', sku_name, record_type, 'at list price')",
        'project_id': 'workspace_id',
        'meter': 'sku_name',
        'meter_kind': "'usage_at_list_price'",
        'sku_id': 'sku_name',
        'operation': 'billing_origin_product',
        'provider_quantity': 'case when unit is not null then cast(usage_quantity as decimal(38, 12)) end',
        'provider_unit': 'unit',
    }) }}

),

priced as (

    {{ llm_priced('metered') }}

),

billed as (

    -- the price is the price list's, not a quotient
    select
        * replace (
            cast(0 as decimal(38, 12)) as amount,
            case when quantity_source = 'provider' then list_price else unit_price end as unit_price,
            case when quantity_source = 'provider' then cast(list_price * pricing_quantity as decimal(38, 12)) else priced_cost end as priced_cost
        )
    from priced

),

mapped as (

    {{ llm_focus_row('billed', provider='Databricks', service='Databricks', sub_account_type='Workspace', developer="cast(null as varchar)") }}

),

classified as (

    select * replace ('Analytics' as ServiceCategory, 'Analytics Platforms' as ServiceSubcategory)
    from mapped

),

final as (

    {{ focus_select('classified', absent=llm_absent_columns()) }}

)

select * from final
