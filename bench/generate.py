"""A CUR 2.0 export of N rows a month, in AWS's layout: `slots` × hours → snappy Parquet parts, then the manifests.

DuckDB repeats the hour's lines and adds what differs per row; the same arguments give the same rows. Ids are new on each
row and amounts have nine decimals, as in hourly exports: what compresses badly in a real file does so here.
Run alone: python -m bench.generate FOLDER --rows 2000 --period 2026-10
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import duckdb

from bench.lines import MONTH_LINES, slots
from costlake.periods import BillingPeriod
from ingest.demo.aws_schema import COLUMNS

EXPORT_ID = "aws-bench"
_NAME = "cur2"
_ROWS_PER_PART = 1_000_000
_FEWEST_LINES_AN_HOUR = 40

_VARYING = {
    "identity_line_item_id": "left(sha256(concat($seed, '/', i)), 52)",
    "identity_time_interval": "strftime(t0, '%Y-%m-%dT%H:%M:%SZ') || '/' || strftime(t1, '%Y-%m-%dT%H:%M:%SZ')",
    "line_item_usage_start_date": "CAST(t0 AS TIMESTAMP_MS)",
    "line_item_usage_end_date": "CAST(t1 AS TIMESTAMP_MS)",
    "line_item_usage_amount": "CAST(amount AS DOUBLE)",
    "line_item_normalized_usage_amount": "CAST(CAST(amount * _factor AS DECIMAL(28, 9)) AS DOUBLE)",
    "line_item_unblended_cost": "CAST(CAST(amount * _billed_rate AS DECIMAL(28, 10)) AS DOUBLE)",
    "line_item_blended_cost": "CAST(CAST(amount * _billed_rate AS DECIMAL(28, 10)) AS DOUBLE)",
    "pricing_public_on_demand_cost": "CAST(CAST(amount * _rate AS DECIMAL(28, 10)) AS DOUBLE)",
}


def write_month(root: Path, period: BillingPeriod, rows: int, *, seed: int = 7, delivery: int = 1) -> list[Path]:
    """Write one delivery of one month below `root` and point the month's manifest to it; returns the data files."""
    folder = root / "data" / f"BILLING_PERIOD={period}" / f"2026110{delivery}T060000.000Z-bench-{delivery}"
    folder.mkdir(parents=True)
    hours = min(int((period.end - period.start).total_seconds()) // 3600, max(1, rows // _FEWEST_LINES_AN_HOUR))
    per_hour = (rows - MONTH_LINES) // hours
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("slots", slots(period, per_hour, hours))
    paths = []
    for part, start in enumerate(range(0, rows, _ROWS_PER_PART), start=1):
        path = folder / f"{_NAME}-{part:05d}.snappy.parquet"
        numbered = _numbered(start, min(start + _ROWS_PER_PART, rows), rows, per_hour, hours)
        sql = f"COPY ({_select(period, numbered)}) TO '{path}' (FORMAT parquet, COMPRESSION snappy)"
        # A restatement names every row anew and bills a little more of each, as late usage does.
        literals = {"$seed": f"'{seed}/{delivery}/{period}'", "$period": f"'{seed}/{period}'", "$restated": f"{delivery - 1} * 0.000001"}
        for name, literal in literals.items():
            sql = sql.replace(name, literal)
        connection.execute(sql)
        paths.append(path)
    connection.close()
    _write_manifest(root, period, paths)
    return paths


def _numbered(start: int, end: int, rows: int, per_hour: int, hours: int) -> str:
    """Row number → hour and slot: hour after hour, then what the division left over, then the month's lines."""
    regular, month = per_hour * hours, rows - MONTH_LINES
    slot = f"CASE WHEN i < {regular} THEN i % {per_hour} WHEN i < {month} THEN {per_hour + MONTH_LINES} ELSE {per_hour} + i - {month} END"
    return f"SELECT i, least(i // {per_hour}, {hours - 1}) AS hour, {slot} AS slot FROM range({start}, {end}) AS numbers(i)"


def _select(period: BillingPeriod, numbered: str) -> str:
    columns = ", ".join(f'{_VARYING.get(name, name)} AS "{name}"' for name, _ in COLUMNS)
    begin, end = (f"TIMESTAMP '{moment:%Y-%m-%d %H:%M:%S}'" for moment in (period.start, period.end))
    return f"""
        SELECT {columns} FROM (
            SELECT i, slots.*,
                CASE WHEN _is_month THEN {begin} ELSE {begin} + to_hours(hour) END AS t0,
                CASE WHEN _is_month THEN {end} - INTERVAL 1 second ELSE {begin} + to_hours(hour + 1) END AS t1,
                coalesce(_amount, CAST(hash(i, $period) % 10000000000 AS BIGINT) * 0.000000001 + $restated) AS amount
            FROM ({numbered}) AS numbered INNER JOIN slots ON slots._slot = numbered.slot
        )"""


def _write_manifest(root: Path, period: BillingPeriod, paths: Sequence[Path]) -> None:
    manifest = {
        "dataFiles": [f"s3://bench/{path.relative_to(root)}" for path in paths],
        "columns": [{"name": name, "type": kind} for name, kind in COLUMNS],
    }
    path = root / "metadata" / f"BILLING_PERIOD={period}" / f"{_NAME}-Manifest.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write `--months` months that end with `--period`."""
    parser = argparse.ArgumentParser(prog="python -m bench.generate", description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows a month")
    parser.add_argument("--period", default="2026-10")
    parser.add_argument("--months", type=int, default=1)
    parser.add_argument("--delivery", type=int, default=1)
    given = parser.parse_args(arguments)
    period = BillingPeriod.parse(given.period)
    for _ in range(given.months):
        write_month(given.root, period, given.rows, delivery=given.delivery)
        period = period.previous()


if __name__ == "__main__":
    main()
