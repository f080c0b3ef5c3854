"""Real LLM traffic through the command line: what was published of a trace is what the token ledger counts, to the request and token.

Data flow: traces of ../shared/data → files as OpenAI's usage API and LiteLLM's dump have them → `costlake` → marts of the BI file.
Alone: pytest on this file.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from ingest.demo.pages import write_pull
from tests.traffic import BURSTGPT_START, SERVEGEN_START, Usage, azure, burstgpt, mooncake, servegen

pytestmark = pytest.mark.long

UNLISTED = "m-small"  # ServeGen's model is in no price list
HOUR, DAY = 3_600, 86_400


@pytest.fixture(scope="module")
def totals(shared_path: Callable[[str], Path]) -> dict[str, Any]:
    """What the collection of traces says that they add up to."""
    known: dict[str, Any] = json.loads(shared_path("data/TOTALS.json").read_text(encoding="utf-8"))
    return known


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory, shared_path: Callable[[str], Path]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published marts of a lake with the four traces, made by the commands that README names."""
    home = tmp_path_factory.mktemp("traffic")
    data = shared_path("data/llm_servegen").parent
    _usage_pages(home / "servegen", servegen(data), UNLISTED, HOUR, SERVEGEN_START, days=14)
    _usage_pages(home / "burstgpt", burstgpt(data), "gpt-4", DAY, BURSTGPT_START, days=21)
    _litellm_dump(home / "azure", azure(data), "azure", "gpt-4")
    _litellm_dump(home / "mooncake", mooncake(data), "moonshot", "kimi-k2")
    exports = [
        {"id": name, "source": source, "location": str(home / name)}
        for name, source in (
            ("servegen", "openai_usage"), ("burstgpt", "openai_usage"), ("azure", "litellm_requests"), ("mooncake", "litellm_requests"),
        )
    ]  # fmt: skip
    (home / "config" / "prices").mkdir(parents=True)
    (home / "config" / "accounts.yml").write_text(yaml.safe_dump({"exports": exports}), encoding="utf-8")
    (home / "config" / "prices" / "models.yml").write_text(yaml.safe_dump({"models": {"openai": [UNLISTED]}}), encoding="utf-8")
    for command in (["ingest"], ["transform", "focus"], ["prices"], ["transform", "marts"], ["publish"]):
        _costlake(home, *command)
    connection = duckdb.connect(str(home / "lake" / "serving" / "costlake.duckdb"), read_only=True)
    yield connection
    connection.close()


def _counted(marts: duckdb.DuckDBPyConnection, source: str) -> tuple[Any, ...]:
    [row] = marts.execute(
        "SELECT sum(request_count), sum(quantity) FILTER (token_class LIKE 'input%'), sum(quantity) FILTER (token_class = 'output')"
        " FROM marts.fct_token_usage WHERE source_id = ? AND is_counted",
        [source],
    ).fetchall()
    return tuple(row)


def test_two_weeks_of_a_model_service_arrive_whole(
    marts: duckdb.DuckDBPyConnection, totals: dict[str, Any], shared_path: Callable[[str], Path]
) -> None:
    known = totals["llm_servegen"]
    [by_model], [tokens] = known["by_model"], known["implied_tokens"]
    assert _counted(marts, "servegen") == (by_model["implied_requests_14d"], int(tokens["input_tokens"]), int(tokens["output_tokens"]))
    # each client's key, each hour: a total could hide a swap
    rows = marts.execute(
        "SELECT usage_start, api_key_id, sum(request_count), coalesce(sum(quantity) FILTER (token_class = 'input_uncached'), 0),"
        " coalesce(sum(quantity) FILTER (token_class = 'output'), 0) FROM marts.fct_token_usage WHERE source_id = 'servegen' GROUP BY ALL"
        " ORDER BY ALL"
    ).fetchall()
    traced = servegen(shared_path("data/llm_servegen").parent)
    assert rows == [(each.start, each.client, each.requests, each.input_tokens, each.output_tokens) for each in traced]
    assert len({client for _, client, *_ in rows}) == by_model["clients"]
    [(with_tokens,)] = marts.execute(
        "SELECT sum(requests) FROM (SELECT sum(request_count) AS requests FROM marts.fct_token_usage WHERE source_id = 'servegen'"
        " GROUP BY api_key_id, usage_start HAVING bool_or(unit = 'Tokens'))"
    ).fetchall()
    assert with_tokens == tokens["requests_with_token_means"]


def test_billions_of_tokens_of_an_unlisted_model_are_not_free(marts: duckdb.DuckDBPyConnection) -> None:
    rows = marts.execute(
        "SELECT count(list_cost_usd), list(DISTINCT price_reason) FROM marts.fct_token_usage WHERE model_id = ?", [UNLISTED]
    ).fetchall()
    assert rows == [(0, ["model_not_in_price_book"])]


