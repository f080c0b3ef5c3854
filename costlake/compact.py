"""Many small files of a partition → a few: a month of several deliveries a day would otherwise be read from hundreds of files.

Data flow: a table's snapshot → the small files of each partition → one file per group, read back and compared → one commit per partition.

The rows stay the same, lineage included: number and sum of row hashes must be equal before and after. Files that a load or another
writer changes meanwhile are left for the next time.
Run alone: costlake maintain
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from costlake.datafiles import ActiveFile, NewFile, Snapshot
from costlake.delta import Lake, open_duckdb, write_parquet
from costlake.errors import ConcurrentWrite, LakeError
from costlake.periods import Clock
from costlake.sql import identifier, literal
from costlake.tables import TableSpec

if TYPE_CHECKING:
    import duckdb

# A file of 16 MB is read in a fraction of a second; below, opening it costs more than its rows.
_SMALL_BYTES = 16 << 20
# Fewer are left alone: what is rewritten today is rewritten again with the next delivery.
_FEWEST_FILES = 8
# A redelivered slice rewrites the file that holds it: bigger ones would make that slow.
_GROUP_BYTES = 128 << 20


def compact(lake: Lake, layer: str, name: str, clock: Clock) -> int:
    """Merge the small files of each partition that has many; returns how many files went. Writes no version where none has.

    Raises:
        LakeError: a merged file does not hold the rows of its parts; nothing of its partition is committed then.
    """
    seen = lake.snapshot(layer, name)
    small: dict[tuple[str, ...], list[ActiveFile]] = {}
    for file in seen.files:
        if file.byte_count < _SMALL_BYTES:
            small.setdefault(tuple(file.partition.values()), []).append(file)
    many = {values: files for values, files in small.items() if len(files) >= _FEWEST_FILES}
    if not many:
        return 0
    spec = TableSpec(layer, name, lake.schema(layer, name), tuple(seen.files[0].partition))
    return sum(_compact_partition(lake, spec, seen, many[values], clock) for values in sorted(many))


def _compact_partition(lake: Lake, spec: TableSpec, seen: Snapshot, files: Sequence[ActiveFile], clock: Clock) -> int:
    connection = open_duckdb(lake.settings)
    new: list[NewFile] = []
    groups = _groups(files)
    try:
        for group in groups:
            new.append(_merge(lake, spec, connection, group))
        gone = [file for group in groups for file in group]
        lake.commit_files(spec, seen, new, gone, {"compacted_files": str(len(gone))}, clock.now(), data_change=False)
    except (LakeError, ConcurrentWrite) as error:
        for file in new:
            file.path.unlink(missing_ok=True)
        if isinstance(error, ConcurrentWrite):
            return 0
        raise
    finally:
        connection.close()
    return len(gone)


def _groups(files: Sequence[ActiveFile]) -> list[list[ActiveFile]]:
    """Neighbours in the order of their least values, so that a merged file spans few slices; at least two in each."""
    groups: list[list[ActiveFile]] = [[]]
    for file in sorted(files, key=lambda file: (sorted(file.bounds.items()), file.name)):
        if sum(other.byte_count for other in groups[-1]) + file.byte_count > _GROUP_BYTES:
            groups.append([])
        groups[-1].append(file)
    return [group for group in groups if len(group) > 1]


def _merge(lake: Lake, spec: TableSpec, connection: duckdb.DuckDBPyConnection, files: Sequence[ActiveFile]) -> NewFile:
    parts = _scan([file.path for file in files])
    partition = dict(files[0].partition)
    path = lake.new_path(spec, partition, f"compacted-{uuid.uuid4().hex}")
    write_parquet(connection, parts, path)
    columns = [name for name, *_ in connection.execute(f"DESCRIBE {parts}").fetchall()]
    before, after = (_fingerprint(connection, scan, columns) for scan in (parts, _scan([str(path)])))
    if before != after:
        path.unlink()
        raise LakeError(
            f"{after[0]} rows were written, {before[0]} read, or their contents differ",
            where=f"{spec.layer}.{spec.name}, {partition}",
            expected="the same rows in fewer files",
            next_step="nothing was changed; run `costlake maintain` again, and report it if it repeats",
        )
    known = set.intersection(*(set(file.bounds) for file in files))
    bounds = {name: (min(file.bounds[name][0] for file in files), max(file.bounds[name][1] for file in files)) for name in known}
    return NewFile(path, before[0], partition, bounds)


def _scan(paths: Sequence[str]) -> str:
    listing = ", ".join(literal(path) for path in paths)
    return f"SELECT * FROM read_parquet([{listing}], union_by_name = true, hive_partitioning = false)"


def _fingerprint(connection: duckdb.DuckDBPyConnection, select: str, columns: Sequence[str]) -> tuple[int, int]:
    """Number of rows and the sum of their hashes: equal for equal rows in any order, repeated ones counted."""
    row = ", ".join(identifier(name) for name in columns)
    count, total = connection.execute(f"SELECT count(*), sum(hash({row})::HUGEINT) FROM ({select})").fetchall()[0]
    return int(count), int(total or 0)
