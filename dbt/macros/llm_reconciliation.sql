{# Why what was billed and usage at list prices differ, first reason that fits (fct_llm_reconciliation_daily). #}
{% macro residual_causes() -%}
    {{ return([
        'credits', 'adjustments', 'taxes', 'purchases', 'other_currency', 'usage_not_reported', 'not_billed', 'price_not_known',
        'price_learnt_late', 'quantity_differs', 'rounding', 'tier', 'unexplained'
    ]) }}
{%- endmacro %}

{# Whether a row of fct_token_usage is of no account to money: requests are billed by few, and of an unknown model nobody knows that they are;
   counted as unpriced they would be added to its tokens. #}
{% macro counts_requests_only() -%}
    token_class = 'requests' and coalesce(price_reason, '') in ('requests_are_not_billed', 'model_not_in_price_book')
{%- endmacro %}

{# The metric of usage that a meter of a bill counts; null for meters that no usage report counts. #}
{% macro metric_of_meter(meter_kind) -%}
    case {{ meter_kind }}
        when 'web_search' then 'web_search_requests'
        when 'file_search' then 'file_search_requests'
        when 'code_interpreter' then 'code_interpreter_sessions'
        else {{ meter_kind }}
    end
{%- endmacro %}

{# The cause of one key's residual. #}
{% macro residual_cause() -%}
    case
        when residual_usd = 0 then 'none'
        when charge_category = 'Credit' then 'credits'
        when charge_category = 'Adjustment' then 'adjustments'
        when charge_category = 'Tax' then 'taxes'
        when charge_category = 'Purchase' then 'purchases'
        when billing_currency <> 'USD' then 'other_currency'
        when used_rows = 0 then 'usage_not_reported'
        when billed_rows = 0 then 'not_billed'
        when unpriced_rows > 0 then 'price_not_known'
        when held_rows > 0 and abs(billed_cost_usd - captured_at_held_usd) <= abs(residual_usd) * 0.001 then 'price_learnt_late'
        when counted_by_bill <> captured_quantity then 'quantity_differs'
        -- amounts in whole cents are rounded by half a cent a row; exact ones by the last digit of a JSON number
        when abs(residual_usd) <= billed_rows * case when is_in_cents then 0.005 else 0.000001 end then 'rounding'
        when billed_tiers is distinct from used_tiers then 'tier'
        -- long prompts cost at most twice what short ones do
        when has_longer_prices and context_unknown and residual_usd > 0 and residual_usd <= captured_cost_usd then 'tier'
        else 'unexplained'
    end
{%- endmacro %}

{# CTE `said_alike`: the relation with models that only bill or only usage calls so under the name that seed ai_models makes of theirs. A bill
   may say "GPT-4o" of what the usage report calls gpt-4o-2024-11-20, or the old name of a renamed model a day longer. #}
{% macro said_alike_ctes(relation, key) %}
    ai_said as (
        select distinct model_id as model_said from {{ relation }}
    ),

    {{ ai_model_ctes() }},

    said_alike as (
        select {{ relation }}.* replace (coalesce(models.model_id, {{ relation }}.model_id) as model_id)
        from {{ relation }}
        left join (
            select {{ key | join(', ') }}
            from {{ relation }}
            group by {{ key | join(', ') }}
            having sum(billed_rows) = 0 or sum(used_rows) = 0
        ) as alone
            on {{ same_keys(key, relation, 'alone') }}
        left join ai_models_known as models
            on alone.model_id = models.model_said
    )
{% endmacro %}

{# Bill and usage of each charge class side by side, with what tells why they differ. #}
{% macro sums_of_both_sides(relation, key) -%}
    select
        {{ key | join(', ') }},
        cast(sum(billed_cost) as decimal(38, 12)) as billed_cost,
        cast(coalesce(sum(billed_cost_usd), 0) as decimal(38, 12)) as billed_cost_usd,
        cast(coalesce(sum(captured_cost_usd), 0) as decimal(38, 12)) as captured_cost_usd,
        cast(coalesce(sum(billed_cost_usd), 0) - coalesce(sum(captured_cost_usd), 0) as decimal(38, 12)) as residual_usd,
        sum(captured_at_held_usd) as captured_at_held_usd,
        sum(billed_rows) as billed_rows,
        sum(used_rows) as used_rows,
        count(*) filter (where is_unpriced) as unpriced_rows,
        count(*) filter (where is_held) as held_rows,
        sum(captured_quantity) filter (where is_unpriced) as unpriced_quantity,
        sum(captured_quantity) as captured_quantity,
        sum(counted_by_bill) as counted_by_bill,
        bool_and(is_in_cents) as is_in_cents,
        list_sort(list(distinct billed_tier) filter (where billed_tier is not null)) as billed_tiers,
        list_sort(list(distinct used_tier) filter (where used_tier is not null)) as used_tiers,
        coalesce(bool_or(context_unknown), false) as context_unknown,
        coalesce(bool_or(has_longer_prices), false) as has_longer_prices
    from {{ relation }}
    group by {{ key | join(', ') }}
{%- endmacro %}
