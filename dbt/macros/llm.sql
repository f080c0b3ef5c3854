{#- LLM billing: exact quotients, UTC dates, and the one mapping from a metered charge to a FOCUS row.
    A "metered charge" is what stg_<provider>_costs__metered gives; a "measured" one also has its usage. -#}

{# numerator / denominator as DECIMAL(38,12), rounded half away from zero. DuckDB's `/` would answer in DOUBLE;
   so both sides become counts of 1e-12 and are divided as HUGEINT (good for |numerator| < 8.5e13, else an error). #}
{% macro exact_quotient(numerator, denominator) -%}
    {%- set n = "cast(abs(cast(" ~ numerator ~ " as decimal(38, 12))) * 1000000000000 as hugeint)" -%}
    {%- set d = "cast(abs(cast(" ~ denominator ~ " as decimal(38, 12))) * 1000000000000 as hugeint)" -%}
    case
        when ({{ denominator }}) = 0 then null
        else cast(
            cast((2 * {{ n }} * 1000000000000::hugeint + {{ d }}) // nullif(2 * {{ d }}, 0) as decimal(38, 0))
            * cast(0.000000000001 as decimal(13, 12))
            * cast(sign(cast({{ numerator }} as decimal(38, 12))) * sign(cast({{ denominator }} as decimal(38, 12))) as decimal(1, 0))
            as decimal(38, 12)
        )
    end
{%- endmacro %}

{# The UTC calendar day of an instant, whatever the session's time zone. #}
{% macro utc_date(instant) -%}
    cast({{ instant }} at time zone 'UTC' as date)
{%- endmacro %}

{# First instant (UTC) of the month "YYYY-MM", `months` later. #}
{% macro utc_month_start(period, months=0) -%}
    ((strptime({{ period }} || '-01', '%Y-%m-%d') + interval {{ months }} month) at time zone 'UTC')
{%- endmacro %}

{# Lower-case words joined by '-': a stable id made of provider text. #}
{% macro llm_slug(text) -%}
    nullif(trim(regexp_replace(lower({{ text }}), '[^a-z0-9.]+', '-', 'g'), '-'), '')
{%- endmacro %}

{# The disjoint token classes, in the order of every report: the five of text (and of whatever a report does not separate), then audio and images. #}
{% macro llm_token_classes() -%}
    {{ return(llm_text_token_classes() + llm_modality_classes().keys() | list) }}
{%- endmacro %}

{# What every provider counts. #}
{% macro llm_text_token_classes() -%}
    {{ return(['input_uncached', 'input_cache_read', 'input_cache_write_5m', 'input_cache_write_1h', 'output']) }}
{%- endmacro %}

{# Adds quantity, unit, price and SKU to a relation of metered charges that carries `reported_quantity`
   (tokens or requests out of the usage report, null where none was found).
   The provider's own quantity wins, then the usage report; else the quantity is the amount itself, priced at 1.
   A quantity is taken only where the price it gives is not negative (FOCUS: unit prices are >= 0). #}
{% macro llm_priced(relation) -%}
    with

    sourced as (

        select
            *,
            case
                when provider_quantity > 0 and amount >= 0 or provider_quantity < 0 and amount < 0 then 'provider'
                when reported_quantity > 0 and amount >= 0 then 'usage_report'
                else 'amount'
            end as quantity_source
        from {{ relation }}

    ),

    quantified as (

        select
            *,
            cast(
                case quantity_source
                    when 'provider' then provider_quantity
                    when 'usage_report' then reported_quantity
                    else amount
                end as decimal(38, 12)
            ) as consumed_quantity,
            case quantity_source
                when 'provider' then provider_unit
                when 'usage_report' then default_unit
                else currency
            end as consumed_unit
        from sourced

    ),

    measured as (

        select
            *,
            cast(
                consumed_quantity * cast(case when consumed_unit = 'Tokens' then 0.000001 else 1 end as decimal(7, 6))
                as decimal(38, 12)
            ) as pricing_quantity,
            case when consumed_unit = 'Tokens' then '1000000 Tokens' else consumed_unit end as pricing_unit
        from quantified

    ),

    priced as (

        select
            *,
            case
                when quantity_source = 'amount' then cast(1 as decimal(38, 12))
                else {{ exact_quotient('amount', 'pricing_quantity') }}
            end as unit_price
        from measured

    )

    select
        *,
        cast(unit_price * pricing_quantity as decimal(38, 12)) as priced_cost
    from priced
{%- endmacro %}

{# What LLM cost reports don't know: commitments, reservations, regions, resources, invoices, split costs, tags. #}
{% macro llm_absent_columns() -%}
    {{ return([
        'AllocatedMethodDetails', 'AllocatedMethodId', 'AllocatedResourceId', 'AllocatedResourceName', 'AllocatedTags',
        'AvailabilityZone', 'CapacityReservationId', 'CapacityReservationStatus', 'ChargeClass',
        'CommitmentDiscountCategory', 'CommitmentDiscountId', 'CommitmentDiscountName', 'CommitmentDiscountQuantity',
        'CommitmentDiscountStatus', 'CommitmentDiscountType', 'CommitmentDiscountUnit',
        'CommitmentProgramEligibilityDetails', 'ContractApplied', 'InvoiceDetailId', 'InvoiceId', 'RegionId',
        'RegionName', 'ResourceId', 'ResourceName', 'ResourceType', 'Tags', 'x_InstanceType', 'x_InvoicingEntity',
        'x_NodeId'
    ]) }}
{%- endmacro %}

{# The FOCUS 1.4 columns (by name) of each priced charge; focus_select puts them in the contract's order.
   Rules: FOCUS 1.4 CostAndUsage; the AI keys of the 1.5 draft carry x_ until 1.5 names them.
   `developer`: expression of who made the model, where that is not the provider himself; `more`: columns that are handed on. #}
{% macro llm_focus_row(relation, provider, service, sub_account_type, developer=none, more=[]) -%}
    {%- set made_by = developer or "case when model_id is not null then '" ~ provider ~ "' end" -%}
    select
        -- who
        '{{ provider }}' as ServiceProviderName,
        '{{ provider }}' as HostProviderName,
        '{{ provider }}' as InvoiceIssuerName,
        coalesce(account_id, source_id) as BillingAccountId,
        -- the APIs name no account: config/accounts.yml may, else the id stands for the name (FOCUS forbids null)
        coalesce(account_name, account_id, source_id) as BillingAccountName,
        'Organization' as BillingAccountType,
        project_id as SubAccountId,
        coalesce(project_name, project_id) as SubAccountName,
        case when project_id is not null then '{{ sub_account_type }}' end as SubAccountType,

        -- when
        {{ utc_month_start('billing_period') }} as BillingPeriodStart,
        {{ utc_month_start('billing_period', 1) }} as BillingPeriodEnd,
        charge_start as ChargePeriodStart,
        charge_end as ChargePeriodEnd,

        -- what
        'Usage' as ChargeCategory,
        'Usage-Based' as ChargeFrequency,
        coalesce(description, '{{ service }} charges, not itemised') as ChargeDescription,
        'AI and Machine Learning' as ServiceCategory,
        'Generative AI' as ServiceSubcategory,
        '{{ service }}' as ServiceName,
        sku_id as SkuId,
        sku_meter as SkuMeter,
        concat_ws(
            '/', sku_id, {{ llm_slug('service_tier') }}, {{ llm_slug('operation') }}, {{ llm_slug('context_window') }},
            {{ llm_slug('inference_geo') }}, case when quantity_source = 'amount' then 'billed-amount' end
        ) as SkuPriceId,
        {{ json_object_of([
            json_text_member('x_ModelDeveloper', made_by),
            json_text_member('x_ModelId', 'model_id'),
            json_text_member('x_TokenCacheAction', 'token_cache_action'),
            json_text_member('x_TokenDirection', 'token_direction')
        ]) }} as SkuPriceDetails,

        -- how much
        consumed_quantity as ConsumedQuantity,
        consumed_unit as ConsumedUnit,
        pricing_quantity as PricingQuantity,
        pricing_unit as PricingUnit,
        'Standard' as PricingCategory,
        unit_price as ListUnitPrice,
        unit_price as ContractedUnitPrice,
        priced_cost as ListCost,
        priced_cost as ContractedCost,
        amount as BilledCost,
        amount as EffectiveCost,
        currency as BillingCurrency,
        currency as PricingCurrency,
        unit_price as PricingCurrencyListUnitPrice,
        unit_price as PricingCurrencyContractedUnitPrice,
        amount as PricingCurrencyEffectiveCost,

        -- ours
        billing_period as x_BillingPeriod,
        delivery_id as x_DeliveryId,
        meter_kind as x_LineItemType,
        model_id as x_ModelId,
        model_reason as x_ModelReason,
        object_key as x_ObjectKey,
        operation as x_Operation,
        project_id as x_Owner,
        case when project_id is null then 'costs_not_grouped_by_{{ sub_account_type | lower }}' end as x_OwnerReason,
        project_id as x_ProjectId,
        quantity_source as x_QuantitySource,
        row_number as x_RowNumber,
        service_tier as x_ServiceTier,
        source_id as x_SourceId,
        token_class as x_TokenClass,
        {%- for name in more %}
        {{ name }},
        {%- endfor %}
        meter as x_UsageType
    from {{ relation }}
{%- endmacro %}
