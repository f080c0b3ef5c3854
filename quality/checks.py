"""Runs the suites of a layer, writes every result, then stops if something that must hold does not.

Data flow: bronze Delta tables or the warehouse → `quality.engine` → `ops.quality_results` → QualityError.
Run alone: costlake quality bronze; costlake quality marts
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from costlake.delta import Lake, open_duckdb
from costlake.errors import LakeError, QualityError
from costlake.periods import Clock
from costlake.settings import Settings
from costlake.slices import Slice
from costlake.sql import literal
from ingest.source import all_sources
from quality.gpu_rules import CHECKED_HOURS, telemetry_suite
from quality.ledger import CheckResult, Layer, Severity, write_checks
from quality.rules import Suite
from quality.slices import slice_filter
from quality.suites import bronze_suite, marts_suites

if TYPE_CHECKING:
    from quality.engine import Engine

_NAMED_FAILURES = 5


@dataclass(frozen=True)
class _Run:
    run_id: str
    checked_at: dt.datetime
    layer: Layer

    def result(self, suite: Suite, source_id: str | None, expectation: str, observed: str, next_step: str) -> CheckResult:
        """A failed result for a batch that could not be looked at."""
        return CheckResult(
            self.run_id, self.checked_at, self.layer, suite.table_name, source_id, suite.name, expectation, None, "fail",
            False, None, None, observed, next_step,
        )  # fmt: skip


def run(
    settings: Settings,
    layer: Layer,
    clock: Clock,
    run_id: str | None = None,
    slices: Collection[Slice] | None = None,
) -> list[CheckResult]:
    """Check a layer; the results of all sources are in the ledger before anything is raised.

    Args:
        settings: where the lake and the warehouse are.
        layer: `bronze` looks at each export's rows, `marts` at FOCUS and the marts in the warehouse.
        clock: gives the time of the check, against which freshness is judged.
        run_id: the run in `ops.runs` that this belongs to; a new one if not given.
        slices: bronze only: look at these alone and leave freshness out. Slices that bronze
            does not hold are passed over; `quality.reconcile` finds them.

    Returns:
        The results, passed and warned ones.

    Raises:
        QualityError: a rule of severity `fail` does not hold; it names the sources concerned and the first failures.
    """
    this = _Run(run_id or uuid.uuid4().hex, clock.now(), layer)
    results = list(_check_bronze(settings, this, slices) if layer == "bronze" else _check_marts(settings, this))
    write_checks(settings, results)
    _raise_failures(results)
    return results


def failed_sources(results: list[CheckResult]) -> list[str]:
    """The exports (or, in the marts, the tables) of which something of severity `fail` does not hold."""
    return sorted({result.source_id or result.table_name for result in results if result.status == "fail"})


def _check_bronze(settings: Settings, this: _Run, slices: Collection[Slice] | None) -> Iterator[CheckResult]:
    from quality.engine import Engine

    lake = Lake(settings)
    engine = Engine(open_duckdb(settings))
    delivered = False
    try:
        for source in all_sources().values():
            suite = bronze_suite(source, this.checked_at if slices is None else None)
            try:
                exports = sorted({partition["_source_id"] for partition in lake.partitions("bronze", source.table.name)})
                delivered = delivered or bool(exports)
                wanted = [export for export in exports if slices is None or any(export == each.source_id for each in slices)]
                scan = lake.scan_sql("bronze", source.table.name, source.table)
                yield from _check_exports(engine, this, suite, scan, wanted, slices)
            except LakeError as error:
                delivered = True
                yield this.result(suite, source.name, "table_is_readable", error.what, error.next_step)
        if slices is None:
            yield from _check_telemetry(engine, this, lake)
    finally:
        engine.close()
    if not delivered:
        yield this.result(Suite("bronze", "bronze", "bronze", ()), None, "has_rows", "no bronze table has rows", "run `costlake ingest`")


def _check_telemetry(engine: Engine, this: _Run, lake: Lake) -> Iterator[CheckResult]:
    """The newest hours of the stream's table; nothing where no message ever came."""
    suite = telemetry_suite(this.checked_at)
    layer, name = suite.table_name.split(".")
    try:
        hours = sorted({partition["event_hour"] for partition in lake.partitions(layer, name)})[-CHECKED_HOURS:]
        if not hours:
            return
        listed = ", ".join(literal(hour) for hour in hours)
        engine.connection.execute(
            f"CREATE VIEW {suite.name} AS SELECT * FROM ({lake.scan_sql(layer, name)}) WHERE event_hour IN ({listed})"
        )
    except (LakeError, duckdb.Error) as error:
        yield this.result(suite, name, "table_is_readable", f"{error}", "look at the stream's sink, or restore the file")
        return
    yield from _validated(engine, this, suite, suite.name, name)


