"""One judged delivery → Parquet files → one commit that replaces its slices in bronze.

Data flow: Opened.select_sql → temp view `delivery` → control totals (judge) → COPY per billing period → Delta commit.

DuckDB writes the files in one bounded pass; before the commit they are read back and must hold the control totals.
A delivery adds a file to each month that it has rows of. Files that held rows of its slices leave, whatever their month; what
else stood in them is written anew (copy on write). A new slice rewrites nothing.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import duckdb
import pyarrow as pa

from costlake.datafiles import NewFile
from costlake.delta import Lake, write_parquet
from costlake.errors import LakeError
from costlake.periods import Clock
from costlake.runs import ControlTotal
from costlake.sql import empty_select, literal
from costlake.tables import SLICE_PARTITION
from ingest import guards
from ingest.readers import unreadable
from ingest.rewrite import SLICE, Touched, remaining_sql, touched_files
from ingest.source import Delivery, LandedObject, Opened, Source


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


def write_bronze(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    judged: Judged,
    clock: Clock,
    settle: Callable[[], None],
) -> set[tuple[str, str]]:
    """Replace the delivery's slices in one commit, in whatever months their former rows stood.

    Args:
        lake, connection, source, judged, clock: where, and what `judge` found.
        settle: puts the delivery's bytes into landing; called when every row is written and compared, before the commit.

    Returns:
        (billing period, slice) of the rows that were there and of which the delivery has none.

    Raises:
        LakeError: what was written does not read back as what was judged; nothing is committed then.
        UnreadableFile: a cell that no total needed cannot be read (text that is no UTF-8).
        ConcurrentWrite: another load committed to one of the months meanwhile.
    """
    spec = source.table
    lake.ensure(spec, judged.extra_columns)
    seen = lake.snapshot("bronze", spec.name, {"_source_id": judged.source_id})
    slices = sorted({total.slice for total in judged.totals})
    touched = touched_files(connection, seen.files, slices)
    new = _Writing(lake, connection, source, judged, clock)
    try:
        for period in sorted({total.billing_period for total in judged.totals if total.row_count}):
            new.delivered(period)
        for period in sorted({each.period for each in touched if each.stays}):
            new.remaining(period, [each for each in touched if each.period == period and each.stays], slices)
        settle()
    except BaseException:
        for file in new.files:
            file.path.unlink(missing_ok=True)
        raise
    periods = sorted({file.partition["_billing_period"] for file in new.files} | {each.period for each in touched})
    metadata = {
        "delivery_id": judged.delivery_id,
        "source_id": judged.source_id,
        "slices": json.dumps(slices),
        "periods": json.dumps(periods),
    }
    # A slice that is not one month can turn up in any: two loads of it must not meet in different months unseen.
    claims = [] if slices == periods else [f"slices/{judged.source_id}"]
    lake.commit_files(spec, seen, new.files, [each.file for each in touched], metadata, clock.now(), claims)
    delivered = {(total.billing_period, total.slice) for total in judged.totals}
    return {(each.period, slice_) for each in touched for slice_ in each.gone} - delivered


class _Writing:
    """The files that a delivery brings into being; each is read back before it counts."""

    def __init__(self, lake: Lake, connection: duckdb.DuckDBPyConnection, source: Source, judged: Judged, clock: Clock) -> None:
        self._connection, self._source, self._judged, self._clock = connection, source, judged, clock
        self._lake = lake
        self.files: list[NewFile] = []

    def delivered(self, period: str) -> None:
        """The delivery's rows of a month."""
        totals = [total for total in self._judged.totals if total.billing_period == period and total.row_count]
        rows = sum(total.row_count for total in totals)
        amount = sum((total.control_total for total in totals if total.control_total is not None), Decimal(0))
        slices = sorted({total.slice for total in totals})
        try:
            self._write(period, _delivered_sql(self._judged, period, self._clock), rows, amount, slices)
        except duckdb.Error as error:
            raise unreadable(self._judged.delivery_key, error) from error

    def remaining(self, period: str, touched: Sequence[Touched], replaced: Sequence[str]) -> None:
        """The rows that stay of a month's files that lose others."""
        stays = remaining_sql(touched, replaced)
        _, amount = self._totals(stays)
        rows = sum(count for each in touched for count in each.stays.values())
        slices = sorted({slice_ for each in touched for slice_ in each.stays})
        self._write(period, stays, rows, amount, slices)

    def _write(self, period: str, select: str, rows: int, amount: Decimal | None, slices: Sequence[str]) -> None:
        partition = dict(zip(SLICE_PARTITION, (self._judged.source_id, period), strict=True))
        path = self._lake.new_path(self._source.table, partition, f"{self._judged.delivery_id}-{uuid.uuid4().hex[:8]}")
        self.files.append(NewFile(path, rows, partition, {SLICE: (slices[0], slices[-1])}))
        write_parquet(self._connection, select, path)
        found, total = self._totals(f"SELECT * FROM read_parquet({literal(str(path))}, hive_partitioning = false)")
        if found != rows or (total is not None and total != amount):
            raise LakeError(
                f"{found} rows with {total} were written",
                where=f"bronze.{self._source.table.name}, {self._judged.source_id}, {period}",
                expected=f"{rows} rows with {amount}, as judged",
                next_step="run the ingest again; if it repeats, report it with the delivery's key",
            )

    def _totals(self, select: str) -> tuple[int, Decimal | None]:
        billed = f"sum({self._source.measures['billed']})" if "billed" in self._source.measures else "NULL"
        count, amount = self._connection.execute(f"SELECT count(*), {billed} FROM ({_complete(self._source, select)})").fetchall()[0]
        return int(count), amount


