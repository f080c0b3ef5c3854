"""Anthropic: messages usage report and cost report of the Admin API, as pages.

Data flow: anthropic/usage/<pull>/… → bronze.anthropic_usage; anthropic/costs/<pull>/… → bronze.anthropic_costs;
anthropic/claude_code/<pull>/… → bronze.anthropic_claude_code (_anthropic_claude_code.py).

The token classes are disjoint as sent. Cost amounts are decimal text in CENTS; bronze keeps cents under that name, staging
turns them into dollars.
Documents: Anthropic Admin API, usage_report/messages and cost_report.
Run alone: costlake ingest path/to/cost_report.json
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
from ingest.sources import _anthropic_claude_code

_USAGE_TEXTS = (
    "account_id",
    "service_account_id",
    "api_key_id",
    "workspace_id",
    "model",
    "service_tier",
    "context_window",
    "inference_geo",
)
_COST_TEXTS = (
    "cost_type",
    "description",
    "model",
    "token_type",
    "service_tier",
    "context_window",
    "inference_geo",
    "workspace_id",
)
_COUNTS = (
    "uncached_input_tokens",
    "cache_creation_5m_input_tokens",
    "cache_creation_1h_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    "web_search_requests",
)
# ISO 4217: currencies without a minor unit, and those with one of a thousandth.
_OTHER_UNITS = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF BHD IQD JOD KWD LYD OMR TND".split())
_TIMES = [pa.field("starting_at", TIMESTAMP), pa.field("ending_at", TIMESTAMP)]

_USAGE = bronze_table(
    "anthropic_usage",
    [
        *_TIMES,
        *(pa.field(name, COUNT) for name in _COUNTS),
        *(pa.field(name, TEXT) for name in _USAGE_TEXTS),
        pa.field("_extra", TEXT),
    ],
)
_COSTS = bronze_table(
    "anthropic_costs",
    [
        *_TIMES,
        pa.field("amount_cents", BRONZE_MONEY),
        pa.field("currency", TEXT),
        *(pa.field(name, TEXT) for name in _COST_TEXTS),
        pa.field("_extra", TEXT),
    ],
)


def _bucket(bucket: Json) -> tuple[str, dt.datetime, dt.datetime]:
    start = dt.datetime.fromisoformat(bucket["starting_at"])
    end = dt.datetime.fromisoformat(bucket["ending_at"])
    if start.tzinfo is None or end <= start:
        raise ValueError(f"{bucket['starting_at']} … {bucket['ending_at']} is not an interval with a zone")
    start, end = start.astimezone(dt.UTC), end.astimezone(dt.UTC)
    return start.date().isoformat(), start, end


def open_usage(context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    """Messages usage: one row per bucket and combination of the dimensions that were asked for."""
    results, days = pages.read_results(delivery, objects, _bucket)
    known = frozenset({*_USAGE_TEXTS, *_COUNTS, "cache_creation", "server_tool_use"})
    rows = []
    for place, start, end, day, result in results:
        _check_fields(result, ("uncached_input_tokens", "output_tokens"), place)
        flat = {**result, **_nested(result, place)}
        row: Json = {"starting_at": start, "ending_at": end, "_place": place, "_slice": day}
        row |= {name: pages.text(result, name) for name in _USAGE_TEXTS}
        row["account_id"] = pages.pseudonym(delivery.export, row["account_id"])
        row |= {name: pages.count(flat, name, place) for name in _COUNTS}
        row["_extra"] = pages.extra_json(result, known)
        rows.append(row)
    pages.check_models(rows, "anthropic", context)
    return pages.opened_rows(context, _USAGE.schema, ("starting_at", *_USAGE_TEXTS), objects, rows, days)


def open_costs(context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    """Costs: one row per day, workspace and description, in cents of `currency`."""
    results, days = pages.read_results(delivery, objects, _bucket)
    known = frozenset({*_COST_TEXTS, "amount", "currency"})
    rows = []
    for place, start, end, day, result in results:
        _check_fields(result, ("amount", "currency"), place)
        row: Json = {"starting_at": start, "ending_at": end, "_place": place, "_slice": day}
        row["amount_cents"] = pages.amount(result["amount"], "amount", place)
        row["currency"] = _hundredths(str(result["currency"]), place)
        row |= {name: pages.text(result, name) for name in _COST_TEXTS}
        row["_extra"] = pages.extra_json(result, known)
        rows.append(row)
    return pages.opened_rows(context, _COSTS.schema, ("starting_at", "currency", *_COST_TEXTS), objects, rows, days)


def _hundredths(currency: str, place: pages.Place) -> str:
    """The currency, if its lowest unit is a hundredth: the report counts in lowest units, and staging divides by 100."""
    if currency.strip().upper() in _OTHER_UNITS:
        raise BadValue(
            f"an amount in {currency}, whose lowest unit is no hundredth",
            where=f"{place}, field currency",
            expected="USD, or another currency of 100 cents",
            next_step="teach ingest/sources/anthropic.py this currency's lowest unit; nothing of the pull was loaded",
        )
    return currency.strip()


def _nested(result: Json, place: pages.Place) -> Json:
    creation = pages.inner(result, "cache_creation", place)
    tools = pages.inner(result, "server_tool_use", place)
    return {
        "cache_creation_5m_input_tokens": creation.get("ephemeral_5m_input_tokens"),
        "cache_creation_1h_input_tokens": creation.get("ephemeral_1h_input_tokens"),
        "web_search_requests": tools.get("web_search_requests"),
    }


def _check_fields(result: Any, required: tuple[str, ...], place: pages.Place) -> None:
    missing = [name for name in required if not isinstance(result, dict) or result.get(name) is None]
    if missing:
        raise BadValue(
            f"the result has no {', '.join(missing)}",
            where=f"{place}, field {missing[0]}",
            expected="a result of the report that the export names as its source",
            next_step="check that usage and cost pages are not mixed; otherwise pull the window again",
        )


def _holds(field: str, path: Path) -> bool:
    """Whether a lone file's first result has that field: nothing else tells the two reports apart."""
    first = pages.first_result(path)
    return first is not None and field in first and "object" not in first


