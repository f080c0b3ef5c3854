"""The demo company's LLM gateway: LiteLLM's log of the requests to one Azure OpenAI model, had by the hour and beyond that by the token.

A dump a month, as `costlake ingest` of a LiteLLM table wants it: `YYYY-MM/spend_logs.parquet` and its manifest. Demand has hours of the
day: at night the units idle, at noon there is more than they carry, and the rest spills over to the deployment that Azure bills by the
token (`ingest.demo.azure` bills just these tokens). A provisioned deployment takes a request as long as the hour's weighted tokens fit.

Run alone: python -c "from pathlib import Path; from costlake.periods import BillingPeriod; from ingest.demo.gateway import write_month;
print(write_month(Path('demo/gateway'), 7, BillingPeriod.parse('2026-10'), '2026-10'))"
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from costlake.periods import BillingPeriod
from ingest.demo.llm import Tokens
from ingest.demo.prices import MILLION, token_prices
from ingest.demo.shape import Shape, days_of, last_day, opaque, stream
from ingest.demo.totals import Totals

SINCE = dt.date(2026, 9, 1)
MODEL = "gpt-4.1"
UNITS = 50
PROVISIONED, BY_THE_TOKEN = "azure-gpt-4-1-ptu", "azure-gpt-4-1-standard"
_DEPLOYED_AS = {PROVISIONED: "azure/gpt-4.1-ptu", BY_THE_TOKEN: "azure/gpt-4.1-2025-04-14"}
# Microsoft Learn, provisioned throughput: a unit carries 3,000 input tokens a minute of this model; output weighs 4, cached input nothing.
_CAPACITY = UNITS * 3_000 * 60
_OUTPUT_WEIGHT = 4
_PER_REQUEST = Tokens(uncached=48_000, cache_read=70_000, output=3_000)
_DEMAND = Shape(weekend=0.55, yearly=1.5, noise=0.05)
# of the requests that a full hour could carry, by UTC hour
_HOURLY = (
    0.0, 0.0, 0.02, 0.04, 0.1, 0.25, 0.55, 0.85, 1.1, 1.25, 1.2, 0.95, 1.05, 1.2, 1.15, 1.0, 0.8, 0.5, 0.3, 0.2, 0.12, 0.06, 0.02, 0.0,
)  # fmt: skip
_SCHEMA = pa.schema(
    [
        *(
            (name, pa.string())
            for name in ("request_id", "call_type", "custom_llm_provider", "model", "model_group", "model_id", "api_key")
        ),
        *((name, pa.string()) for name in ("team_id", "status", "cache_hit", "request_tags", "metadata")),
        *((name, pa.timestamp("us", tz="UTC")) for name in ("startTime", "endTime")),
        *((name, pa.int64()) for name in ("prompt_tokens", "completion_tokens", "total_tokens")),
        ("spend", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Request:
    """One answered request: when it came, which deployment answered, and its tokens (`uncached` and `cache_read` are the prompt)."""

    start: dt.datetime
    deployment: str
    tokens: Tokens


def requests_of(seed: int, period: BillingPeriod, last_month: str) -> Iterator[Request]:
    """The month's requests, oldest first; none before the gateway was there."""
    anchor, rng = last_day(last_month), stream(seed, "gateway", MODEL, period)
    whole = _weight(_PER_REQUEST)
    for day in days_of(period):
        level = _DEMAND.factor(day, anchor, rng)
        for hour, part in enumerate(_HOURLY if day >= SINCE else ()):
            count, free = round(_CAPACITY / whole * part * level), _CAPACITY
            start = dt.datetime.combine(day, dt.time(hour), tzinfo=dt.UTC)
            for number in range(count):
                tokens = Tokens(
                    uncached=round(_PER_REQUEST.uncached * rng.uniform(0.8, 1.2)),
                    cache_read=round(_PER_REQUEST.cache_read * rng.uniform(0.8, 1.2)),
                    output=round(_PER_REQUEST.output * rng.uniform(0.6, 1.4)),
                )
                fits = _weight(tokens) <= free
                free -= _weight(tokens) if fits else 0
                yield Request(start + dt.timedelta(seconds=3_600 * number // count), PROVISIONED if fits else BY_THE_TOKEN, tokens)


def spill_over(seed: int, period: BillingPeriod, last_month: str) -> dict[dt.date, Tokens]:
    """Tokens that the units did not take, by day: what Azure bills by the token."""
    found: dict[dt.date, Tokens] = {}
    for each in requests_of(seed, period, last_month):
        if each.deployment == BY_THE_TOKEN:
            before = found.get(each.start.date(), Tokens())
            found[each.start.date()] = Tokens(
                uncached=before.uncached + each.tokens.uncached,
                cache_read=before.cache_read + each.tokens.cache_read,
                output=before.output + each.tokens.output,
            )
    return found


def write_month(root: Path, seed: int, period: BillingPeriod, last_month: str) -> Totals | None:
    """Write the month's dump; returns its control totals (tokens), None before the gateway was there."""
    rows = [_row(number, each) for number, each in enumerate(requests_of(seed, period, last_month), 1)]
    if not rows:
        return None
    folder = root / period.label
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=_SCHEMA)
    pq.write_table(table, folder / "spend_logs.parquet")
    (folder / "manifest.json").write_text(json.dumps({"files": ["spend_logs.parquet"], "row_count": len(rows)}) + "\n", encoding="utf-8")
    return Totals(len(rows), None, None, {name: sum(table[name].to_pylist()) for name in ("prompt_tokens", "completion_tokens")})


def _weight(tokens: Tokens) -> int:
    return tokens.uncached + _OUTPUT_WEIGHT * tokens.output


def _row(number: int, asked: Request) -> dict[str, object]:
    tokens, day = asked.tokens, asked.start.date()
    prompt = tokens.uncached + tokens.cache_read
    prices = token_prices("openai", MODEL, day)
    amount = sum(getattr(tokens, name) * prices.of(name) / MILLION for name in ("uncached", "cache_read", "output"))
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cache_read},
    }
    return {
        "request_id": f"chatcmpl-{day:%Y%m%d}-{number:06d}",
        "call_type": "acompletion",
        "custom_llm_provider": "azure",
        "model": _DEPLOYED_AS[asked.deployment],
        "model_group": MODEL,
        "model_id": asked.deployment,
        "api_key": opaque("key_contracts", 64),
        "team_id": "product",
        "status": "success",
        "cache_hit": "None",
        "request_tags": '["feature:contracts"]',
        "metadata": json.dumps({"usage_object": usage}),
        "startTime": asked.start,
        "endTime": asked.start + dt.timedelta(seconds=9),
        "prompt_tokens": prompt,
        "completion_tokens": tokens.output,
        "total_tokens": prompt + tokens.output,
        # the proxy's own estimate, of what is paid by the token
        "spend": float(amount) if asked.deployment == BY_THE_TOKEN else 0.0,
    }
