"""Prices that people write: config/prices/llm*.yml (what a contract says) and dbt/seeds/llm_price_rules.csv (what the lists leave out).

Data flow: the files → pydantic models → `costlake.pricelist`, `costlake.prices`; an error names file and line.
Run alone:
    python -c "from costlake.settings import Settings as S; from costlake.pricerules import load_rules; print(load_rules(S.load()))"
"""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from costlake.errors import ConfigError
from costlake.money import BRONZE_SCALE, parse_money
from costlake.settings import Settings

RULES_FILE = Path("seeds", "llm_price_rules.csv")
PROVIDERS_FILE = Path("seeds", "llm_price_providers.csv")
OVERRIDES = "llm*.yml"
_LIMIT = 10**9


def _exact_price(text: object) -> Decimal:
    # Only text keeps every digit that was written: YAML's own float has 15 to 17 of them.
    try:
        price = parse_money(text) if isinstance(text, str) else None
    except ValueError:
        price = None
    if price is None or not 0 <= price < _LIMIT:
        raise ValueError(f"{text!r} is no price: expected US dollars, 0 or more and below {_LIMIT:,}")
    if int(price.normalize().as_tuple().exponent) < -BRONZE_SCALE:
        raise ValueError(f"{text!r} has more than {BRONZE_SCALE} decimals")
    return price


def _pattern(text: object) -> str:
    try:
        re.compile(str(text))
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error
    return str(text)


Price = Annotated[Decimal, BeforeValidator(_exact_price)]


