"""OpenAI: organisation usage (all endpoints) and costs, as pages of the API or as CSV exports of the dashboard.

Data flow: openai/usage/<pull>/… → bronze.openai_usage; openai/costs/<pull>/… → bronze.openai_costs.

Usage has counts and no money, costs have money and hardly any counts. `input_tokens` is a superset (uncached + cached +
cache_write); that is undone at staging, bronze keeps what was sent. Absent fields are NULL, not 0: older payloads have no
cache_write. A delivery is of one endpoint; its slices are UTC days (`2026-10-01` for completions, `2026-10-01 images` for others), so that
endpoints never replace each other.
Documents: OpenAI OpenAPI v2.3.0, /organization/usage/* and /organization/costs.
Run alone: costlake ingest path/to/usage_page.json
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from costlake.errors import BadValue
from ingest import pages
from ingest.pages import Json, Place
from ingest.source import Delivery, LandedObject, LoadContext, Opened, Source
from ingest.sources import _openai_csv
from ingest.sources._openai_columns import COST_RESULT, COST_TEXTS, COSTS, COUNTS, DIMENSIONS, ENDPOINTS, USAGE, Endpoint

_USAGE_RESULTS = {Endpoint.result(name): name for name in ENDPOINTS}
_AGAIN = "pull the window again; nothing of it was loaded"
Results = list[tuple[Place, Any, Any, str, Json]]


def _bucket(bucket: Json) -> tuple[str, dt.datetime, dt.datetime]:
    start = dt.datetime.fromtimestamp(int(bucket["start_time"]), tz=dt.UTC)
    end = dt.datetime.fromtimestamp(int(bucket["end_time"]), tz=dt.UTC)
    if end <= start:
        raise ValueError(f"end_time {bucket['end_time']} is not after start_time {bucket['start_time']}")
    return start.date().isoformat(), start, end


def _read(delivery: Delivery, objects: tuple[LandedObject, ...]) -> tuple[Results, set[str]]:
    """Results and covered UTC days of a delivery's pages and CSV files."""
    results, days = pages.read_results(delivery, tuple(each for each in objects if not _openai_csv.is_table(each.path)), _bucket)
    for landed in objects:
        for place, start_time, end_time, result in _openai_csv.buckets(landed) if _openai_csv.is_table(landed.path) else ():
            try:
                day, start, end = _bucket({"start_time": start_time, "end_time": end_time})
            except ValueError as error:
                raise BadValue(str(error), where=str(place), expected="a bucket's start and end", next_step=_AGAIN) from error
            days.add(day)
            if result is not None:
                results.append((place, start, end, day, result))
    return results, days


def _has_table(objects: tuple[LandedObject, ...]) -> bool:
    return any(_openai_csv.is_table(each.path) for each in objects)


