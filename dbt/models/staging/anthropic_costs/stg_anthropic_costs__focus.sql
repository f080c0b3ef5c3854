-- One FOCUS row per Anthropic cost row. The report bears no quantity: tokens (and web searches) come from the usage
-- report, summed over exactly the dimensions that the cost row has.

with

metered as (

    select * from {{ ref('stg_anthropic_costs__metered') }}

),

token_classes as (

    -- an empty cell of a seed is null in the warehouse, '' in a dbt unit test
    select * replace (nullif(token_cache_action, '') as token_cache_action) from {{ ref('llm_token_classes') }}

),

-- keys and accounts first summed away: the sums below then work on a tenth of the rows
used_per_price as (

    select
        account_id,
        billing_period,
        charge_date,
        project_id,
        model_id,
        service_tier,
        context_window,
        inference_geo,
        {% for class in llm_text_token_classes() -%}
        sum({{ class }}_tokens) as {{ class }},
        {% endfor -%}
        sum(web_search_requests) as web_search
    from {{ ref('stg_anthropic_usage__tokens') }}
    group by all

),

used as (

    unpivot used_per_price
    on {{ llm_text_token_classes() | join(', ') }}, web_search
    into name metric value quantity

),

-- one row per combination of known dimensions; a null that means "not grouped" must not pass for "all"
usage_totals as (

    select
        account_id,
        billing_period,
        charge_date,
        project_id,
        metric,
        model_id,
        service_tier,
        context_window,
        inference_geo,
        sum(quantity) as reported_quantity
    from used
    where quantity <> 0
    group by
        account_id, billing_period, charge_date, project_id, metric,
        cube (model_id, service_tier, context_window, inference_geo)
    having
        (grouping(model_id) = 1 or model_id is not null)
        and (grouping(service_tier) = 1 or service_tier is not null)
        and (grouping(context_window) = 1 or context_window is not null)
        and (grouping(inference_geo) = 1 or inference_geo is not null)

),

-- two cost rows over the same usage can't be told apart in the usage report: neither gets the quantity
counted as (

    select
        *,
        coalesce(token_class, meter_kind) as metric,
        count(*) over (
            partition by
                source_id, billing_period, charge_date, account_id, project_id, coalesce(token_class, meter_kind),
                model_id, service_tier, context_window, inference_geo
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
        and counted.project_id = usage_totals.project_id
        and counted.metric = usage_totals.metric
        and counted.model_id is not distinct from usage_totals.model_id
        and counted.service_tier is not distinct from usage_totals.service_tier
        and counted.context_window is not distinct from usage_totals.context_window
        and counted.inference_geo is not distinct from usage_totals.inference_geo

),

priced as (

    {{ llm_priced('measured') }}

),

mapped as (

    {{ llm_focus_row('priced', provider='Anthropic', service='Anthropic API', sub_account_type='Workspace') }}

),

final as (

    {{ focus_select('mapped', absent=llm_absent_columns()) }}

)

select * from final
