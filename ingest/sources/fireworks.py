"""Fireworks AI: the billing summary by day, which has the money, and billing metrics, a CSV row per usage event, which have none.

Data flow: `<export>/manifest.json` with files, or a lone file → bronze.fireworks_costs (JSON), bronze.fireworks_metrics (CSV).

Summary, documented (Fireworks' Gateway API, "Get Billing Summary"): the request and the fields; that costs are by UTC day; that series are
serverless, dedicated deployment and training. A published answer shows categories such as "LLM input tokens (cached)" with quantity and
unit price. Ask for it with `granularity=DAILY`, else it has no days and is refused.

Metrics, documented ("Exporting Billing Metrics"): the columns; that no money is in the file; times such as "2025-10-20 17:16:48 UTC". An
event has no id, so two equal rows are two events, and the slice is the UTC day of `start_time`: export whole days. Inferred: that
prompt_tokens contain cached ones, which nothing counts. The account's e-mail address becomes a pseudonym in bronze.
Run alone: costlake ingest path/to/billing_metrics.csv
"""

from __future__ import annotations

import pyarrow as pa

from costlake.tables import BRONZE_MONEY, COUNT, TEXT, TIMESTAMP, bronze_table
from ingest.handovers import find_handovers
from ingest.source import Source
from ingest.sources._fireworks_summary import COSTS, open_summary, recognises
from ingest.tabular import Shape

_TABLE = bronze_table(
    "fireworks_metrics",
    [
        pa.field("start_time", TIMESTAMP),
        pa.field("end_time", TIMESTAMP),
        *(
            pa.field(name, TEXT)
            for name in ("user_id", "usage_type", "accelerator_type", "base_model_name", "model_bucket", "parameter_count")
        ),
        pa.field("accelerator_seconds", BRONZE_MONEY),
        pa.field("prompt_tokens", COUNT),
        pa.field("completion_tokens", COUNT),
    ],
)
_SHAPE = Shape(
    _TABLE.schema,
    frozenset({"start_time", "usage_type"}),
    "the columns of Fireworks' billing metrics (start_time, usage_type, base_model_name, prompt_tokens, completion_tokens)",
    day="start_time",
    spellings={"email": "user_id"},
    people=("user_id",),
)

SOURCES = (
    Source(
        name="fireworks_metrics",
        provider="Fireworks AI",
        title="Fireworks AI billing metrics",
        table=_TABLE,
        feeds="tokens",
        formats="CSV with manifest.json, or a file by hand",
        documentation="Fireworks AI, Exporting Billing Metrics",
        find=find_handovers,
        open=_SHAPE.open,
        # other exports have a start_time and a usage_type too
        recognises=lambda path: _SHAPE.recognises(path) and _SHAPE.has_columns(path, {"base_model_name", "accelerator_seconds"}),
        measures={"tokens": "coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0)"},
    ),
    Source(
        name="fireworks_costs",
        provider="Fireworks AI",
        title="Fireworks AI billing summary by day",
        table=COSTS,
        feeds="focus",
        formats="JSON with manifest.json, or a file by hand",
        documentation="Fireworks AI, Gateway API, Get Billing Summary",
        find=find_handovers,
        open=open_summary,
        recognises=recognises,
        measures={"billed": "total_cost", "effective": "total_cost"},
        currency_sql="currency",
    ),
)
