"""The two ledgers of this room: what each expectation found and whether the totals of the layers agree.

Data flow: `quality.checks` → `ops.quality_results`; `quality.reconcile` → `ops.reconciliation`; both → page, report, CLI.
Both are append-only: a run adds its rows and never touches older ones, so what was known then stays answerable.

Run alone: python -c "from costlake.settings import Settings; from quality import ledger; print(ledger.newest_checks(Settings.load()))"
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import pyarrow as pa

from costlake.delta import Lake, open_duckdb
from costlake.settings import Settings
from costlake.tables import BRONZE_MONEY, COUNT, TEXT, TIMESTAMP, TableSpec

Severity = Literal["fail", "warn"]
Layer = Literal["bronze", "marts"]

QUALITY_RESULTS = TableSpec(
    "ops",
    "quality_results",
    pa.schema(
        [
            pa.field("run_id", TEXT),
            pa.field("checked_at", TIMESTAMP),
            pa.field("layer", TEXT),  # bronze | marts
            pa.field("table_name", TEXT),
            pa.field("source_id", TEXT),  # NULL where a table holds all sources
            pa.field("suite", TEXT),
            pa.field("expectation", TEXT),
            pa.field("column_name", TEXT),
            pa.field("severity", TEXT),  # fail | warn
            pa.field("success", pa.bool_()),
            pa.field("unexpected_count", COUNT),
            pa.field("element_count", COUNT),
            pa.field("observed", TEXT),
            pa.field("next_step", TEXT),
        ]
    ),
    key=("run_id", "layer", "table_name", "source_id", "expectation", "column_name"),
)
RECONCILIATION = TableSpec(
    "ops",
    "reconciliation",
    pa.schema(
        [
            pa.field("run_id", TEXT),
            pa.field("checked_at", TIMESTAMP),
            pa.field("source_id", TEXT),
            pa.field("billing_period", TEXT),
            pa.field("billing_currency", TEXT),  # NULL for counts
            pa.field("measure", TEXT),  # billed | effective | rows | tokens
            pa.field("bill_total", BRONZE_MONEY),
            pa.field("bronze_total", BRONZE_MONEY),
            pa.field("focus_total", BRONZE_MONEY),
            pa.field("mart_total", BRONZE_MONEY),
            pa.field("rounding_residual", BRONZE_MONEY),
            pa.field("difference", BRONZE_MONEY),
            pa.field("status", TEXT),  # exact | failed
            pa.field("named_residuals", TEXT),  # JSON object: name → amount or explanation
        ]
    ),
    key=("run_id", "source_id", "billing_period", "billing_currency", "measure"),
)


@dataclass(frozen=True)
class CheckResult:
    """What one expectation found in one batch.

    Attributes:
        run_id: the run it belongs to.
        checked_at: when, by the injected clock.
        layer: bronze or marts.
        table_name: `<schema>.<table>`.
        source_id: the export whose rows were looked at; None where a table holds all of them.
        suite: the suite's name.
        expectation: our name of what must hold.
        column_name: the column concerned, if it is one.
        severity: `fail` stops, `warn` notifies.
        success: whether it holds.
        unexpected_count: rows (or groups of rows) that break it; None where it could not be evaluated.
        element_count: rows in the batch.
        observed: what was found, for people.
        next_step: what to do when it does not hold.
    """

    run_id: str
    checked_at: dt.datetime
    layer: Layer
    table_name: str
    source_id: str | None
    suite: str
    expectation: str
    column_name: str | None
    severity: Severity
    success: bool
    unexpected_count: int | None
    element_count: int | None
    observed: str
    next_step: str

    @property
    def status(self) -> Literal["pass", "warn", "fail"]:
        """`pass`, or the severity of what does not hold."""
        return "pass" if self.success else self.severity


@dataclass(frozen=True)
class Reconciliation:
    """The totals of one measure of one source and billing period through the layers.

    Attributes:
        run_id: sortable; a later run has a greater one.
        checked_at: when, by the injected clock.
        source_id: the export; several joined by ` + ` where the marts tell the provider only.
        billing_period: YYYY-MM.
        billing_currency: ISO 4217; None for counts.
        measure: billed, effective (both in the billing currency), rows or tokens (counts).
        bill_total: what the active deliveries announced; None where the bill states no such total.
        bronze_total: the same summed again from bronze, at bronze's 18 decimals.
        focus_total: the same in FOCUS, at 12 decimals; for tokens the usage reports after staging.
        mart_total: the same in the marts.
        rounding_residual: bronze at 18 decimals minus the same rows at FOCUS' 12; it explains bronze − FOCUS entirely.
        difference: the first unexplained difference between two neighbouring layers; 0 when exact.
        status: exact or failed.
        named_residuals: JSON object that names each residual and each total that is absent on purpose.
    """

    run_id: str
    checked_at: dt.datetime
    source_id: str
    billing_period: str
    billing_currency: str | None
    measure: str
    bill_total: Decimal | None
    bronze_total: Decimal | None
    focus_total: Decimal | None
    mart_total: Decimal | None
    rounding_residual: Decimal | None
    difference: Decimal
    status: Literal["exact", "failed"]
    named_residuals: str


def write_checks(settings: Settings, results: list[CheckResult]) -> None:
    """Append a run's results in one commit; a run that finds what the layer's newest run found is not written again."""
    layers = {result.layer for result in results}
    newest = [result for result in newest_checks(settings) if result.layer in layers]
    if results and {_outcome(result) for result in results} != {_outcome(result) for result in newest}:
        rows = [dataclasses.asdict(result) for result in results]
        Lake(settings).append(QUALITY_RESULTS, pa.Table.from_pylist(rows, schema=QUALITY_RESULTS.schema))


def _outcome(result: CheckResult) -> tuple[object, ...]:
    """What a check found; `observed` is left out, for it may name an age that grows by the hour."""
    kept = dataclasses.replace(result, run_id="", checked_at=dt.datetime.min.replace(tzinfo=dt.UTC), observed="")
    return dataclasses.astuple(kept)


def write_reconciliation(settings: Settings, rows: list[Reconciliation]) -> None:
    """Append a run's reconciliation in one commit; nothing happens for an empty list."""
    if rows:
        values = [dataclasses.asdict(row) for row in rows]
        Lake(settings).append(RECONCILIATION, pa.Table.from_pylist(values, schema=RECONCILIATION.schema))


