{# The parts of fct_provisioned_throughput that need room. #}

{# Tokens of tier `provisioned` by route, model and the hour or day that counts them, with what they would have cost by the token. #}
{% macro provisioned_tokens() -%}
    select
        coalesce(routes.route_id, {{ llm_slug('usage.provider_name') }}) as route_id,
        flows.base_model_id,
        usage.usage_start,
        usage.usage_grain,
        sum(usage.quantity) filter (where usage.token_class like 'input%' and usage.token_class not like '%cache_read') as input_tokens,
        sum(usage.quantity) filter (where usage.token_class like 'input%cache_read') as cache_read_tokens,
        sum(usage.quantity) filter (where usage.token_class like 'output%') as output_tokens,
        {{ known_sum(llm_cost('usage.quantity', 'flows.standard_rate')) }} as payg_usd
    from {{ ref('fct_token_usage') }} as usage
    left join {{ ref('llm_routes') }} as routes on usage.provider_name = routes.host_provider_name
    left join (
        select
            charge_date,
            host_provider_name,
            model_id,
            token_class,
            any_value(base_model_id) as base_model_id,
            -- of prices by the hour a day has several: none of them is the day's
            case when count(distinct standard_rate) = 1 then any_value(standard_rate) end as standard_rate
        from {{ ref('int_llm_priced_flows') }}
        where service_tier = 'provisioned'
        group by charge_date, host_provider_name, model_id, token_class
    ) as flows
        on usage.charge_date = flows.charge_date
        and usage.provider_name = flows.host_provider_name
        and usage.model_id is not distinct from flows.model_id
        and usage.token_class = flows.token_class
    where
        usage.service_tier = 'provisioned'
        and usage.token_class in ('{{ llm_token_classes() | join("', '") }}')
    group by 1, 2, 3, 4
{%- endmacro %}

{# From `claimed` (purchases x what they may have served) and `spilled` to the mart's columns. A meter that names no model (Azure's) is for the
   one model that was served meanwhile, if it was one. #}
{% macro provisioned_columns(grain) -%}
{%- set amounts = ['provisioned_unit_hours', 'unused_commitment_hours', 'effective_cost', 'line_count'] -%}
matched as (

    select
        {{ (grain + amounts) | join(', ') }},
        cast((epoch(period_end) - epoch(period_start)) / 3600 as decimal(18, 6)) as period_hours,
        count(distinct base_model_id) as served_models,
        bool_or(has_rivals) as has_rivals,
        -- a day's tokens say nothing of one of its hours
        coalesce(bool_or(coalesce(usage_grain, 'day') <> 'hour' and usage_start is not null), false)
        and epoch(period_end) - epoch(period_start) < 86400 as is_too_coarse,
        coalesce(billed_model_id, case when count(distinct base_model_id) = 1 then min(base_model_id) end) as model_id,
        cast(sum(coalesce(input_tokens, 0)) filter (where usage_start is not null) as decimal(38, 0)) as input_tokens,
        cast(sum(coalesce(cache_read_tokens, 0)) filter (where usage_start is not null) as decimal(38, 0)) as cache_read_tokens,
        cast(sum(coalesce(output_tokens, 0)) filter (where usage_start is not null) as decimal(38, 0)) as output_tokens,
        {{ known_sum('payg_usd', 'usage_start is not null') }} as payg_usd
    from claimed
    group by {{ (grain + amounts) | join(', ') }}

),

judged as (

    select
        matched.* replace (
            {%- for column in ['input_tokens', 'cache_read_tokens', 'output_tokens', 'payg_usd'] %}
            case when not has_rivals and not is_too_coarse and served_models > 0 then {{ column }} end as {{ column }}{{ ',' if not loop.last }}
            {%- endfor %}
        ),
        case
            when has_rivals then 'several_purchases_claim_the_tokens'
            when is_too_coarse then 'tokens_known_by_day_only'
            when served_models = 0 then 'no_usage_report_of_tier_provisioned'
        end as served_reason,
        capacity.tokens_per_minute,
        capacity.output_weight,
        capacity.cache_read_weight,
        coalesce(nullif(capacity.capacity_reason, ''), nullif(whole_unit.capacity_reason, '')) as seed_reason,
        spill.tokens as spill_over
    from matched
    left join {{ ref('llm_provisioned_capacity') }} as capacity
        on matched.provisioned_unit_type = capacity.provisioned_unit_type
        and matched.model_id = capacity.model_id
    left join {{ ref('llm_provisioned_capacity') }} as whole_unit
        on matched.provisioned_unit_type = whole_unit.provisioned_unit_type
        and coalesce(whole_unit.model_id, '') = ''
    left join (
        select
            matched.period_start,
            matched.period_end,
            matched.route_id,
            matched.model_id,
            sum(spilled.tokens) as tokens
        from (select distinct period_start, period_end, route_id, model_id from matched) as matched
        inner join spilled
            on matched.route_id = spilled.route_id
            and matched.model_id = spilled.base_model_id
            and spilled.charge_date >= {{ utc_date('matched.period_start') }}
            and spilled.charge_date < {{ utc_date('matched.period_end') }}
        group by all
    ) as spill
        on {{ same_keys(['period_start', 'period_end', 'route_id', 'model_id'], 'matched', 'spill') }}

),

measured as (

    select
        *,
        cast(input_tokens + cache_read_tokens + output_tokens as decimal(38, 0)) as tokens_served,
        cast(input_tokens + cache_read_tokens * cache_read_weight + output_tokens * output_weight as decimal(38, 12)) as used_equivalents,
        cast(provisioned_unit_hours * 60 * tokens_per_minute as decimal(38, 12)) as capacity_equivalents
    from judged

)

select
    {{ grain | join(', ') }},
    period_hours,
    provisioned_unit_hours,
    {{ exact_quotient('provisioned_unit_hours', 'period_hours') }} as provisioned_units,
    unused_commitment_hours,
    line_count,
    effective_cost,
    model_id,
    case when model_id is null and served_models > 1 then 'several_models_share_the_units' when model_id is null then 'meter_names_no_model' end as model_reason,
    input_tokens,
    cache_read_tokens,
    output_tokens,
    tokens_served,
    served_reason,
    case when output_weight is not null then capacity_equivalents end as capacity_token_equivalents,
    used_equivalents as used_token_equivalents,
    case when output_weight is not null then {{ exact_quotient('used_equivalents', 'capacity_equivalents') }} end as utilisation,
    case
        when provisioned_unit_hours is null then 'charge_counts_no_unit_hours'
        when output_weight is not null then null
        else coalesce(seed_reason, case when model_id is null then 'no_model_to_know_a_unit_by' else 'model_not_in_llm_provisioned_capacity' end)
    end as capacity_reason,
    case when period_hours >= 24 then cast(spill_over as decimal(38, 0)) end as spill_over_tokens_at_most,
    {{ exact_quotient('effective_cost', 'tokens_served * 0.000001') }} as cost_per_million_tokens,
    payg_usd as served_at_payg_usd,
    case when billing_currency = 'USD' then {{ exact_quotient('effective_cost', 'payg_usd') }} end as cost_to_payg_ratio,
    case
        when billing_currency = 'USD' and output_weight is not null
            then cast({{ exact_quotient('used_equivalents', 'capacity_equivalents') }} * {{ exact_quotient('effective_cost', 'payg_usd') }} as decimal(38, 12))
    end as break_even_utilisation,
    case
        when tokens_served is null then served_reason
        when billing_currency <> 'USD' then 'billed_in_another_currency'
        when payg_usd is null then 'no_pay_as_you_go_price'
        when payg_usd = 0 then 'nothing_was_served'
        when output_weight is null or coalesce(provisioned_unit_hours, 0) = 0 then 'capacity_not_known'
    end as break_even_reason
from measured
{%- endmacro %}
