{# Which FOCUS rows a bill line becomes. Rules: FOCUS 1.4 EffectiveCost C-015..C-022, BilledCost C-010/C-011.

   The bill of a slice is the sum of line_item_unblended_cost; with net columns and no discount lines it is the sum of
   net costs. Rows of split cost allocation repeat their parent's cost and are no part of it.
   * SavingsPlanNegation vanishes: the covered usage it cancels is billed 0.
   * A commitment fee is a purchase with effective cost 0; its unused part is a second row, ":Unused".
   * Discount lines vanish where net costs are given, for these include them.
   * What does not cancel to the last digit becomes one named row, ":Residual", so that the total stays the bill's. #}

{% macro aws_bill_cost() -%}
    {{ to_twelve('coalesce(line_item_net_unblended_cost, line_item_unblended_cost)') }}
{%- endmacro %}

{% macro aws_is_discount_line() -%}
    line_item_line_item_type like '%Discount'
{%- endmacro %}

{% macro aws_unused_cost() -%}
    cast(case line_item_line_item_type
        when 'SavingsPlanRecurringFee' then savings_plan_total_commitment_to_date - savings_plan_used_commitment
        when 'RIFee' then
            coalesce(
                reservation_net_unused_amortized_upfront_fee_for_billing_period,
                reservation_unused_amortized_upfront_fee_for_billing_period, 0
            )
            + coalesce(reservation_net_unused_recurring_fee, reservation_unused_recurring_fee, 0)
    end as decimal(38, 12))
{%- endmacro %}

{# CTEs `commitment_residuals`, `slice_discounts` and `charges` (one row per FOCUS row: the line, charge_part, residual).
   The lines are named once per branch, not through a CTE, which DuckDB would materialise with all its columns. #}
{% macro aws_charge_ctes(lines) %}
    {%- set covered = "('SavingsPlanCoveredUsage', 'SavingsPlanNegation', 'DiscountedUsage')" -%}
    {#- one branch per type: an equality is tested inside the scan, an IN list only after every column was read #}
    {%- set fees = ['SavingsPlanRecurringFee', 'RIFee'] -%}
    {%- set own_cost = "split_line_item_parent_resource_id is null" -%}
    {%- set row_key = "_object_key || '#' || cast(_row_number as varchar)" -%}
    commitment_residuals as (
        select
            _source_id,
            _billing_period,
            coalesce(savings_plan_savings_plan_a_r_n, reservation_reservation_a_r_n, '') as commitment,
            min({{ row_key }}) as row_key,
            sum({{ aws_bill_cost() }}) as residual
        from {{ lines }}
        where line_item_line_item_type in {{ covered }} and {{ own_cost }}
        group by 1, 2, 3
        having sum({{ aws_bill_cost() }}) <> 0
    ),

    slices_with_discounts as (
        select distinct _source_id, _billing_period from {{ lines }} where {{ aws_is_discount_line() }}
    ),

    slice_discounts as (
        select
            _source_id,
            _billing_period,
            min(case when {{ aws_is_discount_line() }} then {{ row_key }} end) as row_key,
            count(case when not ({{ aws_is_discount_line() }}) then line_item_net_unblended_cost end) > 0 as has_net_costs,
            sum({{ to_twelve('line_item_unblended_cost') }})
            - sum(case when {{ aws_is_discount_line() }} then 0 else {{ aws_bill_cost() }} end) as residual
        from {{ lines }}
        inner join slices_with_discounts using (_source_id, _billing_period)
        where {{ own_cost }}
        group by 1, 2
    ),

    charges as (
        select *, '' as charge_part, cast(null as decimal(38, 12)) as residual
        from {{ lines }}
        where
            coalesce(line_item_line_item_type <> 'SavingsPlanNegation' and not ({{ aws_is_discount_line() }}), true)
            and {{ own_cost }}
        union all
        {%- for fee in fees %}
        select *, ':Unused', null
        from {{ lines }}
        where
            line_item_line_item_type = '{{ fee }}'
            and {{ own_cost }}
            and ({{ aws_unused_cost() }} <> 0 or reservation_unused_quantity > 0)
        union all
        {%- endfor %}
        select line.*, ':Residual', found.residual
        from {{ lines }} as line
        inner join commitment_residuals as found
            on line._source_id = found._source_id and line._billing_period = found._billing_period
            and line._object_key || '#' || cast(line._row_number as varchar) = found.row_key
        where line.line_item_line_item_type in {{ covered }}
        union all
        select
            line.*,
            case when found.has_net_costs then ':Residual' else '' end,
            case when found.has_net_costs then found.residual end
        from {{ lines }} as line
        inner join slice_discounts as found
            on line._source_id = found._source_id and line._billing_period = found._billing_period
        where
            line.{{ aws_is_discount_line() }}
            and (
                not found.has_net_costs
                or (
                    found.residual <> 0
                    and line._object_key || '#' || cast(line._row_number as varchar) = found.row_key
                )
            )
    )
{% endmacro %}
