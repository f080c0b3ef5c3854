{# Columns and joins that the efficiency marts share. #}

{# Equality of keys that may be NULL. #}
{% macro same_keys(columns, left, right) -%}
    {% for column in columns %}{{ left }}.{{ column }} is not distinct from {{ right }}.{{ column }}{{ ' and ' if not loop.last }}{% endfor %}
{%- endmacro %}

{# The rates of a flow's own route on its own day: the scope that was billed, the region that was asked for, the base context tier. #}
{% macro llm_own_rate(flow, rates) -%}
    {{ llm_rate_holds(flow, rates) }}
    and {{ rates }}.option_scope = {{ llm_option_scope(flow) }}
    -- an entry for a reported model prices that model alone, not its namesakes of another date
    and ({{ rates }}.rate_order <> 2 or {{ rates }}.route_model_id = {{ flow }}.model_id)
    and {{ rates }}.price_scope in ('global', {{ llm_price_scope(flow) }})
    and {{ flow }}.price_gap is null
{%- endmacro %}

{# The rate of the flow's own day, hour and prompt length. #}
{% macro llm_rate_holds(flow, rates) -%}
    {{ flow }}.charge_date >= {{ rates }}.valid_from
    and {{ flow }}.charge_date < {{ rates }}.valid_to
    and {{ flow }}.from_minute_utc >= {{ rates }}.from_minute_utc
    and {{ flow }}.to_minute_utc <= {{ rates }}.to_minute_utc
    and {{ context_from(flow ~ '.context_tier') }} >= {{ rates }}.context_from_tokens
    and {{ context_from(flow ~ '.context_tier') }} < {{ rates }}.context_to_tokens
{%- endmacro %}

{# fct_cache_efficiency_daily's columns out of its last CTE. #}
{% macro cache_efficiency_columns(grain) -%}
select
    {{ grain | join(', ') }},
    input_tokens_total,
    uncached_tokens_total,
    cache_read_tokens_total,
    {%- for class in llm_token_classes() if class.startswith('input') %}
    {{ class }}_tokens,
    {%- endfor %}
    {{ exact_quotient('cache_read_tokens_total', 'input_tokens_total') }} as cache_hit_rate,
    {{ exact_quotient('cache_read_tokens_total', 'write_tokens') }} as cache_reads_per_write,
    input_at_full_price_usd,
    cache_read_at_full_price_usd,
    {{ exact_quotient('cache_read_at_full_price_usd', 'input_at_full_price_usd') }} as cache_hit_rate_dollar_weighted,
    cache_read_usd,
    cast(cache_read_at_full_price_usd - cache_read_usd as decimal(38, 12)) as saved_by_reads_usd,
    cache_write_usd,
    cast(cache_write_usd - cache_write_at_full_price_usd as decimal(38, 12)) as write_premium_usd,
    cast(cache_read_at_full_price_usd - cache_read_usd - cache_write_usd + cache_write_at_full_price_usd as decimal(38, 12)) as net_saved_usd,
    cast(unread as decimal(38, 0)) as unread_write_tokens_at_least,
    case when unread = 0 then 0 else {{ llm_cost('unread', 'cheapest_write_rate') }} end as unread_write_usd_at_least,
    case
        when unread is null then 'next_day_is_not_in_the_month_so_far'
        when unread > 0 and cheapest_write_rate is null then 'no_rate_for_cache_writes'
    end as unread_write_reason,
    cast(reference.read as decimal(38, 0)) as reference_cache_read_tokens,
    cast(reference.whole as decimal(38, 0)) as reference_input_tokens,
    cast(lost as decimal(38, 0)) as lost_read_tokens_estimate,
    case
        when lost = 0 then 0
        else cast(uncached_read_discount_usd * {{ exact_quotient('lost', 'uncached_tokens_total') }} as decimal(38, 12))
    end as lost_usd_estimate,
    lost_basis,
    case
        when lost is null then 'no_cache_reads_to_take_a_rate_from'
        when lost > 0 and uncached_read_discount_usd is null then 'no_rate_for_cache_reads'
    end as lost_reason,
    case
        when input_at_full_price_usd is null then 'no_rate_for_uncached_input'
        when cache_read_usd is null then 'no_rate_for_cache_reads'
        when cache_write_usd is null then 'no_rate_for_cache_writes'
    end as price_reason
{%- endmacro %}

{# Which of a route's scopes a flow went by: what the bill says; a usage report's region is a matter of price, not of route. #}
{% macro llm_option_scope(flow) -%}
    case when {{ flow }}.counted_by = 'bill' then coalesce({{ flow }}.region_scope, '') else '' end
{%- endmacro %}

{# The region whose price holds: what the usage report asks for, where that is a place. #}
{% macro llm_price_scope(flow) -%}
    case
        when {{ flow }}.counted_by = 'usage_report' and lower(coalesce({{ flow }}.region_scope, '')) not in ('', 'global', 'not_available', 'unknown')
            then lower({{ flow }}.region_scope)
        else 'global'
    end
{%- endmacro %}

{# fct_provider_comparison's columns: the offers with what was paid on the route that was used; cost without tokens is a row of its own. #}
{% macro provider_comparison_columns(mine, option) -%}
,

priced as (

    select
        summed.*,
        currencies.billing_currency
    from summed
    left join currencies on {{ same_keys(mine, 'summed', 'currencies') }}

),

joined as (

    select
        priced.*,
        case when priced.is_current then paid.actual_cost end as actual_cost,
        case
            when priced.is_current then paid.contracted_cost
            when priced.billing_currency = 'USD' then priced.contracted_elsewhere
        end as committed_cost
    from priced
    left join paid
        on {{ same_keys(mine + ['billing_currency'], 'priced', 'paid') }}

    union all by name

    -- what was paid without a token that the route counts
    select
        {% for column in mine %}paid.{{ column }}, {% endfor %}
        paid.used_route_id as route_id,
        paid.used_scope as region_scope,
        'same' as equivalence,
        true as is_current,
        paid.billing_currency,
        paid.actual_cost,
        paid.contracted_cost as committed_cost
    from paid
    left join priced
        on priced.is_current
        and {{ same_keys(mine + ['billing_currency'], 'paid', 'priced') }}
    where priced.billing_period is null

)

select
    {{ mine | join(', ') }},
    billing_currency,
    {{ option | join(', ') }},
    route_model_id,
    {%- for class in llm_token_classes() %}
    {{ class }}_tokens,
    {%- endfor %}
    tokens_total,
    batch_tokens,
    unpriced_tokens,
    list_cost_usd,
    list_cost_without_cache_usd,
    list_cost_best_cache_usd,
    list_cost_all_batch_usd,
    cast(list_cost_usd - max(list_cost_usd) filter (where is_current) over (
        partition by {{ (mine + ['billing_currency']) | join(', ') }}
    ) as decimal(38, 12)) as list_difference_usd,
    committed_cost,
    actual_cost,
    case
        when tokens_total is null then 'charge_counts_no_tokens'
        when list_cost_usd is null and modality_gap is not null then modality_gap
        when list_cost_usd is null and lacks_long_prompts then 'no_rate_for_long_prompts_on_route'
        when list_cost_usd is null and unpriced_tokens = tokens_total then 'no_rate_on_route'
        when list_cost_usd is null and lacks_a_tier then 'no_rate_for_a_tier_on_route'
        when list_cost_usd is null then 'no_rate_for_a_token_class_on_route'
    end as list_reason,
    case
        when tokens_total is null then 'charge_counts_no_tokens'
        when list_cost_without_cache_usd is null then 'no_rate_for_uncached_input'
        when list_cost_best_cache_usd is null then 'no_cache_reads_to_take_a_rate_from_or_no_rate'
    end as cache_reason,
    case
        when tokens_total is null then 'charge_counts_no_tokens'
        when list_cost_all_batch_usd is null then 'no_batch_rate_on_route'
    end as batch_reason,
    case
        when committed_cost is not null then null
        when is_current then 'tokens_not_charged'
        when billing_currency is distinct from 'USD' then 'billed_in_another_currency'
        else 'no_contract_seen_on_route'
    end as committed_reason,
    case
        when actual_cost is not null then null
        when is_current then 'tokens_not_charged'
        else 'route_was_not_used'
    end as actual_reason
from joined
{%- endmacro %}