def test_the_azure_trace_arrives_whole_through_a_gateways_log(marts: duckdb.DuckDBPyConnection, totals: dict[str, Any]) -> None:
    known = totals["llm_azure_2023"]
    assert _counted(marts, "azure") == (known["rows"], known["context_tokens"], known["generated_tokens"])
    hours = marts.execute("SELECT DISTINCT strftime(usage_start AT TIME ZONE 'UTC', '%Y-%m-%d %H') FROM marts.fct_token_usage"
                          " WHERE source_id = 'azure' ORDER BY 1").fetchall()  # fmt: skip
    assert [hour for (hour,) in hours] == [known["first"][:13], known["last"][:13]]


def test_burstgpt_arrives_whole_day_by_day(
    marts: duckdb.DuckDBPyConnection, totals: dict[str, Any], shared_path: Callable[[str], Path]
) -> None:
    known = totals["llm_burstgpt_daily"]
    assert _counted(marts, "burstgpt") == (known["requests"], known["tokens"], None)
    days = marts.execute(
        "SELECT charge_date, sum(request_count), sum(quantity) FILTER (unit = 'Tokens') FROM marts.fct_token_usage"
        " WHERE source_id = 'burstgpt' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    traced = [(each.start.date(), each.requests, each.input_tokens) for each in burstgpt(shared_path("data/llm_burstgpt_daily").parent)]
    assert days == traced
    assert len(days) == known["days"]


def test_mooncakes_cache_hits_as_often_as_the_trace_says(marts: duckdb.DuckDBPyConnection, totals: dict[str, Any]) -> None:
    known = totals["llm_mooncake"]
    assert _counted(marts, "mooncake") == (known["rows"], known["input_tokens"], known["output_tokens"])
    [(cached,)] = marts.execute(
        "SELECT sum(quantity) FROM marts.fct_token_usage WHERE source_id = 'mooncake' AND token_class = 'input_cache_read'"
    ).fetchall()
    assert cached == known["prefix_cached_tokens_infinite_cache"]
    assert round(cached / known["input_tokens"], 6) == Decimal(str(known["cache_hit_ratio"]))


def _usage_pages(folder: Path, used: Iterable[Usage], model: str, width: int, start: dt.datetime, *, days: int) -> None:
    """A finished pull of OpenAI's completions usage, a page a day; requests of which the trace tells no tokens stand there with 0."""
    begun = int(start.timestamp())
    results = {key: list(rows) for key, rows in groupby(used, key=lambda each: int(each.start.timestamp()))}
    buckets = [
        {
            "object": "bucket", "start_time": time, "end_time": time + width,
            "results": [
                {
                    "object": "organization.usage.completions.result", "model": model, "project_id": folder.name, "api_key_id": each.client,
                    "batch": False, "service_tier": "default", "input_tokens": each.input_tokens, "input_cached_tokens": each.cached,
                    "output_tokens": each.output_tokens, "num_model_requests": each.requests,
                }
                for each in results.get(time, [])
            ],
        }
        for time in range(begun, begun + days * DAY, width)
    ]  # fmt: skip
    marker = {
        "endpoint": "usage/completions", "organization_id": "org-traffic", "group_by": ["project_id", "api_key_id", "model"],
        "bucket_width": "1h" if width == HOUR else "1d", "start_time": begun, "end_time": begun + days * DAY,
    }  # fmt: skip
    write_pull(folder / "pull", buckets, marker, page_size=DAY // width, envelope={"object": "page"})


def _litellm_dump(folder: Path, used: Iterable[Usage], provider: str, model: str) -> None:
    """A dump of LiteLLM_SpendLogs with a row a request."""
    rows = [
        {
            "request_id": f"{folder.name}-{number}", "startTime": each.start, "custom_llm_provider": provider,
            "model": f"{provider}/{model}", "prompt_tokens": each.input_tokens,
            "completion_tokens": each.output_tokens, "spend": Decimal(0), "status": "success",
            "metadata": json.dumps({"usage_object": {"prompt_tokens_details": {"cached_tokens": each.cached}}}),
        }
        for number, each in enumerate(used)
    ]  # fmt: skip
    (folder / "dump").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "dump" / "spend_logs.parquet")
    (folder / "dump" / "manifest.json").write_text(json.dumps({"files": ["spend_logs.parquet"], "row_count": len(rows)}), encoding="utf-8")


def _costlake(home: Path, *arguments: str) -> None:
    environment = {
        **os.environ,
        "COSTLAKE_HOME": str(home),
        "COSTLAKE_LAKE": str(home / "lake"),
        "COSTLAKE_CONFIG_DIR": str(home / "config"),
    }
    command = [sys.executable, "-m", "costlake.cli", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
