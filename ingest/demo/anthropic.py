"""Anthropic messages usage and cost report of a month: workloads → `usage/YYYY-MM/` and `costs/YYYY-MM/` in the API's own pages.

Traps that the real API has and this copy keeps: token classes are disjoint; amounts are decimal strings in cents; the
default workspace and Console usage have null ids; a bucket without usage is an empty list (the company is closed on
25 December); long context has its own prices.

Run alone: python -c "from pathlib import Path; from costlake.periods import BillingPeriod; from ingest.demo.anthropic import write_month;
print(write_month(Path('demo/anthropic'), 7, BillingPeriod.parse('2026-10'), '2026-10'))"
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

from costlake.periods import BillingPeriod
from ingest.demo.llm import AGENTS, CHAT, NIGHTLY, Day, Tokens, Workload, usage_of
from ingest.demo.pages import Json, write_pull
from ingest.demo.prices import BATCH_SHARE_OF_LIST, MILLION, token_prices, web_search_price
from ingest.demo.shape import days_of, last_day
from ingest.demo.totals import Totals

ORGANIZATION = "6f0c1c0e-2b8d-4c57-9d4e-c057a4e0de30"
USAGE_GROUPS = ["workspace_id", "model", "service_tier", "context_window", "api_key_id", "inference_geo"]
COST_GROUPS = ["workspace_id", "description"]
CENTS = Decimal(100)
_PAGE_DAYS = 7
_METERS = {
    "uncached": ("uncached_input_tokens", "Input Tokens"),
    "cache_read": ("cache_read_input_tokens", "Input Tokens, Cache Read"),
    "cache_write_5m": ("cache_creation.ephemeral_5m_input_tokens", "Input Tokens, Cache Write (5m)"),
    "cache_write_1h": ("cache_creation.ephemeral_1h_input_tokens", "Input Tokens, Cache Write (1h)"),
    "output": ("output_tokens", "Output Tokens"),
}
_NAMES = {
    "claude-sonnet-4-5-20250929": "Claude Sonnet 4.5",
    "claude-sonnet-4-6": "Claude Sonnet 4.6",
    "claude-haiku-4-5-20251001": "Claude Haiku 4.5",
    "claude-opus-4-1-20250805": "Claude Opus 4.1",
    "claude-opus-4-5-20251101": "Claude Opus 4.5",
}
# Models from this one on say where they ran; the older ones answer not_available.
_WITH_GEO = frozenset({"claude-sonnet-4-6"})

WORKLOADS = (
    Workload(
        "wrkspc_product",
        "claude-sonnet-4-5-20250929",
        "apikey_support",
        9_000,
        Tokens(1_300, 3_200, 240, 0, 460),
        AGENTS,
        searches=25,
        until=dt.date(2026, 3, 8),
    ),
    Workload(
        "wrkspc_product",
        "claude-sonnet-4-6",
        "apikey_support",
        10_500,
        Tokens(1_250, 4_100, 260, 60, 480),
        AGENTS,
        searches=30,
        since=dt.date(2026, 2, 23),
    ),
    Workload(
        "wrkspc_product",
        "claude-haiku-4-5-20251001",
        "apikey_triage",
        42_000,
        Tokens(700, 900, 60, 0, 120),
        CHAT,
        since=dt.date(2025, 10, 20),
    ),
    Workload(
        "wrkspc_research",
        "claude-opus-4-1-20250805",
        "apikey_lab",
        420,
        Tokens(3_800, 5_200, 420, 120, 1_500),
        AGENTS,
        until=dt.date(2025, 12, 7),
    ),
    Workload(
        "wrkspc_research",
        "claude-opus-4-5-20251101",
        "apikey_lab",
        900,
        Tokens(3_900, 6_400, 450, 140, 1_600),
        AGENTS,
        since=dt.date(2025, 12, 1),
    ),
    Workload(
        "wrkspc_research",
        "claude-sonnet-4-5-20250929",
        "apikey_papers",
        60,
        Tokens(310_000, 60_000, 0, 0, 2_400),
        NIGHTLY,
        long_context=True,
    ),
    Workload(
        "wrkspc_data",
        "claude-haiku-4-5-20251001",
        "apikey_extract",
        55_000,
        Tokens(1_100, 0, 0, 0, 180),
        NIGHTLY,
        batch=True,
        since=dt.date(2025, 11, 10),
    ),
    Workload(None, "claude-sonnet-4-5-20250929", None, 130, Tokens(2_100, 900, 0, 0, 700), CHAT),
)


def write_month(root: Path, seed: int, period: BillingPeriod, last_month: str) -> tuple[Totals, Totals]:
    """Write both pulls of a month; returns the control totals of usage (tokens) and costs (USD, though the report is in cents)."""
    days = [
        used
        for workload in WORKLOADS
        for used in usage_of(seed, "anthropic", workload, period, last_day(last_month))
        if not _is_closed(used.day)
    ]
    usage = {day: [_usage_result(used) for used in days if used.day == day] for day in days_of(period)}
    costs = {day: _cost_results(day, [used for used in days if used.day == day]) for day in days_of(period)}
    for name, endpoint, groups, results in (
        ("usage", "usage_report/messages", USAGE_GROUPS, usage),
        ("costs", "cost_report", COST_GROUPS, {day: [result for result, _ in found] for day, found in costs.items()}),
    ):
        marker: Json = {
            "endpoint": endpoint,
            "organization_id": ORGANIZATION,
            "group_by": groups,
            "bucket_width": "1d",
            "starting_at": f"{period.start:%Y-%m-%dT%H:%M:%SZ}",
            "ending_at": f"{period.end:%Y-%m-%dT%H:%M:%SZ}",
        }
        write_pull(
            root / name / period.label, [_bucket(day, found) for day, found in results.items()], marker, page_size=_PAGE_DAYS, envelope={}
        )
    amounts = [cents / CENTS for found in costs.values() for _, cents in found]
    total = sum(amounts, Decimal(0))
    return _usage_totals(days), Totals(len(amounts), total, total)


def _is_closed(day: dt.date) -> bool:
    return (day.month, day.day) == (12, 25)


def _usage_totals(days: list[Day]) -> Totals:
    tokens = [used.tokens for used in days]
    return Totals(
        len(days),
        None,
        None,
        {
            "uncached_input_tokens": sum(t.uncached for t in tokens),
            "cache_read_input_tokens": sum(t.cache_read for t in tokens),
            "cache_creation_5m_input_tokens": sum(t.cache_write_5m for t in tokens),
            "cache_creation_1h_input_tokens": sum(t.cache_write_1h for t in tokens),
            "output_tokens": sum(t.output for t in tokens),
            "web_search_requests": sum(used.searches for used in days),
        },
    )


def _bucket(day: dt.date, results: list[Json]) -> Json:
    return {"starting_at": f"{day}T00:00:00Z", "ending_at": f"{day + dt.timedelta(days=1)}T00:00:00Z", "results": results}


def _dimensions(workload: Workload) -> Json:
    return {
        "workspace_id": workload.owner,
        "model": workload.model,
        "service_tier": "batch" if workload.batch else "standard",
        "context_window": "200k-1M" if workload.long_context else "0-200k",
        "inference_geo": "global" if workload.model in _WITH_GEO else "not_available",
    }


def _usage_result(used: Day) -> Json:
    tokens = used.tokens
    return {
        "uncached_input_tokens": tokens.uncached,
        "cache_creation": {"ephemeral_1h_input_tokens": tokens.cache_write_1h, "ephemeral_5m_input_tokens": tokens.cache_write_5m},
        "cache_read_input_tokens": tokens.cache_read,
        "output_tokens": tokens.output,
        "server_tool_use": {"web_search_requests": used.searches},
        "account_id": None,
        "service_account_id": None,
        "api_key_id": used.workload.api_key,
        **_dimensions(used.workload),
    }


def _cost_results(day: dt.date, days: list[Day]) -> list[tuple[Json, Decimal]]:
    """A day's costs by workspace and description, with each amount as the exact Decimal (cents) beside the result."""
    found = []
    searches: defaultdict[str | None, Decimal] = defaultdict(lambda: Decimal(0))
    for used in days:
        workload = used.workload
        prices = token_prices("anthropic", workload.model, day, long_context=workload.long_context)
        share = BATCH_SHARE_OF_LIST if workload.batch else Decimal(1)
        for token_class, (token_type, text) in _METERS.items():
            count = getattr(used.tokens, token_class)
            if count:
                cents = prices.of(token_class) * share * count * CENTS / MILLION
                details = f"{', Batch' if workload.batch else ''}{', Long Context' if workload.long_context else ''}"
                description = f"{_NAMES[workload.model]} Usage - {text}{details}"
                found.append((_cost_result(cents, "tokens", description, _dimensions(workload) | {"token_type": token_type}), cents))
        if used.searches:
            searches[workload.owner] += web_search_price("anthropic", workload.model, day) * used.searches * CENTS / 1000
    nothing: Json = dict.fromkeys(("model", "service_tier", "context_window", "inference_geo", "token_type"))
    for workspace, cents in searches.items():
        found.append((_cost_result(cents, "web_search", "Web Search Usage", nothing | {"workspace_id": workspace}), cents))
    return found


def _cost_result(cents: Decimal, cost_type: str, description: str, dimensions: Json) -> Json:
    return {"amount": f"{cents.normalize():f}", "currency": "USD", "cost_type": cost_type, "description": description, **dimensions}
