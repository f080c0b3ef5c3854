"""The Parquet files that a Delta table consists of, as values: what is there, and what is to be added.

Data flow: Delta log → `ActiveFile`s of a `Snapshot` → a writer decides → `NewFile`s and the files to remove → `Lake.commit_files`.

Not for direct use; see `costlake.delta`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

Bounds = Mapping[str, tuple[str, str]]


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
    def of_log(cls, root: Path, action: Mapping[str, object]) -> ActiveFile:
        """From a flattened `add` action: path, size_bytes, num_records, partition.<column>, min.<column>, max.<column>."""

        def texts(prefix: str) -> dict[str, str]:
            return {
                name.removeprefix(prefix): value for name, value in action.items() if name.startswith(prefix) and isinstance(value, str)
            }

        low, high = texts("min."), texts("max.")
        rows, size = action["num_records"], action["size_bytes"]
        return cls(
            name=str(action["path"]),
            path=str(root / str(action["path"])),
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
