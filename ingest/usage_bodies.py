"""What one model response cost: the `usage` object of a provider's API → disjoint token classes → list prices of the day.

Data flow: a response body (JSON) → `read_usage` (by the API's own semantics) → `priced` (the book or the lists) → lines per class.

The traps, by API: OpenAI's input includes cached, cache-write and audio tokens, Anthropic's and Bedrock's leaves cached ones out; a cache
write lives 5 minutes or an hour at different prices; Gemini's candidates leave thoughts out and its prompt leaves tool results out; xAI
and Perplexity count reasoning beside the completion, all others inside. Reasoning inside the output is told, not counted again.
What Anthropic lists under `iterations` (compaction) beside the totals is not counted.
Run alone: costlake price-usage response.json --provider openai
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from costlake.errors import BadValue
from costlake.pricelist import GLOBAL, MILLION, STANDARD, Listing

Json = Mapping[str, Any]
# A class that the list gives no price of its own costs what the first of its parents costs that has one: cached audio without a discount of
# its own is audio. The ledger's rule is the same (macro llm_modality_classes).
PARENTS: Mapping[str, tuple[str, ...]] = {
    "input_audio": ("input_uncached",),
    "input_image": ("input_uncached",),
    "input_video": ("input_uncached",),
    "input_audio_cache_read": ("input_audio", "input_cache_read"),
    "input_image_cache_read": ("input_image", "input_cache_read"),
    "input_video_cache_read": ("input_video", "input_cache_read"),
    "output_audio": ("output",),
    "output_image": ("output",),
    "output_video": ("output",),
    "output_reasoning": ("output",),
    "output_citation": ("output",),
}
_MODALITIES = {"AUDIO": "audio", "IMAGE": "image", "DOCUMENT": "image", "VIDEO": "video"}
_REASONING_BESIDE = frozenset({"x-ai", "perplexity"})


@dataclass(frozen=True)
class Usage:
    """What a response used.

    Attributes:
        model: as the response names it; None where it doesn't.
        classes: tokens by disjoint class; classes without tokens are left out.
        reasoning_tokens: of the output, for information; None where the response doesn't tell.
        metrics: what else is counted (web_search_requests).
        service_tier, region_scope: as the price book names them.
    """

    model: str | None
    classes: Mapping[str, int]
    reasoning_tokens: int | None = None
    metrics: Mapping[str, int] = field(default_factory=dict)
    service_tier: str = STANDARD
    region_scope: str = GLOBAL

    @property
    def prompt_tokens(self) -> int:
        """All input, cached or not: what decides about long-context prices."""
        return sum(count for name, count in self.classes.items() if name.startswith("input"))


@dataclass(frozen=True)
class Line:
    """Tokens of a class at their price; `cost_usd` is None with a reason where no price is known."""

    token_class: str
    quantity: int
    usd_per_million: Decimal | None
    cost_usd: Decimal | None
    price_reason: str | None = None


@dataclass(frozen=True)
class Priced:
    """A response's cost. A sum with an unknown price in it is unknown."""

    provider: str
    listed_model: str | None
    lines: tuple[Line, ...]

    def cost(self, prefix: str = "") -> Decimal | None:
        """Sum over the classes that start with `prefix` (input, output; empty: all)."""
        costs = [line.cost_usd for line in self.lines if line.token_class.startswith(prefix)]
        return sum((cost for cost in costs if cost is not None), Decimal(0)) if None not in costs else None


def read_usage(body: Json, provider: str, api: str | None = None) -> Usage:
    """A response's usage in disjoint classes.

    Args:
        body: the response, or at least its model and its usage object.
        provider: whose API it was, as genai-prices names it.
        api: anthropic, responses, chat, embeddings, gemini, bedrock or cohere; None tells it from the body.

    Raises:
        BadValue: there is no usage object, or its counts contradict each other (negative, more cached than there are).
    """
    name = api or _api_of(body)
    if name not in _READERS:
        raise _bad("api", name, f"one of {', '.join(sorted(_READERS))}")
    usage = body.get("usageMetadata" if name == "gemini" else "usage")
    if not isinstance(usage, Mapping):
        raise _bad("usage", usage, "the object in which the API counts tokens")
    classes, reasoning = _READERS[name](usage, provider)
    for token_class, count in classes.items():
        if count < 0:
            raise _bad(token_class, count, "0 or more; the response counts more cached tokens than tokens")
    searches = _count(_at(usage, "server_tool_use"), "web_search_requests") or _count(usage, "num_search_queries")
    return Usage(
        body.get("modelVersion" if name == "gemini" else "model"),
        {token_class: count for token_class, count in classes.items() if count},
        reasoning,
        {"web_search_requests": searches} if searches else {},
        _tier(usage),
        "us" if usage.get("inference_geo") == "us" else GLOBAL,
    )


