"""OpenAI: organisation usage (completions) and costs, as pages of the API.

Data flow: openai/usage/<pull>/… → bronze.openai_usage; openai/costs/<pull>/… → bronze.openai_costs.

Usage has tokens and no money, costs have money and hardly any tokens. `input_tokens` is a superset (uncached + cached +
cache_write); that is undone at staging, bronze keeps what was sent. Absent fields are NULL, not 0: older payloads have no
cache_write.
Documents: OpenAI OpenAPI v2.3.0, /organization/usage/completions and /organization/costs.
Run alone: costlake ingest path/to/usage_page.json
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa

from costlake.errors import BadValue
from costlake.tables import BRONZE_MONEY, COUNT, TEXT, TIMESTAMP, bronze_table
from ingest import pages
from ingest.pages import Json
from ingest.source import Delivery, LandedObject, LoadContext, Opened, Source

_DIMENSIONS = ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier")
_COUNTS = (
    "input_tokens",
    "input_cached_tokens",
    "input_cache_write_tokens",
    "input_uncached_tokens",
    "output_tokens",
    "input_text_tokens",
    "output_text_tokens",
    "input_cached_text_tokens",
    "input_audio_tokens",
    "input_cached_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "input_cached_image_tokens",
    "output_image_tokens",
    "num_model_requests",
)
# The only fields the document requires; all others are optional.
_REQUIRED = ("input_tokens", "output_tokens", "num_model_requests")
_USAGE_RESULT = "organization.usage.completions.result"
_COST_RESULT = "organization.costs.result"

_USAGE = bronze_table(
    "openai_usage",
    [
        pa.field("bucket_start", TIMESTAMP),
        pa.field("bucket_end", TIMESTAMP),
        pa.field("endpoint", TEXT),
        pa.field("group_by_signature", TEXT),
        *(pa.field(name, pa.bool_() if name == "batch" else TEXT) for name in _DIMENSIONS),
        *(pa.field(name, COUNT) for name in _COUNTS),
        pa.field("_extra", TEXT),
    ],
)
_COSTS = bronze_table(
    "openai_costs",
    [
        pa.field("bucket_start", TIMESTAMP),
        pa.field("bucket_end", TIMESTAMP),
        pa.field("amount_value", BRONZE_MONEY),
        pa.field("amount_currency", TEXT),
        pa.field("line_item", TEXT),
        pa.field("project_id", TEXT),
        pa.field("api_key_id", TEXT),
        pa.field("quantity", BRONZE_MONEY),
        pa.field("quantity_unit", TEXT),
        pa.field("_extra", TEXT),
    ],
)


def _bucket(bucket: Json) -> tuple[str, dt.datetime, dt.datetime]:
    start = dt.datetime.fromtimestamp(int(bucket["start_time"]), tz=dt.UTC)
    end = dt.datetime.fromtimestamp(int(bucket["end_time"]), tz=dt.UTC)
    if end <= start:
        raise ValueError(f"end_time {bucket['end_time']} is not after start_time {bucket['start_time']}")
    return start.date().isoformat(), start, end


def open_usage(context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    """Completions usage: one row per bucket and combination of the dimensions that were asked for."""
    results, days = pages.read_results(delivery, objects, _bucket)
    known = frozenset({"object", *_DIMENSIONS, *_COUNTS})
    rows = []
    for place, start, end, day, result in results:
        _check_object(result, _USAGE_RESULT, place)
        row: Json = {"bucket_start": start, "bucket_end": end, "endpoint": "completions", "_place": place, "_slice": day}
        row |= {name: pages.text(result, name) for name in _DIMENSIONS}
        row["batch"] = pages.flag(result, "batch", place)
        row["user_id"] = pages.pseudonym(delivery.export, row["user_id"])
        row |= {name: pages.count(result, name, place, required=name in _REQUIRED) for name in _COUNTS}
        _check_classes(row, place)
        row["group_by_signature"] = ",".join(name for name in _DIMENSIONS if result.get(name) is not None)
        row["_extra"] = pages.extra_json(result, known)
        rows.append(row)
    pages.check_models(rows, "openai", context)
    identity = ("bucket_start", *_DIMENSIONS)
    return pages.opened_rows(context, _USAGE.schema, identity, objects, rows, days)


def open_costs(context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    """Costs: one row per day, line item, project and key, in dollars (or whatever `currency` says)."""
    results, days = pages.read_results(delivery, objects, _bucket)
    known = frozenset({"object", "amount", "line_item", "project_id", "api_key_id", "quantity", "quantity_unit"})
    rows = []
    for place, start, end, day, result in results:
        _check_object(result, _COST_RESULT, place)
        money: Any = result.get("amount")
        if not isinstance(money, dict) or not money.get("currency"):
            raise BadValue(
                f"amount is {money!r}",
                where=f"{place}, field amount",
                expected='{"value": number, "currency": "usd"}',
                next_step="pull the window again; nothing of it was loaded",
            )
        quantity = result.get("quantity")
        row: Json = {"bucket_start": start, "bucket_end": end, "_place": place, "_slice": day}
        row["amount_value"] = pages.amount(money.get("value"), "amount.value", place)
        row["amount_currency"] = str(money["currency"])
        row |= {name: pages.text(result, name) for name in ("line_item", "project_id", "api_key_id", "quantity_unit")}
        row["quantity"] = None if quantity is None else pages.amount(quantity, "quantity", place)
        row["_extra"] = pages.extra_json(result, known)
        rows.append(row)
    identity = ("bucket_start", "line_item", "project_id", "api_key_id", "amount_currency")
    return pages.opened_rows(context, _COSTS.schema, identity, objects, rows, days)


def _check_object(result: Json, expected: str, place: pages.Place) -> None:
    if result.get("object") != expected:
        raise BadValue(
            f"the result is a {result.get('object')!r}",
            where=f"{place}, field object",
            expected=f"{expected}",
            next_step="check that usage and costs pages are not mixed, and that the export names the right source",
        )


def _check_classes(row: Json, place: pages.Place) -> None:
    """Cached and cache-write tokens are parts of input_tokens; together they cannot be more than the whole."""
    parts = (row["input_cached_tokens"] or 0) + (row["input_cache_write_tokens"] or 0)
    if parts > row["input_tokens"]:
        raise BadValue(
            f"cached and cache-write tokens ({parts}) are more than input_tokens ({row['input_tokens']})",
            where=f"{place}, field input_cached_tokens",
            expected="input_tokens = uncached + cached + cache_write",
            next_step="pull the window again; nothing of it was loaded",
        )


def _holds(kind: str, path: Path) -> bool:
    """Whether the first result in a lone file is of that kind; a file of empty buckets is of none."""
    first = pages.first_result(path)
    return first is not None and first.get("object") == kind


SOURCES = (
    Source(
        name="openai_usage",
        provider="OpenAI",
        title="OpenAI usage (completions)",
        table=_USAGE,
        feeds="tokens",
        formats="JSON pages with pull.json, or a page by hand",
        documentation="OpenAI API reference, organization usage (OpenAPI v2.3.0)",
        find=pages.find_pulls,
        open=open_usage,
        recognises=lambda path: _holds(_USAGE_RESULT, path),
        measures={"tokens": "input_tokens + output_tokens"},
    ),
    Source(
        name="openai_costs",
        provider="OpenAI",
        title="OpenAI costs",
        table=_COSTS,
        feeds="focus",
        formats="JSON pages with pull.json, or a page by hand",
        documentation="OpenAI API reference, organization costs (OpenAPI v2.3.0)",
        find=pages.find_pulls,
        open=open_costs,
        recognises=lambda path: _holds(_COST_RESULT, path),
        measures={"billed": "amount_value", "effective": "amount_value"},
        currency_sql="upper(amount_currency)",
        unit_sql=("line_item", "quantity_unit"),
    ),
)
