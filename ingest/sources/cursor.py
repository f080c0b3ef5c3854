"""Cursor: usage events of a team (Admin API, filtered-usage-events), a row per request, with what it was charged.

Data flow: `<pull>/manifest.json` with JSON pages, or a lone file → bronze.cursor_events.

Documented (Cursor, Admin API): timestamp in milliseconds, userEmail, model, kind, tokenUsage with disjoint inputTokens, cacheReadTokens,
cacheWriteTokens, outputTokens and totalCents. Amounts are US CENTS; bronze keeps them so. Inferred: what an event was charged is
`chargedCents` where it is there; else totalCents for the kinds "Usage-based" and "On-demand", and nothing for what a plan includes. An
event of these kinds with neither is refused: it was billed, and not at nothing. Seats and plans are on the invoice and not in this file;
the events say what was used beyond them.

An event has no id: two equal ones are two. The slice is the UTC day; persons become pseudonyms.
Run alone: costlake ingest path/to/usage_events.json
"""

from __future__ import annotations

import pyarrow as pa

from costlake.tables import BRONZE_MONEY, COUNT, TEXT, TIMESTAMP, bronze_table
from ingest.handovers import find_handovers
from ingest.source import Source
from ingest.tabular import Shape

_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
_TABLE = bronze_table(
    "cursor_events",
    [
        pa.field("used_at", TIMESTAMP),
        *(pa.field(name, TEXT) for name in ("user_id", "model", "kind")),
        *(pa.field(name, pa.bool_()) for name in ("max_mode", "is_token_based_call", "is_headless")),
        *(pa.field(name, COUNT) for name in _COUNTS),
        *(pa.field(name, BRONZE_MONEY) for name in ("total_cents", "charged_cents", "requests_costs")),
    ],
)
_BEYOND_THE_PLAN = "regexp_matches(lower(kind), 'usage.?based|on.?demand')"
_SHAPE = Shape(
    _TABLE.schema,
    frozenset({"used_at", "model", "kind"}),
    "Cursor's usageEvents (timestamp, model, kind, tokenUsage)",
    day="used_at",
    spellings={"timestamp": "used_at", "userEmail": "user_id"}
    | {
        f"tokenUsage.{given}": name
        for given, name in zip(("inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens"), _COUNTS, strict=True)
    }
    | {"tokenUsage.totalCents": "total_cents"},
    people=("user_id",),
    lists=("usageEvents", "usageEventsDisplay"),
    without_amount=f"{_BEYOND_THE_PLAN} AND charged_cents IS NULL AND total_cents IS NULL",
)
_CENTS = f"coalesce(charged_cents, CASE WHEN {_BEYOND_THE_PLAN} THEN total_cents ELSE 0 END)"
_BILLED = f"CAST({_CENTS} * CAST(0.01 AS DECIMAL(3, 2)) AS DECIMAL(38, 18))"

SOURCES = (
    Source(
        name="cursor_events",
        provider="Cursor",
        title="Cursor usage events",
        table=_TABLE,
        feeds="focus",
        also_tokens=True,
        formats="JSON pages with manifest.json, or a file by hand",
        documentation="Cursor, Admin API: filtered-usage-events",
        find=find_handovers,
        open=_SHAPE.open,
        recognises=lambda path: _SHAPE.recognises(path) and _SHAPE.has_columns(path, {"requests_costs"}),
        measures={
            "billed": _BILLED,
            "effective": _BILLED,
            "tokens": " + ".join(f"coalesce({name}, 0)" for name in _COUNTS),
        },
        currency_sql="'USD'",
    ),
)