def open_usage(context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    """Usage of one endpoint: one row per bucket and combination of the dimensions that were asked for."""
    results, days = _read(delivery, objects)
    marked = pages.marked(delivery)
    endpoint = _endpoint(marked, results, objects)
    wanted = ENDPOINTS[endpoint]
    suffix = "" if endpoint == "completions" else f" {endpoint}"
    signature = _signature(marked, results)
    known = frozenset({"object", *DIMENSIONS, *COUNTS})
    rows = []
    for place, start, end, day, result in results:
        _check_object(result, Endpoint.result(endpoint), place)
        row: Json = {"bucket_start": start, "bucket_end": end, "endpoint": endpoint, "_place": place, "_slice": f"{day}{suffix}"}
        row |= {name: pages.text(result, name) for name in DIMENSIONS}
        row["batch"] = pages.flag(result, "batch", place)
        row["user_id"] = pages.pseudonym(delivery.export, row["user_id"])
        row |= {name: pages.count(result, name, place, required=name in wanted.required) for name in COUNTS}
        _check_classes(row, place)
        row["group_by_signature"] = signature
        row["_extra"] = pages.extra_json(result, known)
        rows.append(row)
    if wanted.counts_tokens:
        pages.check_models(rows, "openai", context)
    identity = ("bucket_start", *DIMENSIONS, *(["_extra"] if _has_table(objects) else []))
    return pages.opened_rows(context, USAGE.schema, identity, objects, rows, {f"{day}{suffix}" for day in days})


def _endpoint(marked: Json, results: Results, objects: tuple[LandedObject, ...]) -> str:
    """The endpoint of a delivery: what its marker says, else its first result, else a CSV's name."""
    said = str(marked.get("endpoint") or "").rpartition("/")[2]
    if said in ENDPOINTS:
        return said
    if results:
        return _USAGE_RESULTS.get(str(results[0][4].get("object")), "completions")
    kinds = [kind for each in objects if (kind := _openai_csv.kind_of(each.path, each.key)) in ENDPOINTS]
    return str(kinds[0]) if kinds else "completions"


def _signature(marked: Json, results: Results) -> str:
    """What the pull was grouped by: as its marker says, else every dimension that any of its results knows."""
    asked = marked.get("group_by")
    names = asked if isinstance(asked, list) else [name for name in DIMENSIONS if any(row[4].get(name) is not None for row in results)]
    return ",".join(name for name in DIMENSIONS if name in names)


def open_costs(context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    """Costs: one row per day, line item, project and key, in dollars (or whatever `currency` says)."""
    results, days = _read(delivery, objects)
    known = frozenset({"object", "amount", "quantity", "user_id", *COST_TEXTS})
    rows = []
    for place, start, end, day, result in results:
        _check_object(result, COST_RESULT, place)
        money: Any = result.get("amount")
        if not isinstance(money, dict) or not money.get("currency"):
            raise BadValue(
                f"amount is {str(money)[:80]!r}",
                where=f"{place}, field amount",
                expected='{"value": number, "currency": "usd"}',
                next_step=_AGAIN,
            )
        quantity = result.get("quantity")
        row: Json = {"bucket_start": start, "bucket_end": end, "_place": place, "_slice": day}
        row["amount_value"] = pages.amount(money.get("value"), "amount.value", place)
        row["amount_currency"] = str(money["currency"]).strip()
        row |= {name: pages.text(result, name) for name in COST_TEXTS}
        row["quantity"] = None if quantity is None else pages.amount(quantity, "quantity", place)
        # The API's costs name no user, the dashboard's may.
        user = pages.pseudonym(delivery.export, pages.text(result, "user_id"))
        row["_extra"] = pages.extra_json({**result, **({"user": user} if user else {})}, known)
        rows.append(row)
    identity = ("bucket_start", "line_item", "project_id", "api_key_id", "amount_currency", *(["_extra"] if _has_table(objects) else []))
    return pages.opened_rows(context, COSTS.schema, identity, objects, rows, days)


def _check_object(result: Json, expected: str, place: Place) -> None:
    if result.get("object") != expected:
        raise BadValue(
            f"the result is a {result.get('object')!r}",
            where=f"{place}, field object",
            expected=f"{expected}",
            next_step="check that usage and costs pages are not mixed, and that the export names the right source",
        )


# (parts, whole): the whole counts every token of its parts once. Uncached audio and images stand in the row beside what was cached of them.
_CACHED = ("input_cached_tokens", "input_cache_write_tokens")
_CACHED_MEDIA = ("input_cached_audio_tokens", "input_cached_image_tokens")
_PARTS = (
    (_CACHED, "input_tokens"),
    (_CACHED_MEDIA, "input_cached_tokens"),
    (("input_audio_tokens", "input_image_tokens", *_CACHED_MEDIA), "input_tokens"),
    (("input_audio_tokens", "input_image_tokens"), "input_uncached_tokens"),
    (("output_audio_tokens", "output_image_tokens"), "output_tokens"),
)


def _check_classes(row: Json, place: Place) -> None:
    """Parts of a count cannot be more than the whole: cached tokens of input, audio and images of input, of cached input and of output."""
    for names, whole in _PARTS:
        parts = sum(row[name] or 0 for name in names)
        limit = _uncached(row) if whole == "input_uncached_tokens" else row[whole] or 0
        if limit is not None and parts > limit:
            raise BadValue(
                f"{', '.join(names)} ({parts}) are more than {whole} ({limit})",
                where=f"{place}, field {names[0]}",
                expected="input_tokens = uncached + cached + cache_write; each of them and output_tokens = text + audio + images",
                next_step=_AGAIN,
            )


def _uncached(row: Json) -> int | None:
    """Uncached input of any modality; None where audio and images may hold cached ones (payloads before 2026)."""
    if row["input_uncached_tokens"] is not None:
        return int(row["input_uncached_tokens"])
    if any(row[name] is None for name in _CACHED_MEDIA):
        return None
    return (row["input_tokens"] or 0) - sum(row[name] or 0 for name in _CACHED)


def _holds(kinds: dict[str, str], path: Path) -> bool:
    """Whether the first result in a lone file is of one of these kinds; a file of empty buckets is of none, a CSV by its columns."""
    if _openai_csv.is_table(path):
        return _openai_csv.kind_of(path, path.name) in kinds.values()
    first = pages.first_result(path)
    return first is not None and first.get("object") in kinds


SOURCES = (
    Source(
        name="openai_usage",
        provider="OpenAI",
        title="OpenAI usage (all endpoints)",
        table=USAGE,
        feeds="tokens",
        formats="JSON pages with pull.json, or a page or a CSV of the dashboard by hand",
        documentation="OpenAI API reference, organization usage (OpenAPI v2.3.0)",
        find=pages.find_pulls,
        open=open_usage,
        recognises=lambda path: _holds(_USAGE_RESULTS, path),
        measures={"tokens": "coalesce(input_tokens, 0) + coalesce(output_tokens, 0)"},
    ),
    Source(
        name="openai_costs",
        provider="OpenAI",
        title="OpenAI costs",
        table=COSTS,
        feeds="focus",
        formats="JSON pages with pull.json, or a page or a CSV of the dashboard by hand",
        documentation="OpenAI API reference, organization costs (OpenAPI v2.3.0)",
        find=pages.find_pulls,
        open=open_costs,
        recognises=lambda path: _holds({COST_RESULT: "costs"}, path),
        measures={"billed": "amount_value", "effective": "amount_value"},
        currency_sql="upper(amount_currency)",
        unit_sql=("line_item", "quantity_unit"),
    ),
)
