"""What the public price lists say: genai-prices (a library with offline data) and reviewed rules → dated prices per token class.

Data flow: genai-prices' providers + dbt/seeds/llm_price_rules.csv → `listing(provider, model)` → the price book, the demo.

The list gives prices per model with start dates, tiers of prompt length and variants (batch, flex, priority, fast). What it leaves
out stands in the rules: since when a tier exists, and what data residency adds. A class without a price of its own costs what its
parent costs: cached input that no discount is published for is input. A price that depends on the hour is told per window of the UTC day.
Run alone: python -c "from costlake.pricelist import listing; print(*listing('openai', 'gpt-5.6-terra').segments[:5], sep='\\n')"
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from costlake.money import at_scale
from costlake.pricerules import PriceRule

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, PriceVariant, Provider

MILLION = Decimal(1_000_000)
STANDARD, GLOBAL = "standard", "global"
DAY_MINUTES = 24 * 60
Window = tuple[int, int]  # minutes of the UTC day, from (incl.) to (excl.)
WHOLE_DAY: Window = (0, DAY_MINUTES)
ORIGIN = "genai-prices"

# Our class → the list's keys, its own first and then its parents'. Classes of a modality have a price only where the list gives one.
_KEYS: Mapping[str, tuple[str, ...]] = {
    "input_uncached": ("input_mtok",),
    "input_cache_read": ("cache_read_mtok", "input_mtok"),
    "input_cache_write_5m": ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok"),
    "input_cache_write_1h": ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
    "output": ("output_mtok",),
    "input_audio": ("input_audio_mtok",),
    "input_audio_cache_read": ("cache_audio_read_mtok",),
    "output_audio": ("output_audio_mtok",),
    "input_image": ("input_image_mtok",),
    "input_image_cache_read": ("cache_image_read_mtok",),
    "output_image": ("output_image_mtok",),
    "input_video": ("input_video_mtok",),
    "output_video": ("output_video_mtok",),
    "output_reasoning": ("output_reasoning_mtok",),
    "output_citation": ("output_citation_mtok",),
    "requests": ("requests_kcount",),
    "web_search_requests": ("web_searches_kcount",),
    "file_search_requests": ("storage_searches_kcount",),
    "characters": ("input_mchars",),
    "audio_seconds": ("audio_hours", "input_audio_hours"),
}
# How many of the metric's units one price of the list is for.
_UNITS_PER_PRICE = {"mtok": 1_000_000, "mchars": 1_000_000, "kcount": 1_000, "hours": 3_600}
_UNIT_NAMES = {"requests": "Requests", "characters": "Characters", "audio_seconds": "Seconds"}
_TIER_KEYS = ("processing", "service_tier", "speed")


@dataclass(frozen=True)
class Segment:
    """One price: of a class and tier of a model, for prompts of more than `context_from_tokens`; days and minutes from (incl.) to (excl.).

    `price_usd_per_million` is for a million of `unit`; None with a `price_reason` where nobody knows it.
    """

    token_class: str
    service_tier: str
    context_from_tokens: int
    region_scope: str
    price_usd_per_million: Decimal | None
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None
    price_reason: str | None = None
    origin: str = ORIGIN
    note: str | None = None
    from_minute_utc: int = 0
    to_minute_utc: int = DAY_MINUTES

    @property
    def window(self) -> Window:
        """The minutes of the UTC day in which it holds."""
        return self.from_minute_utc, self.to_minute_utc

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What the price is of, without its time."""
        return self.token_class, self.service_tier, self.context_from_tokens, self.region_scope

    def holds_on(self, day: dt.date) -> bool:
        """Whether the price is the one of this UTC day."""
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True)
class Listing:
    """All prices of one model of a provider.

    Attributes:
        provider: id of the provider whose list it is; differs from what was asked where a reseller keeps the maker's prices.
        model: the list's own id.
        segments: disjoint per key, oldest first.
    """

    provider: str
    model: str
    segments: tuple[Segment, ...]

    def on(self, day: dt.date, tier: str = STANDARD, region: str = GLOBAL) -> dict[str, list[Segment]]:
        """Per class the prices of a day, those of longer prompts last; several per length where the hour decides."""
        found: dict[str, list[Segment]] = {}
        for each in self.segments:
            if (each.service_tier, each.region_scope) == (tier, region) and each.holds_on(day):
                found.setdefault(each.token_class, []).append(each)
        return {name: sorted(prices, key=lambda price: price.context_from_tokens) for name, prices in found.items()}

    def price(
        self,
        token_class: str,
        day: dt.date,
        tier: str = STANDARD,
        region: str = GLOBAL,
        prompt_tokens: int = 0,
        at: dt.time | None = None,
    ) -> Segment | None:
        """The price of a class for a request with `prompt_tokens` of input on a UTC day, and at a time of it where that decides.

        None where the list has no such class. Without a time, a price that depends on the hour is NULL with that reason.
        """
        prices = self.on(day, tier, region).get(token_class, [])
        fitting = [each for each in prices if prompt_tokens > each.context_from_tokens or not each.context_from_tokens]
        if not fitting:
            return None
        longest = [each for each in fitting if each.context_from_tokens == fitting[-1].context_from_tokens]
        if at is not None:
            minute = at.hour * 60 + at.minute
            return next((each for each in longest if each.from_minute_utc <= minute < each.to_minute_utc), None)
        if len({(each.price_usd_per_million, each.price_reason) for each in longest}) == 1:
            return longest[0]
        return replace(
            longest[0], price_usd_per_million=None, price_reason="price_depends_on_the_hour", from_minute_utc=0, to_minute_utc=DAY_MINUTES
        )


