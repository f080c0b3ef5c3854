"""Mistral: a month's usage of the billing API, with the prices that it was billed at.

Data flow: `<pull>/manifest.json` with a JSON file per month, or a lone file → bronze.mistral_usage, one row per model, lane and day.

Documented (docs.mistral.ai, admin API): that usage is asked for by month and workspace, and its categories. The response's schema is
not; it is inferred from published clients of `billing/v2/usage`: categories hold models, models hold the lanes input, output and cached,
a lane holds entries with `value` (consumed), `value_paid` (billed) and a timestamp, and `prices` names a price per billing metric,
group, event type, zone and tier. The lanes are disjoint. What is billed is value_paid (value where it is absent) × price, in `currency`.
An entry that has no price, or two, is refused: it would be billed at nothing, or at whichever comes first.

The slice is the month: a file says it anew.
Run alone: costlake ingest path/to/usage-2026-10.json
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from costlake.errors import BadValue, UnreadableFile
from costlake.money import exact_product
from costlake.tables import BRONZE_MONEY, COUNT, TEXT, TIMESTAMP, bronze_table
from ingest import pages
from ingest.handovers import find_handovers
from ingest.pages import Json, Place
from ingest.source import Delivery, LandedObject, LoadContext, Opened, Source

_LANES = ("input", "output", "cached")
_TEXTS = ("usage_type", "event_type", "billing_metric", "billing_display_name", "billing_group", "api_zone", "service_tier")
_PRICED_BY = ("event_type", "api_zone", "service_tier")
_TABLE = bronze_table(
    "mistral_usage",
    [
        pa.field("used_at", TIMESTAMP),
        *(pa.field(name, TEXT) for name in ("category", "model", "lane", *_TEXTS, "currency")),
        pa.field("value", COUNT),
        pa.field("value_paid", COUNT),
        pa.field("price", BRONZE_MONEY),
        pa.field("amount", BRONZE_MONEY),
        pa.field("_extra", TEXT),
    ],
)
_IDENTITY = ("used_at", "category", "model", "lane", *_TEXTS)
_NEXT = "download the month again; nothing of it was loaded"


def open_month(context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    """The months' entries with what each was billed.

    Raises:
        UnreadableFile: not such a file. BadValue: an entry without time, count or exactly one price.
    """
    rows: list[Json] = []
    for landed in objects:
        month = _read(landed.path, landed.key)
        for number, (category, model, lane, entry) in enumerate(_entries(month), 1):
            rows.append(_row(month, Place(landed.key, number), category, model, lane, entry))
    return pages.opened_rows(context, _TABLE.schema, _IDENTITY, objects, rows, set())


def _read(path: Path, key: str) -> Json:
    def fits(month: Json) -> bool:
        return isinstance(month.get("prices"), list) and bool(month.get("currency"))

    return pages.read_object(path, key, fits, "a month of Mistral's usage: an object with categories of models, prices and currency", _NEXT)


def _entries(month: Json) -> Iterator[tuple[str, str, str, Any]]:
    """(category, model, lane, entry): models lie in a category, or in parts of one (libraries, fine tuning)."""

    def below(path: str, found: Any) -> Iterator[tuple[str, str, str, Any]]:
        for name, inner in found.items() if isinstance(found, dict) else ():
            if isinstance(inner, dict) and any(isinstance(inner.get(lane), list) for lane in _LANES):
                lanes = {lane: inner[lane] for lane in _LANES if inner.get(lane) is not None}
                # what is no list is no entry either, and is refused as such
                yield from (
                    (path, name, lane, entry) for lane, said in lanes.items() for entry in (said if isinstance(said, list) else [said])
                )
            else:
                yield from below(path if name == "models" else f"{path}.{name}".strip("."), inner)

    yield from below("", {name: content for name, content in month.items() if name != "prices"})


def _row(month: Json, place: Place, category: str, model: str, lane: str, entry: Any) -> Json:
    if not isinstance(entry, dict):
        raise _bad("the entry is no object", place, "an object with value and timestamp")
    row: Json = {name: pages.text(entry, name) for name in _TEXTS}
    row |= {"category": category, "model": model.split("::")[0], "lane": lane, "currency": str(month["currency"]).upper(), "_place": place}
    try:
        instant = dt.datetime.fromisoformat(str(entry.get("timestamp") or month.get("start_date")))
    except ValueError as error:
        raise _bad(f"the time is {str(entry.get('timestamp'))[:40]!r}", place, "an ISO 8601 timestamp") from error
    row["used_at"] = instant.replace(tzinfo=dt.UTC) if instant.tzinfo is None else instant.astimezone(dt.UTC)
    row["_slice"] = row["used_at"].strftime("%Y-%m")
    row["value"], row["value_paid"] = pages.count(entry, "value", place), pages.count(entry, "value_paid", place)
    paid = row["value_paid"] if row["value_paid"] is not None else row["value"]
    if paid is None:
        raise _bad("the entry counts nothing", place, "value or value_paid")
    row["price"] = _price(month["prices"], row, place)
    row["amount"] = pages.amount(format(exact_product(row["price"], paid), "f"), "value_paid × price", place)
    row["_extra"] = pages.extra_json(entry, frozenset({*_TEXTS, "value", "value_paid", "timestamp"}))
    return row


def _price(prices: list[Any], row: Mapping[str, Any], place: Place) -> Decimal:
    """The one price of the row's metric and group that nothing of the row contradicts; a price of its very tier goes before one of none."""
    fitting = [
        price
        for price in prices
        if isinstance(price, dict)
        and (price.get("billing_metric"), price.get("billing_group")) == (row["billing_metric"], row["billing_group"])
        and all(price.get(name) is None or row[name] is None or price[name] == row[name] for name in _PRICED_BY)
    ]
    closest = max((sum(price.get(name) is not None and price[name] == row[name] for name in _PRICED_BY) for price in fitting), default=0)
    found = {
        pages.amount(price.get("price"), "price", place)
        for price in fitting
        if sum(price.get(name) is not None and price[name] == row[name] for name in _PRICED_BY) == closest
    }
    if len(found) != 1:
        metric = f"{row['billing_metric']}, {row['billing_group']}"
        raise _bad(f"{len(found)} prices are given for {metric}", place, "one price for each metric, group, event type, zone and tier")
    return found.pop()


def _bad(what: str, place: Place, expected: str) -> BadValue:
    return BadValue(what, where=str(place), expected=expected, next_step=_NEXT)


def _recognises(path: Path) -> bool:
    if not path.name.endswith((".json", ".json.gz")):
        return False
    try:
        return any(True for _ in _entries(_read(path, path.name)))
    except UnreadableFile:
        return False  # some other source may know it


SOURCES = (
    Source(
        name="mistral_usage",
        provider="Mistral",
        title="Mistral usage and prices of a month",
        table=_TABLE,
        feeds="focus",
        also_tokens=True,
        formats="JSON with manifest.json, or a file by hand",
        documentation="docs.mistral.ai, admin API (usage); the response's schema is inferred",
        find=find_handovers,
        open=open_month,
        recognises=_recognises,
        measures={
            "billed": "amount",
            "effective": "amount",
            "tokens": "CASE WHEN coalesce(event_type, 'api_tokens') LIKE '%tokens' THEN coalesce(value, value_paid) ELSE 0 END",
        },
        currency_sql="currency",
    ),
)
