{# Columns of FOCUS 1.4 that depend on several things of a line (stg_focus_files__lines); the simple ones stand in stg_focus_files__focus. #}

{# BilledCost, ServiceName, … of the lines are as delivered; each of these gives what FOCUS wants of them. #}
{% macro focus_in_frequency_of_line() -%}
    case
        when given_frequency is not null and not (given_frequency = 'Usage-Based' and charge_category = 'Purchase') then given_frequency
        when charge_category = 'Usage' then 'Usage-Based'
        when charge_category = 'Purchase' and charge_end - ChargePeriodStart >= interval 27 day then 'Recurring'
        else 'One-Time'
    end
{%- endmacro %}

{# PricingCategory-C-009: Committed means usage that a commitment covers, or left unused. #}
{% macro focus_in_pricing_category_of_line() -%}
    case
        when not is_priced then null
        when commitment_status is not null then 'Committed'
        when given_pricing_category = 'Committed' and charge_category = 'Purchase' then 'Standard'
        when given_pricing_category = 'Committed' then 'Other'
        else coalesce(given_pricing_category, 'Standard')
    end
{%- endmacro %}

{% macro focus_in_consumed_quantity() -%}
    case
        when charge_category = 'Usage' and commitment_status is distinct from 'Unused'
            then coalesce(cast({{ to_twelve('ConsumedQuantity') }} as decimal(38, 12)), given_quantity, quantity)
    end
{%- endmacro %}

{# Files before 1.1 do not say it: money of a Spend commitment, units of a Usage one. #}
{% macro focus_in_commitment_quantity() -%}
    case
        when CommitmentDiscountId is null or charge_category not in ('Usage', 'Purchase') then null
        when CommitmentDiscountQuantity is not null then cast({{ to_twelve('CommitmentDiscountQuantity') }} as decimal(38, 12))
        when commitment_category = 'Spend' then case charge_category when 'Usage' then effective_cost else billed_cost end
        else quantity
    end
{%- endmacro %}

{% macro focus_in_commitment_unit() -%}
    case
        when CommitmentDiscountId is null or charge_category not in ('Usage', 'Purchase') then null
        when CommitmentDiscountQuantity is not null then coalesce(known_commitment_unit, case when commitment_category = 'Spend' then BillingCurrency else 'Units' end)
        when commitment_category = 'Spend' then BillingCurrency
        else coalesce(known_pricing_unit, known_consumed_unit, 'Units')
    end
{%- endmacro %}

{% macro focus_in_subcategory() -%}
    case
        when parent_category = category then ServiceSubcategory
        when category_of_service = category then subcategory_of_service
        else 'Other (' || category || ')'
    end
{%- endmacro %}

{# The machine type by the price's details: FOCUS' own key, or what Azure calls it. #}
{% macro focus_in_instance_type() -%}
    list_filter(
        list_concat(
            json_extract_string(price_details, ['$.InstanceType', '$.x_InstanceType', '$.x_ServiceType']),
            json_extract_string(try_cast(x_SkuDetails as json), ['$.ServiceType', '$.x_ServiceType'])
        ), lambda found: coalesce(found, '') <> ''
    )[1]
{%- endmacro %}
