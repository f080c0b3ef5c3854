"""Requests of a gateway → token ledger, priced: a generated dump of LiteLLM's spend logs through ingest, staging, price book and marts.

Data flow: generated Parquet in the shape of `LiteLLM_SpendLogs` → `costlake ingest | transform | prices` → `Cost` of each step and the
slowest of the queries that a dashboard asks of fct_token_usage. Each step is a process of its own, as in `bench.measure`.
Run alone: python -m bench.ledger dumps --rows 100000 (writes the dump only)
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from bench.measure import Cost, run
from costlake.sql import literal

SOURCE, EXPORT_ID = "litellm_requests", "bench-gateway"
MONTH_START, DAYS = "2026-10-01", 31
STEPS = {
    "land + bronze": ["ingest"],
    "FOCUS": ["transform", "focus"],
    "prices": ["prices"],
    "ledger and marts": ["transform", "marts"],
}
# What a dashboard asks: the month by day and model, its dearest keys, one key's days, users of one feature.
QUERIES = {
    "cost by day and model": "SELECT charge_date, model_id, sum(list_cost_usd) FROM marts.fct_token_usage GROUP BY ALL",
    "dearest keys": (
        "SELECT api_key_id, sum(list_cost_usd) AS cost FROM marts.fct_token_usage GROUP BY 1 ORDER BY cost DESC NULLS LAST LIMIT 20"
    ),
    # the key comes from the dashboard's own list
    "one key by day": (
        "SELECT charge_date, token_class, sum(quantity), sum(list_cost_usd) FROM marts.fct_token_usage"
        " WHERE api_key_id = {key} GROUP BY ALL"
    ),
    "users of a feature": (
        "SELECT user_id, sum(list_cost_usd) AS cost FROM marts.fct_token_usage WHERE feature_tag = 'search'"
        " GROUP BY 1 ORDER BY cost DESC NULLS LAST LIMIT 50"
    ),
}
REPEATS = 25
_AIM_MS = 200
# provider of the gateway, model, share of the requests in percent; the last has no price anywhere
_MODELS = (
    ("openai", "gpt-5-mini-2025-08-07", 30),
    ("openai", "gpt-5-2025-08-07", 20),
    ("openai", "gpt-4o-mini-2024-07-18", 15),
    ("anthropic", "claude-sonnet-4-6", 20),
    ("anthropic", "claude-haiku-4-5-20251001", 14),
    ("openai", "house-model-without-a-price", 1),
)
# A person works in sessions of so many requests with one model; his key, team and feature are his.
_KEYS, _USERS, _TEAMS, _SESSION = 400, 3_000, 40, 20
_FEATURES = ("search", "assistant", "summaries", "triage")


@dataclass
class LedgerSpeed:
    """What the requests cost, step by step, and how fast the ledger answers.

    Attributes:
        ledger_rows: rows of fct_token_usage. priced_rows: of them with a price.
        query_ms: per query the milliseconds of every repeat.
    """

    rows: int
    dump_bytes: int
    costs: dict[str, Cost] = field(default_factory=dict)
    ledger_rows: int = 0
    priced_rows: int = 0
    query_ms: dict[str, list[float]] = field(default_factory=dict)

    @property
    def wall(self) -> float:
        """Seconds from the dump to the priced ledger."""
        return sum(cost.wall for cost in self.costs.values())


def missing() -> str | None:
    """Why it cannot be measured here; None when it can."""
    from ingest.source import all_sources

    return None if SOURCE in all_sources() else f"there is no source {SOURCE}"


def write_dump(folder: Path, rows: int) -> list[Path]:
    """A month of `rows` requests as a dump of LiteLLM's table, the same each time; the manifest is written last.

    Every column that the reader knows is there, and bodies, which it has to leave out, as short texts.
    """
    target = folder / f"{MONTH_START[:7]}-dump"
    target.mkdir(parents=True, exist_ok=True)
    part = target / "spend_logs-1.parquet"
    connection = duckdb.connect()
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY ({_requests_sql(rows)}) TO {literal(str(part))} (FORMAT parquet)")
    finally:
        connection.close()
    (target / "manifest.json").write_text(json.dumps({"files": [part.name], "row_count": rows}), encoding="utf-8")
    return [part]


def measure(folder: Path, rows: int) -> LedgerSpeed:
    """Every step from the dump to the priced ledger, then the queries. Raises StepFailed when a step fails."""
    run(["-m", "bench.ledger", str(folder / "dumps"), "--rows", str(rows)])
    speed = LedgerSpeed(rows, sum(path.stat().st_size for path in (folder / "dumps").rglob("*.parquet")))
    (folder / "config").mkdir(exist_ok=True)
    exports = {"exports": [{"id": EXPORT_ID, "source": SOURCE, "location": "../dumps", "owner": "bench"}]}
    # JSON is YAML.
    (folder / "config" / "accounts.yml").write_text(json.dumps(exports), encoding="utf-8")
    environment = {"COSTLAKE_HOME": str(folder), "COSTLAKE_LAKE": str(folder / "lake"), "COSTLAKE_CONFIG_DIR": str(folder / "config")}
    for name, arguments in STEPS.items():
        speed.costs[name] = run(["-m", "costlake.cli", *arguments], environment)
    _ask(folder / "lake" / "warehouse.duckdb", speed)
    return speed


def p95(milliseconds: Sequence[float]) -> float:
    """The 95th percentile: the smallest value that 95 % of all do not exceed."""
    ordered = sorted(milliseconds)
    return ordered[-(-len(ordered) * 95 // 100) - 1]


def lines(speed: LedgerSpeed) -> list[list[str]]:
    """Rows of the report's table, the heading first."""
    asked = [value for values in speed.query_ms.values() for value in values]
    found = [["", "wall s", "CPU s", "peak MiB", "rows/s"]]
    for name, cost in speed.costs.items():
        found.append([name, f"{cost.wall:.1f}", f"{cost.cpu:.1f}", f"{cost.peak_bytes / 1024**2:,.0f}", f"{speed.rows / cost.wall:,.0f}"])
    peak = max(cost.peak_bytes for cost in speed.costs.values())
    cpu = sum(cost.cpu for cost in speed.costs.values())
    found.append(
        ["**dump → priced ledger**", f"{speed.wall:.1f}", f"{cpu:.1f}", f"{peak / 1024**2:,.0f}", f"{speed.rows / speed.wall:,.0f}"]
    )
    found += [[f"query: {name}, p95", f"{p95(values):.0f} ms", "", "", ""] for name, values in speed.query_ms.items()]
    found.append([f"**all queries, p95** (aim: < {_AIM_MS} ms)", f"{p95(asked):.0f} ms", "", "", ""])
    return found


