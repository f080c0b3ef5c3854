"""Whether the figures can be trusted: ops.reconciliation, ops.deliveries → `Table`s over all currencies of a period.

Amounts are shown with all their decimals: a check that rounds is none.
Run alone: `reconciliation(con, BillingPeriod.parse("2026-10"), True)`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from insights.reports.model import Cell, Column, Table

if TYPE_CHECKING:
    import duckdb

    from costlake.periods import BillingPeriod

Checks = Literal["exact", "failed", "unchecked"]


def reconciliation(con: duckdb.DuckDBPyConnection, period: BillingPeriod, has_checks: bool) -> tuple[Table, Checks]:
    """The newest check of every source that charged in the period: bill = bronze = FOCUS = marts, or not, or not checked."""
    checked = _newest_checks(con, period) if has_checks else []
    names = {str(row[0]) for row in checked}
    charged = con.execute(
        "select distinct source_id from marts.fct_cost_daily where billing_period = ? order by 1", [period.label]
    ).fetchall()
    unchecked: list[tuple[Cell, ...]] = [
        (source, None, None, None, None, None, None, None, None, "unchecked") for (source,) in charged if source not in names
    ]
    statuses = {row[-1] for row in checked} | {row[-1] for row in unchecked}
    verdict: Checks = "failed" if "failed" in statuses else "unchecked" if "unchecked" in statuses or not statuses else "exact"
    table = Table(
        key="reconciliation",
        title="Reconciliation",
        columns=(
            Column("Source"), Column("Measure"), Column("Currency"), Column("Bill", "exact"), Column("Bronze", "exact"),
            Column("FOCUS", "exact"), Column("Marts", "exact"), Column("Rounding", "exact"), Column("Difference", "exact"),
            Column("Status", "status"),
        ),
        rows=(*checked, *unchecked),
        source="ops.reconciliation",
        empty="Not checked yet: run `costlake reconcile`.",
        note="Bill: the control total of the delivery as read from the provider's own bytes. Rounding: what 12 decimals cut off from 18.",
    )  # fmt: skip
    return table, verdict


def _newest_checks(con: duckdb.DuckDBPyConnection, period: BillingPeriod) -> list[tuple[Cell, ...]]:
    return con.execute(
        """
        select
            source_id, measure, billing_currency, bill_total, bronze_total, focus_total, mart_total, rounding_residual, difference, status
        from ops.reconciliation
        where billing_period = ?
        qualify rank() over (partition by source_id order by checked_at desc, run_id desc) = 1
        order by source_id, billing_currency, measure
        """,
        [period.label],
    ).fetchall()


def deliveries(con: duckdb.DuckDBPyConnection, period: BillingPeriod, has_deliveries: bool) -> Table:
    """What was delivered for the period, and every month that a provider restated or whose delivery was refused.

    The delivery that counts is the last one loaded for a slice; what was loaded for it before has been replaced.
    """
    rows = (
        con.execute(
            """
            with loaded as (
                select
                    source_id, billing_period as month, currency, delivery_id, row_count, control_total, cast(null as varchar) as refusal,
                    delivery_id = first_value(delivery_id) over (
                        partition by source_id, billing_period, slice order by recorded_at desc, event_id desc
                    ) as is_active
                from ops.deliveries
                where status = 'loaded'
                -- a slice may lie in several months and currencies: a file of Oracle's, a day of Google's
                qualify row_number() over (
                    partition by source_id, billing_period, slice, currency, delivery_id order by recorded_at desc, event_id desc
                ) = 1
            ),
            refused as (
                select
                    source_id, coalesce(billing_period, '–') as month, currency, delivery_id, cast(null as bigint) as row_count,
                    cast(null as decimal(38, 18)) as control_total, coalesce(error_text, 'no reason recorded') as refusal,
                    cast(null as boolean) as is_active
                from ops.deliveries
                where status = 'refused'
            ),
            -- a refused delivery names no currency: it stands with its month's first
            lines as (
                select * replace (coalesce(currency, min(currency) over (partition by source_id, month)) as currency)
                from (select * from loaded union all by name select * from refused)
            )
            select
                source_id, month, currency,
                count(distinct delivery_id) filter (where is_active) as active,
                count(distinct delivery_id) filter (where not is_active) as replaced,
                count(distinct delivery_id) filter (where refusal is not null) as refused,
                sum(row_count) filter (where is_active) as row_count,
                sum(control_total) filter (where is_active) as total,
                sum(control_total) filter (where not is_active) as replaced_total,
                max(refusal) as refusal
            from lines
            group by source_id, month, currency
            having month = ? or replaced > 0 or refused > 0
            order by month desc, source_id, currency
            """,
            [period.label],
        ).fetchall()
        if has_deliveries
        else []
    )
    shown = [
        (source, month, currency, loaded, replaced, refused, int(count or 0), total, before, _state(replaced, refused, refusal))
        for source, month, currency, loaded, replaced, refused, count, total, before, refusal in rows
    ]
    return Table(
        key="deliveries",
        title="Deliveries",
        columns=(
            Column("Source"), Column("Month"), Column("Currency"), Column("Active", "count"), Column("Replaced", "count"),
            Column("Refused", "count"), Column("Rows", "count"), Column("Total now", "exact"), Column("Replaced total", "exact"),
            Column("Remark"),
        ),
        rows=tuple(shown),
        source="ops.deliveries",
        empty="The delivery ledger is empty.",
        note=f"All deliveries of {period.label}, and of other months those that were restated or refused.",
    )  # fmt: skip


def _state(replaced: int, refused: int, refusal: str | None) -> str:
    if refused:
        return "refused: " + (refusal or "no reason recorded").splitlines()[0]
    return "restated by the provider" if replaced else ""


def exact_text(amount: Decimal | int) -> str:
    """An amount with all its decimals and without trailing zeros, thousands grouped."""
    text = f"{amount:,f}" if isinstance(amount, Decimal) else f"{amount:,}"
    return text.rstrip("0").rstrip(".") if "." in text else text
