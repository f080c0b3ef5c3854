"""Databricks: `system.billing.usage`, priced by `system.billing.list_prices` that lies beside it.

Data flow: `<export>/manifest.json` with files of both tables (Parquet, CSV or JSON lines; each tells its table by its columns) →
bronze.databricks_usage, a usage record with the list price of its time.

These are list dollars, not an invoice: on Azure Microsoft bills the same usage, elsewhere Databricks or a marketplace does, with discounts
that no table knows. So FOCUS gets a list cost and a billed cost of nothing; the invoice comes from who issues it (decision 0026).

Documented (Databricks, billable usage and pricing system tables): the columns; that corrections come as records of type RETRACTION
(negative) and RESTATEMENT, all of which are summed; the join: SKU, cloud and unit, price_start_time ≤ usage_end_time < price_end_time. The
slice is the UTC day of usage_start_time: a day is exported whole, again when it was corrected. `record_id` is unique. Who the usage runs
as becomes a pseudonym.
Run alone: costlake ingest path/to/export-folder --source databricks_usage
"""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from costlake.errors import BadValue, MissingPart
from costlake.tables import BRONZE_MONEY, TEXT, TIMESTAMP, bronze_table
from ingest.handovers import find_handovers
from ingest.readers import unreadable
from ingest.source import Delivery, LandedObject, LoadContext, Opened, Source
from ingest.tabular import Shape

if TYPE_CHECKING:
    import duckdb

_METADATA = ("cluster_id", "job_id", "warehouse_id", "endpoint_name", "endpoint_id", "node_type", "job_name", "budget_policy_id")
_OWN = [
    *(pa.field(name, TEXT) for name in ("record_id", "account_id", "workspace_id", "sku_name", "cloud", "usage_unit", "record_type")),
    *(pa.field(name, TEXT) for name in ("billing_origin_product", "usage_type", "custom_tags", "run_as", *_METADATA)),
    pa.field("usage_start_time", TIMESTAMP),
    pa.field("usage_end_time", TIMESTAMP),
    pa.field("usage_quantity", BRONZE_MONEY),
]
_PRICED = [
    pa.field("list_price", BRONZE_MONEY),
    pa.field("list_price_currency", TEXT),
    pa.field("price_start_time", TIMESTAMP),
]
_TABLE = bronze_table("databricks_usage", [*_OWN, *_PRICED])
_USAGE = Shape(
    bronze_table("databricks_usage", _OWN).schema,
    frozenset({"record_id", "sku_name", "cloud", "usage_unit", "usage_quantity", "usage_start_time", "usage_end_time"}),
    "the columns of system.billing.usage",
    day="usage_start_time",
    spellings={f"usage_metadata.{name}": name for name in _METADATA} | {"identity_metadata.run_as": "run_as"},
    people=("run_as",),
    identity=("record_id",),
)
_PRICES = Shape(
    bronze_table(
        "databricks_prices",
        [
            *(pa.field(name, TEXT) for name in ("sku_name", "cloud", "usage_unit", "currency_code")),
            pa.field("price_start_time", TIMESTAMP),
            pa.field("price_end_time", TIMESTAMP),
            pa.field("list_price", BRONZE_MONEY),
            pa.field("effective_list_price", BRONZE_MONEY),
        ],
    ).schema,
    frozenset({"sku_name", "cloud", "usage_unit", "price_start_time", "list_price"}),
    "the columns of system.billing.list_prices",
    day="price_start_time",
    spellings={"pricing.default": "list_price", "pricing.effective_list.default": "effective_list_price"},
    identity=("sku_name", "cloud", "usage_unit", "currency_code", "price_start_time"),
)