def _ask(warehouse: Path, speed: LedgerSpeed) -> None:
    connection = duckdb.connect(str(warehouse), read_only=True)
    try:
        connection.execute("SET threads = 2")
        counted = connection.execute("SELECT count(*), count(list_cost_usd) FROM marts.fct_token_usage").fetchall()[0]
        speed.ledger_rows, speed.priced_rows = counted
        key = literal(connection.execute("SELECT min(api_key_id) FROM marts.fct_token_usage").fetchall()[0][0])
        for name, asked in QUERIES.items():
            sql = asked.format(key=key)
            connection.execute(sql).fetchall()  # the first one reads from disk
            speed.query_ms[name] = [_milliseconds(connection, sql) for _ in range(REPEATS)]
    finally:
        connection.close()


def _milliseconds(connection: duckdb.DuckDBPyConnection, sql: str) -> float:
    started = time.perf_counter()
    connection.execute(sql).fetchall()
    return (time.perf_counter() - started) * 1000


def _requests_sql(rows: int) -> str:
    """The rows as SQL: everything follows from the row's number, through hash()."""
    bounds, upto = [], 0
    for provider, model, share in _MODELS:
        upto += share
        bounds.append(f"WHEN die < {upto} THEN {{'provider': {literal(provider)}, 'model': {literal(model)}}}")
    features = ", ".join(literal(name) for name in _FEATURES)
    return f"""
        WITH numbered AS (
            SELECT n, n // {_SESSION} AS session, (hash(n // {_SESSION}) % 100)::INTEGER AS die,
                (hash(n // {_SESSION} + 5) % {_USERS})::BIGINT AS person,
                (hash(n + 1) % 4000)::BIGINT AS fresh, (hash(n + 2) % 6000)::BIGINT AS cached,
                (hash(n + 3) % 900 + 20)::BIGINT AS written_out, (hash(n + 4) % 2)::INTEGER AS hits,
                TIMESTAMP '{MONTH_START}' + INTERVAL 1 SECOND * (n * {DAYS * 86_400} // {rows}) AS began
            FROM range({rows}) AS numbers(n)
        ),
        chosen AS (SELECT *, CASE {" ".join(bounds)} END AS asked, cached * hits AS read FROM numbered)
        SELECT
            'req-' || n AS request_id, 'acompletion' AS call_type, sha256('key-' || person % {_KEYS}) AS api_key,
            0.0::DOUBLE AS spend, fresh + read + written_out AS total_tokens, fresh + read AS prompt_tokens,
            written_out AS completion_tokens, began AS "startTime", began + INTERVAL 2 SECOND AS "endTime", began AS "completionStartTime",
            asked.model AS model, asked.model AS model_group, asked.provider AS custom_llm_provider,
            'user-' || person || '@example.com' AS "user",
            json_object(
                'status', 'success',
                'usage_object', json_object('prompt_tokens', fresh + read, 'prompt_tokens_details', json_object('cached_tokens', read))
            )::VARCHAR AS metadata,
            'False' AS cache_hit,
            '["feature:' || [{features}][person % {len(_FEATURES)} + 1] || '"]' AS request_tags,
            'team-' || person % {_TEAMS} AS team_id, 'customer-' || session % 50 AS end_user,
            '[{{"role": "user", "content": "bench"}}]' AS messages, '{{}}' AS response, 's-' || session AS session_id,
            CASE WHEN hash(n + 6) % 100 = 0 THEN 'failure' ELSE 'success' END AS status
        FROM chosen
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a dump."""
    parser = argparse.ArgumentParser(prog="python -m bench.ledger", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=10_000_000)
    given = parser.parse_args(arguments)
    write_dump(given.folder, given.rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
