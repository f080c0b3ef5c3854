-- bronze.focus_files with what FOCUS 1.4 makes of each row beside what was delivered (CamelCase): words, money, units, services.
with

known_units as (
    select list(base_unit) as base_units from {{ ref('focus_units') }}
),

worded as (
    select
        *,
        {{ focus_in_provider('coalesce(ServiceProviderName, ProviderName, InvoiceIssuerName, PublisherName)') }} as provider,
        {{ focus_in_provider('coalesce(InvoiceIssuerName, ProviderName, ServiceProviderName, PublisherName)') }} as issuer,
        coalesce(
            {{ focus_in_charge_category('ChargeCategory') }},
            case when ChargeCategory is null then 'Usage' else 'Adjustment' end
        ) as charge_category,
        -- Google's own months begin at midnight in California (decision 0017)
        coalesce(issuer = 'Google Cloud' and BillingPeriodStart = {{ gcp_month_start('_billing_period') }}, false) as is_pacific,
        case when is_pacific then {{ gcp_month_start('_billing_period') }} else {{ utc_month_start('_billing_period') }} end as period_start,
        case when is_pacific then {{ gcp_month_start('_billing_period', 1) }} else {{ utc_month_start('_billing_period', 1) }} end
            as period_end,
        case
            when ChargePeriodEnd is null or ChargePeriodEnd <= ChargePeriodStart then ChargePeriodStart
                + case when epoch(ChargePeriodStart) % 86400 = 0 then interval 1 day else interval 1 hour end
            -- the last second of the period: its end is exclusive in FOCUS
            when extract(second from ChargePeriodEnd) = 59 then ChargePeriodEnd + interval 1 second
            else ChargePeriodEnd
        end as charge_end,
        case when CommitmentDiscountId is not null then {{ focus_in_commitment_category() }} end as commitment_category,
        case
            when CommitmentDiscountId is null or coalesce({{ focus_in_charge_category('ChargeCategory') }}, 'Usage') <> 'Usage' then null
            else coalesce(
                {{ focus_in_word('CommitmentDiscountStatus', {'used': 'Used', 'unused': 'Unused'}) }},
                {{ focus_in_word('ChargeSubcategory', {'usedcommitment': 'Used', 'unusedcommitment': 'Unused'}) }},
                case when ChargeDescription ilike '%unused%' then 'Unused' else 'Used' end
            )
        end as commitment_status,
        {{ focus_in_object_text('Tags') }} as tags_object,
        {{ focus_in_object_text('SkuPriceDetails') }} as details_object
    from {{ source('bronze', 'focus_files') }}
),

{{ focus_in_pricing_ctes() }}

select
    priced.*,
    case when lower(ChargeClass) = 'correction' or charge_end <= period_start then 'Correction' end as charge_class,
    coalesce(
        SkuId, SkuPriceId, nullif(concat_ws(':', ServiceName, coalesce(SkuMeter, ChargeDescription)), ''), provider || ':' || charge_category
    ) as sku,
    case
        when commitment_status = 'Unused' or (charge_category = 'Purchase' and CommitmentDiscountId is not null)
            then CommitmentDiscountId
        else ResourceId
    end as resource,
    {{ focus_in_pricing_category('PricingCategory') }} as given_pricing_category,
    {{ focus_in_frequency('ChargeFrequency') }} as given_frequency,
    coalesce(by_pricing.focus_unit, {{ focus_in_known_unit('PricingUnit') }}) as known_pricing_unit,
    coalesce(by_consumed.focus_unit, {{ focus_in_known_unit('ConsumedUnit') }}) as known_consumed_unit,
    coalesce(by_commitment.focus_unit, {{ focus_in_known_unit('CommitmentDiscountUnit') }}) as known_commitment_unit,
    {{ focus_in_flat_object('tags_object') }} as flat_tags,
    case when is_priced then {{ focus_in_price_details('details_object') }} end as price_details,
    coalesce(by_name.service_category, of_aws.service_category, valid.service_category, parent.service_category, 'Other') as category,
    coalesce(by_name.service_category, of_aws.service_category) as category_of_service,
    coalesce(by_name.service_subcategory, of_aws.service_subcategory) as subcategory_of_service,
    valid.service_category as valid_category,
    parent.service_category as parent_category,
    coalesce(
        PricingCurrency <> BillingCurrency and PricingCurrencyEffectiveCost is not null
        and (not is_priced or (PricingCurrencyListUnitPrice >= 0 and PricingCurrencyContractedUnitPrice >= 0)), false
    ) as has_pricing_currency
from priced
cross join known_units
left join {{ ref('focus_in_units') }} as by_pricing on by_pricing.unit_key = lower(priced.PricingUnit)
left join {{ ref('focus_in_units') }} as by_consumed on by_consumed.unit_key = lower(priced.ConsumedUnit)
left join {{ ref('focus_in_units') }} as by_commitment on by_commitment.unit_key = lower(priced.CommitmentDiscountUnit)
left join {{ ref('focus_in_services') }} as by_name on by_name.service_key = lower(priced.ServiceName)
left join {{ ref('aws_services') }} as of_aws
    on of_aws.service_key = case when priced.issuer = 'AWS' then priced.ServiceName end
left join {{ ref('focus_service_categories') }} as valid
    on valid.service_subcategory = 'Other (' || priced.ServiceCategory || ')'
left join {{ ref('focus_service_categories') }} as parent on parent.service_subcategory = priced.ServiceSubcategory
