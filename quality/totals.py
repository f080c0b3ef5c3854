"""The totals of each layer, read independently of one another.

Data flow: `ops.deliveries` → bill; bronze Delta tables → bronze (summed again); warehouse → FOCUS, marts; all → `quality.reconcile`.
Amounts are in the billing currency, exact in Decimal; nothing here rounds but the cast to FOCUS' 12 decimals, which is
done per row as FOCUS does it.

Not for direct use; see `quality.reconcile`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

import duckdb

from costlake.delta import Lake, open_duckdb
from costlake.errors import ConfigError, LakeError
from costlake.money import FOCUS_SQL_TYPE, at_scale
from costlake.runs import DELIVERIES
from costlake.settings import Settings
from costlake.slices import Slice
from ingest.source import Source
from quality.slices import slice_filter

MONEY_MEASURES = {"billed": ("BilledCost", "billed_cost"), "effective": ("EffectiveCost", "effective_cost")}
_TOKEN_CLASSES = (
    "input_uncached_tokens",
    "input_cache_read_tokens",
    "input_cache_write_5m_tokens",
    "input_cache_write_1h_tokens",
    "output_tokens",
    "input_audio_tokens",
    "input_audio_cache_read_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "input_image_cache_read_tokens",
    "output_image_tokens",
)


@dataclass(frozen=True)
class Key:
    """What is reconciled: one measure of one source, period and currency (None for counts)."""

    source_id: str
    billing_period: str
    measure: str
    billing_currency: str | None = None


@dataclass(frozen=True)
class Summed:
    """A bronze total, and the same with each row cast to FOCUS' 12 decimals first."""

    exact: Decimal
    rounded: Decimal


@dataclass(frozen=True)
class WarehouseTotals:
    """FOCUS and mart totals by key."""

    focus: Mapping[Key, Decimal]
    marts: Mapping[Key, Decimal]


@dataclass(frozen=True)
class TokenTotals:
    """Tokens in the warehouse: by source and period after staging, by provider and period in the mart and in charges."""

    staged: Mapping[tuple[str, str], Decimal]
    marts: Mapping[tuple[str, str], Decimal]
    charges: Mapping[tuple[str, str], Decimal]


def bronze_totals(settings: Settings, sources: Collection[Source], slices: Collection[Slice] | None) -> dict[Key, Summed]:
    """Sum each source's measures over bronze.

    Raises:
        ConfigError: a measure is binary floating point, so its sum would not be exact.
        LakeError: a table cannot be read.
    """
    lake = Lake(settings)
    totals: dict[Key, Summed] = {}
    for source in sources:
        if lake.exists("bronze", source.table.name):
            connection = open_duckdb(settings)
            try:
                connection.execute(f"CREATE VIEW bronze_rows AS {lake.scan_sql('bronze', source.table.name, source.table)}")
                _sum_source(connection, source, slice_filter(slices, "_source_id", "_billing_period"), totals)
            finally:
                connection.close()
    return totals


def _sum_source(connection: duckdb.DuckDBPyConnection, source: Source, condition: str, totals: dict[Key, Summed]) -> None:
    _refuse_floats(connection, source)
    names = list(source.measures)
    sums = "".join(f", sum({source.measures[name]}), sum(CAST({source.measures[name]} AS {FOCUS_SQL_TYPE}))" for name in names)
    currency = source.currency_sql or "CAST(NULL AS VARCHAR)"
    rows = connection.execute(
        f"SELECT _source_id, _billing_period, {currency}, count(*){sums} FROM bronze_rows WHERE {condition} GROUP BY 1, 2, 3"
    ).fetchall()
    for source_id, period, code, count, *amounts in rows:
        counted = Key(source_id, period, "rows")
        so_far = totals[counted].exact if counted in totals else Decimal(0)
        totals[counted] = Summed(so_far + count, so_far + count)
        for name, exact, rounded in zip(names, amounts[::2], amounts[1::2], strict=True):
            key = Key(source_id, period, name, code if name in MONEY_MEASURES else None)
            if exact is not None:
                # A measure that is no money may stand beside rows of several currencies.
                before = totals.get(key, Summed(Decimal(0), Decimal(0)))
                totals[key] = Summed(before.exact + at_scale(Decimal(exact)), before.rounded + Decimal(rounded))


def _refuse_floats(connection: duckdb.DuckDBPyConnection, source: Source) -> None:
    for name, sql in source.measures.items():
        found = str(connection.execute(f"DESCRIBE SELECT {sql} AS measure FROM bronze_rows").fetchall()[0][1])
        if found in ("DOUBLE", "FLOAT"):
            raise ConfigError(
                f"the measure {name!r} is {found}, so its total would not be exact",
                where=f"ingest/sources, source {source.name}, measures",
                expected="an expression of type DECIMAL",
                next_step="multiply by a decimal literal instead of dividing",
            )


