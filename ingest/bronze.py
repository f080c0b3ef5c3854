"""One judged delivery → Parquet files → one commit that replaces its slices in bronze.

Data flow: Opened.select_sql → temp view `delivery` → control totals (judge) → COPY per billing period → Delta commit.

DuckDB writes the files in one bounded pass; before the commit they are read back and must hold the control totals.
Where a slice is a day, the month's file is written anew from its other days and the delivered ones (copy on write).
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from costlake.delta import Lake, NewFile, empty_select, write_parquet
from costlake.errors import CostlakeError, LakeError
from costlake.periods import Clock
from costlake.runs import ControlTotal
from costlake.sql import literal
from costlake.tables import SLICE_PARTITION
from ingest import guards
from ingest.readers import unreadable
from ingest.source import Delivery, LandedObject, Opened, Source

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Judged:
    """A delivery that parsed: what is in it, before any guard compared it with what is there."""

    source_id: str
    source: str
    delivery_id: str
    delivery_key: str
    manifest_hash: str | None
    account_id: str | None
    account_name: str | None
    objects: tuple[LandedObject, ...]
    totals: list[ControlTotal]
    columns: tuple[tuple[str, str], ...]
    extra_columns: tuple[pa.Field, ...]


def judge(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    delivery: Delivery,
    identity: str,
    opened: Opened,
    objects: tuple[LandedObject, ...],
) -> Judged:
    """Parse the whole delivery once for its control totals; every cell must be of its column's type.

    Raises:
        BadValue: naming file, row and column of the first cell that does not parse.
        UnreadableFile: a file breaks off or is not in its format.
    """
    import duckdb

    try:
        if opened.bad_values_sql is not None:
            _refuse_bad_values(connection, source, opened)
        connection.execute(f"CREATE TEMP VIEW delivery AS {opened.select_sql}")
        totals = _control_totals(connection, source) + [
            ControlTotal(period, slice_, None, 0, None, None) for period, slice_ in opened.empty_slices
        ]
        columns = tuple((name, kind) for name, kind, *_ in connection.execute("DESCRIBE delivery").fetchall())
    except duckdb.Error as error:
        raise unreadable(delivery.key, error) from error
    return Judged(
        source_id=delivery.export.id,
        source=source.name,
        delivery_id=identity,
        delivery_key=delivery.key,
        manifest_hash=hashlib.sha256(delivery.manifest).hexdigest() if delivery.manifest else None,
        account_id=delivery.export.billing_account_id,
        account_name=delivery.export.billing_account_name,
        objects=objects,
        totals=totals,
        columns=columns,
        extra_columns=opened.extra_columns,
    )


def write_bronze(lake: Lake, connection: duckdb.DuckDBPyConnection, source: Source, judged: Judged, clock: Clock) -> set[str]:
    """Replace the delivery's slices in one commit; returns the ids of deliveries of which no row is left.

    Raises:
        LakeError: what was written does not read back as what was judged; nothing is committed then.
        ConcurrentWrite: another load committed to the same month meanwhile.
    """
    spec = source.table
    lake.ensure(spec, judged.extra_columns)
    files: list[NewFile] = []
    partitions: list[dict[str, str]] = []
    before: set[str] = set()
    kept: set[str] = set()
    for period in sorted({total.billing_period for total in judged.totals}):
        partition = dict(zip(SLICE_PARTITION, (judged.source_id, period), strict=True))
        slices = sorted({total.slice for total in judged.totals if total.billing_period == period})
        old = lake.files("bronze", spec.name, partition)
        old_ids, kept_ids = _delivery_ids(connection, old, slices)
        before |= old_ids
        kept |= kept_ids
        path = _target(lake, source, judged, partition)
        try:
            _copy(connection, judged, period, slices, old if kept_ids else [], path, clock)
            files.append(NewFile(path, _verify(connection, source, judged, period, path), partition))
        except CostlakeError:
            path.unlink(missing_ok=True)
            raise
        partitions.append(partition)
    metadata = {"delivery_id": judged.delivery_id, "source_id": judged.source_id, "slices": json.dumps(partitions)}
    lake.commit_files(spec, files, list(partitions), metadata, clock.now())
    return before - kept


def _control_totals(connection: duckdb.DuckDBPyConnection, source: Source) -> list[ControlTotal]:
    billed = source.measures.get("billed")
    currency = source.currency_sql or "NULL"
    total = f"sum({billed}), sum(greatest({billed}, 0))" if billed else "NULL, NULL"
    rows = connection.execute(
        f"SELECT _billing_period, _slice, {currency}, count(*), {total} FROM ({_complete(source, 'SELECT * FROM delivery')}) "
        "GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    return [ControlTotal(period, slice_, code, count, billed_, gross) for period, slice_, code, count, billed_, gross in rows]


def _complete(source: Source, select: str) -> str:
    """The rows with every column of the table, NULL where the delivery lacks it: measures may name any of them."""
    return f"{empty_select(source.table.schema)} UNION ALL BY NAME {select}"


def _refuse_bad_values(connection: duckdb.DuckDBPyConnection, source: Source, opened: Opened) -> None:
    assert opened.bad_values_sql is not None
    assert opened.locate_bad_sql is not None
    counted = connection.execute(opened.bad_values_sql).fetchall()
    bad = sorted((column, count) for column, count in counted if count)
    if bad:
        column, count = bad[0]
        key, row_number, value = connection.execute(opened.locate_bad_sql(column)).fetchall()[0]
        kind = source.table.schema.field(column).type if column in source.table.schema.names else "text"
        raise guards.bad_value(key, row_number, column, value, count, f"a {kind}")


def _delivery_ids(connection: duckdb.DuckDBPyConnection, files: list[str], slices: list[str]) -> tuple[set[str], set[str]]:
    """Ids of the deliveries in a month's files, and of those that keep rows when `slices` are replaced."""
    if not files:
        return set(), set()
    rows = connection.execute(
        "SELECT DISTINCT _delivery_id, list_contains($slices, _slice) FROM read_parquet($files, union_by_name = true)",
        {"slices": slices, "files": files},
    ).fetchall()
    return {identity for identity, _ in rows}, {identity for identity, goes in rows if not goes}


