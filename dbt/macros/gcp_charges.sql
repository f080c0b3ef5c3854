{# Which FOCUS rows a row of Google Cloud's export becomes. Rules: FOCUS 1.4 BilledCost C-010/C-011, EffectiveCost C-015..C-022;
   why so: docs/decisions/0017.

   The bill of a slice is the sum of cost + credits; per row it is the sum of BilledCost of the rows made of it, exactly.
   * '': the row itself, its cost lowered by the credits that lower a price.
   * ':Covered': the part of it that a commitment's credit paid, billed 0, at its share of the commitment's fees.
   * ':Unused': what a fee left unused, billed 0; the fee itself is a purchase with effective cost 0.
   * ':Credit<n>': a credit that pays (PROMOTION …). #}

{# CTEs `pools`, `covered` (row -> part covered, share of the fees) and `charges` (one row per FOCUS row).
   A fee without FEE_UTILIZATION_OFFSET is of the older models, which lower the cost of usage by credits: the month's fees of a service
   are spread over the credits of its kind, and Compute Engine's over services that have no fees of their own (flexible commitments).
   Shares are differences of a running total, so that they sum to the fees to the last digit. #}
{% macro gcp_charge_ctes(lines) %}
    {%- set compute_engine = "'6F81-5844-456A'" -%}
    {%- set slice = "_source_id, _billing_period, billing_account_id, currency" -%}
    pools as (
        select {{ slice }}, fee_kind, coalesce(service_id, service_description) as pool_service, sum(reduced_cost) as fees
        from {{ lines }}
        where is_fee and not has_offset
        group by all
        having sum(reduced_cost) > 0
    ),

    credited as (
        select
            line._source_id, line._billing_period, line.billing_account_id, line.currency, line._delivery_id, line._object_key,
            line._row_number, line.covered_by,
            least(line.covered_cost, line.gross_cost) as covered_cost,
            {{ exact_quotient('least(line.covered_cost, line.gross_cost)', 'line.gross_cost') }} as covered_part,
            coalesce(own.pool_service, compute.pool_service) as pool_service,
            coalesce(own.fees, compute.fees) as fees
        from {{ lines }} as line
        {%- for pool in ['own', 'compute'] %}
        left join pools as {{ pool }}
            on {% for column in slice.split(', ') %}line.{{ column }} = {{ pool }}.{{ column }} and {% endfor %}line.covered_by = {{ pool }}.fee_kind
            and {{ pool }}.pool_service
            = {{ 'coalesce(line.service_id, line.service_description)' if pool == 'own' else compute_engine }}
        {%- endfor %}
        where
            line.covered_cost > 0 and line.gross_cost > 0 and line.cost_type = 'regular' and not line.is_fee
            and coalesce(own.fees, compute.fees) is not null
    ),

    summed as (
        select
            *,
            sum(covered_cost) over (partition by {{ slice }}, covered_by, pool_service) as whole,
            sum(covered_cost) over (
                partition by {{ slice }}, covered_by, pool_service order by _delivery_id, _object_key, _row_number
            ) as so_far
        from credited
    ),

    spent as (
        select
            *,
            case
                when so_far = whole then fees
                else cast(fees * {{ exact_quotient('so_far', 'whole') }} as decimal(38, 12))
            end as fees_so_far
        from summed
    ),

    covered as (
        select
            _source_id, _billing_period, billing_account_id, currency, _delivery_id, _object_key, _row_number, covered_by, pool_service,
            covered_part,
            fees_so_far - lag(fees_so_far, 1, 0) over (
                partition by {{ slice }}, covered_by, pool_service order by _delivery_id, _object_key, _row_number
            ) as fee_share
        from spent
    ),

    spread as (select distinct {{ slice }}, covered_by as fee_kind, pool_service from covered),

    joined as (
        select
            line.*,
            covered.covered_part,
            covered.fee_share,
            covered.pool_service is not null or spread.pool_service is not null as is_spread,
            coalesce(covered.pool_service, spread.pool_service, line.service_id, line.service_description) as pool_service,
            case when line.is_fee then line.fee_kind when covered.pool_service is not null then line.covered_by end as commitment_kind
        from {{ lines }} as line
        left join covered
            on line._source_id = covered._source_id and line._billing_period = covered._billing_period
            and line._delivery_id = covered._delivery_id and line._object_key = covered._object_key
            and line._row_number = covered._row_number
        left join spread
            on {% for column in slice.split(', ') %}line.{{ column }} = spread.{{ column }} and {% endfor %}line.fee_kind = spread.fee_kind
            and coalesce(line.service_id, line.service_description) = spread.pool_service
            and line.is_fee and not line.has_offset
    ),

    charges as (
        select *, '' as charge_part, cast(null as decimal(38, 12)) as credit_amount, cast(null as varchar) as credit_name
        from joined
        where fee_share is null or covered_part < 1 or reduced_cost <> 0
        union all
        select *, ':Covered', null, null
        from joined
        where fee_share is not null
        union all
        select *, ':Unused', null, null
        from joined
        where is_fee and not is_spread and reduced_cost <> 0
        union all
        select * exclude (credit, place), ':Credit' || cast(place as varchar), credit.amount, credit.name
        from (
            select *, unnest(other_credits) as credit, generate_subscripts(other_credits, 1) as place
            from joined
            where len(other_credits) > 0
        )
    )
{% endmacro %}
