"""A bill whose slice is a day and whose rows of one day stand in several invoice months, as Google Cloud's export has them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa

from costlake.config import Export
from costlake.tables import BRONZE_MONEY, TEXT, bronze_table
from ingest.parts import Layout, Part, opened
from ingest.readers import scan_file
from ingest.source import Candidate, Delivery, LandedObject, LoadContext, Opened, Source
from ingest.stores import Store

_FIELDS = [pa.field(name, TEXT) for name in ("month", "day", "sku", "unit", "currency")]
_TABLE = bronze_table("daily", [*_FIELDS, pa.field("cost", BRONZE_MONEY)])
_LAYOUT = Layout(_TABLE.schema, frozenset({"month", "day", "cost"}), lambda columns, _: {name: name for name in columns}, "a daily bill")


def _find(store: Store, export: Export) -> Iterator[Candidate]:
    for folder in store.folders(""):
        marker = f"{folder}/marker.json"
        if store.exists(marker):
            yield Candidate(marker, partial(_resolve, store, export, folder, marker))


def _resolve(store: Store, export: Export, folder: str, marker: str) -> Delivery:
    manifest = store.read(marker)
    objects = tuple(store.stat(f"{folder}/{name}") for name in json.loads(manifest)["files"])
    return Delivery(export, marker, objects, manifest, current=False)


def _open(context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    parts = [Part(scan_file(context.connection, landed.path, landed.key), landed, _LAYOUT) for landed in objects]
    return opened(parts, [part.select_sql(part.typed("month"), part.typed("day")) for part in parts])


DAILY = Source(
    name="daily",
    provider="Test",
    title="A daily bill",
    table=_TABLE,
    feeds="focus",
    formats="CSV",
    documentation="none",
    find=_find,
    open=_open,
    recognises=lambda _: False,
    measures={"billed": "cost", "effective": "cost"},
    currency_sql="currency",
    unit_sql=("sku", "unit"),
)

# month → costs of that month's rows
Costs = Mapping[str, Sequence[str]]


def deliver(root: Path, name: str, days: Mapping[str, Costs], unit: str = "hours") -> None:
    """One delivery: day → month → costs, a row each."""
    folder = root / name
    folder.mkdir(parents=True)
    with (folder / "bill.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["month", "day", "sku", "unit", "currency", "cost"])
        for day, months in days.items():
            writer.writerows([month, day, "sku-1", unit, "USD", cost] for month, costs in months.items() for cost in costs)
    (folder / "marker.json").write_text(json.dumps({"files": ["bill.csv"]}), encoding="utf-8")
