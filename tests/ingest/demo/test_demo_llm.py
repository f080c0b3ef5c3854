"""The OpenAI and Anthropic parts of the demo: token identities, paging, and costs that follow from usage and list prices."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from costlake.errors import UnknownModel
from costlake.periods import BillingPeriod
from ingest.demo import anthropic, openai
from ingest.demo.prices import token_prices

LAST = "2026-10"
Bucket = dict[str, Any]


def buckets(folder: Path) -> list[Bucket]:
    """The buckets of a finished pull in order, with numbers as Decimals."""
    names = json.loads((folder / "pull.json").read_text())["pages"]
    return [bucket for name in names for bucket in json.loads((folder / name).read_text(), parse_float=Decimal)["data"]]


# What a request must have to be billed a thousand tokens of one kind, in genai_prices' words.
THOUSAND: dict[str, dict[str, int]] = {
    "input": {"input_tokens": 1000},
    "cached input": {"input_tokens": 1000, "cache_read_tokens": 1000},
    "cache write input": {"input_tokens": 1000, "cache_write_tokens": 1000},
    "output": {"output_tokens": 1000},
    "uncached_input_tokens": {"input_tokens": 1000},
    "cache_read_input_tokens": {"input_tokens": 1000, "cache_read_tokens": 1000},
    "cache_creation.ephemeral_5m_input_tokens": {"input_tokens": 1000, "cache_write_tokens": 1000},
    "cache_creation.ephemeral_1h_input_tokens": {"input_tokens": 1000, "cache_write_tokens": 1000, "cache_write_1h_tokens": 1000},
    "output_tokens": {"output_tokens": 1000},
}


@cache
def per_thousand(model: str, kind: str, day: dt.date, context: int = 0) -> Decimal:
    """USD for a thousand tokens of a kind more, in a request that has `context` input tokens already."""
    from genai_prices import Usage, calc_price

    vendor = "anthropic" if model.startswith("claude") else "openai"
    moment = dt.datetime.combine(day, dt.time(12), tzinfo=dt.UTC)
    more = {"input_tokens": 0} | THOUSAND[kind]
    more["input_tokens"] += context
    with_it, without = (
        calc_price(Usage(**used), model, provider_id=vendor, genai_request_timestamp=moment) for used in (more, {"input_tokens": context})
    )
    return with_it.total_price - without.total_price


@pytest.fixture(scope="module")
def root(written: SimpleNamespace) -> Path:
    return written.estate.root


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
@pytest.mark.parametrize("kind", ["usage", "costs"])
def test_a_pull_covers_its_month_day_by_day_and_its_last_page_says_so(root: Path, vendor: str, kind: str) -> None:
    for folder in sorted((root / vendor / kind).iterdir()):
        marker = json.loads((folder / "pull.json").read_text())
        assert sorted(path.name for path in folder.glob("page-*.json")) == marker["pages"]
        pages = [json.loads((folder / name).read_text()) for name in marker["pages"]]
        assert [page["has_more"] for page in pages] == [True] * (len(pages) - 1) + [False]
        assert [page["next_page"] is None for page in pages] == [False] * (len(pages) - 1) + [True]
        assert len(pages) > 1
        first, last = ("start_time", "end_time") if vendor == "openai" else ("starting_at", "ending_at")
        found = buckets(folder)
        assert [bucket[last] for bucket in found[:-1]] == [bucket[first] for bucket in found[1:]]
        assert (found[0][first], found[-1][last]) == (marker[first], marker[last])


def test_openai_input_tokens_are_a_superset_of_the_disjoint_classes(root: Path) -> None:
    with_writes = 0
    for folder in (root / "openai/usage").iterdir():
        for bucket in buckets(folder):
            for result in bucket["results"]:
                parts = [result[f"input_{part}_tokens"] for part in ("uncached", "cached", "cache_write")]
                assert result["input_tokens"] == sum(parts)
                assert result["input_text_tokens"] == result["input_uncached_tokens"]
                with_writes += parts[2] > 0
    assert with_writes > 50, "no cache write would leave that class untested"


def test_old_openai_reports_lack_the_newer_counters(tmp_path: Path) -> None:
    openai.write_month(tmp_path, 7, BillingPeriod.parse("2025-12"), LAST)
    found = [result for bucket in buckets(tmp_path / "usage/2025-12") for result in bucket["results"]]
    assert found
    assert not any("input_uncached_tokens" in result or "input_cache_write_tokens" in result for result in found)


def test_openai_costs_follow_from_usage_and_list_prices(root: Path) -> None:
    """Quantities are the usage report's tokens; amounts are list price × tokens, half of it for batch (but for cached input)."""
    meters = {
        "input": "input_uncached_tokens",
        "cached input": "input_cached_tokens",
        "cache write input": "input_cache_write_tokens",
        "output": "output_tokens",
    }
    for folder in sorted((root / "openai/costs").iterdir()):
        used: defaultdict[tuple[int, str, str, bool, str], int] = defaultdict(int)
        for bucket in buckets(root / "openai/usage" / folder.name):
            for result in bucket["results"]:
                for meter, name in meters.items():
                    used[bucket["start_time"], result["project_id"], result["model"], result["batch"], meter] += result[name]
        for bucket in buckets(folder):
            day = dt.datetime.fromtimestamp(bucket["start_time"], tz=dt.UTC).date()
            for result in bucket["results"]:
                if result["line_item"] == openai.SEARCH_ITEM:
                    continue
                model, meter = result["line_item"].removeprefix("batch | ").split(", ", 1)
                batch = result["line_item"].startswith("batch | ")
                tokens = used.pop((bucket["start_time"], result["project_id"], model, batch, meter))
                assert result["quantity"] == tokens
                # the batch table has no price for these models' cached input: it stays at the standard one
                share = Decimal("0.5") if batch and meter != "cached input" else 1
                amount = per_thousand(model, meter, day) * tokens / 1000 * share
                assert Decimal(str(result["amount"]["value"])) == amount
        assert not any(used.values()), "usage without a cost"


