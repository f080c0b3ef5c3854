"""Fireworks' billing summary: days of rated line items → rows of bronze.fireworks_costs.

Data flow: the answer of GET /v1/accounts/<account>/billing/summary?granularity=DAILY, as a JSON file → days, lines, exact money.

Money is google.type.Money: whole `units` and `nanos` (billionths) of one sign; what is 0 may be left out. The answer holds the same charges
twice, as `lineItems` of the whole window and as `usageBuckets` by UTC day: the days are loaded, and have to sum to the whole.
Not for direct use; see `ingest.sources.fireworks`.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from costlake.errors import BadValue, UnreadableFile
from costlake.money import exact_product
from costlake.tables import BRONZE_MONEY, TEXT, TIMESTAMP, bronze_table
from ingest import pages
from ingest.pages import Json, Place
from ingest.source import Delivery, LandedObject, LoadContext, Opened

_TEXTS = {
    "category": "category",
    "series": "series",
    "groupingKey": "grouping_key",
    "groupingValue": "grouping_value",
    "secondaryGroupingKey": "secondary_grouping_key",
    "secondaryGroupingValue": "secondary_grouping_value",
}
COSTS = bronze_table(
    "fireworks_costs",
    [
        pa.field("bucket_start", TIMESTAMP),
        pa.field("bucket_end", TIMESTAMP),
        *(pa.field(name, TEXT) for name in (*_TEXTS.values(), "currency")),
        pa.field("quantity", BRONZE_MONEY),
        pa.field("unit_amount", BRONZE_MONEY),
        pa.field("total_cost", BRONZE_MONEY),
        pa.field("_extra", TEXT),
    ],
)
# the price is part of the identity: a day on which it changes has two lines
_IDENTITY = ("bucket_start", *_TEXTS.values(), "currency", "unit_amount")
_KNOWN = frozenset({*_TEXTS, "quantity", "totalCost", "unitAmount"})
_NANO = Decimal("0.000000001")
_NANOS = 1_000_000_000
_DAY = dt.timedelta(days=1)
_NEXT = "ask for the window again with granularity=DAILY; nothing of it was loaded"
_EXPECTED = "the answer of /billing/summary?granularity=DAILY: an object with usageBuckets, one per UTC day"


def open_summary(context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    """The line items of each UTC day; days without one are covered, too.

    Raises:
        UnreadableFile: not such an answer, or one without days. BadValue: a line without cost, or days that do not sum to the whole.
    """
    rows: list[Json] = []
    days: set[str] = set()
    for landed in objects:
        summary = _read(landed.path, landed.key)
        own = []
        for place, start, line in _lines(summary, landed.key, days):
            own.append(_row(place, start, line))
        _check_sums(summary, own, landed.key)
        rows += own
    return pages.opened_rows(context, COSTS.schema, _IDENTITY, objects, rows, days)


def recognises(path: Path) -> bool:
    """Whether a lone file is such an answer."""
    if not path.name.endswith((".json", ".json.gz")):
        return False
    try:
        return bool(_read(path, path.name))
    except UnreadableFile:
        return False  # some other source may know it


def _read(path: Path, key: str) -> Json:
    def fits(summary: Json) -> bool:
        return isinstance(summary.get("usageBuckets"), list) and bool(summary["usageBuckets"])

    return pages.read_object(path, key, fits, _EXPECTED, _NEXT)


def _lines(summary: Json, key: str, days: set[str]) -> Iterator[tuple[Place, dt.datetime, Any]]:
    """(place, day, line item) of every day; the days are added to `days`."""
    number = 0
    for bucket in summary["usageBuckets"]:
        try:
            start, end = (dt.datetime.fromisoformat(str(bucket[name])).astimezone(dt.UTC) for name in ("startTime", "endTime"))
            lines = bucket.get("lineItems") or []
            if start.time() != dt.time() or end - start != _DAY or not isinstance(lines, list):
                raise ValueError(f"from {start} to {end}")
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise BadValue(
                f"a bucket is no UTC day ({str(error)[:120]})",
                where=f"{key}, after line item {number}",
                expected=_EXPECTED,
                next_step=_NEXT,
            ) from error
        if start.date().isoformat() in days:
            raise BadValue(f"the day {start.date()} comes twice", where=key, expected="each day once", next_step=_NEXT)
        days.add(start.date().isoformat())
        for line in lines:
            number += 1
            yield Place(key, number), start, line


def _row(place: Place, start: dt.datetime, line: Any) -> Json:
    if not isinstance(line, dict):
        raise _bad("the line item is no object", place, "category, quantity and totalCost")
    row: Json = {name: pages.text(line, said) for said, name in _TEXTS.items()}
    row |= {"bucket_start": start, "bucket_end": start + _DAY, "_place": place, "_slice": start.date().isoformat()}
    row["currency"], row["total_cost"] = _money(line.get("totalCost"), "totalCost", place)
    currency, row["unit_amount"] = (
        _money(line["unitAmount"], "unitAmount", place) if line.get("unitAmount") is not None else (row["currency"], None)
    )
    if currency != row["currency"]:
        raise _bad(f"the price is in {currency}, the cost in {row['currency']}", place, "one currency")
    row["quantity"] = None if line.get("quantity") is None else pages.amount(line["quantity"], "quantity", place)
    row["_extra"] = pages.extra_json(line, _KNOWN)
    return row


def _money(said: Any, field: str, place: Place) -> tuple[str, Decimal]:
    """(currency, exact amount) of a google.type.Money; a missing one is refused, for it would be counted as 0."""
    if not isinstance(said, dict) or not str(said.get("currencyCode") or "").strip():
        raise _bad(f"{field} is {str(said)[:80]!r}", place, '{"currencyCode": "USD", "units": "1", "nanos": 250000000}')
    parts = {name: 0 if said.get(name) is None else said[name] for name in ("units", "nanos")}
    units, nanos = (pages.amount(part, f"{field}.{name}", place) for name, part in parts.items())
    if units != int(units) or nanos != int(nanos) or abs(nanos) >= _NANOS or units * nanos < 0:
        raise _bad(f"{field} is {units} units and {nanos} nanos", place, "whole units, and nanos below 10⁹ of the same sign")
    return str(said["currencyCode"]).strip().upper(), exact_product(Decimal(int(units) * _NANOS + int(nanos)), _NANO)


def _check_sums(summary: Json, rows: list[Json], key: str) -> None:
    """The days sum to the answer's own total, up to the rounding of each line to a billionth."""
    whole = summary.get("lineItems")
    if whole is None or whole == []:
        return
    if not isinstance(whole, list) or not all(isinstance(line, dict) for line in whole):
        raise BadValue(f"lineItems is {str(whole)[:80]!r}", where=key, expected="a list of line items, or none", next_step=_NEXT)
    said: defaultdict[str, Decimal] = defaultdict(Decimal)
    for number, line in enumerate(whole, 1):
        currency, cost = _money(line.get("totalCost"), "totalCost", Place(f"{key}, lineItems", number))
        said[currency] += cost
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        found[row["currency"]] += row["total_cost"]
    for currency in sorted({*said, *found}):
        if abs(said[currency] - found[currency]) > _NANO * (len(rows) + len(whole)):
            raise BadValue(
                f"the days sum to {found[currency].normalize():f} {currency}, the line items to {said[currency].normalize():f}",
                where=key,
                expected="the same money in usageBuckets and lineItems",
                next_step=_NEXT,
            )


def _bad(what: str, place: Place, expected: str) -> BadValue:
    return BadValue(what, where=str(place), expected=expected, next_step=_NEXT)
