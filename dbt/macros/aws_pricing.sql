{# Costs, quantities and unit prices of AWS charges. Everything is DECIMAL(38,12); list and contracted cost are
   price x quantity, so that FOCUS ListCost-C-011 and ContractedCost-C-011 hold to the last digit. #}

{# One short word per treatment; every later CASE reads this instead of the vendor's types. #}
{% macro aws_kind() -%}
    case
        when charge_part = ':Residual' then 'residual'
        when line_item_line_item_type = 'Usage' then 'usage'
        when line_item_line_item_type = 'SavingsPlanCoveredUsage' then 'sp_used'
        when line_item_line_item_type = 'DiscountedUsage' then 'ri_used'
        when line_item_line_item_type = 'SavingsPlanRecurringFee'
            then case charge_part when '' then 'sp_fee' else 'sp_unused' end
        when line_item_line_item_type = 'RIFee' then case charge_part when '' then 'ri_fee' else 'ri_unused' end
        when line_item_line_item_type = 'SavingsPlanUpfrontFee' then 'sp_upfront'
        when line_item_line_item_type = 'Fee' and reservation_reservation_a_r_n is not null then 'ri_upfront'
        when line_item_line_item_type in ('Fee', 'FlatRateSubscription') then 'fee'
        when line_item_line_item_type = 'Tax' then 'tax'
        when line_item_line_item_type = 'Credit' then 'credit'
        when line_item_line_item_type = 'Refund' then 'refund'
        else 'adjustment'
    end
{%- endmacro %}

{# CTEs `costed` (kind, billed, effective), `measured` (quantity, contracted price) `priced` (list price, signs)
   and `charged` (contracted cost).
   `unit_factor` of the unit turns the metered amount (thousands of tokens) into the consumed one (tokens). #}
{% macro aws_pricing_ctes() %}
    classified as (
        select
            *,
            {{ aws_kind() }} as kind,
            {{ aws_is_bedrock() }} as is_bedrock,
            cast({{ aws_bill_cost() }} as decimal(38, 12)) as bill_cost,
            cast({{ to_twelve('line_item_usage_amount') }} as decimal(38, 12)) as usage_amount,
            nullif({{ decimal_of_text('line_item_net_unblended_rate') }}, 0) as net_rate,
            {{ decimal_of_text('line_item_unblended_rate') }} as paid_rate,
            case
                when coalesce(pricing_currency, line_item_currency_code) = line_item_currency_code
                    then nullif({{ decimal_of_text('pricing_public_on_demand_rate') }}, 0)
            end as public_rate
        from charges
    ),

    costed as (
        select
            *,
            kind in ('usage', 'sp_used', 'ri_used', 'sp_unused', 'ri_unused') as is_usage,
            kind in ('sp_fee', 'sp_upfront', 'ri_fee', 'ri_upfront', 'fee') as is_purchase,
            case
                when kind = 'residual' then residual
                when kind in ('sp_used', 'ri_used', 'sp_unused', 'ri_unused') then cast(0 as decimal(38, 12))
                else bill_cost
            end as billed_cost,
            cast(case
                when kind = 'sp_used' then {{ to_twelve(
                    'coalesce(savings_plan_net_savings_plan_effective_cost, savings_plan_savings_plan_effective_cost)'
                ) }}
                when kind = 'ri_used'
                    then {{ to_twelve('coalesce(reservation_net_effective_cost, reservation_effective_cost)') }}
                when kind in ('sp_unused', 'ri_unused') then {{ aws_unused_cost() }}
                when kind in ('sp_fee', 'sp_upfront', 'ri_fee', 'ri_upfront') then 0
                -- a residual of covered usage is an on-demand amount that nobody paid; one of discounts is real
                when kind = 'residual' and line_item_line_item_type not like '%Discount' then 0
                when kind = 'residual' then residual
                else bill_cost
            end as decimal(38, 12)) as effective_cost
        from classified
    ),

    measured as (
        select
            *,
            case
                when not (is_usage or is_purchase) then null
                when kind = 'sp_unused' then effective_cost
                when kind = 'ri_unused' then coalesce(
                    cast(nullif(reservation_unused_quantity, 0) as decimal(38, 12)), cast(1 as decimal(38, 12))
                )
                when usage_amount is null or (usage_amount = 0 and bill_cost <> 0) then cast(1 as decimal(38, 12))
                else usage_amount
            end as quantity,
            case
                when not (is_usage or is_purchase) then null
                when kind = 'sp_unused' then 'unused_commitment'
                when kind = 'ri_unused' then 'unused_commitment'
                when usage_amount is null or (usage_amount = 0 and bill_cost <> 0) then 'one_unit_assumed'
                else 'bill'
            end as quantity_source
        from costed
    ),

    contracted as (
        select
            *,
            case
                when quantity is null then null
                when kind = 'sp_unused' then cast(1 as decimal(38, 12))
                when kind = 'ri_unused' then {{ exact_quotient('effective_cost', 'quantity') }}
                when kind = 'ri_used' then coalesce(public_rate, {{ exact_quotient('effective_cost', 'quantity') }}, 0)
                when kind = 'usage' and bill_cost = 0 then cast(0 as decimal(38, 12))
                when quantity_source = 'bill' and coalesce(net_rate, paid_rate) <> 0 then coalesce(net_rate, paid_rate)
                when bill_cost = 0 then cast(0 as decimal(38, 12))
                when quantity = 1 then bill_cost
                else {{ exact_quotient('bill_cost', 'quantity') }}
            end as contracted_rate
        from measured
    ),

    -- a negative price is not a price: the sign belongs to the quantity (FOCUS ListUnitPrice-C-008)
    priced as (
        select
            *,
            abs(contracted_rate) as contracted_price,
            case
                when quantity is null then null
                when is_usage and kind not in ('sp_unused', 'ri_unused') and quantity_source = 'bill'
                    then coalesce(abs(public_rate), abs(contracted_rate))
                else abs(contracted_rate)
            end as list_price,
            case when contracted_rate < 0 then -quantity else quantity end as pricing_quantity,
            case
                when quantity_source = 'bill' and contracted_rate < 0 then 'sign_moved_from_price'
                when quantity_source = 'bill' and is_usage and public_rate is null and contracted_rate <> 0
                    then 'bill_without_list_price'
                else quantity_source
            end as derivation
        from contracted
    ),

    charged as (
        select
            *,
            cast(case
                when contracted_price is null then billed_cost
                else {{ exact_product('contracted_price', 'pricing_quantity', 'bill_cost') }}
            end as decimal(38, 12)) as contracted_cost
        from priced
    )
{% endmacro %}
