"""Data files → DuckDB scans, whatever their dialect; nothing is read into memory as a whole.

Data flow: landed file (csv, csv.gz, parquet, ndjson) → `Scan`: a FROM clause, the columns with their physical types, and the
SQL for the row number. Typed bronze columns are made from it by `typed_column`. Records inside a row (Parquet structs, JSON objects)
become columns of their own with dotted names, `service.id`; what repeats stays one cell.

A scan is SQL rather than a stream of Arrow batches: DuckDB reads, casts and writes Parquet in one bounded pass
(docs/decisions/0003).
Run alone: python -c "from ingest.readers import csv_header; from pathlib import Path; print(csv_header(Path('x.csv.gz')))"
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from costlake.delta import write_parquet
from costlake.errors import UnreadableFile
from costlake.money import BRONZE_SQL_TYPE, double_to_decimal_sql, text_to_decimal_sql
from costlake.sql import identifier, literal, sql_type
from costlake.tables import COUNT, TEXT

if TYPE_CHECKING:
    import duckdb

# Athena writes NULL as \N into text files (seen in a real CUR of 2019).
_NULL_TEXTS = ("", r"\N")
# Nothing as Python, SQL and JSON write it (nise's reports: None). In a number or a time it is an empty cell; a text keeps it.
NOTHING = ("", "None", "NULL", "null")
_MAX_LINE_BYTES = 16_000_000
_MAX_MIXED_BYTES = 16_000_000
NDJSON_SUFFIXES = (".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz", ".json", ".json.gz")
# A JSON number is read as a double, which keeps 17 digits: a longer decimal would lose money silently.
_BARE_DECIMAL = r"[:\[,]\s*-?[0-9]+\.[0-9]+"
_CUT = (
    f"regexp_matches(line, '[0-9.]{{18}}') AND len(list_filter(regexp_extract_all(line, '{_BARE_DECIMAL}'), "
    "lambda text: len(trim(regexp_replace(text, '[^0-9]', '', 'g'), '0')) > 17)) > 0"
)
_FAULTS = {
    "json": "the line is not JSON",
    "object": "the line is not a JSON object",
    "twice": "the line has a key twice",
    "digits": "the line has a decimal number of more than 17 digits that is not in quotes",
}


@dataclass(frozen=True)
class Scan:
    """A data file as SQL.

    Attributes:
        from_sql: what follows FROM.
        columns: name in the file → DuckDB type.
        row_number_sql: 1-based number of the row in the file, header not counted.
        is_text: whether it is a CSV file.
        renamed: name in `columns` → name in the file, for columns whose names differ from an earlier one in upper and lower case only.
            SQL does not tell those apart; two tags of AWS may well be called Team and team.
    """

    from_sql: str
    columns: dict[str, str]
    row_number_sql: str
    is_text: bool = False
    renamed: Mapping[str, str] = field(default_factory=dict)


def scan_file(connection: duckdb.DuckDBPyConnection, path: Path, key: str, null_texts: tuple[str, ...] = _NULL_TEXTS) -> Scan:
    """The scan of a data file by its name's ending; a text cell that is one of `null_texts` is NULL (in Parquet only when they are given).

    Raises UnreadableFile for a file that is not what its name says.
    """
    import duckdb

    try:
        if ".parquet" in path.name:
            return _scan_parquet(connection, path, key, null_texts if null_texts is not _NULL_TEXTS else ())
        if path.name.endswith(NDJSON_SUFFIXES):
            return _scan_ndjson(connection, path, key)
        if _ends_mixed(path):
            return _scan_mixed_csv(connection, path, key, null_texts)
        return _scan_csv(path, key, null_texts)
    except (duckdb.Error, UnicodeDecodeError, csv.Error, pa.ArrowException, OSError) as error:
        raise unreadable(key, error) from error


def unreadable(key: str, error: Exception) -> UnreadableFile:
    """A DuckDB or CSV error as ours, with the file's name."""
    return UnreadableFile(
        f"the file cannot be read: {str(error).splitlines()[0]}",
        where=f"{key}: {_line_of(error)}",
        expected="a Parquet file, JSON lines (UTF-8), or CSV (UTF-8, comma, double quotes) with as many fields in each row as in the first",
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


def _scan_parquet(connection: duckdb.DuckDBPyConnection, path: Path, key: str, null_texts: tuple[str, ...]) -> Scan:
    # DuckDB gives the second of two equal names a number: which of two cost columns counts is not for us to say.
    given = pq.read_schema(path).names
    _check_names(given, key)
    source = f"read_parquet({literal(str(path))}, file_row_number = true)"
    described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    columns = {name: kind for name, kind, *_ in described if name != "file_row_number"}
    renamed = {name: original for name, original in zip(columns, given, strict=False) if name != original}
    texts = [identifier(name) for name, kind in columns.items() if kind == "VARCHAR"]
    if null_texts and texts:
        nulls = ", ".join(literal(text) for text in null_texts)
        cleaned = ", ".join(f"CASE WHEN {text} NOT IN ({nulls}) THEN {text} END AS {text}" for text in texts)
        source = f"(SELECT * REPLACE ({cleaned}) FROM {source})"
    if any(kind.startswith("STRUCT(") and not kind.endswith("]") for kind in columns.values()):
        leaves = [leaf for name, kind in columns.items() for leaf in _struct_leaves((name,), kind)]
        fields = ", ".join(f"{'.'.join(identifier(part) for part in parts)} AS {identifier('.'.join(parts))}" for parts, _ in leaves)
        return Scan(f"(SELECT {fields}, file_row_number FROM {source})", {".".join(p): kind for p, kind in leaves}, "file_row_number + 1")
    return Scan(source, columns, "file_row_number + 1", renamed=renamed)


def struct_fields(kind: str) -> dict[str, str]:
    """Field → DuckDB type of a record by DuckDB's name of its type; empty for any other type."""
    import duckdb

    found = duckdb.sqltype(kind)
    return {name: str(child) for name, child in found.children} if found.id == "struct" else {}


def _struct_leaves(parts: tuple[str, ...], kind: str) -> Iterator[tuple[tuple[str, ...], str]]:
    fields = struct_fields(kind)
    if not fields:
        yield parts, kind
    for name, child in fields.items():
        yield from _struct_leaves((*parts, name), child)


def checked_lines(connection: duckdb.DuckDBPyConnection, path: Path, key: str) -> str:
    """SQL of a file's JSON lines as (line, _line), blank ones left out, once each of them is known to be an object that can be read.

    Raises UnreadableFile, naming the line and nothing of what it says, for one that is no JSON object, has a key twice or a number
    that a double would cut.
    """
    lines = (
        f"read_csv({literal(str(path))}, auto_detect = false, header = false, columns = {{'line': 'VARCHAR'}}, delim = '\x01', quote = '', "
        f"escape = '', nullstr = '', parallel = false, max_line_size = {_MAX_LINE_BYTES}, "
        f"compression = '{'gzip' if path.name.endswith('.gz') else 'none'}')"
    )
    filled = f"(SELECT line, _line FROM (SELECT line, row_number() OVER () AS _line FROM {lines}) WHERE trim(line) <> '')"
    fault = (
        "CASE WHEN NOT json_valid(line) THEN 'json' WHEN json_type(line) <> 'OBJECT' THEN 'object' "
        "WHEN len(json_keys(line)) <> len(list_distinct(json_keys(line))) THEN 'twice' "
        f"WHEN {_CUT} THEN 'digits' END"
    )
    faults = f"SELECT _line, fault FROM (SELECT _line, {fault} AS fault FROM {filled}) WHERE fault IS NOT NULL ORDER BY _line LIMIT 1"
    for number, fault_name in connection.execute(faults).fetchall():
        raise UnreadableFile(
            _FAULTS[fault_name],
            where=f"{key}, row {number}",
            expected="one JSON object per line, each key once, long decimal numbers in quotes",
            next_step="extract or download the file again; nothing of it was loaded",
        )
    return filled


def _scan_ndjson(connection: duckdb.DuckDBPyConnection, path: Path, key: str) -> Scan:
    """JSON lines, parsed once into a Parquet file beside them; cells are text as it was written, lists are JSON text."""
    filled = checked_lines(connection, path, key)
    structure = connection.execute(f"SELECT CAST(json_group_structure(CAST(line AS JSON)) AS VARCHAR) FROM {filled}").fetchall()[0][0]
    fields = dict(_json_leaves((), json.loads(structure))) if structure else {}
    if not fields:
        return Scan(f"(SELECT line FROM {filled} WHERE false)", {}, "0")
    _refuse_half_records(connection, filled, [parts for parts, found in fields.items() if found == "JSON"], key)
    parsed = ", ".join(
        f"CAST(record.{'.'.join(identifier(part) for part in parts)} AS VARCHAR) AS {identifier('.'.join(parts))}" for parts in fields
    )
    target = path.with_name(f"{path.name}.rows.parquet")
    shape = literal(json.dumps(_as_text(json.loads(structure))))
    write_parquet(connection, f"SELECT {parsed}, _line FROM (SELECT from_json(line, {shape}) AS record, _line FROM {filled})", target)
    kinds = {".".join(parts): "JSON" if isinstance(found, list) else "VARCHAR" for parts, found in fields.items()}
    return Scan(f"read_parquet({literal(str(target))})", kinds, "_line")


def _refuse_half_records(connection: duckdb.DuckDBPyConnection, filled: str, mixed: list[tuple[str, ...]], key: str) -> None:
    """Refuse a field that is a record in some lines and something else in others: the record's own fields would be lost in all of them.

    `mixed`: fields for whose values DuckDB found no common type; all are looked at in one pass over the lines.
    """
    sums = []
    for parts in mixed:
        pointer = literal("".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in parts))
        kind = f"json_type(line, {pointer})"
        sums += [
            f"count(*) FILTER ({kind} = 'OBJECT' AND CAST(json_extract(line, {pointer}) AS VARCHAR) <> '{{}}')",
            f"min(_line) FILTER ({kind} NOT IN ('OBJECT', 'NULL'))",
        ]
    found = connection.execute(f"SELECT {', '.join(sums)} FROM {filled}").fetchall()[0] if sums else ()
    for parts, records, odd in zip(mixed, found[::2], found[1::2], strict=True):
        if records and odd is not None:
            raise UnreadableFile(
                f"{'.'.join(parts)[:80]} is a record in {records} other lines and none here",
                where=f"{key}, row {odd}",
                expected="the same kind of value in every line, or null",
                next_step="extract or download the file again; nothing of it was loaded",
            )


