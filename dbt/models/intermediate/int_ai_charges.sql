-- FOCUS usage charges of AI models (a model, or the reason why none is known), one row per FOCUS row, with the tokens
-- that the charge itself measures (x_Tokens, whatever its unit). Where the invoice issuer also sends a usage report for the month, the report
-- counts the tokens and the charge's own count is left out, so that no token is counted twice. A provider that
-- sells under several names has one here; the host tells the route.

with

charges as (

    select * from {{ ref('focus__cost_and_usage') }}

),

reporting_issuers as (

    select distinct
        billing_period,
        provider_name
    from {{ ref('int_token_usage') }}
    where usage_role is distinct from 'gateway_log'

),

final as (

    select
        charges.x_SourceId as source_id,
        charges.x_BillingPeriod as billing_period,
        {{ utc_date('charges.ChargePeriodStart') }} as charge_date,
        coalesce(aliases.provider_name, charges.ServiceProviderName) as provider_name,
        coalesce(charges.HostProviderName, charges.InvoiceIssuerName) as host_provider_name,
        charges.x_ProjectId as project_id,
        charges.x_ModelId as model_id,
        charges.x_TokenClass as token_class,
        charges.x_ServiceTier as service_tier,
        charges.x_RegionScope as region_scope,
        charges.x_AiUsageKind as usage_kind,
        charges.BillingCurrency as billing_currency,
        charges.EffectiveCost as effective_cost,
        charges.ContractedCost as contracted_cost,
        charges.ListCost as list_cost,
        case when reporting_issuers.provider_name is null then cast(charges.x_Tokens as decimal(38, 0)) end as consumed_tokens
    from charges
    left join reporting_issuers
        on charges.x_BillingPeriod = reporting_issuers.billing_period
        and charges.InvoiceIssuerName = reporting_issuers.provider_name
    left join {{ ref('llm_provider_aliases') }} as aliases
        on charges.ServiceProviderName = aliases.alias
    where
        charges.ChargeCategory = 'Usage'
        and (charges.x_ModelId is not null or charges.x_ModelReason is not null)

)

select * from final
