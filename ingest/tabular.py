"""A source of tables (CSV, Parquet, JSON lines, JSON pages) out of a description: what the smaller providers have in common.

Data flow: landed files → lines of a page, pseudonyms → `Part` (ingest.parts) → `Opened`, with each row's month, slice and place.

Columns are found by their letters alone (`Total Cost`, `totalCost`, `total_cost`), so that a provider's spelling may change; a column
that the table does not know is kept as text, one that is missing is NULL, and a required one that is missing refuses the file.
Not for direct use; see `ingest.sources.openrouter` for a user of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from costlake.errors import BadValue, UnreadableFile
from costlake.sql import identifier, sql_type
from costlake.tables import LINEAGE
from ingest.cells import count_cell, day_cell, flag_cell, instant_cell, letters
from ingest.handovers import as_lines, first_item
from ingest.parts import Layout, Parser, Part, opened
from ingest.persons import pseudonymised
from ingest.readers import csv_header, scan_file, unreadable
from ingest.source import Delivery, LandedObject, LoadContext, Opened

if TYPE_CHECKING:
    import duckdb

_OWN = frozenset(lineage.name for lineage in LINEAGE)


@dataclass(frozen=True)
class Shape:
    """How a source's files look.

    Attributes:
        schema: the bronze table's.
        required: bronze columns without which a file is not of this kind; none of their cells may be empty.
        expected: what the file should have been, for the error.
        day: bronze column (DATE or TIMESTAMP) that says when a row's charge was; its UTC month is the billing period.
        slice_sql: what a redelivery replaces, over bronze columns; the UTC day of `day` where not given.
        spellings: further names of columns in files → bronze column.
        people: bronze columns that name a person; they get pseudonyms.
        identity: bronze columns that identify a row; a second one is refused, it would count twice. Empty: equal rows are two rows.
        lists: under which names a JSON page keeps its items.
        without_amount: condition over bronze columns of a row that is billed and doesn't say what; it is refused, for unknown is not 0.
        parsers: bronze column → parser, beside those that follow from the column's type.
    """

    schema: pa.Schema
    required: frozenset[str]
    expected: str
    day: str
    slice_sql: str | None = None
    spellings: Mapping[str, str] = field(default_factory=dict)
    people: tuple[str, ...] = ()
    identity: tuple[str, ...] = ()
    lists: tuple[str, ...] = ("data",)
    without_amount: str | None = None
    parsers: Mapping[str, Parser] = field(default_factory=dict)

    def open(self, context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
        """The delivery's rows with bronze's columns.

        Raises:
            UnreadableFile, BadValue: a file is not of this kind, or a row comes twice.
        """
        parts = [self._part(context, delivery, landed) for landed in objects]
        instant = f"CAST({identifier(self.day)} AS TIMESTAMPTZ)"
        period = f"strftime({instant}, '%Y-%m')"
        slice_ = self.slice_sql or f"strftime({instant}, '%Y-%m-%d')"
        result = opened(parts, [self._select(part, period, slice_) for part in parts])
        if self.identity:
            refuse_repeats(context.connection, result.select_sql, self.identity, delivery.key)
        if self.without_amount:
            _refuse_unknown(context.connection, result.select_sql, self.without_amount)
        return result

    def recognises(self, path: Path) -> bool:
        """Whether a lone file has the required columns."""
        return self.has_columns(path, self.required)

    def has_columns(self, path: Path, names: Set[str]) -> bool:
        """Whether a lone file has these bronze columns."""
        columns = _columns(path, self.lists)
        try:
            return names <= set(_bronze_names(columns, path.name, self._known()))
        except UnreadableFile:
            return False  # two columns are one here and two elsewhere (user_id, user_email): a stranger's file

    def _select(self, part: Part, period: str, slice_: str) -> str:
        # month and slice are said over bronze columns, which are there once the file's own are typed
        typed = part.select_sql("''", "''")
        missing = [column for column in self.schema if not part.has(column.name) and column.name not in _OWN]
        nulls = "".join(f", CAST(NULL AS {sql_type(column.type)}) AS {identifier(column.name)}" for column in missing)
        return f"SELECT * REPLACE ({period} AS _billing_period, {slice_} AS _slice) FROM (SELECT *{nulls} FROM ({typed}))"

    def _part(self, context: LoadContext, delivery: Delivery, landed: LandedObject) -> Part:
        import duckdb

        scan = scan_file(context.connection, as_lines(landed.path, landed.key, self.lists), landed.key)
        raw = _bronze_names(scan.columns, landed.key, self._known())
        people = [raw[name] for name in self.people if name in raw]
        try:
            named = pseudonymised(context.connection, scan, people, delivery.export)
        except duckdb.Error as error:  # the first look at the rows
            raise unreadable(landed.key, error) from error
        return Part(named, landed, self._layout())

    def _known(self) -> Mapping[str, str]:
        return {letters(name): name for name in self.schema.names if name not in _OWN} | {
            letters(name): column for name, column in self.spellings.items()
        }

    def _layout(self) -> Layout:
        parsers: dict[str, Parser] = {}
        for column in self.schema:
            if pa.types.is_int64(column.type):
                parsers[column.name] = count_cell
            elif pa.types.is_timestamp(column.type):
                parsers[column.name] = instant_cell
            elif pa.types.is_date32(column.type):
                parsers[column.name] = day_cell
            elif pa.types.is_boolean(column.type):
                parsers[column.name] = flag_cell
        own = {name: parser for name, parser in parsers.items() if name not in _OWN} | dict(self.parsers)
        known = self._known()
        return Layout(self.schema, self.required, lambda columns, key: _bronze_names(columns, key, known), self.expected, own)


def _refuse_unknown(connection: duckdb.DuckDBPyConnection, select: str, condition: str) -> None:
    count, place, row = connection.execute(
        f"SELECT count(*), min_by(_object_key, _row_number), min(_row_number) FROM ({select}) WHERE {condition}"
    ).fetchall()[0]
    if count:
        raise BadValue(
            f"{count} rows are billed and do not say how much",
            where=f"{place}, row {row}",
            expected="an amount on every row that is billed",
            next_step="download it again with the amounts; nothing of it was loaded, for what is unknown would count as nothing",
        )


def refuse_repeats(connection: duckdb.DuckDBPyConnection, select: str, identity: Iterable[str], key: str) -> None:
    """Refuse a delivery that has a row twice.

    Raises BadValue with the second row's place. Hashes are compared first: where all differ, all rows do.
    """
    import duckdb

    columns = ", ".join(identifier(name) for name in identity)
    try:
        rows, different = connection.execute(f"SELECT count(*), count(DISTINCT hash({columns})) FROM ({select})").fetchall()[0]
        if rows == different:
            return
        found = connection.execute(
            f"SELECT count(*), max_by(_object_key, _row_number), max(_row_number) FROM ({select}) GROUP BY {columns} "
            "HAVING count(*) > 1 ORDER BY 2, 3 LIMIT 1"
        ).fetchall()
    except duckdb.Error as error:
        raise unreadable(key, error) from error
    if found:
        count, place, row = found[0]
        raise BadValue(
            f"the same row comes {count} times ({', '.join(identity)})",
            where=f"{place}, row {row}",
            expected="each combination of these columns once",
            next_step="remove the repeated page or file (an export that was resumed wrongly), then ingest again",
        )


def _bronze_names(columns: Iterable[str], key: str, known: Mapping[str, str]) -> dict[str, str]:
    """Bronze name → name in the file; unknown columns in snake case."""
    names: dict[str, str] = {}
    for raw in columns:
        name = known.get(letters(raw)) or re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", raw).lower()).strip("_")
        if name in names or name in _OWN:
            raise UnreadableFile(
                f"two columns are both {name}" if name in names else f"a column is called {raw[:80]!r}",
                where=f"{key}: header, {raw[:80]!r}",
                expected="every column once, by a name that is not ours",
                next_step="export the file again; nothing of it was loaded",
            )
        names[name] = raw
    return names


def _columns(path: Path, lists: tuple[str, ...]) -> list[str]:
    """The columns of a lone file, as far as they can be told from its beginning."""
    if ".parquet" in path.name:
        return list(pq.read_schema(path).names)
    if ".csv" in path.name:
        return csv_header(path)[0]
    return list(first_item(path, lists))
