{# The faults of a vendor's FOCUS row: rule id -> [when a line of stg_focus_files__lines has it, what is shown of it].
   What a rule means, how grave it is and what was done stands in the seed focus_faults; a rule there that is missing here, or the other
   way round, fails the relationships test of fct_focus_faults. The first six stay in FOCUS as they are: tests of
   focus__cost_and_usage allow exactly the rows listed here, no other. #}
{% macro focus_in_fault_rules() -%}
    {{ return({
        'uncovered_usage_costs_not_what_is_billed': [
            "charge_category = 'Usage' and CommitmentDiscountId is null and not coalesce(json_valid(ContractApplied), false) and effective_cost <> billed_cost",
            'EffectiveCost'],
        'tax_or_credit_costs_not_what_is_billed': ["charge_category in ('Tax', 'Credit') and effective_cost <> billed_cost", 'EffectiveCost'],
        'covering_purchase_has_effective_cost': [
            "charge_category = 'Purchase' and CommitmentDiscountId is not null and effective_cost <> 0", 'EffectiveCost'],
        'covered_usage_is_billed': ["commitment_status is not null and billed_cost <> 0", 'BilledCost'],
        'cost_is_not_price_times_quantity': [
            "is_priced and not (" ~ focus_in_agree('list_price', 'quantity', 'list_cost') ~ " and "
            ~ focus_in_agree('contracted_price', 'quantity', 'contracted_cost') ~ ")",
            "concat_ws(' / ', ListCost, ContractedCost, PricingQuantity)"],
        'charge_leaves_billing_period': [
            "charge_class is null and not (charge_category = 'Purchase' and " ~ focus_in_frequency_of_line() ~ " = 'One-Time') and (ChargePeriodStart < period_start or charge_end > period_end)", "concat_ws(' - ', ChargePeriodStart, ChargePeriodEnd)"],
        'charge_before_billing_period': ["coalesce(lower(ChargeClass) <> 'correction', true) and charge_end <= period_start", 'ChargePeriodEnd'],
        'charge_has_no_end': ["ChargePeriodEnd is null or ChargePeriodEnd <= ChargePeriodStart", 'ChargePeriodEnd'],
        'charge_end_is_inclusive': ["ChargePeriodEnd > ChargePeriodStart and extract(second from ChargePeriodEnd) = 59", 'ChargePeriodEnd'],
        'billing_period_is_no_month': [
            "BillingPeriodStart is null or BillingPeriodEnd is null or BillingPeriodStart <> period_start or BillingPeriodEnd <> period_end",
            "concat_ws(' - ', BillingPeriodStart, BillingPeriodEnd)"],
        'charge_category_is_unknown': [focus_in_charge_category('ChargeCategory') ~ " is null", 'ChargeCategory'],
        'charge_class_is_unknown': ["lower(ChargeClass) <> 'correction'", 'ChargeClass'],
        'frequency_is_unknown': ["given_frequency is null", 'ChargeFrequency'],
        'purchase_is_usage_based': ["given_frequency = 'Usage-Based' and charge_category = 'Purchase'", 'ChargeFrequency'],
        'billing_account_is_missing': ["BillingAccountId is null", 'BillingAccountName'],
        'effective_cost_is_missing': ["EffectiveCost is null", 'BilledCost'],
        'contracted_cost_is_missing': ["ContractedCost is null", 'contracted_cost'],
        'list_cost_is_missing': ["ListCost is null", 'list_cost'],
        'credit_has_a_cost_of_its_own': [
            "charge_category = 'Credit' and not is_priced and (given_list_cost <> billed_cost or given_contracted_cost <> billed_cost)",
            "concat_ws(' / ', ListCost, ContractedCost, BilledCost)"],
        'list_price_does_not_give_list_cost': [
            "is_priced and ListUnitPrice is not null and not " ~ focus_in_agree('given_list_price', 'given_quantity', 'list_cost'),
            "concat_ws(' x ', ListUnitPrice, PricingQuantity) || ' <> ' || coalesce(cast(ListCost as varchar), 'NULL')"],
        'contracted_price_does_not_give_contracted_cost': [
            "is_priced and ContractedUnitPrice is not null and not " ~ focus_in_agree('given_contracted_price', 'given_quantity', 'contracted_cost'),
            "concat_ws(' x ', ContractedUnitPrice, PricingQuantity) || ' <> ' || coalesce(cast(ContractedCost as varchar), 'NULL')"],
        'price_is_missing': ["is_priced and (ListUnitPrice is null or ContractedUnitPrice is null)", "concat_ws(' / ', list_price, contracted_price)"],
        'price_is_negative': ["ListUnitPrice < 0 or ContractedUnitPrice < 0", "concat_ws(' / ', ListUnitPrice, ContractedUnitPrice)"],
        'quantity_is_missing': ["quantity_source in ('one_unit_assumed', 'consumed_quantity')", 'quantity_source'],
        'price_where_none_belongs': [
            "not is_priced and (SkuPriceId is not null or PricingQuantity is not null or ListUnitPrice is not null or ContractedUnitPrice is not null"
            ~ " or PricingCategory is not null or (charge_category = 'Tax' and SkuId is not null))",
            "concat_ws(' / ', ChargeCategory, SkuId, SkuPriceId, PricingQuantity)"],
        'sku_is_missing': ["is_priced and (SkuId is null or SkuPriceId is null)", 'sku'],
        'commitment_without_id': [
            "CommitmentDiscountId is null and (CommitmentDiscountStatus is not null or CommitmentDiscountCategory is not null"
            ~ " or CommitmentDiscountType is not null or CommitmentDiscountName is not null)",
            "concat_ws(' / ', CommitmentDiscountStatus, CommitmentDiscountType, CommitmentDiscountName)"],
        'commitment_is_not_described': [
            "CommitmentDiscountId is not null and (CommitmentDiscountCategory is null or CommitmentDiscountType is null"
            ~ " or (charge_category = 'Usage' and CommitmentDiscountStatus is null))", 'CommitmentDiscountId'],
        'commitment_is_not_the_resource': ["resource is distinct from ResourceId", 'ResourceId'],
        'pricing_category_contradicts_commitment': [
            "is_priced and coalesce(given_pricing_category = 'Committed', false) <> (commitment_status is not null)", 'PricingCategory'],
        'consumed_quantity_is_missing': [
            "charge_category = 'Usage' and commitment_status is distinct from 'Unused' and ConsumedQuantity is null", 'ConsumedUnit'],
        'consumed_quantity_where_none_belongs': [
            "ConsumedQuantity is not null and (charge_category <> 'Usage' or commitment_status = 'Unused')", 'ConsumedQuantity'],
        'unit_is_unknown': [
            "(is_priced and PricingUnit is not null and known_pricing_unit is null) or (charge_category = 'Usage' and ConsumedUnit is not null and known_consumed_unit is null)"
            ~ " or (CommitmentDiscountQuantity is not null and CommitmentDiscountUnit is not null and known_commitment_unit is null)",
            "concat_ws(' / ', PricingUnit, ConsumedUnit, CommitmentDiscountUnit)"],
        'service_is_missing': ["ServiceName is null", 'ChargeDescription'],
        'service_category_is_unknown': ["valid_category is null", 'ServiceCategory'],
        'service_has_another_category': [
            "valid_category is not null and valid_category <> category", "concat_ws(' / ', ServiceName, ServiceCategory, category)"],
        'subcategory_is_not_of_the_category': [
            "ServiceSubcategory is not null and parent_category is distinct from category", "concat_ws(' / ', ServiceCategory, ServiceSubcategory)"],
        'region_without_id': [focus_in_region('RegionId') ~ " is null and " ~ focus_in_region('RegionName') ~ " is not null", 'RegionName'],
        'resource_type_is_missing': ["ResourceId is not null and ResourceType is null and resource is not distinct from ResourceId", 'ResourceId'],
        'resource_without_id': ["ResourceId is null and (ResourceName is not null or ResourceType is not null)", "concat_ws(' / ', ResourceType, ResourceName)"],
        'sub_account_without_id': ["SubAccountId is null and SubAccountName is not null", 'SubAccountName'],
        'pricing_currency_without_amounts': ["PricingCurrency <> BillingCurrency and not has_pricing_currency", 'PricingCurrency'],
        'text_is_no_json': [
            "(Tags is not null and tags_object is null) or (SkuPriceDetails is not null and details_object is null)"
            ~ " or not json_valid(ContractApplied) or not json_valid(AllocatedMethodDetails) or not json_valid(CommitmentProgramEligibilityDetails)",
            "coalesce(Tags, SkuPriceDetails, ContractApplied, AllocatedMethodDetails)"]
    }) }}
{%- endmacro %}
