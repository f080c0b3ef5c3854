"""OpenAI usage (completions) and costs of a month: workloads → `usage/YYYY-MM/` and `costs/YYYY-MM/` in the API's own pages.

Traps that the real API has and this copy keeps: `input_tokens` is a superset (uncached + cached + cache write);
reports of before 2026 lack the two newer counters; amounts are JSON numbers; a line item is text (`batch | <model>,
cached input`) and not every one names a model.

Run alone: python -c "from pathlib import Path; from costlake.periods import BillingPeriod; from ingest.demo.openai import write_month;
print(write_month(Path('demo/openai'), 7, BillingPeriod.parse('2026-10'), '2026-10'))"
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

ORGANIZATION = "org-costlakedemo"
USAGE_GROUPS = ["project_id", "model", "api_key_id", "batch", "service_tier"]
COST_GROUPS = ["project_id", "line_item"]
SEARCH_ITEM = "web search tool calls"
_USAGE_PAGE_DAYS, _COSTS_PAGE_DAYS = 7, 16
_NEW_COUNTERS_SINCE = dt.date(2026, 1, 1)
_METERS = {"uncached": "input", "cache_read": "cached input", "cache_write_5m": "cache write input", "output": "output"}
# OpenAI's batch table has no price for cached input of the demo's batch models: it stays at the standard one.
_FULL_PRICE_IN_BATCH = frozenset({"cache_read"})

WORKLOADS = (
    Workload("proj_product", "gpt-5-2025-08-07", "key_assistant", 52_000, Tokens(1_900, 1_500, 0, 0, 430), CHAT, searches=14),
    Workload(
        "proj_product", "gpt-5.6-terra", "key_assistant", 16_000, Tokens(1_400, 2_300, 380, 0, 520), AGENTS, since=dt.date(2026, 7, 13)
    ),
    Workload("proj_product", "gpt-4o-mini-2024-07-18", "key_routing", 190_000, Tokens(650, 310, 0, 0, 90), CHAT),
    Workload("proj_research", "o3-2025-04-16", "key_reasoning", 2_600, Tokens(4_100, 600, 0, 0, 3_400), AGENTS),
    Workload("proj_research", "gpt-4.1-2025-04-14", "key_evals", 9_000, Tokens(2_600, 900, 0, 0, 350), NIGHTLY, batch=True),
    Workload(
        "proj_platform", "gpt-4o-2024-08-06", "key_copilot", 11_000, Tokens(2_200, 1_100, 0, 0, 380), CHAT, until=dt.date(2026, 4, 19)
    ),
    Workload(
        "proj_platform", "gpt-5.4-2026-03-05", "key_copilot", 12_500, Tokens(2_300, 2_900, 0, 0, 410), CHAT, since=dt.date(2026, 3, 16)
    ),
    Workload("proj_data", "gpt-4.1-mini-2025-04-14", "key_labelling", 140_000, Tokens(1_150, 0, 0, 0, 140), NIGHTLY, batch=True),
    Workload("proj_data", "gpt-4.1-mini-2025-04-14", "key_labelling", 24_000, Tokens(1_150, 200, 0, 0, 140), CHAT),
)


def write_month(root: Path, seed: int, period: BillingPeriod, last_month: str) -> tuple[Totals, Totals]:
    """Write both pulls of a month; returns the control totals of usage (tokens) and costs (USD)."""
    days = [day for workload in WORKLOADS for day in usage_of(seed, "openai", workload, period, last_day(last_month))]
    usage = {day: [_usage_result(used) for used in days if used.day == day] for day in days_of(period)}
    costs = {day: _cost_results(day, [used for used in days if used.day == day]) for day in days_of(period)}
    for name, endpoint, groups, results, page_size in (
        ("usage", "usage/completions", USAGE_GROUPS, usage, _USAGE_PAGE_DAYS),
        ("costs", "costs", COST_GROUPS, {day: [result for result, _ in found] for day, found in costs.items()}, _COSTS_PAGE_DAYS),
    ):
        marker: Json = {
            "endpoint": endpoint,
            "organization_id": ORGANIZATION,
            "group_by": groups,
            "bucket_width": "1d",
            "start_time": int(period.start.timestamp()),
            "end_time": int(period.end.timestamp()),
        }
        buckets = [_bucket(day, found) for day, found in results.items()]
        write_pull(root / name / period.label, buckets, marker, page_size=page_size, envelope={"object": "page"})
    amounts = [amount for found in costs.values() for _, amount in found]
    total = sum(amounts, Decimal(0))
    return _usage_totals(days), Totals(len(amounts), total, total)


def _usage_totals(days: list[Day]) -> Totals:
    tokens = [used.tokens for used in days]
    return Totals(
        len(days),
        None,
        None,
        {
            "input_tokens": sum(t.uncached + t.cache_read + t.cache_write_5m for t in tokens),
            "input_cached_tokens": sum(t.cache_read for t in tokens),
            "output_tokens": sum(t.output for t in tokens),
            "num_model_requests": sum(used.requests for used in days),
        },
    )


def _bucket(day: dt.date, results: list[Json]) -> Json:
    start = int(dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC).timestamp())
    return {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": results}


def _usage_result(used: Day) -> Json:
    tokens, workload = used.tokens, used.workload
    newer: Json = {"input_cache_write_tokens": tokens.cache_write_5m, "input_uncached_tokens": tokens.uncached}
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": tokens.uncached + tokens.cache_read + tokens.cache_write_5m,
        "input_cached_tokens": tokens.cache_read,
        **(newer if used.day >= _NEW_COUNTERS_SINCE else {}),
        "output_tokens": tokens.output,
        "input_text_tokens": tokens.uncached,
        "output_text_tokens": tokens.output,
        "input_cached_text_tokens": tokens.cache_read,
        "input_audio_tokens": 0,
        "input_cached_audio_tokens": 0,
        "output_audio_tokens": 0,
        "input_image_tokens": 0,
        "input_cached_image_tokens": 0,
        "output_image_tokens": 0,
        "num_model_requests": used.requests,
        "project_id": workload.owner,
        "user_id": None,
        "api_key_id": workload.api_key,
        "model": workload.model,
        "batch": workload.batch,
        "service_tier": "default",
    }


def _cost_results(day: dt.date, days: list[Day]) -> list[tuple[Json, Decimal]]:
    """A day's costs by project and line item, with each amount as the exact Decimal beside the JSON number."""
    sums: defaultdict[tuple[str, str], tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
    for used in days:
        project, model = str(used.workload.owner), used.workload.model
        prices = token_prices("openai", model, day)
        for token_class, meter in _METERS.items():
            count = getattr(used.tokens, token_class)
            share = BATCH_SHARE_OF_LIST if used.workload.batch and token_class not in _FULL_PRICE_IN_BATCH else Decimal(1)
            if count:
                item = f"{'batch | ' if used.workload.batch else ''}{model}, {meter}"
                quantity, amount = sums[project, item]
                sums[project, item] = (quantity + count, amount + prices.of(token_class) * share * count / MILLION)
        if used.searches:
            sums[project, SEARCH_ITEM] = (used.searches, web_search_price("openai", model, day) * used.searches / 1000)
    return [(_cost_result(project, item, quantity, amount), amount) for (project, item), (quantity, amount) in sorted(sums.items())]


def _cost_result(project: str, item: str, quantity: int, amount: Decimal) -> Json:
    return {
        "object": "organization.costs.result",
        # The API sends a JSON number; float() is the nearest one, and its shortest text is the exact amount again.
        "amount": {"value": float(amount), "currency": "usd"},
        "line_item": item,
        "project_id": project,
        "api_key_id": None,
        "quantity": quantity,
        "quantity_unit": None if item == SEARCH_ITEM else "tokens",
    }