def priced(usage: Usage, found: Listing | None, provider: str, day: dt.date, at: dt.time | None = None) -> Priced:
    """What the usage cost at the prices of a UTC day.

    Args:
        usage: of `read_usage`.
        found: the model's prices (`costlake.pricelist.listing`, `costlake.prices.listing_in_force`); None where there are none.
        provider: whose API it was.
        day, at: of the request, UTC. Without a time, prices that depend on the hour are unknown.
    """
    counts = {**usage.classes, **usage.metrics}
    if found is None:
        return Priced(provider, None, tuple(Line(name, count, None, None, "model_not_in_price_list") for name, count in counts.items()))
    if usage.reasoning_tokens and found.price("output_reasoning", day, usage.service_tier, usage.region_scope, at=at) is not None:
        reasoning = min(usage.reasoning_tokens, counts.get("output", 0))
        counts |= {"output": counts.get("output", 0) - reasoning, "output_reasoning": reasoning}
    lines = [_line(found, usage, name, count, day, at) for name, count in counts.items() if count]
    return Priced(found.provider, found.model, tuple(lines))


def _line(found: Listing, usage: Usage, token_class: str, count: int, day: dt.date, at: dt.time | None) -> Line:
    for name in (token_class, *PARENTS.get(token_class, ())):
        region = usage.region_scope if found.on(day, usage.service_tier, usage.region_scope) else GLOBAL
        price = found.price(name, day, usage.service_tier, region, usage.prompt_tokens, at)
        if price is not None and price.price_usd_per_million is not None:
            return Line(token_class, count, price.price_usd_per_million, price.price_usd_per_million * count / MILLION)
        if price is not None:
            return Line(token_class, count, None, None, price.price_reason)
    known = any(each.token_class == token_class for each in found.segments)
    return Line(token_class, count, None, None, "tier_not_in_price_list" if known else "class_not_in_price_list")


def _api_of(body: Json) -> str:
    usage = body.get("usage")
    if "usageMetadata" in body:
        return "gemini"
    if not isinstance(usage, Mapping):
        raise _bad("usage", usage, "the object in which the API counts tokens")
    if "inputTokens" in usage:
        return "bedrock"
    if "billed_units" in usage:
        return "cohere"
    if "prompt_tokens" in usage:
        return "chat" if "completion_tokens" in usage else "embeddings"
    beside = {"cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation", "server_tool_use"}
    return "anthropic" if beside & usage.keys() else "responses"


def _anthropic(usage: Json, _: str) -> tuple[dict[str, int], int | None]:
    written, lifetimes = _count(usage, "cache_creation_input_tokens"), _at(usage, "cache_creation")
    for_an_hour = _count(lifetimes, "ephemeral_1h_input_tokens")
    # older bodies name no lifetime: the default one is 5 minutes
    for_minutes = max(written, for_an_hour + _count(lifetimes, "ephemeral_5m_input_tokens")) - for_an_hour
    classes = {
        "input_uncached": _needed(usage, "input_tokens"),
        "input_cache_read": _count(usage, "cache_read_input_tokens"),
        "input_cache_write_5m": for_minutes,
        "input_cache_write_1h": for_an_hour,
        "output": _needed(usage, "output_tokens"),
    }
    return classes, _told(_at(usage, "output_tokens_details"), "thinking_tokens")


def _bedrock(usage: Json, _: str) -> tuple[dict[str, int], int | None]:
    details = usage.get("cacheDetails")
    by_lifetime = {str(each.get("ttl")): _count(each, "inputTokens") for each in details or () if isinstance(each, Mapping)}
    written, for_an_hour = _count(usage, "cacheWriteInputTokens"), by_lifetime.get("1h", 0)
    classes = {
        "input_uncached": _needed(usage, "inputTokens"),
        "input_cache_read": _count(usage, "cacheReadInputTokens"),
        "input_cache_write_5m": max(written, for_an_hour + by_lifetime.get("5m", 0)) - for_an_hour,
        "input_cache_write_1h": for_an_hour,
        "output": _needed(usage, "outputTokens"),
    }
    return classes, None


def _responses(usage: Json, _: str) -> tuple[dict[str, int], int | None]:
    details = _at(usage, "input_tokens_details")
    parts = {"cache_read": _count(details, "cached_tokens"), "cache_write": _count(details, "cache_write_tokens")}
    classes = _inside(_needed(usage, "input_tokens"), parts, {"image": _count(details, "image_tokens")})
    classes["output"] = _needed(usage, "output_tokens")
    return classes, _told(_at(usage, "output_tokens_details"), "reasoning_tokens")


