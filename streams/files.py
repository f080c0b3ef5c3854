"""Arrow rows → a Parquet file below a table's folder, on the disk before any commit names it.

Data flow: rows of one partition → `NewFile` → `Lake.advance`.
Not for direct use; see streams.sink.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping

import pyarrow as pa

from costlake.datafiles import NewFile
from costlake.delta import Lake
from costlake.tables import TableSpec


def new_file(lake: Lake, spec: TableSpec, partition: Mapping[str, str], rows: pa.Table) -> NewFile:
    """Write rows, with the table's columns but for those of its partitioning, into a new file of a partition."""
    import pyarrow.parquet as pq

    path = lake.new_path(spec, partition, f"stream-{uuid.uuid4().hex}")
    with path.open("xb") as file:
        pq.write_table(rows, file, compression="zstd", compression_level=1)
        file.flush()
        # The log must never name a file that a power cut took: the offsets in the same commit would say that its rows are there.
        os.fsync(file.fileno())
    return NewFile(path, rows.num_rows, dict(partition))
