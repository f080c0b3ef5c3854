"""Two independent price lists say the same of every tier: ours (genai-prices and reviewed rules) and LiteLLM's of 2026-11.

Data flow: ../shared/data/prices_litellm → compared with `costlake.pricelist`, never copied. Alone: pytest on this file.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from costlake.pricelist import MILLION, listing
from costlake.pricerules import load_rules
from costlake.settings import Settings

DAY = dt.date(2026, 11, 20)
FIELDS = {
    "input_cost_per_token": ("input_uncached", "standard"),
    "output_cost_per_token": ("output", "standard"),
    "cache_read_input_token_cost": ("input_cache_read", "standard"),
    "cache_creation_input_token_cost": ("input_cache_write_5m", "standard"),
    "cache_creation_input_token_cost_above_1hr": ("input_cache_write_1h", "standard"),
    "input_cost_per_token_batches": ("input_uncached", "batch"),
    "output_cost_per_token_batches": ("output", "batch"),
    "cache_read_input_token_cost_batches": ("input_cache_read", "batch"),
    "input_cost_per_token_flex": ("input_uncached", "flex"),
    "output_cost_per_token_flex": ("output", "flex"),
    "input_cost_per_token_priority": ("input_uncached", "priority"),
    "output_cost_per_token_priority": ("output", "priority"),
}
# Reviewed: genai-prices has no price of their own for cached input of these; LiteLLM's batch prices of the first are not half of anything.
DISAGREE = {
    "ft:gpt-4o-2024-08-06",
    "ft:gpt-4o-2024-11-20",
    "ft:gpt-4o-mini-2024-07-18",
    "gpt-4o-search-preview",
    "gpt-4o-search-preview-2025-03-11",
}


# LiteLLM's word for the provider → ours
CLOUDS = {"bedrock": "aws", "bedrock_converse": "aws", "azure": "azure"}
CLOUD_BATCH = {"input_cost_per_token_batches": "input_uncached", "output_cost_per_token_batches": "output"}


def test_tier_and_cache_prices_agree_with_a_second_list(shared_path: Callable[[str], Path]) -> None:
    path = shared_path("data/prices_litellm/model_prices_litellm_1.109.1.json.gz")
    rules = load_rules(Settings.load())
    agreed, differing = 0, set()
    for name, entry in json.loads(gzip.decompress(path.read_bytes()), parse_float=Decimal).items():
        provider = entry.get("litellm_provider")
        if provider not in ("openai", "anthropic") or "/" in name or entry.get("mode") not in ("chat", "responses"):
            continue
        found = listing(provider, name, rules)
        for field, (token_class, tier) in FIELDS.items() if found is not None else ():
            if field not in entry:
                continue
            ours = found.price(token_class, DAY, tier)  # type: ignore[union-attr]
            if ours is not None and ours.price_usd_per_million == Decimal(entry[field]) * MILLION:
                agreed += 1
            else:
                differing.add(name)
    assert differing == DISAGREE
    assert agreed == 774


def test_batch_prices_of_clouds_agree_with_a_second_list(shared_path: Callable[[str], Path]) -> None:
    """Each model that a rule prices in batch is listed so by LiteLLM, at half, in at least one of its regions; nowhere at another part."""
    path = shared_path("data/prices_litellm/model_prices_litellm_1.109.1.json.gz")
    rules = [rule for rule in load_rules(Settings.load()) if rule.rule_id in ("bedrock-batch", "azure-batch")]
    priced: set[str] = set()
    halved: set[str] = set()
    for name, entry in json.loads(gzip.decompress(path.read_bytes()), parse_float=Decimal).items():
        provider, model = CLOUDS.get(entry.get("litellm_provider")), name.removeprefix("azure/")
        found = listing(provider, model, rules) if provider is not None and "/" not in model else None
        if found is None or found.provider != provider:
            continue
        for field, token_class in CLOUD_BATCH.items():
            ours, standard = (found.price(token_class, DAY, tier) for tier in ("batch", "standard"))
            if ours is None or standard is None or standard.price_usd_per_million is None:
                continue
            assert ours.price_usd_per_million == standard.price_usd_per_million / 2
            priced.add(found.model)
            if entry.get(field):
                assert entry[field] * 2 == entry[field.removesuffix("_batches")], name
                halved.add(found.model)
    assert priced == halved
    assert len(priced) == 32
    assert {"amazon.nova-pro-v1:0", "openai.gpt-oss-120b-1:0", "o3-mini"} <= priced