def _chat(usage: Json, provider: str) -> tuple[dict[str, int], int | None]:
    details, out = _at(usage, "prompt_tokens_details"), _at(usage, "completion_tokens_details")
    cached = _cached(usage, details)
    parts = {"cache_read": cached, "cache_write": _count(details, "cache_write_tokens")}
    classes = _inside(_needed(usage, "prompt_tokens"), parts, {"audio": _count(details, "audio_tokens")})
    reasoning = _told(out, "reasoning_tokens")
    reasoning = _told(usage, "reasoning_tokens") if reasoning is None else reasoning
    audio = min(_count(out, "audio_tokens"), _needed(usage, "completion_tokens"))
    classes["output"] = _needed(usage, "completion_tokens") - audio
    classes["output_audio"] = audio
    if provider in _REASONING_BESIDE:
        classes["output"] += reasoning or 0
        classes["output_citation"] = _count(usage, "citation_tokens")
    return classes, reasoning


def _cached(usage: Json, details: Json) -> int:
    """The cached part of the prompt, wherever an OpenAI-like API counts it."""
    places = (
        (details, "cached_tokens"),
        (usage, "prompt_cache_hit_tokens"),
        (usage, "cached_tokens"),
        (usage, "cached_prompt_text_tokens"),
    )
    return next((_count(where, name) for where, name in places if where.get(name) is not None), 0)


def _embeddings(usage: Json, _: str) -> tuple[dict[str, int], int | None]:
    return {"input_uncached": _needed(usage, "prompt_tokens")}, None


def _cohere(usage: Json, _: str) -> tuple[dict[str, int], int | None]:
    billed = _at(usage, "billed_units")
    return {"input_uncached": _needed(billed, "input_tokens"), "output": _needed(billed, "output_tokens")}, None


def _gemini(usage: Json, _: str) -> tuple[dict[str, int], int | None]:
    prompt = _count(usage, "promptTokenCount") + _count(usage, "toolUsePromptTokenCount")
    cached, thoughts = _count(usage, "cachedContentTokenCount"), _count(usage, "thoughtsTokenCount")
    cached_by, given = _by_modality(usage, "cacheTokensDetails"), _by_modality(usage, "promptTokensDetails")
    for modality, count in _by_modality(usage, "toolUsePromptTokensDetails").items():
        given[modality] = given.get(modality, 0) + count
    made = _by_modality(usage, "candidatesTokensDetails")
    classes = {f"input_{modality}_cache_read": count for modality, count in cached_by.items()}
    classes["input_cache_read"] = cached - sum(cached_by.values())
    classes |= {f"input_{modality}": count - cached_by.get(modality, 0) for modality, count in given.items()}
    classes["input_uncached"] = prompt - cached - sum(classes[f"input_{modality}"] for modality in given)
    classes |= {f"output_{modality}": count for modality, count in made.items()}
    classes["output"] = _count(usage, "candidatesTokenCount") + thoughts - sum(made.values())
    return classes, thoughts or None


_READERS: Mapping[str, Callable[[Json, str], tuple[dict[str, int], int | None]]] = {
    "anthropic": _anthropic,
    "bedrock": _bedrock,
    "responses": _responses,
    "chat": _chat,
    "embeddings": _embeddings,
    "cohere": _cohere,
    "gemini": _gemini,
}


def _inside(total: int, parts: Mapping[str, int], modalities: Mapping[str, int]) -> dict[str, int]:
    """A total that includes its parts, taken apart: cached and written tokens first, of the rest at most what a modality has."""
    classes = {"input_cache_read": parts["cache_read"], "input_cache_write_5m": parts["cache_write"]}
    rest = total - sum(parts.values())
    for modality, count in modalities.items():
        # what is cached and audio (or an image) is both in the report and is billed as cached
        classes[f"input_{modality}"] = max(0, min(count, rest))
        rest -= classes[f"input_{modality}"]
    return classes | {"input_uncached": rest}


def _by_modality(usage: Json, key: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in usage.get(key) or ():
        name = _MODALITIES.get(str(each.get("modality")).upper()) if isinstance(each, Mapping) else None
        if name is not None:
            found[name] = found.get(name, 0) + _count(each, "tokenCount")
    return found


def _tier(usage: Json) -> str:
    said = str(usage.get("service_tier") or usage.get("serviceTier") or STANDARD).lower()
    return STANDARD if said in ("default", "auto", "on_demand") else said


def _at(usage: Json, key: str) -> Json:
    inner = usage.get(key)
    return inner if isinstance(inner, Mapping) else {}


def _needed(usage: Json, key: str) -> int:
    if usage.get(key) is None:
        raise _bad(key, None, "a count of tokens")
    return _count(usage, key)


def _told(usage: Json, key: str) -> int | None:
    return None if usage.get(key) is None else _count(usage, key)


def _count(usage: Json, key: str) -> int:
    """A count, 0 where the API leaves it out, as all of them do for what did not happen."""
    value = usage.get(key)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _bad(key, value, "a whole number, 0 or more")
    return int(value)


def _bad(where: str, value: object, expected: str) -> BadValue:
    return BadValue(
        f"usage cannot be read: {where} is {value!r}"[:200],
        where=where,
        expected=expected,
        next_step="give the whole response body, and name its provider and API",
    )