def unit_of(token_class: str) -> str:
    """The unit a class is counted in."""
    if token_class.endswith("_requests"):
        return "Requests"
    return _UNIT_NAMES.get(token_class, "Tokens")


def listing(provider: str, model: str, rules: Iterable[PriceRule] = ()) -> Listing | None:
    """What the lists say of a model; None when they don't know it.

    Args:
        provider: id as genai-prices writes it (openai, anthropic, aws, …).
        model: model id as the provider reports it; matched as genai-prices matches it.
        rules: what the list leaves out; the first that fits a tier or region counts.
    """
    owner, found = _find(provider, model)
    if owner is None or found is None:
        return None
    mine = [rule for rule in rules if rule.provider == owner.id and re.search(rule.model_pattern, found.id)]
    return Listing(owner.id, found.id, tuple(_segments(found, mine)))


def listed_models(provider: str) -> list[str]:
    """Ids of all models in a provider's list."""
    return [model.id for model in _providers()[provider].models] if provider in _providers() else []


def knows_provider(provider: str) -> bool:
    """Whether there is a list of this provider."""
    return provider in _providers()


@cache
def _providers() -> dict[str, Provider]:
    from genai_prices.data import providers  # 1.6 MB of price data: only when prices are asked for

    return {provider.id: provider for provider in providers}


@cache
def _find(provider: str, model: str) -> tuple[Provider | None, ModelInfo | None]:
    from genai_prices.data import providers

    start = _providers().get(provider)
    if start is None:
        return None, None
    # Ids such as aws' `regional.…` stand for several and match none of their own patterns.
    listed = next((each for each in start.models if each.id == model), None)
    found = listed or start.find_model(model, all_providers=providers)
    if found is None:
        return None, None
    owners = [start, *(_providers()[name] for name in start.fallback_model_providers or () if name in _providers())]
    return next((owner for owner in owners if any(found is each for each in owner.models)), start), found


def _segments(model: ModelInfo, rules: Sequence[PriceRule]) -> list[Segment]:
    days, minutes = _turning_days(model, rules), _turning_minutes(model)
    built: list[Segment] = []
    for start, end in zip(days, [*days[1:], None], strict=True):
        for begins, ends in pairwise(minutes):
            for each in _prices_of_day(model, rules, start or dt.date.min, dt.time(*divmod(begins, 60))):
                built.append(replace(each, valid_from=start, valid_to=end, from_minute_utc=begins, to_minute_utc=ends))
    return joined(built)


