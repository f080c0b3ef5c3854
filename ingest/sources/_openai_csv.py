"""CSV exports of OpenAI's usage dashboard, read as if they were results of the API.

Data flow: `completions_usage_<start>_<end>.csv`, `cost_<start>_<end>.csv` → the API's result objects → `ingest.sources.openai`.

The dashboard writes counts as "3.0", a bucket without data as its four time columns alone, and many rows per bucket (of a minute or a
day). The endpoint stands in the file's name; where that was changed, in a column that only one endpoint has.
Document: none by OpenAI; the columns are those of exports seen (provider formats §5.3).
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from costlake.errors import BadValue, UnreadableFile
from costlake.money import parse_money
from ingest.pages import Json, Place
from ingest.personal import check_no_email
from ingest.source import LandedObject
from ingest.sources._openai_columns import COST_RESULT, COUNTS, ENDPOINTS, TELLING, Endpoint

_TIMES = ("start_time", "end_time", "start_time_iso", "end_time_iso")
_AGAIN = "download the export again; nothing of it was loaded"
_MOST_COLUMNS = 200


def is_table(path: Path) -> bool:
    """Whether a file is a CSV, by its name (the member's, of a zip)."""
    return path.name.endswith((".csv", ".csv.gz"))


def kind_of(path: Path, key: str) -> str | None:
    """`costs`, a usage endpoint, or None for a CSV of something else."""
    if not is_table(path):
        return None
    header = next(_lines(path), [])
    if tuple(header[:4]) != _TIMES:
        return None
    return _kind(header, key)


def _kind(header: list[str], key: str) -> str | None:
    if "amount_value" in header:
        return "costs"
    name = key.rpartition("/")[2]
    named = [endpoint for endpoint in ENDPOINTS if name.startswith(f"{endpoint}_usage_")]
    return named[0] if named else next((endpoint for column, endpoint in TELLING.items() if column in header), None)


def buckets(landed: LandedObject) -> Iterator[tuple[Place, int, int, Json | None]]:
    """(place, start, end in Unix seconds, result) per line of a file; the result is None for a bucket without data.

    Raises:
        UnreadableFile: not such an export, or a line breaks off. BadValue: a cell is not of its column's type. PersonalData.
    """
    lines = _lines(landed.path)
    number = 0
    try:
        header = [name.strip() for name in next(lines, [])]
        kind = _kind(header, landed.key) if tuple(header[:4]) == _TIMES else None
        if kind is None or len(set(header)) != len(header) or len(header) > _MOST_COLUMNS:
            raise UnreadableFile(
                "not an export of OpenAI's dashboard",
                where=f"{landed.key}: header",
                expected=f"{', '.join(_TIMES)}, and the columns of one endpoint or of costs, each once",
                next_step="keep the file's name as the dashboard gave it, or take the API's pages",
            )
        for number, line in enumerate(lines, start=1):
            place = Place(landed.key, number)
            if len(line) not in (len(header), len(_TIMES)):
                raise UnreadableFile(
                    f"the line has {len(line)} of {len(header)} cells", where=str(place), expected="whole lines", next_step=_AGAIN
                )
            row = {name: cell for name, cell in zip(header, line, strict=False) if cell.strip()}
            for cell in row.values():
                check_no_email(cell, str(place))
            start, end = (_seconds(row.pop(name, ""), name, place) for name in _TIMES[:2])
            row = {name: cell for name, cell in row.items() if name not in _TIMES}
            yield place, start, end, _result(kind, row, place) if row else None
    except (csv.Error, UnicodeDecodeError) as error:
        raise UnreadableFile(
            f"not a CSV in UTF-8 ({error})", where=f"{landed.key}, after line {number}", expected="a CSV", next_step=_AGAIN
        ) from error


def _lines(path: Path) -> Iterator[list[str]]:
    opener = gzip.open if path.name.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as stream:
        yield from (line for line in csv.reader(stream, strict=True) if line)


def _result(kind: str, row: dict[str, str], place: Place) -> Json:
    if kind == "costs":
        money = {"value": row.pop("amount_value", None), "currency": row.pop("amount_currency", None)}
        return {"object": COST_RESULT, "amount": money, **row}
    result: Json = {"object": Endpoint.result(kind), **row}
    for name in COUNTS:
        if name in row:
            result[name] = _number(row[name], name, place)
    if "batch" in row:
        result["batch"] = {"true": True, "false": False}.get(row["batch"].strip().lower(), row["batch"])
    return result


def _number(cell: str, name: str, place: Place) -> Decimal:
    try:
        return parse_money(cell)
    except ValueError as error:
        raise _bad(cell, name, place, "a number") from error


def _seconds(cell: str, name: str, place: Place) -> int:
    number = _number(cell, name, place)
    if number != number.to_integral_value() or not 0 <= number < 2**40:
        raise _bad(cell, name, place, "Unix seconds")
    return int(number)


def _bad(cell: Any, name: str, place: Place, expected: str) -> BadValue:
    return BadValue(f"{name} is {cell[:40]!r}", where=f"{place}, column {name}", expected=expected, next_step=_AGAIN)