def bill_totals(settings: Settings, sources: Collection[Source], slices: Collection[Slice] | None) -> dict[Key, Decimal]:
    """What the ledger says of the slices in force: the totals of each slice's newest `loaded` event.

    A delivery is only ever superseded by one that was loaded into the same slice, so the newest one is in force. Where
    two were loaded at one instant, the one that bronze holds counts.
    """
    lake = Lake(settings)
    scans = [lake.scan_sql("bronze", source.table.name, source.table) for source in sources]
    active = " UNION ALL ".join(f"SELECT DISTINCT _source_id, _billing_period, _slice, _delivery_id FROM ({scan})" for scan in scans)
    connection = open_duckdb(settings)
    try:
        connection.execute(f"CREATE VIEW deliveries AS {lake.scan_sql('ops', 'deliveries', DELIVERIES)}")
        connection.execute(f"CREATE VIEW active AS {active or 'SELECT NULL, NULL, NULL, NULL WHERE false'}")
        rows = connection.execute(_BILL_SQL.format(condition=slice_filter(slices, "source_id", "billing_period"))).fetchall()
    finally:
        connection.close()
    totals: dict[Key, Decimal] = {}
    for source_id, period, currency, row_count, control_total in rows:
        counted = Key(source_id, period, "rows")
        totals[counted] = totals.get(counted, Decimal(0)) + row_count
        if control_total is not None:
            totals[Key(source_id, period, "billed", currency)] = control_total
    return totals


_BILL_SQL = """
WITH events AS (
    SELECT deliveries.*, active._delivery_id IS NOT NULL AS is_active
    FROM deliveries
    LEFT JOIN active
        ON source_id = _source_id AND billing_period = _billing_period AND slice = _slice AND delivery_id = _delivery_id
    WHERE slice IS NOT NULL AND {condition}
),
newest AS (
    SELECT * FROM events WHERE status = 'loaded'
    QUALIFY row_number() OVER (PARTITION BY source_id, billing_period, slice ORDER BY recorded_at DESC, is_active DESC, event_id DESC) = 1
),
-- one control total per currency of the slice
totals AS (
    SELECT DISTINCT events.source_id, events.billing_period, events.slice, events.currency, events.row_count, events.control_total
    FROM events JOIN newest USING (source_id, billing_period, slice, delivery_id, recorded_at)
    WHERE events.status = 'loaded'
)
SELECT source_id, billing_period, currency, sum(row_count), sum(control_total) FROM totals GROUP BY 1, 2, 3
"""


def warehouse_totals(settings: Settings, slices: Collection[Slice] | None) -> WarehouseTotals:
    """Sum FOCUS and `fct_cost_daily` per source, period and currency.

    Raises:
        LakeError: there is no warehouse, or a table is missing in it.
    """
    connection = _open_warehouse(settings)
    try:
        focus = _money_totals(
            connection,
            f"SELECT x_SourceId, x_BillingPeriod, BillingCurrency, count(*), sum(BilledCost), sum(EffectiveCost)"
            f" FROM focus.cost_and_usage WHERE {slice_filter(slices, 'x_SourceId', 'x_BillingPeriod')} GROUP BY 1, 2, 3",
        )
        marts = _money_totals(
            connection,
            f"SELECT source_id, billing_period, billing_currency, sum(line_count), sum(billed_cost), sum(effective_cost)"
            f" FROM marts.fct_cost_daily WHERE {slice_filter(slices, 'source_id', 'billing_period')} GROUP BY 1, 2, 3",
        )
        return WarehouseTotals(focus, marts)
    finally:
        connection.close()


def token_totals(settings: Settings) -> TokenTotals:
    """Sum the tokens of the usage reports after staging and in the token mart.

    Raises:
        LakeError: there is no warehouse, or a table is missing in it.
    """
    classes = " + ".join(f"coalesce({name}, 0)" for name in _TOKEN_CLASSES)
    own = "WHERE host_provider_name = provider_name"  # its models on a cloud are in the cloud's bill
    connection = _open_warehouse(settings)
    try:
        return TokenTotals(
            _pairs(connection, f"SELECT source_id, billing_period, sum({classes}) FROM intermediate.int_token_usage GROUP BY 1, 2"),
            _pairs(
                connection, f"SELECT provider_name, billing_period, sum(tokens) FROM marts.fct_token_economics_daily {own} GROUP BY 1, 2"
            ),
            _pairs(
                connection,
                f"SELECT provider_name, billing_period, sum(consumed_tokens) FROM intermediate.int_ai_charges {own} GROUP BY 1, 2",
            ),
        )
    finally:
        connection.close()


def _open_warehouse(settings: Settings) -> duckdb.DuckDBPyConnection:
    if not settings.warehouse.exists():
        raise LakeError(
            "there is no warehouse",
            where=settings.warehouse.name,
            expected="the DuckDB file that dbt builds",
            next_step="run `costlake transform`",
        )
    return open_duckdb(settings, str(settings.warehouse), read_only=True)


def _query(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[object, ...]]:
    try:
        return connection.execute(sql).fetchall()
    except duckdb.Error as error:
        raise LakeError(
            f"the warehouse cannot be read ({error})",
            where=sql.split(" FROM ", 1)[1].split(" ")[0],
            expected="the tables that dbt builds",
            next_step="run `costlake transform`",
        ) from error


def _money_totals(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[Key, Decimal]:
    totals: dict[Key, Decimal] = {}
    for source_id, period, currency, count, billed, effective in _query(connection, sql):
        counted = Key(str(source_id), str(period), "rows")
        totals[counted] = totals.get(counted, Decimal(0)) + Decimal(str(count))
        for measure, amount in (("billed", billed), ("effective", effective)):
            if isinstance(amount, Decimal):
                totals[Key(str(source_id), str(period), measure, None if currency is None else str(currency))] = amount
    return totals


def _pairs(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[tuple[str, str], Decimal]:
    return {(str(name), str(period)): Decimal(str(total)) for name, period, total in _query(connection, sql) if total is not None}
