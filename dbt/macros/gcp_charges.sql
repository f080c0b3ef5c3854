{# Which FOCUS rows a row of Google Cloud's export becomes. Rules: FOCUS 1.4 BilledCost C-010/C-011, EffectiveCost C-015..C-022;
   why so: docs/decisions/0017.

   The bill of a slice is the sum of cost + credits; per row it is the sum of BilledCost of the rows made of it, exactly.
   * '': the row itself, its cost lowered by the credits that lower a price.
   * ':Covered': the part of it that a commitment's credit paid, billed 0, at its share of the commitment's fees.
   * ':Unused': what a fee left unused, billed 0; the fee itself is a purchase with effective cost 0.
   * ':Credit<n>': a credit that pays (PROMOTION …). #}

{# CTEs up to `charges` (one row per FOCUS row: the line, charge_part, credit_amount, credit_name).
   A fee without FEE_UTILIZATION_OFFSET is of the older models, which lower the cost of usage by credits: the month's fees of a service
   are spread over the credits of its kind, and Compute Engine's over services that have no fees of their own (flexible commitments).
   Shares are differences of a running total, so that they sum to the fees to the last digit.
   No join and no CTE that is read twice: a filter on the slice reaches both scans, since every window is cut by the slice. #}
{% macro gcp_charge_ctes(lines) %}
    {%- set slice = "_source_id, _billing_period, billing_account_id, currency, commitment_kind" -%}
    {%- set in_order = "order by _delivery_id, _object_key, _row_number" -%}
    {%- set is_covered = "not is_fee and cost_type = 'regular' and covered_cost > 0 and gross_cost > 0" -%}
    {%- set compute_engine = "'6F81-5844-456A'" -%}
    committed as (
        select
            *,
            coalesce(fee_kind, covered_by) as commitment_kind,
            coalesce(service_id, service_description) as own_service,
            case when is_fee and not has_offset then reduced_cost end as fee,
            case when {{ is_covered }} then least(covered_cost, gross_cost) end as paid_by_credit
        from {{ lines }}
        where is_fee or {{ is_covered }}
    ),

    financed as (
        select
            *,
            sum(fee) over (partition by {{ slice }}, own_service) as own_fees,
            sum(case when own_service = {{ compute_engine }} then fee end) over (partition by {{ slice }}) as compute_fees
        from committed
    ),

    pooled as (
        select
            *,
            case when own_fees > 0 or is_fee then own_service when compute_fees > 0 then {{ compute_engine }} end as pool_service,
            case when own_fees > 0 or is_fee then own_fees else compute_fees end as fees
        from financed
    ),

    summed as (
        select
            *,
            sum(paid_by_credit) over (partition by {{ slice }}, pool_service) as whole,
            sum(paid_by_credit) over (partition by {{ slice }}, pool_service {{ in_order }}) as so_far
        from pooled
    ),

    spent as (
        select
            *,
            coalesce(fees > 0 and whole > 0 and not has_offset, false) as is_spread,
            case
                when not coalesce(fees > 0 and whole > 0, false) then null
                when so_far = whole then fees
                else cast(fees * {{ exact_quotient('so_far', 'whole') }} as decimal(38, 12))
            end as fees_so_far
        from summed
    ),

    shared as (
        select
            *,
            case when paid_by_credit > 0 and is_spread then fees_so_far - coalesce(lag(fees_so_far) over (
                partition by {{ slice }}, pool_service {{ in_order }}
            ), 0) end as fee_share,
            case when paid_by_credit > 0 and is_spread then {{ exact_quotient('paid_by_credit', 'gross_cost') }} end as covered_part
        from spent
    ),

    joined as (
        select *, cast(null as decimal(38, 12)) as fee_share, cast(null as decimal(38, 12)) as covered_part, false as is_spread,
            cast(null as varchar) as commitment_kind, cast(null as varchar) as pool_service
        from {{ lines }}
        where not coalesce(is_fee or {{ is_covered }}, false)
        union all by name
        select * exclude (own_service, fee, paid_by_credit, own_fees, compute_fees, fees, whole, so_far, fees_so_far)
        from shared
    ),

    split as (
        select *, unnest({{ gcp_charge_parts() }}) as charge
        from joined
    ),

    charges as (
        select *, charge.part as charge_part, charge.amount as credit_amount, charge.name as credit_name
        from split
    )
{% endmacro %}
