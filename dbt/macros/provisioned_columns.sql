{# The last part of fct_provisioned_throughput. #}

{# From `worth` (purchases x what they may have served) and `spilled` to the mart's columns. A meter that names no model (Azure's) is for the
   one model that was served meanwhile, if it was one. #}
{% macro provisioned_columns(grain) -%}
{%- set amounts = ['provisioned_unit_hours', 'unused_commitment_hours', 'effective_cost', 'line_count'] -%}
{%- set purchase = (grain + amounts) | join(', ') -%}
by_start as (

    select
        {{ purchase }},
        usage_start,
        case when usage_grain = 'hour' then usage_start end as hour_start,
        usage_grain,
        min(unit_model_id) filter (where usage_start is not null) as first_model_id,
        max(unit_model_id) filter (where usage_start is not null) as last_model_id,
        bool_or(has_rivals) as has_rivals,
        sum(list_sum({{ llm_input_but_reads() }})) as input_tokens,
        sum(list_sum({{ llm_class_columns('input', 'cache_read') }})) as cache_read_tokens,
        sum(list_sum({{ llm_class_columns('output') }})) as output_tokens,
        {{ known_sum('used_equivalents', 'usage_start is not null') }} as used_equivalents,
        {{ known_sum('payg_usd', 'usage_start is not null') }} as payg_usd
    from worth
    group by all

),

matched as (

    select
        {{ purchase }},
        cast((epoch(period_end) - epoch(period_start)) / 3600 as decimal(18, 6)) as period_hours,
        coalesce(min(first_model_id) <> max(last_model_id), false) as serves_several,
        coalesce(bool_or(usage_start is not null), false) as is_served,
        bool_or(has_rivals) as has_rivals,
        -- a day's tokens say nothing of one of its hours
        coalesce(bool_or(coalesce(usage_grain, 'day') <> 'hour' and usage_start is not null), false)
        and epoch(period_end) - epoch(period_start) < 86400 as is_too_coarse,
        coalesce(billed_model_id, case when min(first_model_id) = max(last_model_id) then min(first_model_id) end) as model_id,
        cast(sum(input_tokens) filter (where usage_start is not null) as decimal(38, 0)) as input_tokens,
        cast(sum(cache_read_tokens) filter (where usage_start is not null) as decimal(38, 0)) as cache_read_tokens,
        cast(sum(output_tokens) filter (where usage_start is not null) as decimal(38, 0)) as output_tokens,
        count(hour_start) as served_hours,
        coalesce(bool_and(usage_grain = 'hour') filter (where usage_start is not null), false) as hours_are_told,
        {{ known_sum('used_equivalents', 'usage_start is not null') }} as used_equivalents,
        max(used_equivalents) filter (where hour_start is not null) as busiest_hour_equivalents,
        {{ known_sum('payg_usd', 'usage_start is not null') }} as payg_usd
    from by_start
    group by {{ purchase }}

),

judged as (

    select
        matched.* replace (
            {%- for column in ['input_tokens', 'cache_read_tokens', 'output_tokens', 'served_hours', 'used_equivalents', 'busiest_hour_equivalents',
                'payg_usd'] %}
            case when not has_rivals and not is_too_coarse and is_served then {{ column }} end as {{ column }}{{ ',' if not loop.last }}
            {%- endfor %}
        ),
        case
            when has_rivals then 'several_purchases_claim_the_tokens'
            when is_too_coarse then 'tokens_known_by_day_only'
            when not is_served then 'no_usage_report_of_tier_provisioned'
        end as served_reason,
        capacity.tokens_per_minute,
        capacity.output_weight,
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
        * replace (
            case when output_weight is not null then used_equivalents end as used_equivalents,
            case when output_weight is not null then busiest_hour_equivalents end as busiest_hour_equivalents,
            case when hours_are_told then served_hours end as served_hours
        ),
        cast(input_tokens + cache_read_tokens + output_tokens as decimal(38, 0)) as tokens_served,
        case when output_weight is not null then cast(provisioned_unit_hours * 60 * tokens_per_minute as decimal(38, 12)) end as capacity_equivalents
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
    case when model_id is null and serves_several then 'several_models_share_the_units' when model_id is null then 'meter_names_no_model' end as model_reason,
    input_tokens,
    cache_read_tokens,
    output_tokens,
    tokens_served,
    served_reason,
    capacity_equivalents as capacity_token_equivalents,
    used_equivalents as used_token_equivalents,
    {{ exact_quotient('used_equivalents', 'capacity_equivalents') }} as utilisation,
    served_hours,
    {{ exact_quotient('cast(busiest_hour_equivalents * period_hours as decimal(38, 12))', 'capacity_equivalents') }} as busiest_hour_utilisation,
    case
        when provisioned_unit_hours is null then 'charge_counts_no_unit_hours'
        when output_weight is not null then null
        else coalesce(seed_reason, case when model_id is null then 'no_model_to_know_a_unit_by' else 'model_not_in_llm_provisioned_capacity' end)
    end as capacity_reason,
    -- where the units' use is known and nobody counts a token beside it, none was paid by the token
    case
        when period_hours >= 24
            then cast(coalesce(spill_over, case when model_id is not null and served_reason is null then 0 end) as decimal(38, 0))
    end as spill_over_tokens_at_most,
    {{ exact_quotient('effective_cost', 'tokens_served * 0.000001') }} as cost_per_million_tokens,
    payg_usd as served_at_payg_usd,
    case when billing_currency = 'USD' then {{ exact_quotient('effective_cost', 'payg_usd') }} end as cost_to_payg_ratio,
    case
        when billing_currency = 'USD'
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
