"""Which of an export's bronze files a delivery touches, and what of them stays.

Data flow: Delta log (files with the range of their slices) + the delivery's slices → `Touched` files → the rows that stay, by month.

A slice belongs to the export, not to a month: Google Cloud's export partition of one day spreads over several invoice months, and a
redelivery may move its rows from one to another. So a redelivered slice is looked for in every month; the log tells which files can
hold it, and only of those that may hold others as well is the slice column read.
Not for direct use; see `ingest.bronze`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costlake.datafiles import ActiveFile
from costlake.errors import LakeError
from costlake.sql import literal

if TYPE_CHECKING:
    import duckdb

SLICE = "_slice"


@dataclass(frozen=True)
class Touched:
    """A file that holds rows of the replaced slices.

    Attributes:
        file: which one.
        gone: slice → its rows, which leave.
        stays: slice → its rows, which have to be written anew.
    """

    file: ActiveFile
    gone: dict[str, int]
    stays: dict[str, int]

    @property
    def period(self) -> str:
        """The billing month that the file belongs to."""
        return self.file.partition["_billing_period"]


def touched_files(connection: duckdb.DuckDBPyConnection, files: Sequence[ActiveFile], slices: Sequence[str]) -> list[Touched]:
    """The files of an export that hold rows of `slices` (sorted), with the rows of each slice in them."""
    found = []
    unknown = []
    replaced = frozenset(slices)
    for file in files:
        low, high = file.bounds.get(SLICE, ("", ""))
        if low and low == high and file.row_count is not None:
            if low in replaced:
                found.append(Touched(file, {low: file.row_count}, {}))
        elif not low or _any_between(slices, low, high):
            unknown.append(file)
    held = _held(connection, unknown)
    for file in unknown:
        counts = held.get(file.path, {})
        gone = {slice_: rows for slice_, rows in counts.items() if slice_ in replaced}
        if gone:
            found.append(Touched(file, gone, {slice_: rows for slice_, rows in counts.items() if slice_ not in replaced}))
    return sorted(found, key=lambda each: each.file.name)


def remaining_sql(touched: Sequence[Touched], slices: Sequence[str]) -> str:
    """The rows of touched files that stay."""
    listing = ", ".join(literal(each.file.path) for each in touched)
    gone = ", ".join(literal(slice_) for slice_ in slices)
    scan = f"SELECT * FROM read_parquet([{listing}], union_by_name = true, hive_partitioning = false)"
    return f"{scan} WHERE {SLICE} NOT IN ({gone})"


def _any_between(slices: Sequence[str], low: str, high: str) -> bool:
    position = bisect_left(slices, low)
    return position < len(slices) and slices[position] <= high


def _held(connection: duckdb.DuckDBPyConnection, files: Sequence[ActiveFile]) -> dict[str, dict[str, int]]:
    if not files:
        return {}
    rows = connection.execute(
        f"SELECT filename, {SLICE}, count(*) FROM read_parquet($files, union_by_name = true, hive_partitioning = false, filename = true) "
        "GROUP BY ALL",
        {"files": [file.path for file in files]},
    ).fetchall()
    held: dict[str, dict[str, int]] = {}
    known = {file.path for file in files}
    for path, slice_, count in rows:
        if path not in known:  # rows that are taken for nobody's would stay beside those that replace them
            raise LakeError(
                "DuckDB names a file otherwise than the table's log",
                where=path,
                expected=f"a path as in {files[0].path}",
                next_step="report it with the versions of duckdb and deltalake; nothing was written",
            )
        held.setdefault(path, {})[slice_] = count
    return held
