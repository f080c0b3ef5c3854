-- Provisioned throughput holds every FOCUS row of that kind once: cost and unit hours, per month, host and currency.
select
    *
from (
    select
        x_BillingPeriod as billing_period,
        coalesce(HostProviderName, InvoiceIssuerName) as host_provider_name,
        BillingCurrency as billing_currency,
        sum(EffectiveCost) as effective_cost,
        sum(x_ProvisionedUnitHours) as unit_hours,
        count(*) as line_count
    from {{ ref('focus__cost_and_usage') }}
    where x_AiUsageKind = 'provisioned_throughput'
    group by all
) as focus
full join (
    select
        billing_period,
        host_provider_name,
        billing_currency,
        sum(effective_cost) as effective_cost,
        sum(provisioned_unit_hours) as unit_hours,
        sum(line_count) as line_count
    from {{ ref('fct_provisioned_throughput') }}
    group by all
) as mart using (billing_period, host_provider_name, billing_currency)
where
    focus.line_count is distinct from mart.line_count
    or focus.effective_cost is distinct from mart.effective_cost
    or focus.unit_hours is distinct from mart.unit_hours
