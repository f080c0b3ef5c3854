"""The warehouse's FOCUS table and marts → Delta tables, and the DuckDB file for BI tools.

Data flow: lake/warehouse.duckdb → focus/cost_and_usage, marts/* (Delta, one commit each) → lake/serving/costlake.duckdb.

Only what reconciled gets here: the command runs after `reconcile`, which raises otherwise. Only changed partitions are
written. The BI file is replaced whole by a rename, so that a reader never sees half of it.
Run alone: costlake publish
"""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from costlake import slices
from costlake.datafiles import NewFile
from costlake.delta import Lake, open_duckdb, write_parquet
from costlake.errors import LakeError, ReconciliationError
from costlake.periods import Clock
from costlake.settings import Settings
from costlake.slices import Slice, Work
from costlake.sql import identifier, literal, sql_type
from costlake.tables import TableSpec
from costlake.transform import warehouse_lock

if TYPE_CHECKING:
    import duckdb

PUBLISHED_SCHEMAS = ("focus", "marts")
_LAYER = "published"
# The columns that a table may be partitioned by, the first that it has: replaced together with the slice or the month.
_PARTITIONS = (("x_SourceId", "x_BillingPeriod"), ("source_id", "billing_period"), ("billing_period",))


@dataclass(frozen=True)
class PublishResult:
    """Tables written, with their new version; empty when nothing had changed."""

    versions: dict[str, int]
    serving: Path


def run(settings: Settings, clock: Clock) -> PublishResult:
    """Publish what changed since the last time; a second run writes nothing.

    Raises:
        LakeError: there is no built warehouse.
        ReconciliationError: the newest reconciliation failed, or is not about what the warehouse holds now.
        ConcurrentWrite: a transform or another publish is at work.
    """
    lake = Lake(settings)
    versions: dict[str, int] = {}
    with warehouse_lock(settings):
        connection = _warehouse(settings)
        try:
            wanted = slices.built(connection, "marts")
            work = slices.compare(wanted, slices.built(connection, _LAYER))
            tables = _tables(connection)
            _require_reconciled(lake, connection)
            if work or any(not lake.exists(schema, name) for schema, name in tables):
                whole = {(s, n) for s, n in tables if not lake.exists(s, n)}
                for schema, name in tables:
                    scope = slices.everything(wanted) if (schema, name) in whole else work
                    versions[f"{schema}.{name}"] = _publish_table(lake, connection, schema, name, scope, clock)
                slices.mark_built(connection, _LAYER, wanted)
            connection.execute("CHECKPOINT")
        finally:
            connection.close()
        if versions or not settings.serving.exists():
            _replace_serving(settings, lake)
    return PublishResult(versions, settings.serving)


def serve(settings: Settings) -> Path:
    """Put today's insights tables into the BI file; its FOCUS table and marts stay as published."""
    lake = Lake(settings)
    with warehouse_lock(settings):
        if not settings.serving.exists():
            raise LakeError(
                "there is no BI file yet",
                where=f"{settings.serving.parent.name}/{settings.serving.name}",
                expected="a published lake",
                next_step="run `costlake publish` first",
            )
        if _served(settings) != _insights_versions(lake):
            _rewrite_serving(settings, lake, settings.serving, drop=())
    return settings.serving


def _insights_versions(lake: Lake) -> dict[str, int | None]:
    return {name: lake.version("insights", name) for name in lake.tables("insights")}


def _served(settings: Settings) -> dict[str, int | None]:
    """The versions of the insights tables that the BI file holds."""
    connection = open_duckdb(settings, str(settings.serving), read_only=True)
    try:
        return dict(connection.execute("SELECT name, version FROM insights._versions").fetchall())
    finally:
        connection.close()


