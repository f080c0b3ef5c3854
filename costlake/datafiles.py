"""The Parquet files that a Delta table consists of, as values: what is there, and what is to be added.

Data flow: Delta log → `ActiveFile`s of a `Snapshot` → a writer decides → `NewFile`s and the files to remove → `Lake.commit_files`.

Not for direct use; see `costlake.delta`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from costlake.errors import ConcurrentWrite, LakeError
from costlake.tables import TableSpec

# Reader features under which the listed files alone do not tell the table's rows.
_UNREADABLE_FEATURES = frozenset({"deletionVectors", "columnMapping"})
Bounds = Mapping[str, tuple[str, str]]
# Stream → its position before a commit (None: nothing was written yet) and after it.
Moves = Mapping[str, tuple[int | None, int]]


@dataclass(frozen=True)
class NewFile:
    """A Parquet file that lies below the table's folder and is not in the log yet.

    Attributes:
        path: where it lies.
        row_count: its rows.
        partition: its partition values.
        bounds: text column → least and greatest value, for columns by which readers of the log choose files.
    """

    path: Path
    row_count: int
    partition: Mapping[str, str]
    bounds: Bounds = field(default_factory=dict)

    def facts(self, root: Path) -> tuple[str, int, dict[str, str], int]:
        """For Delta's `add` action: path below the table's folder, bytes, partition values, time of change in milliseconds."""
        status = self.path.stat()
        return str(self.path.relative_to(root)), status.st_size, dict(self.partition), int(status.st_mtime * 1000)

    def statistics(self) -> dict[str, object]:
        """The statistics of Delta's `add` action (Delta protocol, "Per-file statistics")."""
        low = {column: bound[0] for column, bound in self.bounds.items()}
        high = {column: bound[1] for column, bound in self.bounds.items()}
        return {"numRecords": self.row_count, "minValues": low, "maxValues": high}


@dataclass(frozen=True)
class ActiveFile:
    """A Parquet file that a version of a table consists of.

    Attributes:
        name: below the table's folder, as the log has it.
        path: where `read_parquet` finds it.
        partition: its partition values.
        row_count: its rows; None where the log does not say.
        byte_count: its size.
        bounds: text column → least and greatest value, for the columns of which the log knows them.
    """

    name: str
    path: str
    partition: Mapping[str, str]
    row_count: int | None
    byte_count: int
    bounds: Bounds

    @classmethod
    def of_log(cls, root: str, action: Mapping[str, object]) -> ActiveFile:
        """From a flattened `add` action: path, size_bytes, num_records, partition.<column>, min.<column>, max.<column>."""

        def texts(prefix: str) -> dict[str, str]:
            return {
                name.removeprefix(prefix): value for name, value in action.items() if name.startswith(prefix) and isinstance(value, str)
            }

        low, high = texts("min."), texts("max.")
        rows, size = action["num_records"], action["size_bytes"]
        return cls(
            name=str(action["path"]),
            path=f"{root}/{action['path']}",
            partition=texts("partition."),
            row_count=rows if isinstance(rows, int) else None,
            byte_count=size if isinstance(size, int) else 0,
            bounds={column: (low[column], high[column]) for column in low if column in high},
        )


@dataclass(frozen=True)
class Snapshot:
    """The files of a table at one version: what a writer decided upon."""

    version: int
    files: tuple[ActiveFile, ...]


def refuse_unreadable(table: Any, where: str) -> None:
    """LakeError for a Delta table with features under which the files that its log lists do not tell its rows."""
    features = set(table.protocol().reader_features or ())
    mapping = table.metadata().configuration.get("delta.columnMapping.mode", "none")
    found = sorted(features & _UNREADABLE_FEATURES) + (["columnMapping"] if mapping not in ("none", None) else [])
    if found:
        raise LakeError(
            f"the table uses {', '.join(found)}, so its Parquet files alone do not tell its rows",
            where=where,
            expected="a table without deletion vectors and column mapping",
            next_step="rewrite the table without these features, or let costlake write it",
        )


def came_second(spec: TableSpec, claims: Sequence[str], what: str) -> ConcurrentWrite:
    """What to raise where another writer has changed what this one built upon."""
    return ConcurrentWrite(
        f"another writer changed the same slice first ({what})",
        where=f"{spec.layer}.{spec.name}, {', '.join(claims)}",
        expected="one writer per slice at a time",
        next_step="run the command again; it starts from what the other writer left",
    )


def schema_of(table: Any) -> pa.Schema:
    """A Delta table's Arrow schema, without the view types that newer Arrow readers report."""
    schema = pa.schema(table.schema().to_arrow())
    plain = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    return pa.schema([pa.field(field.name, plain.get(field.type, field.type)) for field in schema])
