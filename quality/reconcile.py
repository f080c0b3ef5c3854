"""Bill = bronze = FOCUS = marts, exactly, per source and billing period; what differs stops the publication.

Data flow: totals of the ledger, of bronze, of FOCUS and of the marts → `ops.reconciliation` → ReconciliationError.

Bronze has 18 decimals and FOCUS 12. What the cast cuts off is summed from bronze alone and stored as
`rounding_residual`: it must explain bronze − FOCUS to the last digit, so there is no tolerance anywhere.
Run alone: costlake reconcile
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal, localcontext

from costlake.errors import ReconciliationError
from costlake.periods import Clock
from costlake.settings import Settings
from costlake.slices import Slice
from ingest.source import Source, all_sources
from quality.ledger import Reconciliation, newest_reconciliation, write_reconciliation
from quality.totals import (
    MONEY_MEASURES,
    Key,
    Summed,
    TokenTotals,
    WarehouseTotals,
    bill_totals,
    bronze_totals,
    token_totals,
    warehouse_totals,
)

# Python's default of 28 significant digits would round large totals silently; DECIMAL(38,18) has 38.
_DIGITS = 76
_NAMED_FAILURES = 5
_NEXT_STEPS = {
    "bronze": "look at the slice's deliveries (`costlake deliveries`) and load its newest one again with `costlake ingest`",
    "FOCUS": "run `costlake transform --full-refresh`; if it stays, the source's staging model loses, doubles or shifts money",
    "marts": "run `costlake transform --full-refresh`; if it stays, the mart drops or doubles FOCUS rows",
}


@dataclass
class _Judged:
    """The comparison of neighbouring layers for one key, as it is worked out."""

    difference: Decimal = Decimal(0)
    broken: str | None = None
    names: dict[str, str] = field(default_factory=dict)

    def compare(self, left_name: str, left: Decimal | None, right_name: str, right: Decimal | None) -> None:
        """Both must be there and equal, or both absent; the first break is the row's difference."""
        if left == right:
            return
        self.names[f"{left_name} against {right_name}"] = f"{_shown(left)} against {_shown(right)}"
        if self.broken is None:
            self.broken = right_name
            self.difference = (left or Decimal(0)) - (right or Decimal(0))


def run(settings: Settings, clock: Clock, slices: Collection[Slice] | None = None) -> list[Reconciliation]:
    """Reconcile the layers; the ledger has the result before anything is raised.

    Args:
        settings: where the lake and the warehouse are.
        clock: gives the time that the ledger notes.
        slices: the slices to look at; the others keep their newest result. None = everything.

    Returns:
        The newest state of every source and period, by source, period and measure. Nothing is written when it is the
        same as the run before.

    Raises:
        ReconciliationError: at least one total is not exact, in this run or in one before that has not been looked at again.
        LakeError: the warehouse or a bronze table cannot be read.
    """
    previous = newest_reconciliation(settings)
    number = int(previous[0].run_id.split("-")[0]) + 1 if previous else 1
    # The number in front makes run ids sort by time, whatever the clock says.
    run_id, moment = f"{number:06d}-{uuid.uuid4().hex[:8]}", clock.now()
    sources = list(all_sources().values())
    with localcontext(prec=_DIGITS):
        computed = [
            *_money_rows(settings, sources, slices, run_id, moment),
            *_token_rows(settings, sources, slices, run_id, moment),
        ]
    kept = [] if slices is None else [dataclasses.replace(row, run_id=run_id) for row in previous if not _selected(row, slices)]
    rows = sorted([*computed, *kept], key=_order)
    if _content(rows) != _content(previous):
        write_reconciliation(settings, rows)
    _raise_failures(rows)
    return rows


def latest(settings: Settings) -> list[Reconciliation]:
    """The newest state of every source and period; empty before the first run."""
    return newest_reconciliation(settings)


def _money_rows(
    settings: Settings, sources: list[Source], slices: Collection[Slice] | None, run_id: str, moment: dt.datetime
) -> list[Reconciliation]:
    bills = bill_totals(settings, sources, slices)
    bronze = {key: total for key, total in bronze_totals(settings, sources, slices).items() if key.measure in (*MONEY_MEASURES, "rows")}
    if not bills and not bronze and not settings.warehouse.exists():
        return []
    warehouse = warehouse_totals(settings, slices)
    keys = {*bills, *bronze, *warehouse.focus, *warehouse.marts}
    return [_row(key, bills.get(key), bronze.get(key), warehouse, run_id, moment) for key in keys]


def _row(
    key: Key, bill: Decimal | None, bronze: Summed | None, warehouse: WarehouseTotals, run_id: str, moment: dt.datetime
) -> Reconciliation:
    focus, mart = warehouse.focus.get(key), warehouse.marts.get(key)
    judged = _Judged()
    residual = None
    if key.measure == "effective":
        judged.names["bill"] = "the bill states no effective total"
    elif bronze is not None or bill != 0:
        judged.compare("bill", bill, "bronze", bronze.exact if bronze else None)
    if key.measure == "rows":
        judged.names["FOCUS"] = "a source row may become several FOCUS rows; reported only"
    else:
        judged.compare("bronze at 12 decimals", bronze.rounded if bronze else None, "FOCUS", focus)
        residual = bronze.exact - bronze.rounded if bronze else None
        if residual:
            judged.names["rounding to 12 decimals"] = f"{residual:f}"
    judged.compare("FOCUS", focus, "marts", mart)
    return _reconciliation(key, bill, bronze, focus, mart, residual, judged, run_id, moment)