def _check_exports(
    engine: Engine, this: _Run, suite: Suite, scan: str, exports: list[str], slices: Collection[Slice] | None
) -> Iterator[CheckResult]:
    for number, export in enumerate(exports):
        view = f"{suite.name}_{number}"
        condition = f"_source_id = {literal(export)} AND {slice_filter(slices, '_source_id', '_billing_period')}"
        try:
            engine.connection.execute(f"CREATE VIEW {view} AS SELECT * FROM ({scan}) WHERE {condition}")
        except duckdb.Error as error:
            yield this.result(suite, export, "table_is_readable", f"{error}", "restore the file, or load the slice again")
            continue
        yield from _validated(engine, this, suite, view, export)


def _check_marts(settings: Settings, this: _Run) -> Iterator[CheckResult]:
    from quality.engine import Engine

    if not settings.warehouse.exists():
        raise LakeError(
            "there is no warehouse",
            where=settings.warehouse.name,
            expected="the DuckDB file that dbt builds",
            next_step="run `costlake transform`",
        )
    connection = open_duckdb(settings, str(settings.warehouse), read_only=True)
    present = {
        f"{schema}.{table}"
        for schema, table in connection.execute("SELECT table_schema, table_name FROM information_schema.tables").fetchall()
    }
    engine = Engine(connection)
    try:
        for suite in marts_suites():
            if suite.table_name in present:
                yield from _validated(engine, this, suite, suite.table_name, None)
            else:
                yield this.result(suite, None, "table_exists", "the table is not in the warehouse", "run `costlake transform`")
    finally:
        engine.close()


def _validated(engine: Engine, this: _Run, suite: Suite, view: str, source_id: str | None) -> Iterator[CheckResult]:
    for outcome in engine.validate(view, suite):
        severity: Severity = outcome.rule.severity
        yield CheckResult(
            run_id=this.run_id,
            checked_at=this.checked_at,
            layer=this.layer,
            table_name=suite.table_name,
            source_id=source_id,
            suite=suite.name,
            expectation=outcome.rule.name,
            column_name=outcome.rule.column,
            severity=severity,
            success=outcome.success,
            unexpected_count=outcome.unexpected_count,
            element_count=outcome.element_count,
            observed=outcome.observed,
            next_step=outcome.rule.next_step,
        )


def _raise_failures(results: list[CheckResult]) -> None:
    failures = [result for result in results if result.status == "fail"]
    if not failures:
        return
    lines = [
        f"{result.source_id or result.table_name}: suite {result.suite}, {result.expectation}: {result.observed}"
        for result in failures[:_NAMED_FAILURES]
    ]
    if len(failures) > _NAMED_FAILURES:
        lines.append(f"and {len(failures) - _NAMED_FAILURES} more in ops.quality_results, run {failures[0].run_id}")
    raise QualityError(
        f"{len(failures)} expectation(s) do not hold; failed: {', '.join(failed_sources(results))}",
        where="\n             ".join(lines),
        expected="every expectation of severity fail holds",
        next_step=failures[0].next_step,
    )
