"""Every provider that a source or a gateway can name has a price list, or is known to have none; batch prices of clouds have a first day.

Data flow: the seeds llm_price_providers, llm_gateway_providers, llm_price_rules → compared with genai-prices. Alone: pytest on this file.
"""

from __future__ import annotations

import csv
import datetime as dt
from decimal import Decimal

import pytest

from costlake.pricelist import knows_provider, listing
from costlake.pricerules import load_provider_names, load_rules
from costlake.settings import Settings

# reviewed: no list in genai-prices 0.2.3; a price in config/prices names these ids
WITHOUT_A_LIST = {"ai21", "deepinfra", "replicate"}
# reviewed: ids of genai-prices that no source or gateway names: routes of Hugging Face by their host, and resellers of a few models
NOT_NAMED = {"openai-decisions", "quicksilverpro", "typesafe"}


@pytest.fixture
def names() -> dict[str, str]:
    return load_provider_names(Settings.load())


def test_each_provider_has_a_price_list_or_is_known_to_have_none(names: dict[str, str]) -> None:
    assert {provider for provider in names.values() if not knows_provider(provider)} == WITHOUT_A_LIST


def test_each_price_list_has_a_provider_that_bills_name(names: dict[str, str]) -> None:
    from genai_prices.data import providers

    listed = {provider.id for provider in providers if not provider.id.startswith("huggingface_")}
    assert listed - set(names.values()) == NOT_NAMED


def test_each_name_that_a_gateway_gives_has_prices(names: dict[str, str]) -> None:
    with (Settings.load().dbt_dir / "seeds" / "llm_gateway_providers.csv").open(encoding="utf-8") as handle:
        given = {row["provider_name"] for row in csv.DictReader(handle)}
    assert given - set(names) == set()


@pytest.mark.parametrize(
    ("provider", "model", "first_day", "standard"),
    [
        ("aws", "amazon.nova-pro-v1:0", dt.date(2026, 10, 7), "0.8"),
        ("aws", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", dt.date(2026, 10, 7), "3.3"),
        ("azure", "o3-mini", dt.date(2024, 10, 24), "1.1"),
        ("fireworks", "accounts/fireworks/models/kimi-k2p6", dt.date(2026, 11, 28), "0.95"),
    ],
)
def test_batch_is_half_from_its_sourced_first_day_and_unknown_before(provider: str, model: str, first_day: dt.date, standard: str) -> None:
    found = listing(provider, model, load_rules(Settings.load()))
    assert found is not None
    assert found.price("input_uncached", first_day - dt.timedelta(days=1), "batch") is None
    half = found.price("input_uncached", first_day, "batch")
    assert half is not None
    assert (found.price("input_uncached", first_day).price_usd_per_million, half.price_usd_per_million) == (  # type: ignore[union-attr]
        Decimal(standard),
        Decimal(standard) / 2,
    )


@pytest.mark.parametrize(
    ("provider", "model"),
    [("aws", "us.anthropic.claude-sonnet-4-20250514-v1:0"), ("aws", "google.gemma-3-12b-it"), ("mistral", "pixtral-large")],
)
def test_a_batch_price_that_nobody_publishes_stays_unknown(provider: str, model: str) -> None:
    found = listing(provider, model, load_rules(Settings.load()))
    assert found is not None
    assert found.price("output", dt.date(2026, 11, 28), "batch") is None
