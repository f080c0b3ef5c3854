"""The token ledger on real traffic and on the harms that others suffered: counted once, at the price of its own day, never free.

Data flow: the LLM project's warehouse, traces of ../shared and rows written here → staging → dbt → the ledger. Alone: pytest on this file.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.dbt.bronze import fill_price_book, insert
from tests.dbt.llm_project import Project, built_project
from tests.traffic import azure, burstgpt, mooncake

MODELS = ["int_token_usage", "int_price_book", "fct_token_usage", "fct_llm_unit_cost_daily", "fct_model_economics_daily"]
TERRA, UNKNOWN, AUDIO = "gpt-5.6-terra", "gpt-99", "gpt-audio"
# A gateway's log, in place of Anthropic's report: (provider, day, model, tier, context, region, input, output)
GATEWAY = [
    ("OpenAI", "2026-07-29", TERRA, "standard", None, None, 1_000_000, 0),  # OpenAI reports July itself
    ("Anthropic", "2026-07-30", "claude-sonnet-4-5", "standard", "0-200k", None, 1_000_000, 0),
    ("Anthropic", "2026-07-30", "claude-sonnet-4-5", "standard", "200k-1M", None, 1_000_000, 0),
    # Sonnet 4.6 charged for long prompts until 2026-03-12
    ("Anthropic", "2026-03-12", "claude-sonnet-4-6", "standard", "200k-1M", None, 1_000_000, 0),
    ("Anthropic", "2026-07-30", "claude-sonnet-4-6", "standard", "200k-1M", None, 1_000_000, 0),
    ("Anthropic", "2026-07-30", "claude-opus-4-6", "standard", None, "us", 1_000_000, 0),
    ("Anthropic", "2026-07-30", "claude-opus-4-6", "batch", None, "us", 0, 1_000_000),
    ("Anthropic", "2026-07-30", "claude-sonnet-4-5", "priority", None, None, 1_000_000, 0),
    ("Anthropic", "2026-07-30", "claude-sonnet-4-5", "provisioned", None, None, 1_000_000, 0),
]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The LLM project with more usage, its ledger built anew."""
    project = built_project(tmp_path_factory.getbasetemp() / "llm").copy(tmp_path_factory.mktemp("ledger"))
    with duckdb.connect(str(project.warehouse)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        insert(connection, "openai_usage", [*_july(), *_traces()])
        models = {("openai", TERRA), ("openai", UNKNOWN), ("openai", "gpt-4o"), ("openai", AUDIO), ("anthropic", "claude-sonnet-4-5")}
        fill_price_book(connection, {*models, ("anthropic", "claude-opus-4-6")})
        connection.execute(_gateway_view())
    result = project.dbt("run", [*MODELS, "--full-refresh"])
    assert result.success, result.exception
    return project


def test_each_day_is_priced_as_of_its_own_day(ledger: Project) -> None:
    rows = ledger.rows(
        f"SELECT charge_date::varchar, token_class, service_tier, list_cost_usd FROM marts.fct_token_usage"
        f" WHERE model_id = '{TERRA}' AND is_counted AND list_cost_usd IS NOT NULL ORDER BY ALL"
    )
    assert rows == [
        ("2026-07-29", "input_cache_read", "standard", Decimal("0.25")),
        ("2026-07-29", "input_uncached", "standard", Decimal("2.5")),
        ("2026-07-30", "input_cache_read", "standard", Decimal("0.2")),
        ("2026-07-30", "input_uncached", "batch", Decimal(1)),
        ("2026-07-30", "input_uncached", "standard", Decimal(2)),
    ]


def test_an_unknown_model_keeps_its_tokens_and_has_no_price_instead_of_none_to_pay(ledger: Project) -> None:
    row = ledger.one(
        f"SELECT quantity, list_cost_usd, list_unit_price_usd, price_reason FROM marts.fct_token_usage"
        f" WHERE model_id = '{UNKNOWN}' AND token_class = 'output'"
    )
    assert row == (5, None, None, "model_not_in_price_book")
    unit = ledger.one(f"SELECT list_cost_usd, usd_per_request, rate_reason FROM marts.fct_llm_unit_cost_daily WHERE model_id = '{UNKNOWN}'")
    assert unit == (None, None, "model_not_in_price_book")


def test_audio_is_not_priced_as_text_where_it_has_a_price_of_its_own(ledger: Project) -> None:
    rows = ledger.rows(
        "SELECT model_id, list_cost_usd, price_reason FROM marts.fct_token_usage WHERE charge_date = '2026-07-30'"
        f" AND token_class = 'input_uncached' AND model_id IN ('{AUDIO}', 'gpt-4o') ORDER BY ALL"
    )
    # 40 of 100 tokens are text; gpt-4o has no price of audio, which then costs what text does
    assert rows == [("gpt-4o", Decimal("0.0001"), None), (AUDIO, Decimal("0.0001"), None)]
    rows = ledger.rows(
        "SELECT model_id, list_cost_usd, price_reason FROM marts.fct_token_usage WHERE charge_date = '2026-07-30'"
        f" AND token_class = 'input_audio' AND model_id IN ('{AUDIO}', 'gpt-4o') ORDER BY ALL"
    )
    assert rows == [("gpt-4o", Decimal("0.00015"), None), (AUDIO, Decimal("0.00192"), None)]


def test_long_prompts_regions_and_tiers_have_their_own_prices(ledger: Project) -> None:
    rows = ledger.rows(
        "SELECT model_id, service_tier, context_tier, region_scope, list_cost_usd, price_reason FROM marts.fct_token_usage"
        " WHERE provider_name = 'Anthropic' ORDER BY ALL"
    )
    assert rows == [
        ("claude-opus-4-6", "batch", None, "us", Decimal("13.75"), None),
        ("claude-opus-4-6", "standard", None, "us", Decimal("5.5"), None),
        ("claude-sonnet-4-5", "priority", None, None, None, "tier_not_in_price_book"),
        ("claude-sonnet-4-5", "provisioned", None, None, None, "provisioned_units_are_billed_by_time"),
        ("claude-sonnet-4-5", "standard", "0-200k", None, Decimal(3), None),
        ("claude-sonnet-4-5", "standard", "200k-1M", None, Decimal(6), None),
        ("claude-sonnet-4-6", "standard", "200k-1M", None, Decimal(3), None),
        ("claude-sonnet-4-6", "standard", "200k-1M", None, Decimal(6), None),
    ]


def test_what_a_gateway_logged_of_reported_usage_and_its_retries_is_not_counted_again(ledger: Project) -> None:
    counted = dict(
        ledger.rows(
            f"SELECT is_counted, sum(quantity) FROM marts.fct_token_usage WHERE model_id = '{TERRA}' AND charge_date = '2026-07-29'"
            " AND unit = 'Tokens' GROUP BY 1"
        )
    )
    assert counted == {True: 2_000_000, False: 1_000_000}
    # in the marts the provider's own count stands alone
    for mart, tokens in (("fct_llm_unit_cost_daily", "input_uncached_tokens"), ("fct_model_economics_daily", "input_uncached_tokens")):
        assert ledger.one(f"SELECT sum({tokens}) FROM marts.{mart} WHERE model_id = '{TERRA}' AND charge_date = '2026-07-29'") == (
            1_000_000,
        )
    # where the provider reports nothing, the gateway is all there is
    assert ledger.one("SELECT bool_and(is_counted) FROM marts.fct_token_usage WHERE provider_name = 'Anthropic'") == (True,)


def test_requests_are_counted_once_however_many_classes_they_have(ledger: Project) -> None:
    assert ledger.one(
        f"SELECT sum(request_count) FROM marts.fct_token_usage WHERE model_id = '{TERRA}' AND charge_date = '2026-07-29' AND is_counted"
    ) == (7,)


def test_no_price_join_drops_or_doubles_usage(ledger: Project) -> None:
    sql = "SELECT sum({}) FROM {}"
    classes = "list_sum([input_tokens_total, output_tokens_total])"
    reported = ledger.one(sql.format(classes, "intermediate.int_token_usage"))
    assert reported == ledger.one("SELECT sum(quantity) FROM marts.fct_token_usage WHERE unit = 'Tokens'")
    assert ledger.one("SELECT count(*) - count(DISTINCT (provider_name, price_id)) FROM intermediate.int_price_book") == (0,)


@pytest.mark.parametrize(
    ("project", "requests", "uncached_and_cached", "output"),
    [("mooncake", 3_658, 49_028_610, 1_274_811), ("azure", 8_819, 18_059_974, 245_896), ("burstgpt", 552_189, 431_033_737, None)],
)
def test_totals_of_real_traffic_arrive_whole(
    ledger: Project, shared_path: Callable[[str], Path], project: str, requests: int, uncached_and_cached: int, output: int | None
) -> None:
    shared_path("data/llm_mooncake")
    found = ledger.one(
        "SELECT sum(request_count), sum(quantity) FILTER (token_class LIKE 'input%'), sum(quantity) FILTER (token_class = 'output')"
        f" FROM marts.fct_token_usage WHERE project_id = '{project}'"
    )
    assert found == (requests, uncached_and_cached, output)


def test_the_cache_of_a_real_service_hits_as_often_as_it_did(ledger: Project, shared_path: Callable[[str], Path]) -> None:
    shared_path("data/llm_mooncake")
    assert ledger.one("SELECT round(cache_hit_rate, 6) FROM marts.fct_model_economics_daily WHERE project_id = 'mooncake'") == (
        Decimal("0.323587"),
    )


def _july() -> list[dict[str, Any]]:
    rows = [
        ("2026-07-29", TERRA, 2_000_000, 1_000_000, 0, False, 7),
        ("2026-07-30", TERRA, 2_000_000, 1_000_000, 0, False, 7),
        ("2026-07-30", TERRA, 1_000_000, 0, 0, True, 7),
        ("2026-07-30", UNKNOWN, 0, 0, 5, False, 1),
    ]
    spoken = [_row("july", "2026-07-30", model, 100, 0, 0, False, 1) | {"input_audio_tokens": 60} for model in (AUDIO, "gpt-4o")]
    return [_row("july", *row) for row in rows] + spoken


def _traces() -> list[dict[str, Any]]:
    """Real traffic, a row per trace and minute or day; none where ../shared is not at hand."""
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.exists():
        return []
    asked = list(mooncake(folder))
    sums = [sum(getattr(each, name) for each in asked) for name in ("input_tokens", "cached", "output_tokens", "requests")]
    rows = [_row("mooncake", "2026-09-01", "gpt-4o", *sums[:3], False, sums[3])]
    minutes: dict[dt.datetime, list[int]] = {}
    for each in azure(folder):
        counts = minutes.setdefault(each.start.replace(second=0, microsecond=0), [0, 0, 0])
        for place, count in enumerate((each.input_tokens, each.output_tokens, 1)):
            counts[place] += count
    rows += [_row("azure", "2026-09-02", "gpt-4o", prompt, 0, output, False, count) for prompt, output, count in minutes.values()]
    rows += [
        _row("burstgpt", f"{each.start:%Y-%m-%d}", "gpt-4o", each.input_tokens, 0, 0, False, each.requests) for each in burstgpt(folder)
    ]
    return rows


def _row(project: str, day: str, model: str, prompt: int, cached: int, output: int, batch: bool, requests: int) -> dict[str, Any]:
    return {
        "_source_id": "openai-usage",
        "_billing_period": day[:7],
        "_delivery_id": "traces",
        "_object_key": f"{project}.json",
        "_row_number": 1,
        "bucket_start": f"{day} 00:00:00+00",
        "bucket_end": f"{day} 23:59:59+00",
        "project_id": project,
        "model": model,
        "batch": batch,
        "service_tier": "default",
        "input_tokens": prompt,
        "input_cached_tokens": cached,
        "output_tokens": output,
        "num_model_requests": requests,
    }


def _gateway_view() -> str:
    def text(value: object) -> str:
        return "NULL" if value is None else f"'{value}'"

    values = ", ".join(f"({', '.join(text(cell) for cell in row)})" for row in GATEWAY)
    return f"""
        CREATE OR REPLACE VIEW staging.stg_anthropic_usage__tokens AS
        SELECT 'gateway' AS source_id, day[:7] AS billing_period, CAST(day AS DATE) AS charge_date, provider AS provider_name,
            'gateway_log' AS usage_role, model AS model_id, tier AS service_tier, tier = 'batch' AS batch, context AS context_tier,
            region AS region_scope, CAST(prompt AS BIGINT) AS input_uncached_tokens, CAST(output AS BIGINT) AS output_tokens
        FROM (VALUES {values}) AS gateway(provider, day, model, tier, context, region, prompt, output)
    """
