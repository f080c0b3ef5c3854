"""GPUs as report tables: marts.fct_gpu_hours, fct_gpu_allocation_hourly, fct_gpu_waste_daily → what they cost, did, and wasted by whom.

A cost per GPU-hour is the cost of the hours over the hours, a utilisation measured value x time over time; neither is an average of rates.
Run alone: `tables(con, basis, marts)`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from insights.reports.basis import Basis
from insights.reports.model import Cell, Column, Table

if TYPE_CHECKING:
    import duckdb

HOURS, SHARES, WASTE = "fct_gpu_hours", "fct_gpu_allocation_hourly", "fct_gpu_waste_daily"
_IDLE = ("unallocated", "allocated_idle", "warm_unused")
_OTHERS = ("activity_unknown", "not_observed", "host")
_KINDS = {"unallocated": "unallocated", "allocated_idle": "allocated, idle", "warm_unused": "warm, unused"}


def tables(con: duckdb.DuckDBPyConnection, basis: Basis, marts: frozenset[str]) -> tuple[Table, ...]:
    """The GPU tables of a currency and month; none where telemetry saw no GPU that is paid for in it."""
    if not {HOURS, SHARES, WASTE} <= marts:
        return ()
    seen = con.execute(
        f"select count(*) from marts.{HOURS} where row_kind = 'gpu' and billing_currency = ? and billing_period = ?",
        [basis.currency, basis.period.label],
    ).fetchall()
    return (_cost(con, basis), _used(con, basis), _wasted(con, basis)) if seen[0][0] else ()


def _cost(con: duckdb.DuckDBPyConnection, basis: Basis) -> Table:
    """What each model's time was: working, three kinds of idle, unknown."""
    states = ("busy", *_IDLE, *_OTHERS)
    sums = ", ".join(f"coalesce(sum(effective_cost) filter (usage_state = '{state}'), 0)" for state in states)
    rows = con.execute(
        f"""
        select coalesce(model_name, case usage_state when 'host' then 'Hosts, without their GPUs' else 'GPUs not seen' end) as model,
            sum(effective_cost) as cost, {sums}
        from marts.{SHARES} where billing_currency = ? and billing_period = ?
        group by model order by cost desc, model
        """,
        [basis.currency, basis.period.label],
    ).fetchall()
    # Everything that is neither work nor idle in one column: what is not known of the time.
    shown: list[tuple[Cell, ...]] = [(model, cost, busy, *idle, sum(rest, Decimal(0))) for model, cost, busy, *both in rows
                                     for idle, rest in [(both[:3], both[3:])]]  # fmt: skip
    sums_of = [sum((cell for row in shown if isinstance(cell := row[at], Decimal)), Decimal(0)) for at in range(1, 7)]
    total: tuple[Cell, ...] = ("Total", *sums_of)
    return Table(
        key="gpus",
        title="GPUs",
        columns=(
            Column("GPU"), Column(f"Effective {basis.currency}", "money"), Column("Working", "money"), Column("Unallocated", "money"),
            Column("Allocated, idle", "money"), Column("Warm, unused", "money"), Column("Not seen or not measured", "money"),
        ),
        rows=tuple(shown),
        total=total,
        source=f"marts.{SHARES}",
        empty="No GPUs in this month.",
        note="The amortised cost of the machines with GPUs, by what the GPUs did. Unallocated: nobody held them. Allocated, idle: a pod or "
        "job held them and did nothing. Warm, unused: something was loaded and not used.",
    )  # fmt: skip


def _used(con: duckdb.DuckDBPyConnection, basis: Basis) -> Table:
    ratios = ("activity", "sm_active", "tensor_active", "memory_used")
    sums = ", ".join(f"sum({name}_seconds), sum({name}_measured_seconds)" for name in ratios)
    rows = con.execute(
        f"""
        select coalesce(model_name, 'unknown') as model, coalesce(vendor, 'unknown') as vendor, count(distinct gpu_uuid),
            sum(gpu_hours), sum(effective_cost) as cost, sum(energy_joules), {sums}
        from marts.{HOURS} where row_kind = 'gpu' and billing_currency = ? and billing_period = ?
        group by model, vendor order by cost desc, model, vendor
        """,
        [basis.currency, basis.period.label],
    ).fetchall()
    shown: list[tuple[Cell, ...]] = []
    for model, vendor, count, hours, cost, joules, *measured in rows:
        shares = [_quotient(measured[at], measured[at + 1]) for at in range(0, len(measured), 2)]
        kilowatt_hours = None if joules is None else (joules / 3_600_000).quantize(Decimal("1e-6"))
        shown.append((model, vendor, count, hours, _quotient(cost, hours), *shares, kilowatt_hours))
    return Table(
        key="gpu_use",
        title="Use of GPUs",
        columns=(
            Column("GPU"), Column("Vendor"), Column("GPUs", "count"), Column("GPU-hours seen", "price"),
            Column(f"{basis.currency} per GPU-hour", "price"), Column("Engine active", "percent"), Column("SM active", "percent"),
            Column("Tensor active", "percent"), Column("Memory filled", "percent"), Column("kWh", "price"),
        ),
        rows=tuple(shown),
        source=f"marts.{HOURS}",
        empty="No GPUs in this month.",
        note="Means over the time in which each was measured; a dash was never measured.",
    )  # fmt: skip


def _wasted(con: duckdb.DuckDBPyConnection, basis: Basis) -> Table:
    rows = con.execute(
        f"""
        select
            coalesce(owner, 'no owner: ' || replace(owner_reason, '_', ' ')) as whose,
            coalesce(concat_ws('/', namespace, coalesce(pod, job_id)), '') as holder, usage_state, coalesce(host, node_id) as machine,
            count(distinct charge_date), sum(idle_gpu_hours), sum(wasted_cost) as cost
        from marts.{WASTE} where billing_currency = ? and billing_period = ?
        group by whose, holder, usage_state, machine
        order by cost desc, whose, holder, usage_state, machine
        """,
        [basis.currency, basis.period.label],
    ).fetchall()
    shown: list[tuple[Cell, ...]] = [
        (whose, holder or "–", _KINDS[state], machine, hours, cost, _quotient(cost, days))
        for whose, holder, state, machine, days, hours, cost in rows
    ]
    total = ("Total", None, None, None, None, sum((row[6] for row in rows), Decimal(0)), None)
    return Table(
        key="gpu_waste",
        title="Idle GPUs by owner",
        columns=(
            Column("Owner"), Column("Held by"), Column("Kind"), Column("Machine"), Column("Idle GPU-hours", "price"),
            Column(f"Wasted {basis.currency}", "money"), Column(f"{basis.currency} a day it was idle", "price"),
        ),
        rows=tuple(shown),
        total=total if shown else None,
        source=f"marts.{WASTE}",
        empty="No GPU was idle.",
        note="Which GPUs are idle now: `costlake telemetry idle`.",
        fold_after=15,
        never_fold=5,
    )  # fmt: skip


def _quotient(part: Decimal | None, whole: Decimal | int | None) -> Decimal | None:
    return None if part is None or not whole else (part / whole).quantize(Decimal("1e-12"))
