"""Real traffic of ../shared/data as usage: the published traces, read once for every test that wants them.

Data flow: trace files → `Usage` (what one request, or one bucket of requests, used) → rows of bronze or files in a vendor's layout.
Alone: python -c "from pathlib import Path; from tests.traffic import azure; print(sum(1 for _ in azure(Path('../shared/data'))))"
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import duckdb

HASH_BLOCK = 512  # tokens of a Mooncake hash
SERVEGEN_START = dt.datetime(2026, 9, 1, tzinfo=dt.UTC)  # the trace's times are relative
BURSTGPT_START = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)
MOONCAKE_START = dt.datetime(2026, 9, 1, tzinfo=dt.UTC)
_WINDOW_HOURS = 6


@dataclass(frozen=True)
class Usage:
    """Requests that began at `start`: their input tokens (with `cached` ones in it), output tokens, and whose they were."""

    start: dt.datetime
    requests: int
    input_tokens: int
    output_tokens: int
    cached: int = 0
    client: str | None = None


def azure(data: Path) -> Iterator[Usage]:
    """Azure 2023, code service: a request each."""
    text = gzip.decompress((data / "llm_azure_2023/AzureLLMInferenceTrace_code.csv.gz").read_bytes()).decode()
    for row in csv.DictReader(text.splitlines()):
        start = dt.datetime.fromisoformat(row["TIMESTAMP"][:26]).replace(tzinfo=dt.UTC)
        yield Usage(start, 1, int(row["ContextTokens"]), int(row["GeneratedTokens"]))


def burstgpt(data: Path) -> Iterator[Usage]:
    """BurstGPT: a day each; the trace tells input and output together, so all of it stands as input."""
    text = gzip.decompress((data / "llm_burstgpt_daily/burstgpt1_daily_d00-20.csv.gz").read_bytes()).decode()
    for row in csv.DictReader(text.splitlines()):
        yield Usage(BURSTGPT_START + dt.timedelta(days=int(row["day"])), int(row["requests"]), int(row["total_tokens"]), 0)


def mooncake(data: Path) -> Iterator[Usage]:
    """Mooncake: a request each, with the blocks cached that an infinite cache would hold of its prompt's beginning."""
    seen: set[int] = set()
    for line in gzip.decompress((data / "llm_mooncake/conversation_trace_min00-20.jsonl.gz").read_bytes()).splitlines():
        each = json.loads(line)
        hits = next((place for place, block in enumerate(each["hash_ids"]) if block not in seen), len(each["hash_ids"]))
        seen.update(each["hash_ids"])
        start = MOONCAKE_START + dt.timedelta(milliseconds=each["timestamp"])
        yield Usage(start, 1, each["input_length"], each["output_length"], min(hits * HASH_BLOCK, each["input_length"]))


def servegen(data: Path) -> Iterator[Usage]:
    """ServeGen, 14 days of 43 clients: client and hour each. Clients or windows without published token means have no tokens.

    The trace has requests per 10 minutes and the mean tokens of 6 hours' requests. Tokens are whole: each row gets what the exact running
    sum has grown by, rounded, so that the rows add up to the published total and none is more than a token off its mean.
    """
    files = data / "llm_servegen"
    with duckdb.connect() as connection:
        rows = connection.execute(f"""
            WITH hourly AS (
                SELECT client_id, t_seconds // 3600 AS hour, CAST(sum(CAST(round(rate_rps * 600) AS BIGINT)) AS BIGINT) AS requests
                FROM '{files}/client_rates_10min.parquet' GROUP BY ALL
            ),
            means AS (
                SELECT client_id, window_start_s // 3600 AS from_hour, CAST(mean_input_tokens AS DECIMAL(18, 6)) AS mean_in,
                    CAST(mean_output_tokens AS DECIMAL(18, 6)) AS mean_out
                FROM '{files}/client_token_means_6h.parquet'
            )
            SELECT hourly.client_id, hour, requests, mean_in, mean_out FROM hourly
            LEFT JOIN means ON hourly.client_id = means.client_id AND hour // {_WINDOW_HOURS} * {_WINDOW_HOURS} = from_hour
            WHERE requests > 0 ORDER BY hour, hourly.client_id
        """).fetchall()
    inputs, outputs = _Whole(), _Whole()
    for client, hour, requests, mean_in, mean_out in rows:
        start = SERVEGEN_START + dt.timedelta(hours=hour)
        yield Usage(start, requests, inputs.share(requests, mean_in), outputs.share(requests, mean_out), 0, f"client-{client:02d}")


class _Whole:
    """Whole numbers whose running sum is the rounded running sum of exact ones."""

    def __init__(self) -> None:
        self._exact = Decimal(0)

    def share(self, requests: int, mean: Decimal | None) -> int:
        before = self._exact
        self._exact += requests * (mean or Decimal(0))
        return int(self._exact.quantize(Decimal(1), ROUND_HALF_UP)) - int(before.quantize(Decimal(1), ROUND_HALF_UP))
