"""The AI inside the bill as a report table: marts.fct_ai_cost_daily → `Table`, one row per kind of usage, model or accelerator, and host.

A cost per hour is the cost of the hours over the hours; hours of different accelerators and tokens of different models are never added.
Run alone: `inside(con, basis)`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from insights.reports.basis import Basis
from insights.reports.model import Column, Table

if TYPE_CHECKING:
    import duckdb

AI_MART = "marts.fct_ai_cost_daily"
_WHAT = "coalesce(model_id, accelerator_type || case when usage_kind = 'accelerator_host' then ' host' else '' end, service_name)"


def inside(con: duckdb.DuckDBPyConnection, basis: Basis) -> Table:
    """What of the month's bill is AI: billed and effective cost, tokens and accelerator hours, largest effective cost first."""
    rows = con.execute(
        f"""
        select
            coalesce(replace(usage_kind, '_', ' '), 'unexplained: ' || replace(ai_reason, '_', ' ')) as kind,
            {_WHAT} as what, coalesce(host_provider_name, provider_name) as host,
            sum(billed_cost), sum(effective_cost) as cost, sum(tokens), sum(accelerator_hours),
            sum(effective_cost) filter (where accelerator_hours is not null),
            sum(accelerator_hours) filter (where capacity_reservation_status = 'Unused')
        from {AI_MART}
        where billing_currency = ? and billing_period = ?
        group by kind, what, host
        order by cost desc, kind, what, host
        """,
        [basis.currency, basis.period.label],
    ).fetchall()
    shown = [
        (kind, what, host, billed, cost, tokens, hours, _per_hour(hours_cost, hours), idle)
        for kind, what, host, billed, cost, tokens, hours, hours_cost, idle in rows
    ]
    total = (
        "Total", None, None, sum((row[3] for row in shown), Decimal(0)), sum((row[4] for row in shown), Decimal(0)), None, None, None, None,
    )  # fmt: skip
    return Table(
        key="ai_inside",
        title="AI inside the bill",
        columns=(
            Column("Kind of usage"), Column("Model, accelerator or service"), Column("Host"),
            Column(f"Billed {basis.currency}", "money"), Column(f"Effective {basis.currency}", "money"),
            Column("Tokens on the bill", "count"), Column("Accelerator hours", "price"),
            Column(f"{basis.currency} per accelerator hour", "price"), Column("Of them idle", "price"),
        ),
        rows=tuple(shown),
        total=total if shown else None,
        source=AI_MART,
        empty="No AI on the bills of this month.",
        note="Tokens of LLM providers that send usage reports stand under cost per million tokens. "
        "A row that says unexplained has no rule yet (docs/decisions/0021).",
        fold_after=24,
        never_fold=3,
    )  # fmt: skip


def _per_hour(cost: Decimal | None, hours: Decimal | None) -> Decimal | None:
    return None if cost is None or not hours else (cost / hours).quantize(Decimal("1e-12"))
