"""Files of a tabular bill → bronze columns: what every reader of CSV and Parquet bills shares.

Data flow: landed file → `Scan` (ingest.readers) → `Part`: its columns matched with the bronze table's by a `Layout`, typed, and with the
checks that name the first bad cell → `opened` → `Opened` for the loader.

Not for direct use; see `ingest.sources.aws` for a user of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from costlake.errors import UnreadableFile
from costlake.sql import identifier, literal
from costlake.tables import TEXT
from ingest.readers import Scan, bad_cells, count_records, is_filled, typed_column
from ingest.source import LandedObject, Opened

Parser = Callable[[str, str], str]


@dataclass(frozen=True)
class Layout:
    """How the columns of one kind of file become the columns of its bronze table.

    Attributes:
        schema: the bronze table's columns and types.
        required: bronze columns without which the file is not of this kind; none of their cells may be empty.
        names: (columns of the file → physical type, object key) → bronze name → name in the file. Names that are not in `schema` become
            extra text columns. Raises UnreadableFile when two columns of the file are one.
        expected: what the file should have been, for the error, e.g. "the columns of a Cost and Usage Report".
        parsers: bronze column → (quoted raw column, physical type) → SQL value of the bronze type, NULL where the cell does not parse;
            for cells that `ingest.readers.typed_column` does not understand (a date that comes month first).
        maps: bronze map column → prefix of the columns that it gathers, a key per column (tags that come and go); `names` leaves them out.
    """

    schema: pa.Schema
    required: frozenset[str]
    names: Callable[[Mapping[str, str], str], dict[str, str]]
    expected: str
    parsers: Mapping[str, Parser] = field(default_factory=dict)
    maps: Mapping[str, str] = field(default_factory=dict)


class Part:
    """One file of a delivery: its columns matched with bronze's."""

    def __init__(self, scan: Scan, landed: LandedObject, layout: Layout) -> None:
        self._scan = scan
        self._landed = landed
        self._layout = layout
        self._types = {column.name: column.type for column in layout.schema}
        self._raw = layout.names(scan.columns, landed.key)
        self._check_names()
        missing = sorted(layout.required - set(self._raw))
        if missing:
            raise UnreadableFile(
                f"the file has no column {', '.join(missing)}",
                where=landed.key,
                expected=layout.expected,
                next_step="check that the export is of the configured source and has its standard columns selected",
            )

    def _check_names(self) -> None:
        """No column of the bill comes in two spellings, and none is called what no table can have."""
        bill = {raw.lower() for name, raw in self._raw.items() if name in self._types}
        twice = sorted(given for given in self._scan.renamed.values() if given.lower() in bill)
        odd = sorted(name for name in self.extra_names() if not name.strip() or '"' in name or not name.isprintable() or len(name) > 255)
        if twice or odd:
            raise UnreadableFile(
                f"two columns are called {twice[0]!r} but for upper and lower case" if twice else f"a column is called {odd[0][:80]!r}",
                where=f"{self._landed.key}: header",
                expected=f"{self._layout.expected}, each once and by a name of printable letters",
                next_step="ask the provider to deliver the period again; nothing of it was loaded",
            )

    @property
    def key(self) -> str:
        """The provider's name of the file."""
        return self._landed.key

    @property
    def from_sql(self) -> str:
        """What follows FROM for the file's rows."""
        return self._scan.from_sql

    def has(self, name: str) -> bool:
        """Whether the file brings this bronze column."""
        return name in self._raw

    def extra_names(self) -> list[str]:
        """Columns that the bronze table's spec does not know."""
        return [name for name in self._raw if name not in self._types]

    def typed(self, name: str) -> str:
        """SQL of the bronze value of a column that the file has."""
        raw = self._raw[name]
        parser = self._layout.parsers.get(name)
        if parser is not None:
            return parser(identifier(raw), self._scan.columns[raw])
        return typed_column(raw, self._scan.columns[raw], self._types.get(name, TEXT))

    def select_sql(self, period_sql: str, slice_sql: str | None = None, constants: Mapping[str, str] | None = None) -> str:
        """The rows with bronze's columns, their billing period, slice and lineage.

        Args:
            period_sql: YYYY-MM of a row, over the file's own columns (use `typed`).
            slice_sql: what a redelivery replaces; the billing period where not given.
            constants: further bronze columns as text literals.
        """
        columns = [f"{self.typed(name)} AS {identifier(name)}" for name in self._raw]
        columns += [f"{self._gathered(prefix)} AS {identifier(name)}" for name, prefix in self._layout.maps.items()]
        columns += [f"{literal(value)} AS {identifier(name)}" for name, value in (constants or {}).items()]
        lineage = (
            f"{period_sql} AS _billing_period, {slice_sql or period_sql} AS _slice, {literal(self._landed.key)} AS _object_key, "
            f"{literal(self._landed.etag)} AS _object_etag, {self._scan.row_number_sql} AS _row_number"
        )
        return f"SELECT {', '.join(columns)}, {lineage} FROM {self._scan.from_sql}"

    def check_sql(self) -> str:
        """Query of (column_name, bad_count), and the number of rows under the name ''."""
        counts = {name: f"count(*) FILTER (WHERE {bad})" for name in self._raw if (bad := self._bad(name)) is not None}
        if self.line_count is not None:
            counts[""] = "count(*)"
        names, sums = ", ".join(literal(name) for name in counts), ", ".join(counts.values())
        return f"SELECT unnest([{names}]::VARCHAR[]) AS column_name, unnest([{sums}]::BIGINT[]) AS bad_count FROM {self._scan.from_sql}"

    @property
    def line_count(self) -> int | None:
        """Lines of a CSV file; None for others."""
        return self._landed.line_count if self._scan.is_text else None

    def record_count(self) -> int:
        """Rows of a CSV file, counted one by one by another reader than DuckDB."""
        return count_records(self._landed.path, self._landed.key)

    def locate_sql(self, column: str) -> str | None:
        """The first bad cell of a column as (object key, row number, value); None where the file has none or cannot have one."""
        bad = self._bad(column) if column in self._raw else None
        if bad is None:
            return None
        raw = identifier(self._raw[column])
        numbered = f"SELECT *, {self._scan.row_number_sql} AS _n FROM {self._scan.from_sql}"
        return (
            f"SELECT {literal(self._landed.key)}, _n, CAST({raw} AS VARCHAR) FROM "
            f"(SELECT * FROM ({numbered}) WHERE {bad} ORDER BY _n LIMIT 1)"
        )

    def _gathered(self, prefix: str) -> str:
        """SQL of a map of the texts of all columns whose name begins so; a cell that is empty gives no key."""
        given = {raw: self._scan.renamed.get(raw, raw) for raw in self._scan.columns}
        entries = ", ".join(
            f"{{'key': {literal(name.removeprefix(prefix))}, 'value': nullif(CAST({identifier(raw)} AS VARCHAR), '')}}"
            for raw, name in given.items()
            if name.startswith(prefix)
        )
        if not entries:
            return "CAST(NULL AS MAP(VARCHAR, VARCHAR))"
        return f"map_from_entries(list_filter([{entries}], lambda entry: entry.value IS NOT NULL))"

    def _bad(self, name: str) -> str | None:
        raw = self._raw[name]
        required = name in self._layout.required
        if name in self._layout.parsers:
            filled = is_filled(f"CAST({identifier(raw)} AS VARCHAR)")
            return f"(NOT {filled} OR {self.typed(name)} IS NULL)" if required else f"({filled} AND {self.typed(name)} IS NULL)"
        return bad_cells(raw, self._scan.columns[raw], self._types.get(name, TEXT), required=required)


