"""Persons' ids in a file → their pseudonyms, with one call of Python per person instead of one per row.

Data flow: distinct values of a column → `ingest.pages.pseudonym` (keyed by the export) → a small table in DuckDB → joined to the rows.

The same person of the same export has the same pseudonym whatever file named him (law 10, decision 0005).
Not for direct use; see `ingest.tabular`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from costlake.config import Export
from costlake.sql import identifier, literal
from costlake.tables import TEXT
from ingest.pages import pseudonym
from ingest.readers import Scan

if TYPE_CHECKING:
    import duckdb

_NAMES = "persons"


def stand_ins(connection: duckdb.DuckDBPyConnection, from_sql: str, expressions: Iterable[str], export: Export) -> str:
    """A table (person, stand_in) of everybody named by these text expressions over `from_sql`; its name."""
    listed = list(expressions)
    named = " UNION ".join(f"SELECT {sql} AS person FROM {from_sql}" for sql in listed) or "SELECT NULL AS person"
    found = [
        person for (person,) in connection.execute(f"SELECT DISTINCT person FROM ({named}) WHERE nullif(person, '') IS NOT NULL").fetchall()
    ]
    table = pa.table({"person": pa.array(found, TEXT), "stand_in": pa.array([pseudonym(export, person) for person in found], TEXT)})
    number = len(connection.execute(f"SELECT 1 FROM duckdb_tables() WHERE starts_with(table_name, {literal(_NAMES)})").fetchall())
    name = f"{_NAMES}_{number}"
    connection.register("persons_found", table)
    connection.execute(f"CREATE TEMP TABLE {name} AS SELECT * FROM persons_found")
    connection.unregister("persons_found")
    return name


def pseudonymised(connection: duckdb.DuckDBPyConnection, scan: Scan, columns: Iterable[str], export: Export) -> Scan:
    """The scan with pseudonyms in these columns of the file; columns that it lacks are ignored."""
    present = [name for name in columns if name in scan.columns]
    if not present:
        return scan
    texts = [f"CAST({identifier(name)} AS VARCHAR)" for name in present]
    people = stand_ins(connection, scan.from_sql, texts, export)
    joins = " ".join(
        f"LEFT JOIN {people} AS p{number} ON CAST(rows_.{identifier(name)} AS VARCHAR) = p{number}.person"
        for number, name in enumerate(present)
    )
    replaced = ", ".join(f"p{number}.stand_in AS {identifier(name)}" for number, name in enumerate(present))
    numbered = f"SELECT *, {scan.row_number_sql} AS _numbered FROM {scan.from_sql}"
    from_sql = f"(SELECT rows_.* REPLACE ({replaced}) FROM ({numbered}) AS rows_ {joins})"
    return replace(scan, from_sql=from_sql, columns=scan.columns | dict.fromkeys(present, "VARCHAR"), row_number_sql="_numbered")
