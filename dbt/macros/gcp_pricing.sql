{# Costs, quantities and unit prices of Google Cloud charges. Everything is DECIMAL(38,12). Unit prices are cost / quantity, for the
   export's own cost_at_list and cost are in the billing currency and its price fields come and go; list and contracted cost are
   price x quantity, so that FOCUS ListCost-C-011 and ContractedCost-C-011 hold to the last digit. #}

{# One short word per treatment; every later CASE reads this instead of the vendor's types. #}
{% macro gcp_kind() -%}
    case
        when starts_with(charge_part, ':Credit') then 'credit'
        when charge_part = ':Covered' then 'covered'
        when charge_part = ':Unused' then 'unused'
        when cost_type = 'tax' then 'tax'
        when cost_type <> 'regular' then 'adjustment'
        when is_fee then 'fee'
        -- a month that is bought, not metered
        when subscription_instance_id is not null and usage_end_time - usage_start_time >= interval 27 day then 'subscription'
        else 'usage'
    end
{%- endmacro %}

{# CTEs `costed` (kind, billed, effective), `measured` (quantity), `priced` (unit prices) and `charged` (list and contracted cost). #}
{% macro gcp_pricing_ctes() %}
    classified as (
        select *, {{ gcp_kind() }} as kind
        from charges
    ),

    costed as (
        select
            *,
            kind in ('usage', 'covered', 'unused') as is_usage,
            kind in ('fee', 'subscription') as is_purchase,
            kind in ('usage', 'covered', 'unused', 'fee', 'subscription') as is_priced,
            case
                when kind in ('covered', 'unused') then cast(0 as decimal(38, 12))
                when kind = 'credit' then credit_amount
                else reduced_cost
            end as billed_cost,
            case
                when kind = 'covered' then fee_share
                when kind = 'fee' then cast(0 as decimal(38, 12))
                when kind = 'credit' then credit_amount
                else reduced_cost
            end as effective_cost,
            coalesce(pricing_amount, 0) = 0 and (contracted_gross <> 0 or list_gross <> 0 or pricing_amount is null) as one_unit,
            -- the part of the line's quantity that this row has; the rest is the covered row's
            case
                when kind = 'covered' then covered_part
                when fee_share is not null then 1 - covered_part
                else cast(1 as decimal(38, 12))
            end as part
        from classified
    ),

    measured as (
        select
            *,
            case when one_unit then cast(1 as decimal(38, 12)) else pricing_amount end as line_quantity,
            case when is_priced then case
                when kind = 'unused' then 'unused_commitment'
                when one_unit then 'one_unit_assumed'
                when list_gross is null and kind <> 'fee' then 'bill_without_list_price'
                else 'bill'
            end end as quantity_source
        from costed
    ),

    {{ gcp_recognised_cte() }},

    sized as (
        select
            *,
            case
                when not is_priced then null
                when kind = 'unused' then effective_cost
                -- a product of two DECIMAL(38,12) must stay below 1e14
                when part = 1 then whole_quantity
                else cast(whole_quantity * part as decimal(38, 12))
            end as quantity
        from recognised
    ),

    priced as (
        select
            *,
            case
                when not is_priced then null
                when kind = 'unused' then cast(1 as decimal(38, 12))
                else coalesce(abs({{ exact_quotient('contracted_gross', 'whole_quantity') }}), 0)
            end as contracted_price,
            case
                when not is_priced then null
                when kind = 'unused' then cast(1 as decimal(38, 12))
                else coalesce(abs({{ exact_quotient('coalesce(list_gross, contracted_gross)', 'whole_quantity') }}), 0)
            end as list_price,
            -- a negative price is not a price: the sign belongs to the quantity (FOCUS ListUnitPrice-C-008)
            case
                when kind <> 'unused' and sign(contracted_gross) * sign(whole_quantity) < 0 then -quantity
                else quantity
            end as pricing_quantity
        from sized
    ),

    charged as (
        select
            *,
            case
                when contracted_price is null then billed_cost
                else {{ exact_product('contracted_price', 'pricing_quantity', 'contracted_gross') }}
            end as contracted_cost,
            case
                when list_price is null then billed_cost
                else {{ exact_product('list_price', 'pricing_quantity', 'coalesce(list_gross, contracted_gross)') }}
            end as list_cost
        from priced
    )
{% endmacro %}
