-- One FOCUS row per line item of a day of Fireworks' billing summary. A category says what was counted ("LLM input tokens (cached)", "H100 GPU
-- hours"); one whose unit it doesn't name keeps its amount as quantity. Deployments and training name no model.

with

source as (

    select
        *,
        lower(category) as said,
        case
            when contains(grouping_key, 'model') then grouping_value
            when contains(secondary_grouping_key, 'model') then secondary_grouping_value
        end as model
    from {{ source('bronze', 'fireworks_costs') }}

),

read as (

    select
        *,
        case
            when not contains(said, 'token') then null
            when contains(said, 'output') then 'output'
            when contains(said, 'input') and regexp_matches(said, '\bcached\b') then 'input_cache_read'
            when contains(said, 'input') then 'input_uncached'
        end as token_class,
        case
            when regexp_matches(said, '\bhours?\b') then 'Hours'
            when regexp_matches(said, '\bseconds?\b') then 'Seconds'
            when regexp_matches(said, '\bimages?\b') then 'Images'
        end as unit
    from source

),

metered as (

    {{ llm_metered('read', {
        'charge_start': 'bucket_start',
        'charge_end': 'bucket_end',
        'amount': 'cast(total_cost as decimal(38, 12))',
        'currency': 'currency',
        'description': "concat_ws(', ', grouping_value, secondary_grouping_value, category)",
        'model_id': 'model',
        'model_reason': "case when model is null then 'report_names_no_model' end",
        'meter': 'category',
        'meter_kind': "case when token_class is not null then 'tokens' else coalesce(category, 'unnamed') end",
        'sku_id': "coalesce(concat_ws('/', " ~ llm_slug('coalesce(grouping_value, series)') ~ ', ' ~ llm_slug('category') ~ "), 'unnamed')",
        'token_class': 'token_class',
        'token_direction': "case when token_class = 'output' then 'Output' when token_class is not null then 'Input' end",
        'token_cache_action': "case token_class when 'input_uncached' then 'Uncached' when 'input_cache_read' then 'Read' end",
        'service_tier': "case when contains(said, 'batch') then 'batch' end",
        'operation': 'lower(series)',
        'provider_quantity': 'case when coalesce(token_class, unit) is not null then cast(quantity as decimal(38, 12)) end',
        'provider_unit': "case when token_class is not null then 'Tokens' else unit end",
    }) }}

),

priced as (

    {{ llm_priced('metered') }}

),

mapped as (

    {{ llm_focus_row(
        'priced', provider='Fireworks AI', service='Fireworks AI', sub_account_type='Project', developer="cast(null as varchar)"
    ) }}

),

final as (

    {{ focus_select('mapped', absent=llm_absent_columns()) }}

)

select * from final
