"""AWS CUR 2.0 Data Export in create-new mode: bill lines → `<root>/finops/cur2/{data,metadata}/BILLING_PERIOD=YYYY-MM/…`.

Each delivery of a month gets a folder of its own; data files first, then the execution's manifest, then the mutable
pointer manifest, as AWS does. `root` plays the bucket `costlake-demo`.

Run alone: python -c "from pathlib import Path; from costlake.periods import BillingPeriod; from ingest.demo.aws import write_month;
print(write_month(Path('demo/aws'), 7, BillingPeriod.parse('2026-10'), '2026-10', delivery=1))"
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from costlake.periods import BillingPeriod
from ingest.demo.aws_bill import bill_lines
from ingest.demo.aws_lines import BillLine
from ingest.demo.aws_schema import COLUMNS, arrow_type, empty_cell
from ingest.demo.shape import stream
from ingest.demo.totals import Totals

BUCKET = "costlake-demo"
PREFIX = "finops"
EXPORT = "cur2"
PARTS = 2


def month_totals(rows: list[BillLine]) -> Totals:
    """Control totals of one delivery in USD, summed from what the generator knows of each row."""
    return Totals(len(rows), sum((row.billed for row in rows), Decimal(0)), sum((row.effective for row in rows), Decimal(0)))


def write_month(root: Path, seed: int, period: BillingPeriod, last_month: str, *, delivery: int) -> Totals:
    """Write one delivery of one month (2 = AWS's restatement) and move the pointer manifest to it; returns its control totals."""
    rows = bill_lines(seed, period, last_month, restated=delivery > 1)
    execution = execution_folder(seed, period, delivery)
    folder = f"{PREFIX}/{EXPORT}/data/BILLING_PERIOD={period}/{execution}"
    keys = [f"{folder}/{EXPORT}-{part + 1:05d}.snappy.parquet" for part in range(PARTS)]
    table = _table(rows)
    size = -(-table.num_rows // PARTS)
    for part, key in enumerate(keys):
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.slice(part * size, size), path, compression="snappy", store_schema=False, coerce_timestamps="ms")
    manifest = json.dumps(
        {
            "dataFiles": [f"s3://{BUCKET}/{key}" for key in keys],
            "columns": [{"name": name, "type": kind} for name, kind in COLUMNS],
        },
        indent=1,
    )
    metadata = root / PREFIX / EXPORT / "metadata" / f"BILLING_PERIOD={period}"
    for path in (metadata / execution / f"{EXPORT}-Manifest.json", metadata / f"{EXPORT}-Manifest.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(manifest, encoding="utf-8")
    return month_totals(rows)


def execution_folder(seed: int, period: BillingPeriod, delivery: int) -> str:
    """`<timestamp>-<execution-id>`: the first delivery a few days after the month's end, a restatement three weeks later."""
    rng = stream(seed, "execution", period, delivery)
    moment = period.end + dt.timedelta(days=3 if delivery == 1 else 24, hours=6, seconds=rng.randrange(3600))
    return f"{moment:%Y%m%dT%H%M%S}.000Z-{uuid.UUID(int=rng.getrandbits(128), version=4)}"


def _table(rows: list[BillLine]) -> pa.Table:
    used = {name for row in rows for name in row.cells}
    arrays = [_column(name, kind, rows) if name in used else _empty_column(name, kind, len(rows)) for name, kind in COLUMNS]
    return pa.Table.from_arrays(arrays, names=[name for name, _ in COLUMNS])


def _column(name: str, kind: str, rows: list[BillLine]) -> pa.Array:
    empty = empty_cell(name, kind)
    cells: list[Any] = [row.cells.get(name, empty) for row in rows]
    if kind == "double":
        # AWS stores money as DOUBLE: the double nearest to the exact decimal, so that its shortest text is that decimal again.
        cells = [None if cell is None else float(cell) for cell in cells]
    return pa.array(cells, type=arrow_type(kind))


def _empty_column(name: str, kind: str, length: int) -> pa.Array:
    return pa.array([empty_cell(name, kind)] * length, type=arrow_type(kind))
