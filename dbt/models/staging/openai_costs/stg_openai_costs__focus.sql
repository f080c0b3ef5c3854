-- One FOCUS row per OpenAI cost row. Quantities: the provider's own; else the tokens of the usage report, summed
-- over exactly the dimensions that the cost row has (a cost row without project or key means all of them).

with

metered as (

    select * from {{ ref('stg_openai_costs__metered') }}

),

token_classes as (

    -- an empty cell of a seed is null in the warehouse, '' in a dbt unit test
    select * replace (nullif(token_cache_action, '') as token_cache_action) from {{ ref('llm_token_classes') }}

),

told_apart as (

    unpivot {{ ref('stg_openai_usage__tokens') }}
    on {% for class in llm_token_classes() %}{{ class }}_tokens as {{ class }}{{ ', ' if not loop.last }}{% endfor %}
    into name metric value quantity

),

billed_apart as (

    select distinct
        account_id,
        billing_period,
        model_id,
        token_class
    from metered
    where token_class in ('{{ llm_modality_classes().keys() | join("', '") }}')

),

-- where the bill names no audio or images of a model, its input and output are all of them
used as (

    select
        told_apart.* replace (
            case when billed_apart.token_class is not null then told_apart.metric else {{ llm_text_class('told_apart.metric') }} end as metric
        )
    from told_apart
    left join billed_apart
        on told_apart.account_id is not distinct from billed_apart.account_id
        and told_apart.billing_period = billed_apart.billing_period
        and told_apart.model_id = billed_apart.model_id
        and told_apart.metric = billed_apart.token_class

),

-- one row per combination of known dimensions; a null that means "not grouped" must not pass for "all"
usage_totals as (

    select
        account_id,
        billing_period,
        charge_date,
        model_id,
        metric,
        project_id,
        api_key_id,
        sum(quantity) as reported_quantity
    from used
    where model_id is not null
    group by account_id, billing_period, charge_date, model_id, metric, cube (project_id, api_key_id)
    having
        (grouping(project_id) = 1 or project_id is not null)
        and (grouping(api_key_id) = 1 or api_key_id is not null)

),

-- two cost rows over the same tokens (tiers, surfaces) can't be told apart in the usage report: neither gets them
counted as (

    select
        *,
        count(*) over (
            partition by source_id, billing_period, charge_date, account_id, project_id, api_key_id, model_id, token_class
        ) as charges_of_usage
    from metered

),

measured as (

    select
        counted.*,
        token_classes.token_direction,
        token_classes.token_cache_action,
        case when counted.charges_of_usage = 1 then usage_totals.reported_quantity end as reported_quantity
    from counted
    left join token_classes on counted.token_class = token_classes.token_class
    left join usage_totals
        on counted.account_id is not distinct from usage_totals.account_id
        and counted.billing_period = usage_totals.billing_period
        and counted.charge_date = usage_totals.charge_date
        and counted.model_id = usage_totals.model_id
        and counted.token_class = usage_totals.metric
        and counted.project_id is not distinct from usage_totals.project_id
        and counted.api_key_id is not distinct from usage_totals.api_key_id

),

priced as (

    {{ llm_priced('measured') }}

),

mapped as (

    {{ llm_focus_row('priced', provider='OpenAI', service='OpenAI API', sub_account_type='Project') }}

),

final as (

    {{ focus_select('mapped', absent=llm_absent_columns()) }}

)

select * from final
