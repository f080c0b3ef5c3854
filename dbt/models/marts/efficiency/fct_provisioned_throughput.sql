{{
    config(
        materialized='incremental',
        incremental_strategy='mart_periods',
        on_schema_change='fail',
    )
}}
-- Throughput that was bought by the hour (Azure PTU, Bedrock model units, Vertex GSU) beside the tokens that it served, per charge period as
-- billed: an hour, a day or a month. Tokens come from usage of tier `provisioned` on the same host; those paid by the token beside it are
-- spill-over at most. What the units can carry is seed llm_provisioned_capacity.
{%- set grain = ['billing_period', 'charge_date', 'period_start', 'period_end', 'route_id', 'host_provider_name', 'sub_account_id',
    'provisioned_unit_type', 'billed_model_id', 'region_scope', 'billing_currency'] %}

with

bought as (

    select
        charges.x_BillingPeriod as billing_period,
        {{ utc_date('charges.ChargePeriodStart') }} as charge_date,
        charges.ChargePeriodStart as period_start,
        charges.ChargePeriodEnd as period_end,
        coalesce(routes.route_id, {{ llm_slug('coalesce(charges.HostProviderName, charges.InvoiceIssuerName)') }}) as route_id,
        coalesce(charges.HostProviderName, charges.InvoiceIssuerName) as host_provider_name,
        charges.SubAccountId as sub_account_id,
        charges.x_ProvisionedUnitType as provisioned_unit_type,
        charges.x_ModelId as billed_model_id,
        charges.x_RegionScope as region_scope,
        charges.BillingCurrency as billing_currency,
        list(distinct regexp_extract(charges.ResourceId, ':provisioned-model/(.+)$', 1)) as purchase_names,
        cast(sum(charges.x_ProvisionedUnitHours) as decimal(38, 12)) as provisioned_unit_hours,
        cast(sum(charges.x_ProvisionedUnitHours) filter (where charges.CommitmentDiscountStatus = 'Unused') as decimal(38, 12)) as unused_commitment_hours,
        cast(sum(charges.EffectiveCost) as decimal(38, 12)) as effective_cost,
        count(*) as line_count
    from {{ ref('focus__cost_and_usage') }} as charges
    left join {{ ref('llm_routes') }} as routes
        on coalesce(charges.HostProviderName, charges.InvoiceIssuerName) = routes.host_provider_name
    where
        charges.x_AiUsageKind = 'provisioned_throughput'
        {%- if is_incremental() %}
        and {{ in_changed_periods('charges.x_BillingPeriod') }}
        {%- endif %}
    group by all

),

{{ provisioned_served_ctes() }},

spilled as (

    select
        route_id,
        base_model_id,
        charge_date,
        sum(tokens) as tokens
    from {{ ref('int_llm_token_flows') }}
    where service_tier not in ('provisioned', 'batch')
    group by route_id, base_model_id, charge_date

),

-- Bedrock's log names the purchase instead of the model; tokens that two purchases could have served are told of neither
claimed as (

    select
        bought.*,
        served.* exclude (route_id),
        coalesce(bought.billed_model_id, served.served_model_id) as unit_model_id,
        served.usage_start is not null
        and count(*) over (partition by served.route_id, served.served_name, served.usage_start) > 1 as has_rivals
    from bought
    left join served
        on bought.route_id = served.route_id
        and served.usage_start >= bought.period_start
        and served.usage_start < bought.period_end
        and (
            bought.billed_model_id is null
            or bought.billed_model_id = served.served_model_id
            or list_contains(bought.purchase_names, served.served_name)
        )

),

{{ provisioned_worth_ctes() }},

{{ provisioned_columns(grain) }}