def test_anthropic_costs_are_cents_and_follow_from_usage_and_list_prices(root: Path) -> None:
    for folder in sorted((root / "anthropic/costs").iterdir()):
        tokens: defaultdict[tuple[Any, ...], int] = defaultdict(int)
        for bucket in buckets(root / "anthropic/usage" / folder.name):
            for result in bucket["results"]:
                key = (bucket["starting_at"], result["workspace_id"], result["model"], result["service_tier"], result["context_window"])
                for name in ("uncached_input_tokens", "cache_read_input_tokens", "output_tokens"):
                    tokens[(*key, name)] += result[name]
                for name, count in result["cache_creation"].items():
                    tokens[(*key, f"cache_creation.{name}")] += count
        for bucket in buckets(folder):
            for result in bucket["results"]:
                assert isinstance(result["amount"], str), "decimal text, never a number"
                if result["cost_type"] == "tokens":
                    dimensions = ("workspace_id", "model", "service_tier", "context_window", "token_type")
                    used = tokens.pop((bucket["starting_at"], *(result[name] for name in dimensions)))
                    context = 250_000 if result["context_window"] == "200k-1M" else 0
                    day = dt.date.fromisoformat(bucket["starting_at"][:10])
                    price = per_thousand(result["model"], result["token_type"], day, context)
                    share = Decimal("0.5") if result["service_tier"] == "batch" else 1
                    assert Decimal(result["amount"]) / 100 == price * used / 1000 * share
        assert not any(tokens.values()), "usage without a cost"


def test_ids_that_are_null_by_right_are_there(root: Path) -> None:
    found = [result for bucket in buckets(root / "anthropic/usage/2026-10") for result in bucket["results"]]
    assert any(result["workspace_id"] is None and result["api_key_id"] is None for result in found)
    costs = [result for bucket in buckets(root / "anthropic/costs/2026-10") for result in bucket["results"]]
    assert {result["model"] for result in costs if result["cost_type"] == "web_search"} == {None}
    tools = [result for bucket in buckets(root / "openai/costs/2026-10") for result in bucket["results"] if "tool" in result["line_item"]]
    assert {result["quantity_unit"] for result in tools} == {None}


def test_a_day_without_usage_is_an_empty_bucket_not_a_missing_one(tmp_path: Path) -> None:
    anthropic.write_month(tmp_path, 7, BillingPeriod.parse("2025-12"), LAST)
    empty = [bucket["starting_at"][:10] for bucket in buckets(tmp_path / "usage/2025-12") if not bucket["results"]]
    assert empty == ["2025-12-25"]


@pytest.mark.parametrize("vendor", [openai, anthropic])
def test_no_model_is_used_before_it_exists(vendor: Any) -> None:
    """A model's dated id says when it came out; one introduced within the estate also says when it is first used."""
    dated = [(w.model, w.since) for w in vendor.WORKLOADS if w.since is not None]
    assert dated
    for model, since in dated:
        release = "".join(part for part in model.replace("-20", " 20").split(" ")[1:]).replace("-", "")
        assert not release or since >= dt.datetime.strptime(release, "%Y%m%d").replace(tzinfo=dt.UTC).date()


def test_a_model_without_a_price_is_refused_instead_of_costing_nothing() -> None:
    with pytest.raises(UnknownModel, match="made-up-model"):
        token_prices("openai", "made-up-model", dt.date(2026, 10, 1))
    with pytest.raises(UnknownModel, match="cache_write_1h"):
        token_prices("openai", "gpt-5-2025-08-07", dt.date(2026, 10, 1)).of("cache_write_1h")


def test_a_list_price_is_the_one_of_its_day() -> None:
    before, after = (token_prices("openai", "gpt-5.6-terra", dt.date(2026, 7, day)) for day in (29, 30))
    assert (before.uncached, after.uncached) == (Decimal("2.5"), Decimal(2))
