"""Bronze tables in a scratch DuckDB, typed as the lake types them: what the dbt tests build on.

Data flow: rows written here (dicts) or a vendor file → bronze.<table> → dbt.
Alone: `create_bronze(connection)` then `insert(connection, "aws_cur2", rows)`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import duckdb

from costlake.periods import FixedClock
from costlake.pricerules import load_rules
from costlake.prices import PRICE_BOOK, table_of, wanted_of
from costlake.rates import EXCHANGE_RATES
from costlake.settings import Settings
from costlake.sql import empty_select, sql_type
from ingest.source import all_sources

TABLES: dict[str, dict[str, str]] = {
    source.table.name: {field.name: sql_type(field.type) for field in source.table.schema} for source in all_sources().values()
}


def create_bronze(connection: duckdb.DuckDBPyConnection, dynamic: Mapping[str, Sequence[str]] | None = None) -> None:
    """Create every bronze table, empty; `dynamic` adds text columns to a table (legacy CUR tags)."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("CREATE SCHEMA IF NOT EXISTS bronze")
    for table, columns in TABLES.items():
        typed = columns | dict.fromkeys((dynamic or {}).get(table, ()), "VARCHAR")
        listing = ", ".join(f'"{name}" {kind}' for name, kind in typed.items())
        connection.execute(f"CREATE OR REPLACE TABLE bronze.{table} ({listing})")
    connection.execute("CREATE SCHEMA IF NOT EXISTS ops")
    for spec in (EXCHANGE_RATES, PRICE_BOOK):
        connection.execute(f"CREATE OR REPLACE TABLE ops.{spec.name} AS {empty_select(spec.schema)}")


def fill_price_book(connection: duckdb.DuckDBPyConnection, models: Collection[tuple[str, str]]) -> None:
    """Put the prices of (provider of the list, model) into ops.price_book, as the first run of `costlake prices` would."""
    rules = load_rules(Settings.load())
    written = {key: entries for model in sorted(models) for key, entries in wanted_of(model, rules, ()).items()}
    book = table_of(written, {}, (), rules, FixedClock(dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC)))
    connection.execute("INSERT INTO ops.price_book SELECT * FROM book")
    assert book.num_rows


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append rows; a column that a row does not name is NULL."""
    for row in rows:
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" for _ in row)
        connection.execute(f"INSERT INTO bronze.{table} ({names}) VALUES ({marks})", list(row.values()))


def load_legacy_file(connection: duckdb.DuckDBPyConnection, relation: str, source_id: str, period: str) -> None:
    """A vendor's legacy CUR, already with normalised names (`relation` is SQL), into bronze.aws_cur as the lake would hold it."""
    described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    delivered = [row[0] for row in described]
    declared = TABLES["aws_cur"]
    dynamic = [name for name in delivered if name not in declared and name.startswith(("product_", "resource_tags_", "cost_category_"))]
    create_bronze(connection, {"aws_cur": dynamic})
    types = declared | dict.fromkeys(dynamic, "VARCHAR")
    picked = {name: _cast(name, types[name]) for name in delivered if name in types}
    lineage = {
        "_source_id": f"'{source_id}'",
        "_billing_period": f"'{period}'",
        "_slice": f"'{period}'",
        "_delivery_id": "'delivery-1'",
        "_object_key": "'cur-00001'",
        "_row_number": "row_number() OVER ()",
    }
    columns = lineage | picked
    names = ", ".join(f'"{name}"' for name in columns)
    connection.execute(f"INSERT INTO bronze.aws_cur ({names}) SELECT {', '.join(columns.values())} FROM {relation}")


def _cast(name: str, kind: str) -> str:
    text = f"NULLIF(CAST(\"{name}\" AS VARCHAR), '')"
    if kind == "TIMESTAMPTZ":
        return f"CAST(CAST({text} AS TIMESTAMP) AS TIMESTAMPTZ)"
    return text if kind == "VARCHAR" else f"CAST({text} AS {kind})"
