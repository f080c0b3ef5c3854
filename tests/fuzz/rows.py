"""Delivered files as rows, read by Python's csv and json with Decimal and by pyarrow: nothing of costlake's readers.

Data flow: files as they lie on disk → rows, for `tests.fuzz.reading`. Amounts round half away from zero at the 18th decimal, which is what
bronze keeps.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zipfile
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

Row = Mapping[str, Any]
_AMOUNT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
# nothing, as Python, SQL, JSON and Athena write it
NOTHING = ("", "\\N", "None", "NULL", "null")
_WIDE = Context(prec=400)


class NotReadable(Exception):
    """The independent reading finds no bill in the file: whoever loads it has invented something."""


def number(cell: Any) -> Decimal | None:
    """An exact amount at 18 decimals; None for an empty cell. NotReadable for anything that is no decimal number."""
    if cell is None or (isinstance(cell, str) and cell.strip(" ") in NOTHING):
        return None
    text = repr(cell) if isinstance(cell, float) else str(cell).strip(" ")
    if isinstance(cell, bool) or _AMOUNT.fullmatch(text) is None:
        raise NotReadable(f"{cell!r} is no amount")
    return Decimal(text).quantize(Decimal("1e-18"), ROUND_HALF_UP, _WIDE)


def read_rows(path: Path) -> list[Row]:
    """All rows of a CSV (plain, gzip, zip) or Parquet file."""
    if ".parquet" in path.name:
        table = pq.ParquetFile(path).read()
        return [dict(zip(table.schema.names, row, strict=True)) for row in zip(*(c.to_pylist() for c in table.columns), strict=True)]
    content = path.read_bytes()
    if path.name.endswith(".gz"):
        content = gzip.decompress(content)
    elif path.name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = archive.read(archive.namelist()[0])
    rows = [row for row in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")) if row]
    header = [name.strip() for name in rows[0]]
    return [dict(zip(header, row, strict=False)) for row in rows[1:]]


def read_results(path: Path) -> list[Row]:
    """All results of a file of API pages, each with its own numbers as Decimal."""
    text = gzip.decompress(path.read_bytes()).decode("utf-8-sig") if path.name.endswith(".gz") else path.read_text(encoding="utf-8-sig")
    pages = json.loads(text, parse_float=Decimal)
    return [result for page in (pages if isinstance(pages, list) else [pages]) for bucket in page["data"] for result in bucket["results"]]


def read_lines(path: Path) -> list[Row]:
    """All objects of a file of JSON lines (or of another file of a bill), numbers as Decimal."""
    if not any(ending in path.name for ending in (".ndjson", ".jsonl")):
        return read_rows(path)
    content = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
    return [json.loads(line, parse_float=Decimal) for line in content.decode("utf-8-sig").split("\n") if line.strip()]


def whole(value: Any) -> Decimal:
    """A count as JSON writes it."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise NotReadable(f"{value!r} is no count")
    return Decimal(value)
