{# Costs, quantities and unit prices of a vendor's FOCUS rows. A cost that was delivered is never changed, with one exception that FOCUS
   orders (a credit's list and contracted cost are its billed cost); price and quantity follow from the cost where the three disagree. #}

{# price x quantity at 12 decimals; NULL where a factor is, or where the product would leave DECIMAL(38,24). #}
{% macro focus_in_product(price, quantity) -%}
    case
        when abs(cast({{ price }} as double) * cast({{ quantity }} as double)) < 10000000000000
            then cast({{ price }} * {{ quantity }} as decimal(38, 12))
    end
{%- endmacro %}

{# Whether price x quantity is the cost, as closely as the test focus_costs_are_price_times_quantity demands. #}
{% macro focus_in_agree(price, quantity, cost) -%}
    coalesce(
        abs(cast({{ price }} as double) * cast({{ quantity }} as double)) < 10000000000000
        and abs({{ price }} * {{ quantity }} - {{ cost }}) <= 0.000000001 * greatest(abs({{ cost }}), 1), false
    )
{%- endmacro %}

{# The delivered price where it gives the cost, else the price that does. A negative price is none: the sign is the quantity's. #}
{% macro focus_in_price(delivered, cost) -%}
    case
        when quantity is null then null
        when {{ focus_in_agree('abs(' ~ delivered ~ ')', 'quantity', cost) }} then abs({{ delivered }})
        when quantity = 0 then cast(0 as decimal(38, 12))
        else abs({{ exact_quotient(cost, 'quantity') }})
    end
{%- endmacro %}

{# CTEs `costed` (what the row costs), `counted` (how much, with a sign) and `priced` (at which unit prices), from `worded`. #}
{% macro focus_in_pricing_ctes() %}
    valued as (
        select
            *,
            charge_category in ('Usage', 'Purchase')
            or (
                charge_category in ('Credit', 'Adjustment')
                and SkuPriceId is not null and SkuId is not null
                and ListUnitPrice >= 0 and ContractedUnitPrice >= 0 and PricingQuantity is not null
            ) as is_priced,
            cast({{ to_twelve('BilledCost') }} as decimal(38, 12)) as billed_cost,
            cast({{ to_twelve('coalesce(EffectiveCost, BilledCost)') }} as decimal(38, 12)) as effective_cost,
            cast({{ to_twelve('coalesce(PricingQuantity, ConsumedQuantity)') }} as decimal(38, 12)) as given_quantity,
            cast({{ to_twelve('ListUnitPrice') }} as decimal(38, 12)) as given_list_price,
            cast({{ to_twelve('ContractedUnitPrice') }} as decimal(38, 12)) as given_contracted_price,
            cast({{ to_twelve('ListCost') }} as decimal(38, 12)) as given_list_cost,
            cast({{ to_twelve('ContractedCost') }} as decimal(38, 12)) as given_contracted_cost
        from worded
    ),

    contracted as (
        select
            *,
            case
                when charge_category = 'Credit' and not is_priced then billed_cost
                else coalesce(
                    given_contracted_cost,
                    case when is_priced then {{ focus_in_product('given_contracted_price', 'given_quantity') }} end,
                    case when commitment_status is not null then effective_cost end,
                    billed_cost
                )
            end as contracted_cost
        from valued
    ),

    costed as (
        select
            *,
            case
                when charge_category = 'Credit' and not is_priced then billed_cost
                else coalesce(
                    given_list_cost,
                    case when is_priced then {{ focus_in_product('given_list_price', 'given_quantity') }} end,
                    contracted_cost
                )
            end as list_cost
        from contracted
    ),

    counted as (
        select
            *,
            case
                when not is_priced then null
                when given_quantity is null or (given_quantity = 0 and (contracted_cost <> 0 or list_cost <> 0))
                    then cast(case when contracted_cost < 0 or (contracted_cost = 0 and list_cost < 0) then -1 else 1 end as decimal(38, 12))
                when sign(given_quantity) * sign(contracted_cost) < 0
                    or (contracted_cost = 0 and sign(given_quantity) * sign(list_cost) < 0) then -given_quantity
                else given_quantity
            end as quantity,
            case
                when not is_priced then null
                when given_quantity is null or (given_quantity = 0 and (contracted_cost <> 0 or list_cost <> 0)) then 'one_unit_assumed'
                when PricingQuantity is null then 'consumed_quantity'
                else 'provider'
            end as quantity_source
        from costed
    ),

    priced as (
        select
            *,
            {{ focus_in_price('given_list_price', 'list_cost') }} as list_price,
            {{ focus_in_price('given_contracted_price', 'contracted_cost') }} as contracted_price
        from counted
    )
{% endmacro %}
