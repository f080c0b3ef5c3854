"""One response's usage → disjoint classes → money: each bug of the field by its harm, and 523 real bodies against their gold prices.

Data flow: usage objects written here, and ../shared/data/llm_provider_usage_bodies → `ingest.usage_bodies`. Alone: pytest on this file.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costlake.errors import BadValue
from costlake.pricelist import listing
from costlake.pricerules import load_rules
from costlake.settings import Settings
from ingest.usage_bodies import Priced, Usage, priced, read_usage

DAY = dt.date(2026, 8, 21)  # of the bodies' gold prices
SONNET = "claude-sonnet-4-5"

# What the gold prices don't know yet, or not of that hour: (list, model) → the day and time they are of, and why.
CHANGED = {
    ("mistral", "mistral-medium-latest"): (dt.date(2026, 6, 15), None, "the alias moved to Mistral Medium 3.5 on 2026-06-16"),
    ("mistral", "mistral-small-latest"): (dt.date(2026, 3, 15), None, "the alias moved to Mistral Small 4 on 2026-03-16"),
    ("openai", "gpt-5.6-sol"): (dt.date(2026, 8, 20), None, "OpenAI cut Sol's prices on 2026-08-21"),
    ("azure", "gpt-5.6-sol"): (dt.date(2026, 8, 20), None, "the list keeps OpenAI's prices for Azure: cut on 2026-08-21"),
    ("aws", "openai.gpt-5.6-luna"): (dt.date(2026, 7, 29), None, "AWS cut Luna's prices by 80 % on 2026-07-30"),
    ("deepseek", "deepseek-v4-flash"): (dt.date(2026, 8, 16), dt.time(12), "off-peak prices changed on 2026-08-17; depends on the hour"),
    ("deepseek", "deepseek-reasoner"): (
        DAY,
        dt.time(12),
        "discounted from 16:30 to 00:30 UTC: depends on the hour, which the gold price chose",
    ),
}
# Not a price: the gold counts this API's cache writes as plain input, which its newer version mends.
GOLD_READS_LESS = {("azure", "responses", "gpt-5.6-sol"), ("azure", "chat", "gpt-5.6-sol")}
# genai-prices' name of an extractor → our name of the API where they differ.
APIS = {
    ("anthropic", "default"): "anthropic",
    ("google", "default"): "gemini",
    ("aws", "default"): "bedrock",
    ("cohere", "default"): "cohere",
    ("groq", "default"): "chat",
    ("mistral", "default"): "chat",
    ("x-ai", "default"): "chat",
}


def cost(usage: Usage, provider: str, model: str, day: dt.date = DAY, at: dt.time | None = None) -> Priced:
    return priced(usage, listing(provider, model, load_rules(Settings.load())), provider, day, at)


def chat(prompt: int, completion: int, prompt_details: dict[str, int] | None = None, **details: int) -> dict[str, Any]:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "completion_tokens_details": details}
    return {"model": "gpt-4o", "usage": usage | {"prompt_tokens_details": prompt_details or {}}}


def claude(**usage: Any) -> dict[str, Any]:
    return {"model": SONNET, "usage": {"input_tokens": 10, "output_tokens": 5, **usage}}


def test_cached_tokens_are_not_billed_twice() -> None:
    # OpenAI's prompt includes what was cached; ODS #2519 billed it again: 2.64x at 90 % hits
    usage = read_usage(chat(1_000_000, 0, {"cached_tokens": 900_000}), "openai")
    assert usage.classes == {"input_uncached": 100_000, "input_cache_read": 900_000}
    assert cost(usage, "openai", "gpt-4o").cost() == Decimal("0.25") + Decimal("1.125")


def test_cached_tokens_beside_the_input_are_not_forgotten() -> None:
    # Anthropic's and Bedrock's input leaves them out
    usage = read_usage(claude(cache_read_input_tokens=1_000), "anthropic")
    assert (usage.classes["input_uncached"], usage.classes["input_cache_read"], usage.prompt_tokens) == (10, 1_000, 1_010)
    bedrock = read_usage({"usage": {"inputTokens": 10, "outputTokens": 5, "cacheReadInputTokens": 1_000}}, "aws")
    assert bedrock.classes == usage.classes


def test_cached_audio_or_images_are_not_billed_once_as_cached_and_once_as_audio() -> None:
    # LiteLLM #37407: 72 % above xAI's own bill
    usage = read_usage(chat(1_000, 0, {"cached_tokens": 900, "audio_tokens": 300}), "openai")
    assert usage.classes == {"input_cache_read": 900, "input_audio": 100}
    assert usage.prompt_tokens == 1_000
    responses = {
        "usage": {"input_tokens": 1_000, "output_tokens": 0, "input_tokens_details": {"cached_tokens": 1_000, "image_tokens": 400}}
    }
    assert read_usage(responses, "openai").classes == {"input_cache_read": 1_000}


def test_a_cache_write_keeps_its_lifetime_and_is_not_dropped() -> None:
    # dust #28388: all write tokens vanished; an hour costs 2x input, five minutes 1.25x
    lifetimes = {"ephemeral_5m_input_tokens": 300_000, "ephemeral_1h_input_tokens": 700_000}
    usage = read_usage(claude(cache_creation_input_tokens=1_000_000, cache_creation=lifetimes), "anthropic")
    assert (usage.classes["input_cache_write_5m"], usage.classes["input_cache_write_1h"]) == (300_000, 700_000)
    lines = {line.token_class: line.usd_per_million for line in cost(usage, "anthropic", SONNET).lines}
    assert (lines["input_cache_write_5m"], lines["input_cache_write_1h"]) == (
        Decimal("7.5"),
        12,
    )  # a prompt above 200K, so twice 3.75 and 6
    assert read_usage(claude(cache_creation_input_tokens=50), "anthropic").classes["input_cache_write_5m"] == 50  # older bodies
    details = [{"ttl": "1h", "inputTokens": 40}, {"ttl": "5m", "inputTokens": 2}]
    bedrock = {"usage": {"inputTokens": 1, "outputTokens": 1, "cacheWriteInputTokens": 42, "cacheDetails": details}}
    assert read_usage(bedrock, "aws").classes["input_cache_write_1h"] == 40


def test_a_long_context_request_is_not_billed_at_half() -> None:
    # LiteLLM #39861: 2x under on input above 272K; the whole request costs more, cached tokens count towards its length
    short, long = (read_usage(chat(n, 100, {"cached_tokens": 200_000}), "openai") for n in (272_000, 272_001))
    costs = [cost(usage, "openai", "gpt-5.6-terra").cost() for usage in (short, long)]
    assert costs == [
        (72_000 * Decimal(2) + 200_000 * Decimal("0.2") + 100 * Decimal(12)) / 1_000_000,
        (72_001 * Decimal(4) + 200_000 * Decimal("0.4") + 100 * Decimal(18)) / 1_000_000,
    ]


def test_reasoning_is_not_counted_twice_nor_lost() -> None:
    # LiteLLM #18599; xAI and Perplexity count it beside the completion, all others inside
    inside = read_usage(chat(10, 1_000, reasoning_tokens=900), "openai")
    assert (inside.classes["output"], inside.reasoning_tokens) == (1_000, 900)
    assert read_usage(chat(10, 100, reasoning_tokens=900), "x-ai").classes["output"] == 1_000
    gemini = {"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 100, "thoughtsTokenCount": 900}}
    assert read_usage(gemini, "google").classes["output"] == 1_000


def test_tool_results_that_gemini_counts_beside_the_prompt_are_billed_and_modalities_are_disjoint() -> None:
    details = [{"modality": "TEXT", "tokenCount": 60}, {"modality": "AUDIO", "tokenCount": 40}]
    metadata = {
        "promptTokenCount": 100,
        "promptTokensDetails": details,
        "cachedContentTokenCount": 50,
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}, {"modality": "TEXT", "tokenCount": 20}],
        "toolUsePromptTokenCount": 7,
        "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}],
        "candidatesTokenCount": 5,
    }
    usage = read_usage({"usageMetadata": metadata}, "google")
    assert usage.classes == {
        "input_audio_cache_read": 30,
        "input_cache_read": 20,
        "input_audio": 10,
        "input_uncached": 47,
        "output": 5,
    }
    assert usage.prompt_tokens == 107


def test_an_unknown_model_or_tier_is_not_free() -> None:
    usage = read_usage(chat(10, 5), "openai")
    unknown = cost(usage, "openai", "gpt-99")
    assert unknown.cost() is None
    assert {line.price_reason for line in unknown.lines} == {"model_not_in_price_list"}
    scale = cost(read_usage({"usage": chat(10, 5)["usage"] | {"service_tier": "scale"}}, "openai"), "openai", "gpt-4o")
    assert (scale.cost(), {line.price_reason for line in scale.lines}) == (None, {"tier_not_in_price_list"})


def test_flex_and_priority_are_not_billed_as_standard() -> None:
    # LiteLLM #38341: up to 2.5x over
    day = dt.date(2026, 11, 1)
    costs = {}
    for tier in ("default", "flex", "priority"):
        usage = read_usage({"usage": chat(1_000_000, 0)["usage"] | {"service_tier": tier}}, "openai")
        costs[tier] = cost(usage, "openai", "gpt-5", day).cost()
    assert costs == {"default": Decimal("1.25"), "flex": Decimal("0.625"), "priority": Decimal("2.5")}


@pytest.mark.parametrize(
    "body",
    [
        {"model": "gpt-4o"},
        {"usage": None},
        chat(-1, 5),
        chat(10, 5, {"cached_tokens": 11}),
        {"usage": {"prompt_tokens": "10", "completion_tokens": 5}},
        {"usage": {"prompt_tokens": True, "completion_tokens": 5}},
        {"usage": {"prompt_tokens": 1.5, "completion_tokens": 5}},
        {"usage": {"input_tokens": 5}},
        {"usageMetadata": {"promptTokenCount": 5, "cachedContentTokenCount": 6}},
    ],
    ids=["no usage", "null", "negative", "more cached than there are", "text", "boolean", "half a token", "no output", "gemini"],
)
def test_counts_that_contradict_each_other_are_refused_not_priced(body: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        read_usage(body, "openai")


def test_the_sum_of_the_classes_is_the_prompt_of_every_real_body(bodies: list[dict[str, Any]]) -> None:
    for each in bodies:
        usage = each["body"].get("usage") or {}
        if "prompt_tokens" in usage:
            assert read_usage(each["body"], "openai").prompt_tokens == usage["prompt_tokens"]
    assert len(bodies) == 523


def test_523_real_bodies_cost_what_they_cost_or_a_dated_price_change_says_why(bodies: list[dict[str, Any]]) -> None:
    exact, changed, read_otherwise, wrong = 0, dict.fromkeys(CHANGED, 0), 0, []
    for each in bodies:
        for provider, flavor, gold in _gold(each):
            usage = read_usage(each["body"], provider, APIS.get((provider, flavor), flavor))
            result = cost(usage, provider, each["model"])
            if _sums(result) == gold:
                exact += 1
                continue
            day, at, _ = CHANGED.get((provider, each["model"]), (DAY, None, ""))
            then = cost(usage, provider, each["model"], day, at)
            if _sums(then) == gold:
                changed[provider, each["model"]] += 1
            elif (provider, flavor, each["model"]) in GOLD_READS_LESS and "input_cache_write_5m" in usage.classes:
                read_otherwise += 1
            else:
                wrong.append((provider, flavor, each["model"], _sums(result), gold))
    assert wrong == []
    assert (exact, sum(changed.values()), read_otherwise) == (1_050, 30, 2)
    assert all(changed.values()), "a change that no body needs is not reviewed"


@pytest.fixture(scope="session")
def bodies(shared_path: Callable[[str], Path]) -> list[dict[str, Any]]:
    path = shared_path("data/llm_provider_usage_bodies/usages.json.gz")
    found: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))
    return found


def _gold(each: dict[str, Any]) -> list[tuple[str, str, tuple[Decimal, Decimal]]]:
    found = []
    for extracted in each["extracted"]:
        for gold in extracted["extractors"]:
            if "input_price" in gold or "output_price" in gold:
                prices = (Decimal(gold.get("input_price", 0)), Decimal(gold.get("output_price", 0)))
                found.append((gold["provider_id"], gold["api_flavor"], prices))
    return found


def _sums(result: Priced) -> tuple[Decimal | None, Decimal | None]:
    return result.cost("input"), result.cost("output")
