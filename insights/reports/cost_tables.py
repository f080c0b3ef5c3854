"""Cost against the month before, by any dimension: marts.fct_cost_daily → `Table`s with billed and effective cost.

Run alone: `by_dimensions(con, basis)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from insights.reports.basis import Basis, month_name, ratio
from insights.reports.model import Cell, Column, Table

if TYPE_CHECKING:
    import duckdb

COST_MART = "marts.fct_cost_daily"


@dataclass(frozen=True)
class Dimension:
    """A way to split the bill: table key, title, and the SQL text expressions (label, expression) that name a row."""

    key: str
    title: str
    names: tuple[tuple[str, str], ...]
    note: str = ""


DIMENSIONS = (
    Dimension("providers", "By provider", (("Provider", "provider_name"),)),
    Dimension(
        "services",
        "By service",
        (("Service", "coalesce(service_name, 'No service named')"), ("Provider", "provider_name")),
    ),
    Dimension(
        "models",
        "By model",
        (("Model", "coalesce(model_id, 'Not a model charge')"), ("Provider", "provider_name")),
    ),
    Dimension(
        "owners",
        "By owner",
        (("Owner", "coalesce(owner, 'Unowned: ' || replace(coalesce(owner_reason, 'no reason recorded'), '_', ' '))"),),
        note="The owner is the team, owner, cost centre or department tag, or an LLM provider's project; a charge without one says why.",
    ),
    Dimension(
        "accounts",
        "By account",
        (
            ("Account", "coalesce(sub_account_name, sub_account_id, billing_account_name, billing_account_id, 'No account named')"),
            ("Account id", "coalesce(sub_account_id, billing_account_id, '–')"),
            ("Provider", "provider_name"),
        ),
    ),
    Dimension("categories", "By kind of charge", (("Kind of charge", "charge_category"),)),
)


@dataclass(frozen=True)
class Totals:
    """Exact totals of the reported month and of the days compared with; `previous` is None where that month has no charge at all."""

    billed: Decimal
    effective: Decimal
    previous_billed: Decimal | None
    previous: Decimal | None

    @property
    def change(self) -> Decimal | None:
        """Effective cost against the month before."""
        return None if self.previous is None else self.effective - self.previous


def totals(con: duckdb.DuckDBPyConnection, basis: Basis) -> Totals:
    """The month's totals in the currency of the basis."""
    (row,) = _grouped(con, basis, ["'all'"])
    return Totals(row[1] or Decimal(0), row[2] or Decimal(0), row[3], row[4])


def by_dimensions(con: duckdb.DuckDBPyConnection, basis: Basis) -> list[Table]:
    """One table per dimension, largest effective cost first; each sums to the month's totals."""
    whole = totals(con, basis)
    return [_table(con, basis, whole, dimension) for dimension in DIMENSIONS]


def _table(con: duckdb.DuckDBPyConnection, basis: Basis, whole: Totals, dimension: Dimension) -> Table:
    width = len(dimension.names)
    rows = []
    for found in _grouped(con, basis, [expression for _, expression in dimension.names]):
        names, (billed, effective, _, previous) = found[:width], found[width:]
        rows.append((*names, *_measures(billed or Decimal(0), effective or Decimal(0), previous, whole)))
    rows.sort(key=lambda row: (-row[width + 1], row[:width]))
    padding: tuple[Cell, ...] = ("Total",) + (None,) * (width - 1)
    columns = (
        *(Column(label) for label, _ in dimension.names),
        Column(f"Billed {basis.currency}", "money"),
        Column(f"Effective {basis.currency}", "money"),
        Column(f"{basis.against}", "money"),
        Column("Change", "money", minus=(width + 1, width + 2)),
        Column("Change %", "percent"),
        Column("Share", "percent"),
    )
    return Table(
        key=dimension.key,
        title=dimension.title,
        columns=columns,
        rows=tuple(rows),
        total=(*padding, *_measures(whole.billed, whole.effective, whole.previous, whole)),
        source=COST_MART,
        empty="No charges in this month.",
        note=dimension.note,
        fold_after=12,
        never_fold=width,  # a commitment bought is a big invoice and no effective cost
    )


def _measures(billed: Decimal, effective: Decimal, previous: Decimal | None, whole: Totals) -> tuple[Cell, ...]:
    # With a bill in the month before, a name without charges cost nothing; without a bill, nobody knows.
    before = (previous or Decimal(0)) if whole.previous is not None else None
    change = None if before is None else effective - before
    return (billed, effective, before, change, ratio(change, before), ratio(effective, whole.effective))


def movers(con: duckdb.DuckDBPyConnection, basis: Basis) -> Table:
    """What changed since the month before, by service and account, largest movement first."""
    whole = totals(con, basis)
    names = ["provider_name", "coalesce(service_name, 'No service named')", "coalesce(sub_account_name, sub_account_id, '–')"]
    rows: list[tuple[Cell, ...]] = []
    if whole.previous is not None:
        changed = []
        for provider, service, account, _, effective, _, previous in _grouped(con, basis, names):
            now, before = effective or Decimal(0), previous or Decimal(0)
            if now != before:
                kind = "new" if previous is None else "ended" if effective is None else ""
                changed.append((now - before, (service, account, provider, now, before, now - before, ratio(now - before, before), kind)))
        changed.sort(key=lambda pair: (-abs(pair[0]), pair[1][:3]))
        rows = [row for _, row in changed]
    total = (
        ("Total", None, None, whole.effective, whole.previous, whole.change, ratio(whole.change, whole.previous), None) if rows else None
    )
    return Table(
        key="movers",
        title="What changed",
        columns=(
            Column("Service"), Column("Account"), Column("Provider"), Column(f"Effective {basis.currency}", "money"),
            Column(basis.against, "money"), Column("Change", "money", minus=(3, 4)), Column("Change %", "percent"), Column("")
        ),
        rows=tuple(rows),
        total=total,
        source=COST_MART,
        empty=f"There is no bill of {month_name(basis.previous)} to compare with.",
        fold_after=10,
    )  # fmt: skip


