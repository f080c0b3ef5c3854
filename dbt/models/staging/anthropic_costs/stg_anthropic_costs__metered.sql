-- One row per Anthropic cost row, in dollars (the report gives cents) and with its meter named. A null workspace
-- is the organisation's default workspace.

with

source as (

    select * from {{ source('bronze', 'anthropic_costs') }}

),

meters as (

    -- an empty cell of a seed is null in the warehouse, '' in a dbt unit test
    select
        * replace (
            nullif(token_type, '') as token_type, nullif(token_class, '') as token_class, nullif(default_unit, '') as default_unit
        )
    from {{ ref('llm_anthropic_meters') }}

),

final as (

    select
        source._source_id as source_id,
        source._billing_period as billing_period,
        source._delivery_id as delivery_id,
        source._object_key as object_key,
        source._row_number as row_number,
        source._account_id as account_id,
        source._account_name as account_name,
        source.starting_at as charge_start,
        source.ending_at as charge_end,
        {{ utc_date('source.starting_at') }} as charge_date,
        cast(source.amount_cents * cast(0.01 as decimal(3, 2)) as decimal(38, 12)) as amount,
        upper(trim(source.currency)) as currency,
        source.description,
        coalesce(source.workspace_id, 'default') as project_id,
        case when source.workspace_id is null then 'Default workspace' end as project_name,
        source.model as model_id,
        case
            when source.model is not null then null
            when source.cost_type is null then 'costs_not_grouped_by_description'
            else 'charge_names_no_model'
        end as model_reason,
        coalesce(source.token_type, source.cost_type, 'not itemised') as meter,
        coalesce(meters.meter_kind, 'unmatched') as meter_kind,
        case
            when source.cost_type is null then 'costs_not_grouped_by_description'
            when meters.meter_kind is null then 'meter_not_in_llm_anthropic_meters'
        end as meter_reason,
        meters.token_class,
        coalesce(meters.sku_meter, source.token_type, source.cost_type, 'Not itemised') as sku_meter,
        meters.default_unit,
        source.service_tier,
        cast(null as varchar) as operation,
        source.context_window,
        source.inference_geo,
        concat_ws('/', source.model, {{ llm_slug("coalesce(source.token_type, source.cost_type, 'not itemised')") }}) as sku_id,
        cast(null as decimal(38, 12)) as provider_quantity,
        cast(null as varchar) as provider_unit
    from source
    left join meters
        on source.cost_type = meters.cost_type
        and source.token_type is not distinct from meters.token_type

)

select * from final
