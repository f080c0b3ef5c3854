"""What changed of the months since they were first reported: marts.fct_restatements → `Table` per currency.

A month that is open grows by nature; it is shown for the reported month alone. A closed month that changed is shown wherever it lies.
Run alone: `since_first_reported(con, basis, True)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from insights.reports.model import Column, Table

if TYPE_CHECKING:
    import duckdb

    from insights.reports.basis import Basis

_CAUSES = {
    "open_month_grew": "the open month grew",
    "late_rows": "late charges",
    "credits_or_refunds": "credits or refunds",
    "price_restated": "amounts restated",
    "rows_withdrawn": "charges withdrawn",
}


def since_first_reported(con: duckdb.DuckDBPyConnection, basis: Basis, has_restatements: bool) -> Table:
    """First reported total, total now and why, of the reported month and of every month that changed after it was closed."""
    rows = (
        con.execute(
            """
            select
                source_id,
                billing_period,
                min(cast(replaced_at at time zone 'UTC' as date)) as first_reported,
                arg_min(billed_now, change_number) as first_total,
                arg_max(billed_now, change_number) as total_now,
                total_now - first_total as since_then,
                count(*) filter (where change_number > 1) as changes,
                count(*) filter (where closed_month_reopened) as changes_when_closed,
                sum(difference) filter (where closed_month_reopened) as moved_when_closed,
                max(cast(replaced_at at time zone 'UTC' as date)) filter (where change_number > 1) as last_changed,
                list_sort(list_distinct(list(cause) filter (where change_number > 1))) as causes
            from marts.fct_restatements
            where billing_currency = ?
            group by source_id, billing_period
            having changes_when_closed > 0 or (billing_period = ? and changes > 0)
            order by billing_period desc, abs(since_then) desc, source_id
            """,
            [basis.currency, basis.period.label],
        ).fetchall()
        if has_restatements
        else []
    )
    return Table(
        key="restatements",
        title="What changed since it was first reported",
        columns=(
            Column("Source"), Column("Month"), Column("First reported", "date"), Column("Billed then", "money"),
            Column("Billed now", "money"), Column("Difference", "money", minus=(4, 3)), Column("Times changed", "count"),
            Column("of them when closed", "count"), Column("Difference when closed", "money"), Column("Last changed", "date"),
            Column("Why"),
        ),
        rows=tuple((*row[:-1], ", ".join(_CAUSES[cause] for cause in row[-1])) for row in rows),
        source="marts.fct_restatements",
        empty="No bill of this month, and no closed month, has changed since it was first reported.",
        note="A month counts as closed some days after its end (vars.month_closed_after_days). The runbook restatement.md tells how to see "
        "both states.",
        sheet="Restated months",
    )  # fmt: skip
