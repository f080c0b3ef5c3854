"""The Google Cloud fixture's rows, and the other formats in which an extraction may write them.

Data flow: tests/fixtures/gcp_billing → rows (dicts) → JSON lines, Parquet (DOUBLE or DECIMAL money), flattened CSV.
Alone: `write_parquet(rows(), Path("x.parquet"))`.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FIXTURE = Path(__file__).parents[1] / "fixtures" / "gcp_billing"
RUNS = ("partition_date=2026-10-06/run_id=20261007T031500Z", "partition_date=2026-11-03/run_id=20261104T031500Z")
Row = dict[str, Any]
_NUMBERS = {"cost", "cost_at_list", "cost_at_effective_price_default", "currency_conversion_rate", "amount", "amount_in_pricing_units"}
_TIMES = {"usage_start_time", "usage_end_time", "export_time"}


def rows(day: int | None = None) -> list[Row]:
    """The rows of the fixture's runs in force, or of one of its two export days."""
    runs = RUNS if day is None else RUNS[day : day + 1]
    files = [file for run in runs for file in sorted((FIXTURE / run).glob("*.ndjson"))]
    return [json.loads(line, parse_float=Decimal) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def json_lines(records: Iterable[Row]) -> str:
    """One JSON object per line."""
    return "".join(json.dumps(record, default=float) + "\n" for record in records)


def write_run(root: Path, day: str, run: str, records: Sequence[Row], **manifest: object) -> Path:
    """An extraction in our layout; returns its folder."""
    folder = root / f"partition_date={day}" / f"run_id={run}"
    folder.mkdir(parents=True)
    (folder / "shard-000.ndjson").write_text(json_lines(records), encoding="utf-8")
    content = {"files": ["shard-000.ndjson"], "row_count": len(records), "max_export_time": None, **manifest}
    (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def write_parquet(records: Sequence[Row], path: Path, money: pa.DataType) -> None:
    """As BigQuery's EXPORT DATA does: structs, lists of structs, timestamps in UTC; `money` is DOUBLE or DECIMAL."""
    converted = [_map(record, lambda name, value: _typed(name, value, money)) for record in records]
    pq.write_table(pa.Table.from_pylist(converted, schema=_schema(converted)), path)


def write_csv(
    records: Sequence[Row], path: Path, text_of_list: Callable[[Any], str] = lambda value: json.dumps(value, default=str)
) -> None:
    """As koku and nise flatten it: `service.id`, lists as text."""
    flat = [dict(_flat(record, "")) for record in records]
    header = sorted({name for record in flat for name in record})
    with path.open("w", newline="", encoding="utf-8") as target:
        writer = csv.DictWriter(target, header)
        writer.writeheader()
        for record in flat:
            writer.writerow({name: text_of_list(value) if isinstance(value, list) else value for name, value in record.items()})


def python_text(value: Any) -> str:
    """A list as Python prints it: single quotes, None, True."""
    return repr(_map(value, lambda _, cell: float(cell) if isinstance(cell, Decimal) else cell))


def _flat(record: Row, prefix: str) -> Iterable[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _map(value: Any, convert: Callable[[str, Any], Any], name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _map(child, convert, key) for key, child in value.items()}
    return [_map(child, convert, name) for child in value] if isinstance(value, list) else convert(name, value)


def _typed(name: str, value: Any, money: pa.DataType) -> Any:
    if name in _NUMBERS and value is not None:
        return Decimal(str(value)) if pa.types.is_decimal(money) else float(value)
    if name in _TIMES:
        if str(value).isdigit():
            return dt.datetime.fromtimestamp(int(value), tz=dt.UTC)
        return dt.datetime.fromisoformat(str(value).replace(" UTC", "+00:00"))
    return value


def _schema(records: Sequence[Row]) -> pa.Schema:
    """Arrow finds the union of the structs' fields; decimals get one width."""
    found = pa.Table.from_pylist([{"row": record} for record in records]).schema.field("row").type
    return pa.schema([pa.field(field.name, _wide(field.type)) for field in found])


def _wide(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, _wide(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(_wide(kind.value_type))
    if pa.types.is_decimal(kind):
        return pa.decimal128(38, 18)
    return pa.string() if pa.types.is_null(kind) else kind