def _token_rows(
    settings: Settings, sources: list[Source], slices: Collection[Slice] | None, run_id: str, moment: dt.datetime
) -> list[Reconciliation]:
    """One row per provider and period: the token mart knows the provider, not the export."""
    counted = [source for source in sources if source.counts_tokens and "tokens" in source.measures]
    rows = []
    warehouse: TokenTotals | None = None
    for provider in sorted({source.provider for source in counted}):
        bronze = bronze_totals(settings, [source for source in counted if source.provider == provider], None)
        exports: dict[str, dict[str, Summed]] = {}
        for key, total in bronze.items():
            if key.measure == "tokens" and (slices is None or any(key.billing_period == each.billing_period for each in slices)):
                exports.setdefault(key.billing_period, {})[key.source_id] = total
        if exports:
            warehouse = warehouse or token_totals(settings)
            gateway = all(source.usage_role == "gateway_log" for source in counted if source.provider == provider)
            rows += [_token_row(provider, period, found, warehouse, run_id, moment, gateway=gateway) for period, found in exports.items()]
    return rows


def _token_row(
    provider: str,
    period: str,
    bronze: dict[str, Summed],
    warehouse: TokenTotals,
    run_id: str,
    moment: dt.datetime,
    *,
    gateway: bool,
) -> Reconciliation:
    judged = _Judged()
    judged.names["bill"] = "a usage report states no total"
    total = sum((found.exact for found in bronze.values()), Decimal(0))
    staged = _sum_known([warehouse.staged.get((source_id, period)) for source_id in bronze])
    mart = None if gateway else warehouse.marts.get((provider, period))
    of_charges = warehouse.charges.get((provider, period), Decimal(0))
    if of_charges and not gateway:
        judged.names["tokens that charges measure"] = f"{of_charges:f}"
    judged.compare("bronze", total, "FOCUS", staged)
    if gateway:
        judged.names["marts"] = "a gateway's log: the same tokens are in the providers' own reports, which the marts count"
    else:
        judged.compare("FOCUS", staged, "marts", None if mart is None else mart - of_charges)
    key = Key(" + ".join(sorted(bronze)), period, "tokens")
    return _reconciliation(key, None, Summed(total, total), staged, mart, None, judged, run_id, moment)


def _sum_known(totals: list[Decimal | None]) -> Decimal | None:
    known = [total for total in totals if total is not None]
    return sum(known, Decimal(0)) if known else None


def _reconciliation(
    key: Key,
    bill: Decimal | None,
    bronze: Summed | None,
    focus: Decimal | None,
    mart: Decimal | None,
    residual: Decimal | None,
    judged: _Judged,
    run_id: str,
    moment: dt.datetime,
) -> Reconciliation:
    return Reconciliation(
        run_id=run_id,
        checked_at=moment,
        source_id=key.source_id,
        billing_period=key.billing_period,
        billing_currency=key.billing_currency,
        measure=key.measure,
        bill_total=bill,
        bronze_total=bronze.exact if bronze else None,
        focus_total=focus,
        mart_total=mart,
        rounding_residual=residual,
        difference=judged.difference,
        status="exact" if judged.broken is None else "failed",
        named_residuals=json.dumps(judged.names, sort_keys=True, ensure_ascii=False),
    )


def _selected(row: Reconciliation, slices: Collection[Slice]) -> bool:
    if row.measure == "tokens":
        return any(row.billing_period == each.billing_period for each in slices)
    return Slice(row.source_id, row.billing_period) in slices


def _order(row: Reconciliation) -> tuple[str, str, str, str]:
    return row.source_id, row.billing_period, row.measure, row.billing_currency or ""


def _content(rows: list[Reconciliation]) -> list[tuple[object, ...]]:
    return [tuple(dataclasses.asdict(row).values())[2:] for row in sorted(rows, key=_order)]


def _raise_failures(rows: list[Reconciliation]) -> None:
    failures = [row for row in rows if row.status == "failed"]
    if not failures:
        return
    lines = [_told(row) for row in failures[:_NAMED_FAILURES]]
    if len(failures) > _NAMED_FAILURES:
        lines.append(f"and {len(failures) - _NAMED_FAILURES} more in ops.reconciliation, run {failures[0].run_id}")
    raise ReconciliationError(
        f"{len(failures)} of {len(rows)} totals are not exact; nothing is published",
        where="\n             ".join(lines),
        expected="bill = bronze = FOCUS = marts, to the last digit",
        next_step=_NEXT_STEPS[_broken_layer(failures[0])],
    )


def _told(row: Reconciliation) -> str:
    found = {name: value for name, value in json.loads(row.named_residuals).items() if " against " in name}
    unit = row.billing_currency or row.measure
    sums = "; ".join(f"{name}: {value}" for name, value in found.items())
    return f"{row.source_id} {row.billing_period} {row.measure}: {sums}; difference {row.difference:f} {unit}"


def _broken_layer(row: Reconciliation) -> str:
    names = json.loads(row.named_residuals)
    return next(layer for layer in _NEXT_STEPS if any(name.endswith(f"against {layer}") for name in names))


def _shown(total: Decimal | None) -> str:
    return "missing" if total is None else f"{total:f}"