def joined(segments: Iterable[Segment]) -> list[Segment]:
    """Following days of one key and window with the same price as one segment; ordered by key, window and time."""
    done: list[Segment] = []
    for each in sorted(segments, key=lambda segment: (segment.key, segment.window, segment.valid_from or dt.date.min)):
        last = done[-1] if done else None
        same = last is not None and replace(each, valid_from=last.valid_from, valid_to=last.valid_to) == last
        if last is not None and same and last.valid_to == each.valid_from:
            done[-1] = replace(last, valid_to=each.valid_to)
        else:
            done.append(each)
    return done


def _turning_days(model: ModelInfo, rules: Sequence[PriceRule]) -> list[dt.date | None]:
    from genai_prices.types import ConditionalPrice, StartDateConstraint

    conditions = [each for each in model.prices if isinstance(each, ConditionalPrice)] if isinstance(model.prices, list) else []
    dated = [*conditions, *(model.price_variants or ())]
    days = {each.constraint.start_date for each in dated if isinstance(each.constraint, StartDateConstraint)}
    days |= {day for rule in rules for day in (rule.valid_from, rule.valid_to) if day is not None}
    return [None, *sorted(days)]


def _turning_minutes(model: ModelInfo) -> list[int]:
    """Minutes of the UTC day at which a price may change; a window that wraps midnight ends and begins there."""
    from genai_prices.types import ConditionalPrice, TimeOfDateConstraint

    conditions = [each.constraint for each in model.prices if isinstance(each, ConditionalPrice)] if isinstance(model.prices, list) else []
    times = [time for each in conditions if isinstance(each, TimeOfDateConstraint) for time in (each.start_time, each.end_time)]
    if any(time.second or time.utcoffset() for time in times):
        raise ValueError(f"prices of {model.id} change within a minute, or not by UTC: {times}")
    return sorted({*WHOLE_DAY, *(time.hour * 60 + time.minute for time in times)})


def _prices_of_day(model: ModelInfo, rules: Sequence[PriceRule], day: dt.date, at: dt.time) -> list[Segment]:
    standard, reason = _standard(model, day, at)
    prices = {STANDARD: standard} | _tiers(model, standard, day, rules)
    found = [each for tier, price in prices.items() for each in _classes(price, tier, reason)]
    for rule in rules:
        if rule.region_scope is not None and rule.holds_on(day):
            found += [_elsewhere(each, rule) for each in found if each.region_scope == GLOBAL and rule.covers(each.token_class)]
    return found


def _elsewhere(price: Segment, rule: PriceRule) -> Segment:
    amount = None if price.price_usd_per_million is None else at_scale(price.price_usd_per_million * rule.factor)
    return replace(price, region_scope=str(rule.region_scope), price_usd_per_million=amount, note=rule.rule_id)


def _standard(model: ModelInfo, day: dt.date, at: dt.time = dt.time.min) -> tuple[ModelPrice, str | None]:
    """The prices of a day and time, and why they are unknown if they are: the last condition that holds counts.

    The list names no first day of a price by the hour. It can't be older than the dated price it stands after: before that, nobody knows.
    """
    from genai_prices.types import ModelPrice, StartDateConstraint, TimeOfDateConstraint

    if isinstance(model.prices, ModelPrice):
        return model.prices, None
    for condition in reversed(model.prices):
        constraint = condition.constraint
        if isinstance(constraint, TimeOfDateConstraint):
            if constraint.active(dt.datetime.combine(day, at, tzinfo=dt.UTC)):
                dated = [each.constraint for each in model.prices if isinstance(each.constraint, StartDateConstraint)]
                known = all(each.start_date <= day for each in dated)
                return condition.prices, None if known else "price_by_hour_has_no_first_day"
        elif constraint is None or constraint.start_date <= day:
            return condition.prices, None
    return model.prices[0].prices, None


