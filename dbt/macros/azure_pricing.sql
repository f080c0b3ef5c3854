{# Costs, quantities and unit prices of Azure charges, per single unit. Everything is DECIMAL(38,12); list and contracted cost are
   price x quantity, so that FOCUS ListCost-C-011 and ContractedCost-C-011 hold to the last digit. #}

{# Whether a block's price can be given per single unit: 12 decimals keep four digits of it. A hundred million operations for 0.00036
   cannot; such a row is priced per block ("100000000 Units"), as FOCUS UnitFormat allows, and consumed in single units. #}
{% macro azure_divides(price) -%}
    coalesce(
        unit_block = 1
        or abs({{ exact_quotient(price, 'unit_block') }} * cast(unit_block as decimal(24, 0)) - cast({{ price }} as decimal(38, 12)))
        <= cast(0.0001 as decimal(5, 4)) * abs(cast({{ price }} as decimal(30, 12))), true
    )
{%- endmacro %}

{# `price` of a block in pricing currency, per priced unit in billing currency. #}
{% macro azure_single_price(price) -%}
    case
        when priced_block = 1 and exchange_rate = 1 then cast({{ price }} as decimal(38, 12))
        else {{ exact_quotient('{} * cast(exchange_rate as decimal(38, 12))'.format('cast(' ~ price ~ ' as decimal(38, 12))'), 'priced_block') }}
    end
{%- endmacro %}

{# CTEs `costed` (billed, effective), `measured` (units, quantity), `contracted` and `priced` (prices), `charged` (contracted cost). #}
{% macro azure_pricing_ctes() %}
    costed as (
        select
            *,
            cast({{ to_twelve('cost_in_billing_currency') }} as decimal(38, 12)) as cost,
            cast(case when kind in ('used', 'unused') then 0 else {{ to_twelve('cost_in_billing_currency') }} end as decimal(38, 12))
                as billed_cost,
            cast(case when kind = 'trade' then 0 else {{ to_twelve('cost_in_billing_currency') }} end as decimal(38, 12))
                as effective_cost,
            kind in ('usage', 'used', 'unused') as is_usage,
            kind in ('purchase', 'trade') as is_purchase,
            {{ azure_block('unit_text') }} as unit_block,
            {{ azure_unit_of_word(azure_unit_word('unit_text')) }} as unit_said,
            case
                when pricing_currency is null or pricing_currency = billing_currency then cast(1 as decimal(38, 18))
                when exchange_rate_pricing_to_billing > 0 then exchange_rate_pricing_to_billing
            end as exchange_rate,
            not (quantity is null or (quantity = 0 and cost_in_billing_currency <> 0)) as has_quantity
        from lines
    ),

    blocked as (
        select
            *,
            case
                when {{ azure_divides('pay_g_price') }} and {{ azure_divides('coalesce(unit_price, effective_price)') }} then unit_block
                else 1
            end as priced_block
        from costed
    ),

    measured as (
        select
            *,
            case
                when not (is_usage or is_purchase) then null
                when has_quantity then cast(quantity * priced_block as decimal(38, 12))
                else cast(1 as decimal(38, 12))
            end as unit_quantity,
            case
                when kind not in ('usage', 'used') then null
                when has_quantity then cast(quantity * unit_block as decimal(38, 12))
                else cast(1 as decimal(38, 12))
            end as consumed_quantity,
            case
                when not (is_usage or is_purchase) then null
                when not has_quantity then 'one_unit_assumed'
                when kind = 'unused' then 'unused_commitment'
                else 'bill'
            end as quantity_source,
            case
                when not has_quantity then 'Units'
                when coalesce(unit_said, 'Units') = 'Units' and {{ azure_counts_tokens() }} then 'Tokens'
                else coalesce(unit_said, 'Units')
            end as unit,
            has_quantity and unit_text is not null and unit_said is null as unit_is_unknown
        from blocked
    ),

    -- a bill in another currency without an exchange rate has no price of its own: cost / quantity
    contracted as (
        select
            *,
            case when has_quantity and exchange_rate is not null and pay_g_price > 0 then {{ azure_single_price('pay_g_price') }} end
                as public_price,
            case
                when unit_quantity is null then null
                when unit_quantity = 0 then coalesce({{ azure_single_price('coalesce(unit_price, effective_price)') }}, 0)
                when kind = 'used' and unit_price > 0 and exchange_rate is not null then {{ azure_single_price('unit_price') }}
                when kind = 'used' and pay_g_price > 0 and exchange_rate is not null then {{ azure_single_price('pay_g_price') }}
                when kind = 'usage' and has_quantity and exchange_rate is not null and unit_price > 0
                    then {{ azure_single_price('unit_price') }}
                when kind = 'usage' and has_quantity and exchange_rate is not null and effective_price > 0
                    then {{ azure_single_price('effective_price') }}
                else {{ exact_quotient('cost', 'unit_quantity') }}
            end as contracted_rate
        from measured
    ),

    -- a negative price is not a price: the sign belongs to the quantity (FOCUS ListUnitPrice-C-008)
    priced as (
        select
            *,
            abs(contracted_rate) as contracted_price,
            case
                when unit_quantity is null then null
                when kind in ('usage', 'used') then coalesce(public_price, abs(contracted_rate))
                else abs(contracted_rate)
            end as list_price,
            case when contracted_rate < 0 then -unit_quantity else unit_quantity end as pricing_quantity,
            case
                when quantity_source = 'bill' and contracted_rate < 0 then 'sign_moved_from_price'
                when quantity_source = 'bill' and kind in ('usage', 'used') and public_price is null and contracted_rate <> 0
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
                else {{ exact_product('contracted_price', 'pricing_quantity', 'cost') }}
            end as decimal(38, 12)) as contracted_cost
        from priced
    )
{% endmacro %}

{# Meters of Azure OpenAI and Foundry count tokens where the unit is only a number; some leave the word out ("GPT 5 Inpt Glbl"). #}
{% macro azure_counts_tokens() -%}
    (
        regexp_matches(meter_name, '(?i)\btokens?\b')
        or (
            lower(meter_category) in ('foundry models', 'azure openai', 'azure openai service')
            and unit_block >= 1000
            and regexp_matches(meter_name, '(?i)\b(inpt?|input|outp?|output|opt)\b')
        )
    )
{%- endmacro %}
