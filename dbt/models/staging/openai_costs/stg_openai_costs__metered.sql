-- One row per OpenAI cost row: its line item read as [tier or surface | ] model [modality], [tier] meter [, context].
-- The seed of meters is ordered; the first pattern that fits names the meter. Nothing is dropped: what does not
-- fit stays, with the reason.

{%- set tiers = "'batch', 'default', 'fast', 'flex', 'priority', 'scale'" %}

with

source as (

    select * from {{ source('bronze', 'openai_costs') }}

),

units as (

    select * from {{ ref('llm_quantity_units') }}

),

meters as (

    -- an empty cell of a seed is null in the warehouse, '' in a dbt unit test
    select
        * replace (nullif(token_class, '') as token_class, nullif(default_unit, '') as default_unit)
    from {{ ref('llm_openai_meters') }}

),

-- a line item's text is parsed once, however many rows bear it
line_items as (

    select distinct
        line_item,
        lower(nullif(trim(regexp_extract(line_item, '^([^|,]+) \| ', 1)), '')) as prefix,
        string_split(regexp_replace(line_item, '^[^|,]+ \| ', ''), ', ') as parts
    from source
    where line_item is not null

),

split as (

    select
        line_item,
        prefix,
        case when len(parts) > 1 then trim(parts[1]) end as head,
        trim(parts[least(len(parts), 2)]) as meter,
        lower(trim(replace(parts[least(len(parts), 2)], '_', ' '))) as words,
        nullif(trim(array_to_string(parts[3:], ' ')), '') as context_window
    from line_items

),

parsed as (

    select
        line_item,
        meter,
        context_window,
        case when prefix in ({{ tiers }}) then prefix else nullif(regexp_extract(words, '^(batch|flex|priority) ', 1), '') end as service_tier,
        case when prefix not in ({{ tiers }}) then prefix end as operation,
        nullif(regexp_extract(head, '^(\S.*?)( (audio|image|text))?$', 1), '') as model_id,
        coalesce(
            nullif(regexp_extract(head, ' (audio|image|text)$', 1), ''),
            nullif(regexp_extract(words, '\b(audio|image|text)\b.*(in|out)put', 1), ''),
            nullif(regexp_extract(words, '(in|out)put.*\b(audio|image|text)\b', 2), '')
        ) as modality,
        case
            when regexp_matches(words, '(in|out)put')
                then trim(regexp_replace(regexp_replace(words, '^(batch|flex|priority) |\b(audio|image|text)\b', '', 'g'), '\s+', ' ', 'g'))
            else words
        end as meter_words
    from split

),

matched as (

    select
        parsed.line_item,
        arg_min(meters.meter_kind, meters.priority) as meter_kind,
        arg_min(struct_pack(v := meters.token_class), meters.priority).v as token_class,
        arg_min(meters.sku_meter, meters.priority) as sku_meter,
        arg_min(struct_pack(v := meters.default_unit), meters.priority).v as default_unit
    from parsed
    inner join meters on regexp_matches(parsed.meter_words, meters.pattern)
    group by parsed.line_item

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
        source.bucket_start as charge_start,
        source.bucket_end as charge_end,
        {{ utc_date('source.bucket_start') }} as charge_date,
        cast(source.amount_value as decimal(38, 12)) as amount,
        upper(trim(source.amount_currency)) as currency,
        source.line_item as description,
        source.project_id,
        cast(null as varchar) as project_name,
        source.api_key_id,
        parsed.model_id,
        case
            when source.line_item is null then 'costs_not_grouped_by_line_item'
            when parsed.model_id is null then 'line_item_names_no_model'
        end as model_reason,
        coalesce(parsed.meter, 'not itemised') as meter,
        coalesce(matched.meter_kind, 'unmatched') as meter_kind,
        case
            when source.line_item is null then 'costs_not_grouped_by_line_item'
            when matched.line_item is null then 'meter_not_in_llm_openai_meters'
        end as meter_reason,
        case
            when coalesce(units.consumed_unit, 'Tokens') = 'Tokens' then {{ llm_class_of_modality('matched.token_class', 'parsed.modality') }}
        end as token_class,
        coalesce(
            case when parsed.modality in ('audio', 'image') then upper(parsed.modality[1]) || parsed.modality[2:] || ' ' else '' end
            || matched.sku_meter,
            parsed.meter, 'Not itemised'
        ) as sku_meter,
        matched.default_unit,
        parsed.service_tier,
        parsed.operation,
        parsed.context_window,
        cast(null as varchar) as inference_geo,
        concat_ws('/', parsed.model_id, coalesce({{ llm_slug("concat_ws(' ', parsed.modality, parsed.meter_words)") }}, 'not-itemised')) as sku_id,
        -- real cost rows bear a quantity without a unit: it is then in the meter's own unit
        cast(
            source.quantity
            * coalesce(units.consumed_factor, case when source.quantity_unit is null and matched.default_unit is not null then 1 end)
            as decimal(38, 12)
        ) as provider_quantity,
        coalesce(units.consumed_unit, case when source.quantity_unit is null then matched.default_unit end) as provider_unit
    from source
    left join parsed on source.line_item = parsed.line_item
    left join matched on source.line_item = matched.line_item
    left join units on lower(trim(source.quantity_unit)) = units.quantity_unit

)

select * from final