def _json_leaves(parts: tuple[str, ...], structure: object) -> Iterator[tuple[tuple[str, ...], object]]:
    if not isinstance(structure, dict) or not structure:
        yield parts, structure
        return
    for name, child in structure.items():
        yield from _json_leaves((*parts, name), child)


def _as_text(structure: object) -> object:
    """The structure that DuckDB found in the lines, with text for every value and JSON for every list."""
    if isinstance(structure, dict) and structure:
        return {name: _as_text(child) for name, child in structure.items()}
    return "JSON" if isinstance(structure, list) else "VARCHAR"


def _ends_mixed(path: Path) -> bool:
    """Whether first and last line of a small plain file end differently (edited by hand): DuckDB loses its way there."""
    if path.name.endswith(".gz") or not 0 < path.stat().st_size < _MAX_MIXED_BYTES:
        return False
    content = path.read_bytes()
    first, last = content.find(b"\n"), content.rfind(b"\n")
    return 0 < first < last and (content[first - 1] == 13) != (content[last - 1] == 13)


def _scan_mixed_csv(connection: duckdb.DuckDBPyConnection, path: Path, key: str, null_texts: tuple[str, ...]) -> Scan:
    """The rows by way of Python, which takes every line end. Raises UnreadableFile for a row of another length."""
    names, renamed = _csv_names(path, key)
    with _open_text(path) as lines:
        rows = [row for row in csv.reader(lines, strict=True) if row][1:]
    odd = next((number for number, row in enumerate(rows, 1) if len(row) != len(names)), None)
    if odd is not None:
        raise UnreadableFile(
            f"a row has {len(rows[odd - 1])} fields, the header {len(names)}",
            where=f"{key}: row {odd}",
            expected="as many fields as column names",
            next_step="ask the provider to deliver the period again; nothing of it was loaded",
        )
    cells = {name: pa.array([None if row[at] in null_texts else row[at] for row in rows], TEXT) for at, name in enumerate(names)}
    view = f"csv_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    connection.register(view, pa.table({**cells, "_line": pa.array(range(1, len(rows) + 1), COUNT)}))
    return Scan(view, dict.fromkeys(names, "VARCHAR"), "_line", is_text=True, renamed=renamed)


