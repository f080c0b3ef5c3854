-- One FOCUS row per row of GitHub's billing usage: quantity and list price as GitHub gives them (gross), billed at what is left after included
-- usage and discounts (net). Copilot is generative AI; what else GitHub meters is developer tools.

with

source as (

    select
        *,
        contains(lower(concat_ws(' ', product, sku)), 'copilot') as is_ai,
        case lower(replace(unit_type, ' ', '-'))
            when 'user-months' then 'User-Months'
            when 'usermonths' then 'User-Months'
            when 'requests' then 'Requests'
            when 'ai-credits' then 'Credits'
            when 'minutes' then 'Minutes'
            when 'gigabytes' then 'GB'
            when 'gigabyte-hours' then 'GB-Hours'
            when 'gigabytehours' then 'GB-Hours'
            when 'gigabyte-months' then 'GB-Months'
            when 'hours' then 'Hours'
        end as unit
    from {{ source('bronze', 'github_billing') }}

),

metered as (

    {{ llm_metered('source', {
        'charge_start': 'used_on',
        'charge_end': after('used_on', 'day'),
        'amount': 'cast(gross_amount as decimal(38, 12))',
        'net_amount': 'cast(net_amount as decimal(38, 12))',
        'is_ai': 'is_ai',
        'product': 'product',
        'cost_center': 'cost_center_name',
        'description': "concat_ws(' ', product, sku)",
        'project_id': 'organization',
        'model_id': 'model',
        'model_reason': "case when model is null and is_ai then 'report_names_no_model' end",
        'meter': 'sku',
        'meter_kind': 'coalesce(unit_type, sku)',
        'sku_id': 'sku',
        'provider_quantity': 'case when unit is not null then cast(quantity as decimal(38, 12)) end',
        'provider_unit': 'unit',
    }) }}

),

priced as (

    {{ llm_priced('metered') }}

),

billed as (

    select * replace (net_amount as amount)
    from priced

),

mapped as (

    {{ llm_focus_row(
        'billed', provider='GitHub', service='GitHub', sub_account_type='Organization', developer="cast(null as varchar)",
        more=["is_ai", "product", "cost_center"]
    ) }}

),

classified as (

    select
        * replace (
            case when is_ai then 'GitHub Copilot' else 'GitHub ' || coalesce(product, 'usage') end as ServiceName,
            case when is_ai then 'AI and Machine Learning' else 'Developer Tools' end as ServiceCategory,
            case when is_ai then 'Generative AI' else 'Other (Developer Tools)' end as ServiceSubcategory,
            coalesce(cost_center, x_Owner) as x_Owner,
            case when coalesce(cost_center, x_Owner) is null then 'report_names_no_organization' end as x_OwnerReason
        )
    from mapped

),

final as (

    {{ focus_select('classified', absent=llm_absent_columns()) }}

)

select * from final
