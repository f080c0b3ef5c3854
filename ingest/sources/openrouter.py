"""OpenRouter: what was spent and used, as the activity API's JSON (a row per UTC day and endpoint) or as the activity page's CSV (a row per
generation).

Data flow: `<pull>/manifest.json` with JSON pages or CSV files, or a lone file → bronze.openrouter_activity.

Both tell the same dollars at two grains, so they share a table and its slice, the UTC day: a day that comes as CSV replaces the same day
that came as JSON, and no dollar is there twice. Amounts are US dollars of credits spent (`usage`, `cost_total`): what OpenRouter charges.
`byok_usage_inference` is what the customer's own provider charges for requests with the customer's key; it is on that provider's bill.

Documented (OpenRouter API reference, ActivityItem): the JSON's fields. Inferred from exports that users published: the CSV's columns;
that `created_at` is UTC; that prompt tokens contain cached ones, which no column counts unless there is a `tokens_cached`.
Run alone: costlake ingest path/to/openrouter_activity.csv
"""

from __future__ import annotations

import pyarrow as pa

from costlake.tables import BRONZE_MONEY, COUNT, TEXT, TIMESTAMP, bronze_table
from ingest.handovers import find_handovers
from ingest.source import Source
from ingest.tabular import Shape

_TEXTS = (
    "generation_id",
    "endpoint_id",
    "model",
    "model_permaslug",
    "provider_name",
    "variant",
    "app_name",
    "api_key_name",
    "user_id",
    "finish_reason",
    "cancelled",
)
_AMOUNTS = ("usage", "byok_usage_inference", "cost_web_search", "cost_cache", "cost_file_processing")
_COUNTS = ("requests", "prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens")
_TABLE = bronze_table(
    "openrouter_activity",
    [
        pa.field("used_at", TIMESTAMP),
        *(pa.field(name, TEXT) for name in _TEXTS),
        *(pa.field(name, BRONZE_MONEY) for name in _AMOUNTS),
        *(pa.field(name, COUNT) for name in _COUNTS),
    ],
)
_SHAPE = Shape(
    _TABLE.schema,
    frozenset({"used_at", "model_permaslug", "usage", "prompt_tokens", "completion_tokens"}),
    "OpenRouter's activity: JSON with date, model_permaslug, usage and tokens, or CSV with created_at, cost_total and tokens",
    day="used_at",
    spellings={
        "date": "used_at",
        "created_at": "used_at",
        "cost_total": "usage",
        "tokens_prompt": "prompt_tokens",
        "tokens_completion": "completion_tokens",
        "tokens_reasoning": "reasoning_tokens",
        "tokens_cached": "cached_tokens",
        "user": "user_id",
        "finish_reason_normalized": "finish_reason",
    },
    people=("user_id",),
    # the API's key is (day, endpoint, model), the CSV's the generation
    identity=("used_at", "generation_id", "endpoint_id", "model_permaslug"),
)

SOURCES = (
    Source(
        name="openrouter_activity",
        provider="OpenRouter",
        title="OpenRouter activity",
        table=_TABLE,
        feeds="focus",
        also_tokens=True,
        formats="JSON pages or CSV with manifest.json, or a file by hand",
        documentation="OpenRouter API reference, activity (ActivityItem); the activity page's CSV",
        find=find_handovers,
        open=_SHAPE.open,
        recognises=_SHAPE.recognises,
        measures={"billed": "usage", "effective": "usage", "tokens": "prompt_tokens + completion_tokens"},
        currency_sql="'USD'",
    ),
)