def _tiers(model: ModelInfo, standard: ModelPrice, day: dt.date, rules: Sequence[PriceRule]) -> dict[str, ModelPrice]:
    """Prices of all other tiers: as listed on the day, else as a rule says they were before the list took note of them."""
    found: dict[str, ModelPrice] = {}
    for variant in model.price_variants or ():
        tier = _tier_of(variant)
        if tier in (None, STANDARD) or tier in found:
            continue
        if _started(variant, day):
            found[str(tier)] = _merged(standard, variant.prices)
    for rule in rules:
        tier = rule.service_tier
        if rule.region_scope is None and tier is not None and tier not in found and rule.holds_on(day):
            listed = next((each for each in model.price_variants or () if _tier_of(each) == tier), None)
            found[tier] = _scaled(standard, rule) if listed is None else _as_later(model, standard, listed)
    return found


def _tier_of(variant: PriceVariant) -> str | None:
    names = [value for key, value in variant.when.items() if key in _TIER_KEYS]
    if len(names) != len(variant.when) or len(names) != 1:
        return None
    return STANDARD if names[0] == "default" else names[0]


def _started(variant: PriceVariant, day: dt.date) -> bool:
    from genai_prices.types import StartDateConstraint

    constraint = variant.constraint
    return constraint is None or (isinstance(constraint, StartDateConstraint) and constraint.start_date <= day)


def _merged(standard: ModelPrice, variant: ModelPrice) -> ModelPrice:
    from genai_prices.types import ModelPrice

    return ModelPrice(**{**standard.__dict__, **{key: value for key, value in variant.__dict__.items() if value is not None}})


def _scaled(standard: ModelPrice, rule: PriceRule) -> ModelPrice:
    """All prices of the tier as the rule's share of the standard price."""
    from genai_prices.types import ModelPrice

    by_key = {key: name for name, keys in reversed(list(_KEYS.items())) for key in reversed(keys)}
    changed = {key: _times(price, rule.factor) if rule.covers(by_key.get(key, key)) else price for key, price in standard.__dict__.items()}
    return ModelPrice(**changed)


def _as_later(model: ModelInfo, standard: ModelPrice, variant: PriceVariant) -> ModelPrice:
    """Before the list took note of a tier, it stood to the standard price as it did on that day."""
    from genai_prices.types import ModelPrice, StartDateConstraint

    noted = variant.constraint.start_date if isinstance(variant.constraint, StartDateConstraint) else dt.date.max
    then, _ = _standard(model, noted)
    changed = dict(standard.__dict__)
    for key, listed in variant.prices.__dict__.items():
        before, now = _base(then.__dict__.get(key)), _base(listed)
        if before and now is not None and standard.__dict__.get(key) is not None:
            changed[key] = _times(standard.__dict__[key], now / before)
    return ModelPrice(**changed)


def _base(price: object) -> Decimal | None:
    return price if isinstance(price, Decimal) or price is None else price.base  # type: ignore[attr-defined]  # TieredPrices


def _times(price: object, factor: Decimal) -> object:
    from genai_prices.types import Tier, TieredPrices

    if isinstance(price, TieredPrices):
        return TieredPrices(base=price.base * factor, tiers=[Tier(start=tier.start, price=tier.price * factor) for tier in price.tiers])
    return price * factor if isinstance(price, Decimal) else price


def _classes(price: ModelPrice, tier: str, reason: str | None) -> list[Segment]:
    from genai_prices.types import TieredPrices

    found = []
    for name, keys in _KEYS.items():
        key = next((key for key in keys if price.__dict__.get(key) is not None), None)
        if key is None:
            continue
        value = price.__dict__[key]
        note = None if key == keys[0] or key.replace("write_mtok", "write_5m_mtok") == keys[0] else f"priced as {key.rsplit('_', 1)[0]}"
        per = _UNITS_PER_PRICE[key.rsplit("_", 1)[1]]
        tiers = value.tiers if isinstance(value, TieredPrices) else []
        steps = [(0, _base(value)), *((step.start, step.price) for step in tiers)]
        for start, amount in steps:
            per_million = None if reason or amount is None else at_scale(amount * MILLION / per)
            found.append(Segment(name, tier, start, GLOBAL, per_million, price_reason=reason, note=note))
    return found