def trend(con: duckdb.DuckDBPyConnection, basis: Basis) -> Table:
    """Billed and effective cost of up to 13 months, oldest first."""
    rows = con.execute(
        """
        select billing_period, sum(billed_cost), sum(effective_cost)
        from marts.fct_cost_daily
        where billing_currency = ? and billing_period <= ?
        group by billing_period
        order by billing_period desc
        limit 13
        """,
        [basis.currency, basis.period.label],
    ).fetchall()[::-1]
    shown: list[tuple[Cell, ...]] = []
    before: Decimal | None = None
    for label, billed, effective in rows:
        change = None if before is None else effective - before
        state = "in progress" if label == basis.period.label and not basis.complete else "complete"
        shown.append((label, billed, effective, change, ratio(change, before), state))
        before = effective
    return Table(
        key="trend",
        title="Thirteen months",
        columns=(
            Column("Month"), Column(f"Billed {basis.currency}", "money"), Column(f"Effective {basis.currency}", "money"),
            Column("Change", "money", minus_above=2), Column("Change %", "percent"), Column("State"),
        ),
        rows=tuple(shown),
        source=COST_MART,
        empty="No months.",
        note="Months without a bill are not listed.",
    )  # fmt: skip


def commitments(con: duckdb.DuckDBPyConnection, basis: Basis) -> Table:
    """Savings Plans and reservations: what was used, what was paid for nothing, and how much usage they cover."""
    rows = con.execute(
        """
        with month as (
            select * from marts.fct_cost_daily
            where billing_currency = ? and billing_period = ? and charge_category in ('Usage', 'Purchase')
        )
        select
            provider_name, coalesce(service_name, 'No service named') as service,
            coalesce(sum(effective_cost) filter (where commitment_discount_status = 'Used'), 0) as used,
            coalesce(sum(effective_cost) filter (where commitment_discount_status = 'Unused'), 0) as unused,
            coalesce(sum(billed_cost) filter (where charge_category = 'Purchase'), 0) as bought,
            sum(list_cost) filter (where commitment_discount_status = 'Used') as covered_list,
            case when bool_and(list_cost is not null) then
                sum(list_cost) filter (where charge_category = 'Usage' and commitment_discount_status is distinct from 'Unused')
            end as usage_list
        from month
        group by provider_name, service
        having bool_or(commitment_discount_status is not null)
            or bool_or(charge_category = 'Purchase' and pricing_category = 'Committed')
        order by used + unused desc, provider_name, service
        """,
        [basis.currency, basis.period.label],
    ).fetchall()
    shown: tuple[tuple[Any, ...], ...] = tuple(
        (service, provider, used, unused, ratio(used, used + unused), ratio(covered or Decimal(0), listed), bought)
        for provider, service, used, unused, bought, covered, listed in rows
    )
    used, unused, bought = (sum((row[index] for row in shown), Decimal(0)) for index in (2, 3, 6))
    return Table(
        key="commitments",
        title="Commitments",
        columns=(
            Column("Service"), Column("Provider"), Column(f"Used {basis.currency}", "money"), Column(f"Unused {basis.currency}", "money"),
            Column("Utilisation", "percent"), Column("Coverage", "percent"), Column("Bought (billed)", "money"),
        ),
        rows=shown,
        total=("Total", None, used, unused, ratio(used, used + unused), None, bought) if shown else None,
        source=COST_MART,
        empty="No Savings Plans or reservations in this month.",
        note="Utilisation: used part of what the commitments cost. Coverage: list price of covered usage over the list price of all usage "
        "of the service; empty where a list price is unknown.",
    )  # fmt: skip


def _grouped(con: duckdb.DuckDBPyConnection, basis: Basis, names: list[str]) -> list[tuple[Any, ...]]:
    """Rows of (names…, billed, effective, previous billed, previous effective); a sum is None where there is no charge."""
    now = "billing_period = $period"
    before = "billing_period = $previous and day(charge_date) <= $through"
    listed = ", ".join(f"{expression} as name_{index}" for index, expression in enumerate(names))
    return con.execute(
        f"""
        select
            {listed},
            sum(billed_cost) filter (where {now}), sum(effective_cost) filter (where {now}),
            sum(billed_cost) filter (where {before}), sum(effective_cost) filter (where {before})
        from marts.fct_cost_daily
        where billing_currency = $currency and (({now}) or ({before}))
        group by {", ".join(str(index + 1) for index in range(len(names)))}
        """,
        {"period": basis.period.label, "previous": basis.previous.label, "through": basis.through_day, "currency": basis.currency},
    ).fetchall()