def _check_names(names: list[str], key: str) -> None:
    doubled = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubled:
        raise UnreadableFile(
            f"the header names columns twice: {doubled[:5]}",
            where=f"{key}: header",
            expected="every column name once",
            next_step="ask the provider to deliver the period again; nothing of it was loaded",
        )


def _apart(names: list[str]) -> list[str]:
    """The names, with a number where one differs from an earlier one in upper and lower case only."""
    seen: dict[str, str] = {}
    for name in names:
        unique, number = name, 2
        while unique.lower() in seen:
            unique, number = f"{name}__{number}", number + 1
        seen[unique.lower()] = unique
    return list(seen.values())


def _csv_names(path: Path, key: str) -> tuple[list[str], dict[str, str]]:
    """The columns that the rows have, and those of them that are called otherwise in the file: name → name there."""
    header, width = csv_header(path)
    _check_names(header, key)
    if width > len(header):
        raise UnreadableFile(
            f"the first row has {width} fields, the header {len(header)}",
            where=f"{key}: row 1",
            expected="no more fields than column names",
            next_step="ask the provider to deliver the period again; nothing of it was loaded",
        )
    # Rows that are all shorter by the same trailing columns are legal (seen in koku's CUR fixtures): those are absent.
    names = _apart(header[:width] if width else header)
    return names, {name: given for name, given in zip(names, header, strict=False) if name != given}


