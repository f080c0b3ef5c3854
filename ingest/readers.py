"""Data files → DuckDB scans, whatever their dialect; nothing is read into memory as a whole.

Data flow: landed file (csv, csv.gz, parquet) → `Scan`: a FROM clause, the columns with their physical types, and the
SQL for the row number. Typed bronze columns are made from it by `typed_column`.

A scan is SQL rather than a stream of Arrow batches: DuckDB reads, casts and writes Parquet in one bounded pass
(docs/decisions/0003).
Run alone: python -c "from ingest.readers import csv_header; from pathlib import Path; print(csv_header(Path('x.csv.gz')))"
"""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from costlake.delta import sql_type
from costlake.errors import UnreadableFile
from costlake.money import BRONZE_SQL_TYPE, double_to_decimal_sql, text_to_decimal_sql
from costlake.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb

# Athena writes NULL as \N into text files (seen in a real CUR of 2019).
_NULL_TEXTS = ("", r"\N")
_MAX_LINE_BYTES = 16_000_000


@dataclass(frozen=True)
class Scan:
    """A data file as SQL.

    Attributes:
        from_sql: what follows FROM.
        columns: name in the file → DuckDB type.
        row_number_sql: 1-based number of the row in the file, header not counted.
        is_text: whether it is a CSV file.
    """

    from_sql: str
    columns: dict[str, str]
    row_number_sql: str
    is_text: bool = False


def scan_file(connection: duckdb.DuckDBPyConnection, path: Path, key: str) -> Scan:
    """The scan of a data file by its name's ending. Raises UnreadableFile for a file that is not what its name says."""
    import duckdb

    try:
        if ".parquet" in path.name:
            return _scan_parquet(connection, path)
        return _scan_csv(path, key)
    except (duckdb.Error, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(key, error) from error


def unreadable(key: str, error: Exception) -> UnreadableFile:
    """A DuckDB or CSV error as ours, with the file's name."""
    return UnreadableFile(
        f"the file cannot be read: {str(error).splitlines()[0]}",
        where=f"{key}: {_line_of(error)}",
        expected="a Parquet or CSV file (UTF-8, comma, double quotes) with as many fields in each row as in the first",
        next_step="ask the provider to deliver the period again; nothing of it was loaded",
    )


def csv_header(path: Path) -> tuple[list[str], int]:
    """The header of a CSV, CSV.gz or CSV.zip file without BOM, and the number of fields of its first data row (0: no row)."""
    with _open_text(path) as lines:
        rows = csv.reader(lines)
        header = [name.strip() for name in next(rows, [])]
        first = next(rows, [])
    return header, len(first)


def count_records(path: Path, key: str) -> int:
    """Rows of a CSV or CSV.gz file without header and empty lines, as Python's reader counts them (slow: a line at a time)."""
    try:
        with _open_text(path) as lines:
            return max(0, sum(1 for row in csv.reader(lines) if row) - 1)
    except (UnicodeDecodeError, csv.Error) as error:
        raise unreadable(key, error) from error


def _scan_parquet(connection: duckdb.DuckDBPyConnection, path: Path) -> Scan:
    source = f"read_parquet({literal(str(path))}, file_row_number = true)"
    described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    columns = {name: kind for name, kind, *_ in described if name != "file_row_number"}
    return Scan(source, columns, "file_row_number + 1")


def _scan_csv(path: Path, key: str) -> Scan:
    header, width = csv_header(path)
    if len(set(header)) != len(header):
        doubled = sorted({name for name in header if header.count(name) > 1})
        raise UnreadableFile(
            f"the header names columns twice: {doubled[:5]}",
            where=f"{key}: header",
            expected="every column name once",
            next_step="ask the provider to deliver the period again; nothing of it was loaded",
        )
    if width > len(header):
        raise UnreadableFile(
            f"the first row has {width} fields, the header {len(header)}",
            where=f"{key}: row 1",
            expected="no more fields than column names",
            next_step="ask the provider to deliver the period again; nothing of it was loaded",
        )
    # Rows that are all shorter by the same trailing columns are legal (seen in koku's CUR fixtures): those are absent.
    names = header[:width] if width else header
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    nulls = ", ".join(literal(text) for text in _NULL_TEXTS)
    source = (
        f"read_csv({literal(str(path))}, auto_detect = false, header = false, skip = 1, columns = {{{columns}}}, "
        f"delim = ',', quote = '\"', escape = '\"', strict_mode = true, nullstr = [{nulls}], "
        # One thread reads, so that the row number is the line's: bronze is written without keeping the order of rows.
        f"parallel = false, max_line_size = {_MAX_LINE_BYTES}, compression = '{'gzip' if path.name.endswith('.gz') else 'none'}')"
    )
    return Scan(source, dict.fromkeys(names, "VARCHAR"), "row_number() OVER ()", is_text=True)


def typed_column(raw: str, raw_type: str, target: pa.DataType) -> str:
    """SQL that turns a raw column into a bronze column; NULL where the cell is empty or not of that type.

    Text loses surrounding blanks only where it becomes a number or a time. Timestamps without zone are UTC, which is
    what AWS writes into Parquet (TIMESTAMP_MILLIS without the UTC flag).
    """
    column = identifier(raw)
    if pa.types.is_decimal(target):
        return _money(column, raw_type)
    if pa.types.is_timestamp(target):
        return f"try_cast({column} AS TIMESTAMPTZ)"
    if pa.types.is_map(target):
        kind = sql_type(target)
        return f"try_cast(try_cast({column} AS JSON) AS {kind})" if raw_type == "VARCHAR" else f"CAST({column} AS {kind})"
    return f"nullif({column}, '')" if raw_type == "VARCHAR" else f"CAST({column} AS VARCHAR)"


def bad_cells(raw: str, raw_type: str, target: pa.DataType, *, required: bool) -> str | None:
    """SQL condition for a cell that is filled but not of its type (or empty though required); None where none can be."""
    column = identifier(raw)
    if pa.types.is_string(target):
        return f"nullif({column}, '') IS NULL" if required else None
    if raw_type in ("DOUBLE", "FLOAT"):
        # 1e20 is beyond DECIMAL(38,18)'s 20 integer digits.
        wrong = f"(isnan({column}) OR isinf({column}) OR abs({column}) >= 1e20)"
    elif raw_type == "VARCHAR":
        wrong = f"(nullif(trim({column}), '') IS NOT NULL AND {typed_column(raw, raw_type, target)} IS NULL)"
    else:
        return f"{column} IS NULL" if required else None
    empty = f"{column} IS NULL OR " if required else ""
    blank = f"trim({column}) = '' OR " if required and raw_type == "VARCHAR" else ""
    return f"({empty}{blank}{wrong})"


def _money(column: str, raw_type: str) -> str:
    if raw_type == "VARCHAR":
        return text_to_decimal_sql(f"trim({column})")
    if raw_type in ("DOUBLE", "FLOAT"):
        return double_to_decimal_sql(column)
    return f"CAST({column} AS {BRONZE_SQL_TYPE})"


def _open_text(path: Path) -> io.TextIOBase:
    if path.name.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open("rt", encoding="utf-8-sig", newline="")


def _line_of(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if "Line:" in line]
    return lines[0].strip() if lines else "whole file"
