{# The columns of focus.cost_and_usage in their order: the 65 of FOCUS 1.4, then ours (x_), both alphabetical. Staging gives
   `focus_staged_columns`, the focus model adds `ai_derived_columns` (macro ai_focus), which may replace a staged one. #}
{% macro focus_columns() %}
    {%- set columns = focus_staged_columns() -%}
    {%- for name, derived in ai_derived_columns().items() -%}
        {%- do columns.update({name: derived[0]}) -%}
    {%- endfor -%}
    {%- set ordered = {} -%}
    {%- for ours in [false, true] -%}
        {%- for name in columns | sort if name.startswith('x_') == ours -%}
            {%- do ordered.update({name: columns[name]}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(ordered) }}
{% endmacro %}

{# What a staging model gives: name -> type, in the contract's order. #}
{% macro focus_staged_columns() %}
    {%- set columns = {} -%}
    {%- set text = [
        'AllocatedMethodDetails', 'AllocatedMethodId', 'AllocatedResourceId', 'AllocatedResourceName', 'AllocatedTags',
        'AvailabilityZone', 'BillingAccountId', 'BillingAccountName', 'BillingAccountType', 'BillingCurrency',
        'CapacityReservationId', 'CapacityReservationStatus', 'ChargeCategory', 'ChargeClass', 'ChargeDescription',
        'ChargeFrequency', 'CommitmentDiscountCategory', 'CommitmentDiscountId', 'CommitmentDiscountName',
        'CommitmentDiscountStatus', 'CommitmentDiscountType', 'CommitmentDiscountUnit',
        'CommitmentProgramEligibilityDetails', 'ConsumedUnit', 'ContractApplied', 'HostProviderName',
        'InvoiceDetailId', 'InvoiceId', 'InvoiceIssuerName', 'PricingCategory', 'PricingCurrency', 'PricingUnit',
        'RegionId', 'RegionName', 'ResourceId', 'ResourceName', 'ResourceType', 'ServiceCategory', 'ServiceName',
        'ServiceProviderName', 'ServiceSubcategory', 'SkuId', 'SkuMeter', 'SkuPriceDetails', 'SkuPriceId',
        'SubAccountId', 'SubAccountName', 'SubAccountType', 'Tags'
    ] -%}
    {%- set money = [
        'BilledCost', 'CommitmentDiscountQuantity', 'ConsumedQuantity', 'ContractedCost', 'ContractedUnitPrice',
        'EffectiveCost', 'ListCost', 'ListUnitPrice', 'PricingCurrencyContractedUnitPrice',
        'PricingCurrencyEffectiveCost', 'PricingCurrencyListUnitPrice', 'PricingQuantity'
    ] -%}
    {%- set instants = ['BillingPeriodEnd', 'BillingPeriodStart', 'ChargePeriodEnd', 'ChargePeriodStart'] -%}
    {%- set custom = [
        'x_BillingPeriod', 'x_DeliveryId', 'x_InstanceType', 'x_InvoicingEntity', 'x_LineItemType', 'x_ModelId',
        'x_ModelReason', 'x_NodeId', 'x_ObjectKey', 'x_Operation', 'x_Owner', 'x_OwnerReason', 'x_ProjectId', 'x_QuantitySource', 'x_RowNumber',
        'x_ServiceTier', 'x_SourceId', 'x_TokenClass', 'x_UsageType'
    ] -%}
    {%- for name in (text + money + instants) | sort -%}
        {%- do columns.update({name: 'decimal(38, 12)' if name in money else ('timestamptz' if name in instants else 'varchar')}) -%}
    {%- endfor -%}
    {%- for name in custom -%}
        {%- do columns.update({name: 'bigint' if name == 'x_RowNumber' else 'varchar'}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{% endmacro %}

{# SELECT of all that staging gives, cast and in order, from a relation that carries the columns by their FOCUS names.
   `absent`: the columns that the provider does not give; they become typed NULLs. A name in neither fails to bind.
   Two things are the same for all: the name of a service has no trade marks and no typographer's dashes (the validator takes ASCII
   for ServiceName-C-002: `Red Hat® OpenShift®`), and a unit is not said without its quantity (CommitmentDiscountUnit-C-005). #}
{% macro focus_select(relation, absent=[]) %}
    {%- set same = {
        'ServiceName': "translate(ServiceName, '–—‑ ®™©℠', '--- ')",
        'CommitmentDiscountUnit': 'case when CommitmentDiscountQuantity is not null then CommitmentDiscountUnit end'
    } -%}
    select
    {%- for name, type in focus_staged_columns().items() %}
        cast({{ 'null' if name in absent else same.get(name, name) }} as {{ type }}) as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
    from {{ relation }}
{% endmacro %}