def _scan_csv(path: Path, key: str, null_texts: tuple[str, ...]) -> Scan:
    names, renamed = _csv_names(path, key)
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    nulls = ", ".join(literal(text) for text in null_texts)
    source = (
        f"read_csv({literal(str(path))}, auto_detect = false, header = false, skip = 1, columns = {{{columns}}}, "
        f"delim = ',', quote = '\"', escape = '\"', strict_mode = true, nullstr = [{nulls}], "
        # One thread reads, so that the row number is the line's: bronze is written without keeping the order of rows.
        f"parallel = false, max_line_size = {_MAX_LINE_BYTES}, compression = '{'gzip' if path.name.endswith('.gz') else 'none'}')"
    )
    return Scan(source, dict.fromkeys(names, "VARCHAR"), "row_number() OVER ()", is_text=True, renamed=renamed)


def typed_column(raw: str, raw_type: str, target: pa.DataType) -> str:
    """SQL that turns a raw column into a bronze column; NULL where the cell is empty or not of that type.

    Text loses surrounding blanks only where it becomes a number or a time. Timestamps without zone are UTC, which is
    what AWS writes into Parquet (TIMESTAMP_MILLIS without the UTC flag).
    """
    raw_type = _as_written(raw_type)
    column = identifier(raw)
    if pa.types.is_decimal(target):
        return _money(column, raw_type)
    if pa.types.is_timestamp(target):
        return f"try_cast({column} AS TIMESTAMPTZ)"
    if pa.types.is_map(target):
        kind = sql_type(target)
        return f"try_cast(try_cast({column} AS JSON) AS {kind})" if raw_type == "VARCHAR" else f"CAST({column} AS {kind})"
    if raw_type.startswith(("MAP(", "STRUCT(")) or raw_type.endswith("]"):
        return f"CAST(to_json({column}) AS VARCHAR)"  # DuckDB's own text of it, {a=b}, cannot be read back
    return f"nullif({column}, '')" if raw_type == "VARCHAR" else f"CAST({column} AS VARCHAR)"


def bad_cells(raw: str, raw_type: str, target: pa.DataType, *, required: bool) -> str | None:
    """SQL condition for a cell that is filled but not of its type (or empty though required); None where none can be."""
    raw_type = _as_written(raw_type)
    column = identifier(raw)
    if pa.types.is_string(target):
        return f"nullif({column}, '') IS NULL" if required else None
    if raw_type in ("DOUBLE", "FLOAT"):
        # 1e20 is beyond DECIMAL(38,18)'s 20 integer digits.
        wrong = f"(isnan({column}) OR isinf({column}) OR abs({column}) >= 1e20)"
    elif raw_type == "VARCHAR":
        wrong = f"({is_filled(column)} AND {typed_column(raw, raw_type, target)} IS NULL)"
    else:
        return f"{column} IS NULL" if required else None
    empty = f"{column} IS NULL OR " if required else ""
    blank = f"NOT {is_filled(column)} OR " if required and raw_type == "VARCHAR" else ""
    return f"({empty}{blank}{wrong})"


def is_filled(text: str) -> str:
    """SQL condition: a text, not NULL, that is to be a number or a time says something."""
    return f"(coalesce(trim({text}), '') NOT IN ({', '.join(literal(word) for word in NOTHING)}))"


def _as_written(raw_type: str) -> str:
    """A list in JSON lines is text to whoever does not expect one."""
    return "VARCHAR" if raw_type == "JSON" else raw_type


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