def _target(lake: Lake, source: Source, judged: Judged, partition: dict[str, str]) -> Path:
    folder = lake.path("bronze", source.table.name).joinpath(*(f"{column}={value}" for column, value in partition.items()))
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{judged.delivery_id}-{uuid.uuid4().hex[:8]}.parquet"


def _copy(
    connection: duckdb.DuckDBPyConnection,
    judged: Judged,
    period: str,
    slices: list[str],
    old_files: list[str],
    path: Path,
    clock: Clock,
) -> None:
    schema_hash = hashlib.sha256(json.dumps(judged.columns).encode()).hexdigest()[:16]
    constants = {
        "_delivery_id": judged.delivery_id,
        "_manifest_hash": judged.manifest_hash,
        "_schema_hash": schema_hash,
        "_account_id": judged.account_id,
        "_account_name": judged.account_name,
    }
    lineage = ", ".join(f"{literal(value)} AS {name}" for name, value in constants.items())
    moment = f"TIMESTAMPTZ '{clock.now().isoformat()}' AS _ingested_at"
    several = len({total.billing_period for total in judged.totals}) > 1
    where = f"WHERE _billing_period = {literal(period)}" if several else ""
    rows = f"SELECT * EXCLUDE (_billing_period), {lineage}, {moment} FROM delivery {where}"
    if old_files:
        listing = ", ".join(literal(file) for file in old_files)
        gone = ", ".join(literal(slice_) for slice_ in slices)
        rows += (
            f" UNION ALL BY NAME SELECT * FROM read_parquet([{listing}], union_by_name = true, hive_partitioning = false) "
            f"WHERE _slice NOT IN ({gone})"
        )
    write_parquet(connection, rows, path)


def _verify(connection: duckdb.DuckDBPyConnection, source: Source, judged: Judged, period: str, path: Path) -> int:
    """Read back what was written; rows and billed total of the delivery must be the judged ones. Returns all rows."""
    mine = f"FILTER (WHERE _delivery_id = {literal(judged.delivery_id)})"
    billed = f"sum({source.measures['billed']}) {mine}" if "billed" in source.measures else "NULL"
    totals = connection.execute(
        f"SELECT count(*), count(*) {mine}, {billed} FROM ({_complete(source, f'SELECT * FROM read_parquet({literal(str(path))})')})"
    ).fetchall()[0]
    expected = [total for total in judged.totals if total.billing_period == period]
    rows = sum(total.row_count for total in expected)
    amount = sum((total.control_total for total in expected if total.control_total is not None), Decimal(0))
    if totals[1] != rows or (totals[2] is not None and totals[2] != amount):
        raise LakeError(
            f"{totals[1]} rows with {totals[2]} were written",
            where=f"bronze.{source.table.name}, {judged.source_id}, {period}",
            expected=f"{rows} rows with {amount}, as judged",
            next_step="run the ingest again; if it repeats, report it with the delivery's key",
        )
    return int(totals[0])