def recent_checks(settings: Settings, runs: int) -> list[CheckResult]:
    """The results of the newest runs, newest run first, in each run by table and expectation."""
    sql = f"""
        WITH newest AS (
            SELECT run_id, max(checked_at) AS latest FROM results GROUP BY 1 ORDER BY latest DESC, run_id DESC LIMIT {int(runs)}
        )
        SELECT results.* FROM results JOIN newest USING (run_id)
        ORDER BY newest.latest DESC, run_id DESC, layer, table_name, source_id NULLS FIRST, expectation, column_name NULLS FIRST
    """
    return [CheckResult(**row) for row in _read(settings, QUALITY_RESULTS, sql)]


def newest_checks(settings: Settings) -> list[CheckResult]:
    """The results of the newest run of each layer."""
    sql = """
        SELECT * FROM results
        WHERE (layer, run_id) IN (SELECT (layer, arg_max(run_id, (checked_at, run_id))) FROM results GROUP BY layer)
        ORDER BY layer, table_name, source_id NULLS FIRST, expectation, column_name NULLS FIRST
    """
    return [CheckResult(**row) for row in _read(settings, QUALITY_RESULTS, sql)]


def newest_reconciliation(settings: Settings) -> list[Reconciliation]:
    """The newest run's rows by source, period, measure and currency; a run always holds every source and period."""
    sql = """
        SELECT * FROM results WHERE run_id = (SELECT max(run_id) FROM results)
        ORDER BY source_id, billing_period, measure, billing_currency NULLS FIRST
    """
    return [Reconciliation(**row) for row in _read(settings, RECONCILIATION, sql)]


def _read(settings: Settings, spec: TableSpec, sql: str) -> list[dict[str, Any]]:
    # Only the one table that is asked for: a damaged table elsewhere must not blind the quality page.
    connection = open_duckdb(settings)
    try:
        connection.execute(f"CREATE VIEW results AS {Lake(settings).scan_sql(spec.layer, spec.name, spec)}")
        rows: list[dict[str, Any]] = connection.execute(sql).to_arrow_table().to_pylist()
        return rows
    finally:
        connection.close()