def _is_claude_code(path: Path) -> bool:
    """Whether a lone file's first record names an actor."""
    first = pages.first_record(path)
    return first is not None and "actor" in first and "core_metrics" in first


SOURCES = (
    Source(
        name="anthropic_usage",
        provider="Anthropic",
        title="Anthropic usage report (messages)",
        table=_USAGE,
        feeds="tokens",
        formats="JSON pages with pull.json, or a page by hand",
        documentation="Anthropic Admin API, usage_report/messages",
        find=pages.find_pulls,
        open=open_usage,
        recognises=lambda path: _holds("uncached_input_tokens", path),
        measures={
            "tokens": "coalesce(uncached_input_tokens, 0) + coalesce(cache_creation_5m_input_tokens, 0) "
            "+ coalesce(cache_creation_1h_input_tokens, 0) + coalesce(cache_read_input_tokens, 0) + coalesce(output_tokens, 0)"
        },
    ),
    Source(
        name="anthropic_costs",
        provider="Anthropic",
        title="Anthropic cost report",
        table=_COSTS,
        feeds="focus",
        formats="JSON pages with pull.json, or a page by hand",
        documentation="Anthropic Admin API, cost_report",
        find=pages.find_pulls,
        open=open_costs,
        recognises=lambda path: _holds("amount", path),
        # Cents to dollars: × 0.01 stays exact in DECIMAL(38,18) because the API sends at most 5 decimals of a cent.
        measures={
            "billed": "CAST(amount_cents * CAST(0.01 AS DECIMAL(3,2)) AS DECIMAL(38,18))",
            "effective": "CAST(amount_cents * CAST(0.01 AS DECIMAL(3,2)) AS DECIMAL(38,18))",
        },
        currency_sql="upper(currency)",
    ),
    Source(
        name="anthropic_claude_code",
        provider="Anthropic",
        title="Anthropic Claude Code report",
        table=_anthropic_claude_code.TABLE,
        feeds="activity",
        formats="JSON pages with pull.json, or a page by hand",
        documentation="Anthropic Admin API, usage_report/claude_code",
        find=pages.find_pulls,
        open=_anthropic_claude_code.open_claude_code,
        recognises=_is_claude_code,
        measures={
            "tokens": "coalesce(input_tokens, 0) + coalesce(output_tokens, 0) + coalesce(cache_read_tokens, 0)"
            " + coalesce(cache_creation_tokens, 0)"
        },
    ),
)
