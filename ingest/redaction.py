"""What is taken out of a file before anything of it is landed: prompts and answers (law 10).

Data flow: fetched file, known to be whole → `Redaction.write` → the redacted file, which alone is landed and read; the fetched bytes are
deleted at once. What was kept, and the sha256 of what was delivered, stand in the delivery's record.

A redaction names what it keeps, never what it drops: a field that a provider adds tomorrow is gone until somebody has looked at it. It
keeps the provider's names and the order of rows, so that a row number in bronze is that of the delivered file. Decision 0026.
Not for direct use; see `ingest.landing.incoming`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from costlake.config import Export
from costlake.delta import open_duckdb
from costlake.errors import UnreadableFile
from costlake.settings import Settings
from costlake.sql import identifier, literal
from ingest.readers import checked_lines
from ingest.source import LandedObject, Redacted

if TYPE_CHECKING:
    import duckdb

_CHUNK_BYTES = 1 << 20
# Ids, ARNs and codes are shorter (an ARN has at most 2,048 characters); a longer text in such a field is something else.
_LONGEST_TEXT = 2048


@dataclass(frozen=True)
class Redaction:
    """A source's rule.

    Attributes:
        rule: its name and version, e.g. `bedrock_logs/1`; raise the version when it keeps other fields.
        kept: the fields that it keeps, by the provider's names.
        write: (connection, readable file, its key, export, folder) → the redacted file, written into the folder under a name whose
            ending says its format. May raise DeliveryErrors; DuckDB's own errors are caught by the caller.
    """

    rule: str
    kept: tuple[str, ...]
    write: Callable[[duckdb.DuckDBPyConnection, Path, str, Export, Path], Path]


def redact(settings: Settings, redaction: Redaction, export: Export, landed: LandedObject, folder: Path) -> LandedObject:
    """The file without what the rule does not keep; the delivered bytes are deleted.

    Raises:
        UnreadableFile: DuckDB cannot read the file. What it says may quote a prompt, so only the kind of its error is told.
    """
    import duckdb

    connection = open_duckdb(settings)
    try:
        path = redaction.write(connection, landed.path, landed.key, export, folder)
    except duckdb.Error as error:
        raise UnreadableFile(
            f"the file cannot be read for redaction ({type(error).__name__})",
            where=landed.key,
            expected="a file of the source that the export names",
            next_step="export or download it again; nothing of it was loaded, and what it says is not repeated here",
        ) from None  # the cause would be printed with its text
    finally:
        connection.close()
        for delivered in {landed.path, landed.raw or landed.path}:
            delivered.unlink()
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    origin = Redacted(redaction.rule, landed.etag, landed.byte_count, redaction.kept)
    return LandedObject(landed.key, digest.hexdigest(), path, path.stat().st_size, redacted=origin)


def keep_columns(connection: duckdb.DuckDBPyConnection, select: str, target: Path) -> Path:
    """Write a query's rows into a Parquet file in their order (`redacted.parquet` in the folder `target`)."""
    path = target / "redacted.parquet"
    connection.execute(
        f"COPY ({select}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 122880)"
    )
    return path


def keep_fields(
    connection: duckdb.DuckDBPyConnection, path: Path, key: str, fields: Sequence[str], changed: Mapping[str, str], target: Path
) -> Path:
    """Write the named fields of JSON lines as JSON lines (`redacted.ndjson.gz` in the folder `target`), in their order.

    Args:
        connection, path, key: the file, and its name for errors.
        fields: their paths, `input.inputTokenCount`; kept are numbers, flags and short texts, nothing that has parts.
        changed: field → SQL over {value}, its JSON value, for what is kept in another form.
        target: an existing folder.

    Raises:
        UnreadableFile: a line is no JSON object, or has a key twice.
    """
    lines = checked_lines(connection, path, key)
    _refuse_doubled(connection, lines, key, sorted({field.split(".")[0] for field in fields if "." in field}))
    tree: dict[str, dict[str, str] | str] = {}
    for field in fields:
        at = literal("$." + ".".join(f'"{part}"' for part in field.split(".")))
        value = f"json_extract(line, {at})"
        is_short = f"json_type({value}) NOT IN ('OBJECT', 'ARRAY') AND length(CAST({value} AS VARCHAR)) <= {_LONGEST_TEXT}"
        plain = f"CASE WHEN {is_short} THEN {value} END"
        sql = changed[field].replace("{value}", value) if field in changed else plain
        *parents, name = field.split(".")
        if parents:
            branch = tree.setdefault(parents[0], {})
            assert isinstance(branch, dict)
            branch[name] = sql
        else:
            tree[name] = sql
    columns = ", ".join(f"{_column(sql)} AS {identifier(name)}" for name, sql in tree.items())
    result = target / "redacted.ndjson.gz"
    connection.execute(f"COPY (SELECT {columns} FROM {lines} ORDER BY _line) TO {literal(str(result))} (FORMAT json, COMPRESSION gzip)")
    return result


def _refuse_doubled(connection: duckdb.DuckDBPyConnection, lines: str, key: str, records: Sequence[str]) -> None:
    """No record inside a line has a key twice: of two token counts one would be dropped without a word."""
    for record in records:
        keys = f"json_keys(line, {literal(f'$.{record}')})"
        found = connection.execute(f"SELECT min(_line) FROM {lines} WHERE len({keys}) <> len(list_distinct({keys}))").fetchall()[0][0]
        if found is not None:
            raise UnreadableFile(
                f"the record {record} has a key twice",
                where=f"{key}, row {found}",
                expected="each key once",
                next_step="export or download the file again; nothing of it was loaded",
            )


def _column(sql: dict[str, str] | str) -> str:
    if isinstance(sql, str):
        return sql
    return "{" + ", ".join(f"{literal(name)}: {inner}" for name, inner in sql.items()) + "}"