class _Dated(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    valid_from: dt.date
    valid_to: dt.date | None = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> _Dated:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError(
                f"valid_to {self.valid_to} is not after valid_from {self.valid_from}; valid_to is the first day without the price"
            )
        return self

    def holds_on(self, day: dt.date) -> bool:
        """Whether it holds on this UTC day; valid_to itself is outside."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


class PriceRule(_Dated):
    """What a price list leaves out: a tier's or a region's share of the standard price.

    Attributes:
        rule_id: name of the rule. provider: id as genai-prices writes it. model_pattern: regular expression on the list's model id.
        service_tier: the tier it prices; the list's own tier prices win. region_scope: the region whose price it gives, of every tier.
        token_classes: classes it changes; empty means all.
        factor: share of the standard price (of the global price, for a region).
        source: who says so. checked_on: when somebody last looked.
    """

    rule_id: str
    provider: str
    model_pattern: Annotated[str, BeforeValidator(_pattern)]
    service_tier: str | None = None
    region_scope: str | None = None
    token_classes: tuple[str, ...] = ()
    factor: Price
    source: str = Field(min_length=3)
    checked_on: dt.date

    @model_validator(mode="after")
    def _prices_one_thing(self) -> PriceRule:
        if (self.service_tier is None) == (self.region_scope is None):
            raise ValueError("a rule prices either a service_tier or a region_scope")
        return self

    def covers(self, token_class: str) -> bool:
        """Whether the rule changes this class."""
        return not self.token_classes or token_class in self.token_classes


class PriceOverride(_Dated):
    """A price that wins over the lists from one day on: what a contract or the provider's price page says.

    Attributes:
        provider: id as genai-prices writes it. model: as the usage report writes it.
        token_class, service_tier, context_from_tokens (prompts with more tokens than this), region_scope: what it is the price of.
        usd_per_million: US dollars for a million tokens (or requests, seconds, …: the class' unit).
        valid_from, valid_to: first day with the price, first day without it (UTC).
        note: who says so, for the report and the ledger.
    """

    provider: str
    model: str
    token_class: str
    service_tier: str = "standard"
    context_from_tokens: int = Field(default=0, ge=0)
    region_scope: str = "global"
    usd_per_million: Price
    note: str = Field(min_length=3)

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What the price is of, as a `Segment` says it."""
        return self.token_class, self.service_tier, self.context_from_tokens, self.region_scope


class PriceOverrides(BaseModel):
    """config/prices/llm*.yml: prices that win over the public lists."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    llm_prices: tuple[PriceOverride, ...] = ()

    @model_validator(mode="after")
    def _do_not_overlap(self) -> PriceOverrides:
        refuse_overlaps(self.llm_prices)
        return self


def refuse_overlaps(overrides: tuple[PriceOverride, ...]) -> None:
    """Two prices of one thing on one day have no order: raises ValueError naming them."""
    ordered = sorted(overrides, key=lambda each: (each.provider, each.model.lower(), each.key, each.valid_from))
    for one, other in pairwise(ordered):
        same = (one.provider, one.model.lower(), one.key) == (other.provider, other.model.lower(), other.key)
        if same and (one.valid_to is None or other.valid_from < one.valid_to):
            raise ValueError(f"two prices of {one.provider} {one.model} {one.token_class} ({one.service_tier}) on {other.valid_from}")


def load_overrides(config_dir: Path) -> tuple[PriceOverride, ...]:
    """Every override of config/prices/llm*.yml, in the files' order.

    Raises:
        ConfigError: a file is no YAML, a value is wrong (file and line), or two files price one thing on one day.
    """
    found: tuple[PriceOverride, ...] = ()
    for path in sorted((config_dir / "prices").glob(OVERRIDES)):
        found += _load(path).llm_prices
    try:
        refuse_overlaps(found)
    except ValueError as error:
        raise _wrong(str(error), f"config/prices/{OVERRIDES}") from error
    return found


def load_rules(settings: Settings) -> tuple[PriceRule, ...]:
    """The reviewed rules, in order; the first that fits counts.

    Raises:
        ConfigError: a row is wrong, with file and line.
    """
    path = settings.dbt_dir / RULES_FILE
    if not path.exists():
        return ()
    rules = []
    with path.open(encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle)
        for row in reader:
            filled: dict[str, Any] = {name: value for name, value in row.items() if value}
            filled["token_classes"] = tuple(filled.get("token_classes", "").split("|")) if filled.get("token_classes") else ()
            try:
                rules.append(PriceRule.model_validate(filled))
            except ValidationError as error:
                raise _wrong(error.errors()[0]["msg"], f"{path.name}:{reader.line_num}") from error
    return tuple(rules)


def load_provider_names(settings: Settings) -> dict[str, str]:
    """FOCUS' name of a provider → the id of its price list (dbt/seeds/llm_price_providers.csv)."""
    path = settings.dbt_dir / PROVIDERS_FILE
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as handle:
        return {row["provider_name"]: row["price_provider"] for row in csv.DictReader(handle)}


def _load(path: Path) -> PriceOverrides:
    text = path.read_text(encoding="utf-8")
    try:
        # The base loader makes text of every scalar and nothing else: 0.1 keeps its digits.
        raw = yaml.load(text, yaml.BaseLoader) or {}  # noqa: S506
        tree = yaml.compose(text, yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise _wrong("the file is not YAML", f"{path.name}: {error}") from error
    try:
        return PriceOverrides.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _wrong(first["msg"], f"{path.name}:{_line(tree, first['loc'])} {place}") from error


def _line(node: yaml.Node | None, place: tuple[int | str, ...]) -> int:
    """The line (from 1) of the value at `place`, or of what is there of it."""
    for part in place:
        if isinstance(node, yaml.MappingNode):
            inner: Mapping[str, yaml.Node] = {key.value: value for key, value in node.value}
            if part not in inner:
                break
            node = inner[str(part)]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
    return 1 if node is None else node.start_mark.line + 1


def _wrong(message: str, where: str) -> ConfigError:
    return ConfigError(
        message,
        where=where,
        expected="the keys of PriceOverride or PriceRule (costlake/pricerules.py), dates as YYYY-MM-DD, prices as plain numbers",
        next_step="correct the line and run `costlake prices`",
    )