def opened(parts: Sequence[Part], selects: Sequence[str]) -> Opened:
    """A delivery of several files, each with its select, as the loader wants it."""
    extra = sorted({name for part in parts for name in part.extra_names()})
    checks = " UNION ALL ".join(part.check_sql() for part in parts)
    return Opened(
        select_sql=" UNION ALL BY NAME ".join(selects),
        extra_columns=tuple(pa.field(name, TEXT) for name in extra),
        bad_values_sql=f"SELECT column_name, sum(bad_count)::BIGINT FROM ({checks}) GROUP BY 1",
        locate_bad_sql=lambda column: " UNION ALL ".join(sql for part in parts if (sql := part.locate_sql(column)) is not None),
        check_rows=partial(_check_rows, parts),
    )


def _check_rows(parts: Sequence[Part], read: int) -> None:
    """Every line became a row. DuckDB 1.5.5 drops what follows a quote that is never closed, without a word.

    Where lines and rows differ (a line break inside a cell, an empty line), the rows are counted one by one.
    """
    texts = [part for part in parts if part.line_count is not None]
    if read == sum((part.line_count or 1) - 1 for part in texts):
        return
    there = sum(part.record_count() for part in texts)
    if read != there:
        raise UnreadableFile(
            f"{read} rows were read of {there}: a quote is opened and never closed, or a line breaks off",
            where=", ".join(part.key for part in texts[:3]),
            expected="as many rows as the files have",
            next_step="ask the provider to deliver the period again; nothing of it was loaded",
        )
