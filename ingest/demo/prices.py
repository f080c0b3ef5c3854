"""Public list prices of models: genai_prices (offline data) → USD per million tokens by disjoint token class.

Run alone: python -c "import datetime as dt; from ingest.demo.prices import token_prices
print(token_prices('openai', 'gpt-5-2025-08-07', dt.date(2026, 5, 1)))"
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from costlake.errors import UnknownModel

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

# Both vendors publish half the list price for their asynchronous batch endpoints.
BATCH_SHARE_OF_LIST = Decimal("0.5")
MILLION = Decimal(1_000_000)


@dataclass(frozen=True)
class TokenPrices:
    """USD per million tokens; None where the price list has no such class."""

    uncached: Decimal
    cache_read: Decimal | None
    cache_write_5m: Decimal | None
    cache_write_1h: Decimal | None
    output: Decimal

    def of(self, token_class: str) -> Decimal:
        """The price of one class; raises UnknownModel when the list has none for it."""
        price: Decimal | None = getattr(self, token_class)
        if price is None:
            raise UnknownModel(
                f"The price list has no {token_class} price",
                where=repr(self),
                expected="a price per million tokens",
                next_step="Give the demo model no tokens of that class.",
            )
        return price


@cache
def token_prices(provider: str, model: str, day: dt.date, *, long_context: bool = False) -> TokenPrices:
    """Prices of `model` as of `day`; `long_context` takes the tier above the standard context window where there is one.

    Raises UnknownModel when the price list doesn't know the model.
    """
    price = _model_price(provider, model, day)

    def tier(name: str) -> Decimal | None:
        value = getattr(price, name)
        if value is None or isinstance(value, Decimal):
            return value
        chosen: Decimal = value.tiers[0].price if long_context else value.base
        return chosen

    uncached, output = tier("input_mtok"), tier("output_mtok")
    if uncached is None or output is None:
        raise _unknown(provider, model)
    return TokenPrices(uncached, tier("cache_read_mtok"), tier("cache_write_mtok"), tier("cache_write_1h_mtok"), output)


@cache
def web_search_price(provider: str, model: str, day: dt.date) -> Decimal:
    """USD per thousand web searches made by the server-side tool."""
    value = _model_price(provider, model, day).web_searches_kcount
    if not isinstance(value, Decimal):
        raise _unknown(provider, model)
    return value


def _model_price(provider: str, model: str, day: dt.date) -> ModelPrice:
    return _model(provider, model).get_prices(dt.datetime.combine(day, dt.time(12), tzinfo=dt.UTC))


@cache
def _model(provider: str, model: str) -> ModelInfo:
    from genai_prices import Usage, calc_price  # its price data takes time to load: only when prices are asked for

    try:
        return calc_price(Usage(input_tokens=1), model, provider_id=provider).model
    except LookupError as error:
        raise _unknown(provider, model) from error


def _unknown(provider: str, model: str) -> UnknownModel:
    return UnknownModel(
        "The price list doesn't know a model of the demo estate",
        where=f"{provider}/{model}",
        expected="a model with input and output prices in genai_prices",
        next_step="Change the model id in ingest/demo.",
    )