def _require_reconciled(lake: Lake, connection: duckdb.DuckDBPyConnection) -> None:
    """The newest reconciliation is exact and its FOCUS totals are those of the warehouse: a transform after it counts."""
    reconciled: dict[tuple[str, str, str], tuple[object, str]] = {}
    if lake.exists("ops", "reconciliation"):
        ledger = lake.connect()
        rows = ledger.execute(
            "SELECT source_id, billing_period, billing_currency, focus_total, status FROM ops.reconciliation "
            "WHERE measure = 'billed' AND run_id = (SELECT max(run_id) FROM ops.reconciliation)"
        ).fetchall()
        ledger.close()
        reconciled = {(source, period, currency): (total, status) for source, period, currency, total, status in rows}
    present = connection.execute(
        "SELECT x_SourceId, x_BillingPeriod, BillingCurrency, sum(BilledCost) FROM focus.cost_and_usage GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    for source, period, currency, total in present:
        checked, status = reconciled.get((source, period, currency), (None, "not reconciled"))
        if status != "exact" or checked != total:
            raise ReconciliationError(
                f"the warehouse holds {total} {currency}, the newest reconciliation says {checked} ({status})",
                where=f"{source}, {period}",
                expected="an exact reconciliation of what is to be published",
                next_step="run `costlake reconcile` and mend what it names; what was published before stays",
            )


def _publish_table(lake: Lake, connection: duckdb.DuckDBPyConnection, schema: str, name: str, work: Work, clock: Clock) -> int:
    spec = _spec(connection, schema, name)
    lake.ensure(spec)
    if not spec.partition_by:
        rows = connection.execute(f"SELECT * FROM {schema}.{name}").to_arrow_table()
        lake.overwrite(spec, rows)
        return lake.version(schema, name) or 0
    gone = _partition_values(spec, (*work.changed, *work.dead))
    present = {tuple(row) for row in _distinct(connection, schema, name, spec)}
    columns = _columns(lake, spec)
    files = [
        _copy(connection, lake, spec, columns, dict(zip(spec.partition_by, values, strict=True)))
        for values in gone
        if tuple(values) in present
    ]
    seen = lake.snapshot(schema, name)
    replaced = [old for old in seen.files if tuple(old.partition[column] for column in spec.partition_by) in {tuple(v) for v in gone}]
    return lake.commit_files(spec, seen, files, replaced, {"published_from": "warehouse"}, clock.now())


def _columns(lake: Lake, spec: TableSpec) -> str:
    """What a file of a partition holds. A column keeps the type that it was published with: readers do not agree on files of two types."""
    published = {field.name: field.type for field in lake.schema(spec.layer, spec.name)}
    other = [field.name for field in spec.schema if field.name not in spec.partition_by and field.type != published[field.name]]
    casts = ", ".join(f"CAST({identifier(name)} AS {sql_type(published[name])}) AS {identifier(name)}" for name in other)
    hidden = ", ".join(identifier(column) for column in spec.partition_by)
    return f"* EXCLUDE ({hidden})" + (f" REPLACE ({casts})" if casts else "")


def _copy(connection: duckdb.DuckDBPyConnection, lake: Lake, spec: TableSpec, columns: str, partition: dict[str, str]) -> NewFile:
    path = lake.new_path(spec, partition, uuid.uuid4().hex)
    where = " AND ".join(f'"{column}" = {literal(value)}' for column, value in partition.items())
    rows = write_parquet(connection, f"SELECT {columns} FROM {spec.layer}.{spec.name} WHERE {where}", path)
    return NewFile(path, rows, partition)


def _partition_values(spec: TableSpec, touched: tuple[Slice, ...]) -> list[tuple[str, ...]]:
    if len(spec.partition_by) == 1:
        return sorted({(slice_.billing_period,) for slice_ in touched})
    return sorted({(slice_.source_id, slice_.billing_period) for slice_ in touched})


def _distinct(connection: duckdb.DuckDBPyConnection, schema: str, name: str, spec: TableSpec) -> list[tuple[str, ...]]:
    columns = ", ".join(f'"{column}"' for column in spec.partition_by)
    return connection.execute(f"SELECT DISTINCT {columns} FROM {schema}.{name}").fetchall()


def _spec(connection: duckdb.DuckDBPyConnection, schema: str, name: str) -> TableSpec:
    arrow = connection.execute(f"SELECT * FROM {schema}.{name} LIMIT 0").to_arrow_table().schema
    partition = next((columns for columns in _PARTITIONS if set(columns) <= set(arrow.names)), ())
    return TableSpec(schema, name, arrow, partition)


def _tables(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    rows = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE list_contains(?, schema_name) ORDER BY ALL", [list(PUBLISHED_SCHEMAS)]
    ).fetchall()
    return [(str(schema), str(name)) for schema, name in rows]


def _warehouse(settings: Settings) -> duckdb.DuckDBPyConnection:
    if not settings.warehouse.exists():
        raise LakeError(
            "there is no warehouse",
            where=settings.warehouse.name,
            expected="a warehouse built by dbt",
            next_step="run `costlake transform` first",
        )
    return open_duckdb(settings, str(settings.warehouse))


def _replace_serving(settings: Settings, lake: Lake) -> None:
    # Views over bronze, dbt's working tables and the bookkeeping are nobody's business in the BI tool.
    _rewrite_serving(settings, lake, settings.warehouse, drop=("staging", "intermediate", "bronze", "ops", "seeds", "meta"))


def _rewrite_serving(settings: Settings, lake: Lake, origin: Path, drop: tuple[str, ...]) -> None:
    settings.serving.parent.mkdir(parents=True, exist_ok=True)
    partial = settings.serving.with_name(f".{settings.serving.name}.{uuid.uuid4().hex[:8]}")
    try:
        shutil.copyfile(origin, partial)
        connection = open_duckdb(settings, str(partial))
        try:
            for schema in drop:
                connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            connection.execute("CREATE SCHEMA IF NOT EXISTS insights")
            for name in lake.tables("insights"):
                connection.execute(f"CREATE OR REPLACE TABLE insights.{name} AS {lake.scan_sql('insights', name)}")
            connection.execute("CREATE OR REPLACE TABLE insights._versions (name VARCHAR, version BIGINT)")
            for name, version in _insights_versions(lake).items():
                connection.execute("INSERT INTO insights._versions VALUES (?, ?)", [name, version])
            connection.execute("CHECKPOINT")
        finally:
            connection.close()
        partial.replace(settings.serving)
    finally:
        partial.unlink(missing_ok=True)