def open_delivery(context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    """The usage with its list prices.

    Raises:
        MissingPart: one of the two tables is not there. BadValue: a usage record that no price, or more than one, is in force for.
    """
    prices = tuple(landed for landed in objects if _is_price_list(landed))
    usage = tuple(landed for landed in objects if landed not in prices)
    if not prices or not usage:
        raise MissingPart(
            f"the delivery has no file of system.billing.{'usage' if prices else 'list_prices'}",
            where=delivery.key,
            expected="both tables in one folder: usage without prices has no cost that could be told",
            next_step="export both tables and name all files in the manifest",
        )
    listed, used = _PRICES.open(context, delivery, prices), _USAGE.open(context, delivery, usage)
    connection = context.connection
    _refuse_bad(connection, listed)
    select = (
        f"SELECT used.*, coalesce(listed.effective_list_price, listed.list_price) AS list_price, "
        "coalesce(listed.currency_code, 'USD') AS list_price_currency, listed.price_start_time "
        f"FROM ({used.select_sql}) used LEFT JOIN ({listed.select_sql}) listed ON used.sku_name = listed.sku_name "
        "AND used.cloud = listed.cloud AND used.usage_unit = listed.usage_unit AND listed.price_start_time <= used.usage_end_time "
        "AND (listed.price_end_time IS NULL OR used.usage_end_time < listed.price_end_time)"
    )
    opened = replace(used, select_sql=select)
    _refuse_bad(connection, opened)
    _refuse_unpriced(connection, select, delivery.key)
    return opened


def _is_price_list(landed: LandedObject) -> bool:
    try:
        return _PRICES.recognises(landed.path)
    # what a broken file does to the readers of text, JSON, CSV and Parquet
    except (ValueError, OSError, EOFError, RecursionError, csv.Error, pa.ArrowException) as error:
        raise unreadable(landed.key, error) from error


def _refuse_bad(connection: duckdb.DuckDBPyConnection, opened: Opened) -> None:
    """A cell that does not parse, before rows are joined by it."""
    assert opened.bad_values_sql is not None
    assert opened.locate_bad_sql is not None
    bad = [(column, count) for column, count in connection.execute(opened.bad_values_sql).fetchall() if column and count]
    for column, count in sorted(bad)[:1]:
        place, row, _ = connection.execute(opened.locate_bad_sql(column)).fetchall()[0]
        raise BadValue(
            f"{count} cell(s) of column {column} do not parse",
            where=f"{place}, row {row}, column {column}",
            expected="a value of the column's documented type",
            next_step="export the table again; nothing of it was loaded",
        )


def _refuse_unpriced(connection: duckdb.DuckDBPyConnection, select: str, key: str) -> None:
    found = connection.execute(
        f"SELECT sku_name, cloud, usage_unit, count(*), count(DISTINCT record_id), count(list_price) FROM ({select}) GROUP BY 1, 2, 3 "
        "HAVING count(list_price) < count(*) OR count(*) > count(DISTINCT record_id) ORDER BY ALL LIMIT 1"
    ).fetchall()
    for sku, cloud, unit, rows, records, priced in found:
        raise BadValue(
            f"SKU {sku} on {cloud} in {unit}: {records} record(s) have {priced} price(s) in force",
            where=f"{key}, {rows} row(s)",
            expected="one list price at usage_end_time for each record, in one currency",
            next_step="export system.billing.list_prices whole, in the account's currency, together with the usage",
        )


SOURCES = (
    Source(
        name="databricks_usage",
        provider="Databricks",
        title="Databricks billable usage at list prices",
        table=_TABLE,
        feeds="focus",
        formats="Parquet, CSV or JSON lines of usage and list_prices with manifest.json",
        documentation="Databricks, system tables: billable usage and pricing",
        find=find_handovers,
        open=open_delivery,
        recognises=_USAGE.recognises,
        # the table invoices nothing: see above
        measures={"billed": "CAST(0 AS DECIMAL(38, 18))", "effective": "CAST(0 AS DECIMAL(38, 18))"},
        currency_sql="list_price_currency",
        unit_sql=("sku_name", "usage_unit"),
    ),
)
