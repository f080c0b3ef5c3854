-- Every dollar once across exports: no account's charges of a kind and month come from two exports, for all totals would count them twice.
-- What to do: remove one of the exports from config/accounts.yml (a CUR and a FOCUS export of one payer, an actual and an amortized export
-- of one Azure account without `amortized_by`, a month's lone file beside the export that holds it), then `costlake ingest` and
-- `costlake transform`. Where two exports do share an account and no charge, allow the pair in vars.overlapping_exports.
-- Legitimate without a word: other sub accounts, and Azure's pair, whose actual export gives purchases of commitments alone.
{%- set allowed = [] -%}
{%- for pair in var('overlapping_exports') -%}{%- do allowed.append(pair.split('|') | map('trim') | sort | join('|')) -%}{%- endfor %}
with

bills as (
    select
        InvoiceIssuerName as issuer,
        -- Azure's ids are paths in one export and their last part in another, in any case
        lower(regexp_extract(BillingAccountId, '([^/]+)/*$', 1)) as account,
        lower(regexp_extract(SubAccountId, '([^/]+)/*$', 1)) as sub_account,
        x_BillingPeriod as billing_period,
        case
            when ChargeCategory = 'Purchase' and CommitmentDiscountId is not null then 'purchase of commitments' else ChargeCategory
        end as kind,
        x_SourceId as source_id,
        sum(abs(BilledCost)) + sum(abs(EffectiveCost)) as cost
    from {{ ref('focus__cost_and_usage') }}
    where {{ in_changed_periods('x_BillingPeriod') }}
    group by all
)

select
    one.issuer,
    one.account,
    one.sub_account,
    one.billing_period,
    one.kind,
    one.source_id,
    other.source_id as other_source_id,
    one.cost,
    other.cost as other_cost
from bills as one
inner join bills as other
    on one.issuer = other.issuer
    and one.account = other.account
    and one.sub_account is not distinct from other.sub_account
    and one.billing_period = other.billing_period
    and one.kind = other.kind
    and one.source_id < other.source_id
where
    one.cost > 0 and other.cost > 0
    {%- if allowed %}
    and one.source_id || '|' || other.source_id not in ({% for pair in allowed %}'{{ pair | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor %})
    {%- endif %}
