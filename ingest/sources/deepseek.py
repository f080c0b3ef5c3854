"""DeepSeek: the two CSV files of a usage export. `amount-*.csv` counts tokens and requests, `cost-*.csv` has the money.

Data flow: `<export>/manifest.json` with CSV files, or a lone file → bronze.deepseek_usage, bronze.deepseek_costs. The files of one zip are
handed over as two exports, one per source; each finds its own by its columns.

Documented by nobody: columns and meanings are inferred from exports that users published. `type` is input_cache_hit_tokens,
input_cache_miss_tokens, output_tokens or request_count, which are disjoint; `amount` counts them, `price` is one token's. A cost is what
left the wallet, in the wallet's currency: topped-up balance was paid for, granted balance was given away and is billed at nothing.
Rows are of a UTC day (`utc_date`, or start_time_iso), which is the slice. A key that is not masked in the file is hashed.
Run alone: costlake ingest path/to/cost-2026-10.csv
"""

from __future__ import annotations

import pyarrow as pa

from costlake.tables import BRONZE_MONEY, COUNT, TEXT, TIMESTAMP, bronze_table
from ingest.cells import key_cell
from ingest.handovers import find_handovers
from ingest.source import Source
from ingest.tabular import Shape

_TIMES = {"utc_date": "period_start", "start_time_iso": "period_start", "end_time_iso": "period_end"}
_USAGE = bronze_table(
    "deepseek_usage",
    [
        pa.field("period_start", TIMESTAMP),
        pa.field("period_end", TIMESTAMP),
        *(pa.field(name, TEXT) for name in ("user_id", "model", "api_key_name", "api_key", "type")),
        pa.field("price", BRONZE_MONEY),
        pa.field("amount", COUNT),
    ],
)
_COSTS = bronze_table(
    "deepseek_costs",
    [
        pa.field("period_start", TIMESTAMP),
        pa.field("period_end", TIMESTAMP),
        *(pa.field(name, TEXT) for name in ("user_id", "model", "wallet_type", "currency")),
        pa.field("cost", BRONZE_MONEY),
    ],
)
_USAGE_SHAPE = Shape(
    _USAGE.schema,
    frozenset({"period_start", "model", "type", "amount"}),
    "the columns of DeepSeek's amount-*.csv (start_time_iso or utc_date, model, type, amount)",
    day="period_start",
    spellings=_TIMES,
    people=("user_id",),
    identity=("period_start", "user_id", "model", "api_key_name", "api_key", "type", "price"),
    parsers={"api_key": key_cell},
)
_COST_SHAPE = Shape(
    _COSTS.schema,
    frozenset({"period_start", "model", "wallet_type", "cost", "currency"}),
    "the columns of DeepSeek's cost-*.csv (start_time_iso or utc_date, model, wallet_type, cost, currency)",
    day="period_start",
    spellings=_TIMES,
    people=("user_id",),
    identity=("period_start", "user_id", "model", "wallet_type", "currency"),
)
# What was given away costs nothing.
_BILLED = "CASE WHEN lower(wallet_type) LIKE '%grant%' THEN 0 ELSE cost END"

SOURCES = (
    Source(
        name="deepseek_usage",
        provider="DeepSeek",
        title="DeepSeek usage (amount-*.csv)",
        table=_USAGE,
        feeds="tokens",
        formats="CSV with manifest.json, or a file by hand",
        documentation="none; exports of DeepSeek's usage page",
        find=find_handovers,
        open=_USAGE_SHAPE.open,
        recognises=_USAGE_SHAPE.recognises,
        measures={"tokens": "CASE WHEN type LIKE '%_tokens' THEN amount ELSE 0 END"},
    ),
    Source(
        name="deepseek_costs",
        provider="DeepSeek",
        title="DeepSeek costs (cost-*.csv)",
        table=_COSTS,
        feeds="focus",
        formats="CSV with manifest.json, or a file by hand",
        documentation="none; exports of DeepSeek's usage page",
        find=find_handovers,
        open=_COST_SHAPE.open,
        recognises=_COST_SHAPE.recognises,
        measures={"billed": _BILLED, "effective": _BILLED},
        currency_sql="upper(currency)",
    ),
)