def _control_totals(connection: duckdb.DuckDBPyConnection, source: Source) -> list[ControlTotal]:
    """One pass over the files: what each slice holds, by SKU and unit too, for `ingest.units` (temp table `delivery_totals`)."""
    billed = source.measures.get("billed")
    currency = source.currency_sql or "CAST(NULL AS VARCHAR)"
    sku, unit = source.unit_sql or ("NULL", "NULL")
    total = f"sum({billed}) AS billed, sum(greatest({billed}, 0)) AS gross" if billed else "NULL AS billed, NULL AS gross"
    connection.execute(
        f"CREATE TEMP TABLE delivery_totals AS SELECT _billing_period, _slice, {currency} AS currency, {sku} AS sku, {unit} AS unit, "
        f"count(*) AS row_count, {total} FROM ({_complete(source, 'SELECT * FROM delivery')}) GROUP BY ALL"
    )
    rows = connection.execute(
        "SELECT _billing_period, _slice, currency, sum(row_count)::BIGINT, sum(billed), sum(gross) FROM delivery_totals GROUP BY 1, 2, 3 "
        "ORDER BY 1, 2, 3"
    ).fetchall()
    return [ControlTotal(period, slice_, code, count, billed_, gross) for period, slice_, code, count, billed_, gross in rows]


def _complete(source: Source, select: str) -> str:
    """The rows with every column of the table, NULL where the delivery lacks it: measures may name any of them."""
    return f"{empty_select(source.table.schema)} UNION ALL BY NAME {select}"


def _refuse_bad_values(connection: duckdb.DuckDBPyConnection, source: Source, opened: Opened) -> None:
    assert opened.bad_values_sql is not None
    assert opened.locate_bad_sql is not None
    counted = dict(connection.execute(opened.bad_values_sql).fetchall())
    rows = counted.pop("", 0)
    if opened.check_rows is not None:
        opened.check_rows(rows)
    bad = sorted((column, count) for column, count in counted.items() if count)
    if bad:
        column, count = bad[0]
        key, row_number, value = connection.execute(opened.locate_bad_sql(column)).fetchall()[0]
        kind = source.table.schema.field(column).type if column in source.table.schema.names else "text"
        raise guards.bad_value(key, row_number, column, value, count, f"a {kind}")


def _delivered_sql(judged: Judged, period: str, clock: Clock) -> str:
    """The delivery's rows of a month with the lineage that is the same for all of them."""
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
    return f"SELECT * EXCLUDE (_billing_period), {lineage}, {moment} FROM delivery {where}"
