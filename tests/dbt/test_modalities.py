"""Audio and image tokens in the token ledger: priced apart where the report separates them, unpriced with a reason where it doesn't.

Data flow: rows as OpenAI's usage API and LiteLLM's spend log have them → staging → dbt → ledger and marts. Prices are those of genai-prices.
Alone: pytest on this file.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from ingest.usage_bodies import PARENTS
from tests.dbt.bronze import fill_price_book, insert
from tests.dbt.llm_project import MODELS as NODES
from tests.dbt.llm_project import Project, built_project

DAY, OLDER, HOUR = "2026-10-07", "2026-10-08", "2026-10-09 10:20:00+00"
REALTIME, IMAGE, AUDIO, TEXT, GROK = "gpt-realtime", "gpt-image-1", "gpt-audio", "gpt-4o", "grok-4"
SONIC, LITE = "amazon.nova-sonic-v1:0", "amazon.nova-lite-v1:0"
MODELS = {("openai", name) for name in (REALTIME, IMAGE, AUDIO, TEXT)} | {("x-ai", GROK), ("aws", SONIC), ("aws", LITE)}
# every conservation law that tokens and their dollars are under
LAWS = [
    "assert_comparison_cost_equals_focus",
    "assert_efficiency_grain_is_unique",
    "assert_efficiency_rates_are_ratios",
    "assert_efficiency_tokens_equal_usage",
    "assert_ledger_holds_all_usage",
    "assert_ledger_prices_or_reasons",
    "assert_llm_no_negative_tokens",
    "assert_llm_openai_classes_sum_to_input",
    "assert_llm_provider_usage_is_conserved",
    "assert_llm_reconciliation_adds_up",
    "assert_llm_usage_is_conserved",
    "assert_mart_grain_is_unique",
    "assert_mart_rates_are_ratios",
    "assert_mart_tokens_equal_usage",
    "assert_own_route_costs_what_the_ledger_says",
    "assert_price_book_has_one_price_per_day",
    "assert_unit_costs_are_the_ledgers",
]
# (model, day, counts): a whole payload says what of each part was cached, an older one doesn't
REPORTS: list[tuple[str, str, dict[str, int]]] = [
    (
        REALTIME,
        DAY,
        {
            "input_tokens": 1_000_000, "input_cached_tokens": 400_000, "input_cache_write_tokens": 0, "input_uncached_tokens": 600_000,
            "input_text_tokens": 350_000, "input_cached_text_tokens": 250_000, "input_audio_tokens": 200_000,
            "input_cached_audio_tokens": 100_000, "input_image_tokens": 50_000, "input_cached_image_tokens": 50_000,
            "output_tokens": 100_000, "output_text_tokens": 40_000, "output_audio_tokens": 60_000, "output_image_tokens": 0,
        },
    ),
    (
        IMAGE,
        DAY,
        {
            "input_tokens": 1_000_000, "input_cached_tokens": 200_000, "input_cache_write_tokens": 0, "input_uncached_tokens": 800_000,
            "input_text_tokens": 100_000, "input_cached_text_tokens": 0, "input_audio_tokens": 0, "input_cached_audio_tokens": 0,
            "input_image_tokens": 700_000, "input_cached_image_tokens": 200_000,
            "output_tokens": 50_000, "output_text_tokens": 0, "output_audio_tokens": 0, "output_image_tokens": 50_000,
        },
    ),
    # images are text to gpt-4o's prices: none of its tokens may be counted, or priced, a second time
    (
        TEXT,
        DAY,
        {
            "input_tokens": 1_000_000, "input_cached_tokens": 900_000, "input_cache_write_tokens": 0, "input_uncached_tokens": 100_000,
            "input_text_tokens": 20_000, "input_cached_text_tokens": 180_000, "input_audio_tokens": 0, "input_cached_audio_tokens": 0,
            "input_image_tokens": 80_000, "input_cached_image_tokens": 720_000, "output_tokens": 1_000, "output_text_tokens": 1_000,
        },
    ),
    # written to the cache, of whatever modality
    (
        REALTIME,
        "2026-10-06",
        {
            "input_tokens": 1_000_000, "input_cached_tokens": 0, "input_cache_write_tokens": 300_000, "input_uncached_tokens": 700_000,
            "input_text_tokens": 500_000, "input_audio_tokens": 200_000, "output_tokens": 0,
        },
    ),
    (AUDIO, OLDER, {"input_tokens": 1_000_000, "input_cached_tokens": 0, "input_audio_tokens": 600_000, "output_tokens": 9, "output_audio_tokens": 4}),
    (REALTIME, OLDER, {"input_tokens": 1_000, "input_cached_tokens": 400, "input_audio_tokens": 500, "output_tokens": 90, "output_audio_tokens": 80}),
    # nothing is said of modalities, of a model that has them
    (AUDIO, "2026-10-05", {"input_tokens": 70, "input_cached_tokens": 0, "output_tokens": 7}),
]  # fmt: skip
# (provider, model, prompt, completion, cached, audio, image, audio of the completion)
REQUESTS: list[tuple[str, str, int, int, int, int, int, int]] = [
    ("openai", AUDIO, 1_000_000, 100_000, 0, 600_000, 0, 80_000),
    ("openai", REALTIME, 1_000_000, 0, 400_000, 500_000, 0, 0),  # which of the audio was cached?
    ("openai", REALTIME, 1_000, 50, 0, 2_000, 0, 0),  # more audio than tokens
    ("xai", GROK, 1_000_000, 0, 900_000, 0, 800_000, 0),  # LiteLLM #37407: cached images were priced twice
]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The LLM project with usage that has audio and images, everything above it built anew, under all laws."""
    project = built_project(tmp_path_factory.getbasetemp() / "llm").copy(tmp_path_factory.mktemp("modalities"))
    with duckdb.connect(str(project.warehouse)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        insert(connection, "openai_usage", [_report(*row) for row in REPORTS])
        insert(connection, "litellm_requests", [_request(number, *row) for number, row in enumerate(REQUESTS)])
        insert(connection, "bedrock_logs", [_call(model) for model in (SONIC, LITE)])
        insert(connection, "openai_costs", [_cost(number, *row) for number, row in enumerate(COSTS)])
        fill_price_book(connection, MODELS)
    result = project.dbt("run", [*NODES, "--full-refresh"])
    assert result.success, result.exception
    return project


# (model's words in the line item, meter, dollars): OpenAI bills what a realtime model hears and sees apart, gpt-4o's images as input
COSTS = [
    (f"{REALTIME} audio", "input", "6.4"), (f"{REALTIME} audio", "output", "3.84"), (REALTIME, "input", "1.4"),
    (f"{REALTIME} image", "input", "0.25"),
    (TEXT, "input", "0.25"), (TEXT, "cached input", "1.125"),
]  # fmt: skip


def costs(ledger: Project, model: str, where: str) -> dict[str, tuple[int, Decimal | None, str | None]]:
    rows = ledger.rows(
        f"SELECT token_class, sum(quantity)::BIGINT, sum(list_cost_usd), min(price_reason) FROM marts.fct_token_usage"
        f" WHERE model_id = '{model}' AND unit = 'Tokens' AND {where} GROUP BY 1"
    )
    return {token_class: tuple(found) for token_class, *found in rows}  # type: ignore[misc]


def test_text_audio_and_images_of_a_realtime_model_cost_what_their_own_prices_say(ledger: Project) -> None:
    found = costs(ledger, REALTIME, f"charge_date = '{DAY}'")
    # USD per million: text 4 / 0.4 / 16, audio 32 / 0.4 / 64, images 5 / 0.5
    assert found == {
        "input_uncached": (350_000, Decimal("1.4"), None),
        "input_cache_read": (250_000, Decimal("0.1"), None),
        "input_audio": (200_000, Decimal("6.4"), None),
        "input_audio_cache_read": (100_000, Decimal("0.04"), None),
        "input_image": (50_000, Decimal("0.25"), None),
        "input_image_cache_read": (50_000, Decimal("0.025"), None),
        "output": (40_000, Decimal("0.64"), None),
        "output_audio": (60_000, Decimal("3.84"), None),
    }
    assert sum(quantity for quantity, _, _ in found.values()) == 1_100_000
    unit = ledger.one(
        f"SELECT list_cost_usd, input_audio_usd_per_million, output_audio_cost_usd, unpriced_quantity FROM marts.fct_llm_unit_cost_daily"
        f" WHERE model_id = '{REALTIME}' AND charge_date = '{DAY}'"
    )
    assert unit == (Decimal("12.695"), 32, Decimal("3.84"), None)


def test_images_of_an_image_model_have_their_price_and_what_it_makes_the_price_of_output(ledger: Project) -> None:
    assert costs(ledger, IMAGE, f"charge_date = '{DAY}'") == {
        "input_uncached": (100_000, Decimal("0.5"), None),
        "input_image": (700_000, Decimal(7), None),
        "input_image_cache_read": (200_000, Decimal("0.5"), None),
        "output_image": (50_000, Decimal(2), None),
    }


def test_a_cached_image_is_cached_once_where_images_are_text_to_the_price(ledger: Project) -> None:
    found = costs(ledger, TEXT, f"charge_date = '{DAY}'")
    # 100 000 at 2.5 and 900 000 at 1.25; with cached images a second time it would be 72 % more, as LiteLLM #37407 was
    assert sum(cost for token_class, (_, cost, _) in found.items() if cost and token_class.startswith("input")) == Decimal("1.375")
    assert (found["input_image"], found["input_image_cache_read"]) == ((80_000, Decimal("0.2"), None), (720_000, Decimal("0.9"), None))
    # the gateway tells total, cached and images, which overlap: no price of Grok's depends on which is which
    grok = costs(ledger, GROK, "usage_role = 'gateway_log'")
    assert {token_class: quantity for token_class, (quantity, _, _) in grok.items()} == {
        "input_uncached": 100_000,
        "input_cache_read": 900_000,
    }
    assert None not in {cost for _, cost, _ in grok.values()}


def test_cached_audio_that_the_report_does_not_tell_from_cached_text_stays_unpriced(ledger: Project) -> None:
    assert costs(ledger, REALTIME, f"charge_date = '{OLDER}'") == {
        "input_uncached": (600, None, "modalities_not_separated"),
        "input_cache_read": (400, None, "modalities_not_separated"),
        "output": (10, Decimal("0.00016"), None),
        "output_audio": (80, Decimal("0.00512"), None),
    }
    # without cached tokens an older payload separates as well
    assert costs(ledger, AUDIO, f"charge_date = '{OLDER}'")["input_audio"] == (600_000, Decimal("19.2"), None)
    assert costs(ledger, AUDIO, "charge_date = '2026-10-05'") == {
        "input_uncached": (70, None, "modalities_not_told"),
        "output": (7, None, "modalities_not_told"),
    }


def test_cache_writes_of_an_unknown_modality_leave_the_rest_priced(ledger: Project) -> None:
    assert costs(ledger, REALTIME, "charge_date = '2026-10-06'") == {
        "input_uncached": (500_000, Decimal(2), None),
        "input_audio": (200_000, Decimal("6.4"), None),
        "input_cache_write_5m": (300_000, None, "cache_writes_not_separated_by_modality"),
    }


def test_a_gateways_request_is_separated_where_its_parts_cannot_overlap(ledger: Project) -> None:
    assert costs(ledger, AUDIO, "usage_role = 'gateway_log'") == {
        "input_uncached": (400_000, Decimal(1), None),
        "input_audio": (600_000, Decimal("19.2"), None),
        "output": (20_000, Decimal("0.2"), None),
        "output_audio": (80_000, Decimal("5.12"), None),
    }
    rows = ledger.rows(
        "SELECT token_class, price_reason, sum(quantity)::INT FROM marts.fct_token_usage WHERE usage_role = 'gateway_log'"
        f" AND model_id = '{REALTIME}' AND unit = 'Tokens' GROUP BY ALL ORDER BY ALL"
    )
    assert rows == [
        ("input_cache_read", "modalities_not_separated", 400_000),
        ("input_uncached", "modalities_exceed_tokens", 1_000),
        ("input_uncached", "modalities_not_separated", 600_000),
        ("output", "modalities_exceed_tokens", 50),
    ]


@pytest.mark.parametrize(
    ("model", "total", "output"), [(REALTIME, 1_000_000, 100_000), (IMAGE, 1_000_000, 50_000), (TEXT, 1_000_000, 1_000)]
)
def test_no_mart_loses_audio_or_images(ledger: Project, model: str, total: int, output: int) -> None:
    of = f"WHERE model_id = '{model}' AND charge_date = '{DAY}'"
    assert ledger.one(f"SELECT sum(input_tokens_total), sum(output_tokens_total) FROM marts.fct_model_economics_daily {of}") == (
        total,
        output,
    )
    assert ledger.one(f"SELECT sum(tokens) FROM marts.fct_token_economics_daily {of}") == (total + output,)
    assert ledger.one(f"SELECT sum(input_tokens_total) FROM marts.fct_cache_efficiency_daily {of}") == (total,)
    assert ledger.one(f"SELECT sum(tokens_total) FROM marts.fct_batch_efficiency_daily {of}") == (total + output,)


def test_a_speech_models_tokens_are_not_priced_as_text_because_the_log_tells_no_modality(ledger: Project) -> None:
    """Bedrock's log counts tokens of Nova Sonic, whose audio costs 57 times what its text does."""
    assert costs(ledger, SONIC, "true") == {
        "input_uncached": (1_000_000, None, "modalities_not_told"),
        "output": (1_000, None, "modalities_not_told"),
    }
    assert {reason for _, _, reason in costs(ledger, LITE, "true").values()} == {None}


def test_what_the_cache_saved_of_audio_is_worth_the_price_of_audio(ledger: Project) -> None:
    row = ledger.one(
        f"SELECT cache_read_tokens_total, cache_hit_rate, cache_read_at_full_price_usd, cache_read_usd FROM marts.fct_cache_efficiency_daily"
        f" WHERE model_id = '{REALTIME}' AND charge_date = '{DAY}'"
    )
    # 250 000 at 4, 100 000 at 32, 50 000 at 5; they cost 0.1 + 0.04 + 0.025
    assert row == (400_000, Decimal("0.4"), Decimal("4.45"), Decimal("0.165"))


def test_a_bill_that_names_no_images_is_for_all_input_and_one_that_names_audio_for_audio(ledger: Project) -> None:
    rows = ledger.rows(
        "SELECT model_id, token_class, tokens::BIGINT, effective_cost, cost_per_million_tokens FROM marts.fct_token_economics_daily"
        f" WHERE charge_date = '{DAY}' AND model_id IN ('{TEXT}', '{REALTIME}') AND effective_cost IS NOT NULL ORDER BY ALL"
    )
    assert rows == [
        (TEXT, "input_cache_read", 900_000, Decimal("1.125"), Decimal("1.25")),
        (TEXT, "input_uncached", 100_000, Decimal("0.25"), Decimal("2.5")),
        (REALTIME, "input_audio", 200_000, Decimal("6.4"), 32),
        (REALTIME, "input_image", 50_000, Decimal("0.25"), 5),
        (REALTIME, "input_uncached", 350_000, Decimal("1.4"), 4),
        (REALTIME, "output_audio", 60_000, Decimal("3.84"), 64),
    ]
    quantities = ledger.rows(
        f"SELECT x_ModelId, x_TokenClass, ConsumedQuantity::BIGINT FROM focus.cost_and_usage WHERE ChargePeriodStart::DATE = '{DAY}'"
        f" AND x_ModelId IN ('{TEXT}', '{REALTIME}') ORDER BY ALL"
    )
    assert quantities == [(model, token_class, tokens) for model, token_class, tokens, _, _ in rows]
    residuals = ledger.one(
        "SELECT residual_not_billed_usd, residual_usage_not_reported_usd, residual_price_not_known_usd FROM marts.fct_llm_reconciliation_daily"
        f" WHERE provider_name = 'OpenAI' AND charge_date = '{DAY}'"
    )
    # not billed: all of the image model (10), gpt-4o's output (0.01), the realtime model's cached tokens (0.165)
    assert residuals == (Decimal("-10.175"), 0, 0)


@pytest.mark.parametrize("law", LAWS)
def test_every_law_holds_with_audio_and_images(ledger: Project, law: str) -> None:
    assert ledger.dbt("test", [law]).success
    assert ledger.rows(ledger.compiled_test(law)) == []


def test_one_rule_says_whose_price_a_class_without_one_has(ledger: Project) -> None:
    """`costlake price-usage` and the price book of the warehouse."""
    said: dict[str, list[str]] = json.loads(ledger.compiled("{{ llm_modality_classes() | tojson }}"))
    assert said
    assert {name: tuple(parents) for name, parents in said.items()} == {name: PARENTS[name] for name in said}


def _report(model: str, day: str, counts: dict[str, int]) -> dict[str, Any]:
    return _lineage("openai-usage", day) | {
        "_object_key": f"{model}-{day}.json",
        "_account_id": "org_a",
        "bucket_start": f"{day} 00:00:00+00",
        "bucket_end": f"{day} 23:59:59+00",
        "endpoint": "completions",
        "group_by_signature": "project_id,api_key_id,model",
        "project_id": "proj_a",
        "model": model,
        "batch": False,
        "service_tier": "default",
        "num_model_requests": 3,
        **counts,
    }


def _request(
    number: int, provider: str, model: str, prompt: int, completion: int, cached: int, audio: int, image: int, spoken: int
) -> dict[str, Any]:
    return _lineage("litellm", HOUR[:10]) | {
        "_row_number": number,
        "request_id": f"request-{number}",
        "custom_llm_provider": provider,
        "model": model,
        "start_time": HOUR,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "spend": "0",
        "usage_cached_tokens": cached,
        "usage_audio_tokens": audio,
        "usage_image_tokens": image,
        "usage_output_audio_tokens": spoken,
    }


def _call(model: str) -> dict[str, Any]:
    return _lineage("bedrock", HOUR[:10]) | {
        "_object_key": model,
        "account_id": "1",
        "region": "us-east-1",
        "operation": "Converse",
        "invoked_at": HOUR,
        "model_id": model,
        "input_tokens": 1_000_000,
        "output_tokens": 1_000,
    }


def _cost(number: int, model: str, meter: str, dollars: str) -> dict[str, Any]:
    return _lineage("openai-costs", DAY) | {
        "_object_key": "modalities.json",
        "_row_number": number,
        "_account_id": "org_a",
        "bucket_start": f"{DAY} 00:00:00+00",
        "bucket_end": "2026-10-08 00:00:00+00",
        "amount_value": dollars,
        "amount_currency": "usd",
        "line_item": f"{model}, {meter}",
        "project_id": "proj_a",
    }


def _lineage(source: str, day: str) -> dict[str, Any]:
    return {"_source_id": source, "_billing_period": day[:7], "_delivery_id": "modalities", "_object_key": "modalities", "_row_number": 1}
