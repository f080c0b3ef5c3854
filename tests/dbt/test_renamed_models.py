"""A model that is called something else in the middle of a month loses no token and no dollar, and its new name is not free.

Data flow: the LLM project's warehouse and the rows below (usage, bill, gateway log) → dbt → ledger, unit economics, reconciliation.
Alone: pytest on this file.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import duckdb
import pytest

from quality.llm_rules import ledger_suite
from tests.dbt.bronze import fill_price_book, insert
from tests.dbt.llm_project import Project, built_project

MARTS = [
    "fct_token_usage",
    "fct_llm_unit_cost_daily",
    "fct_model_economics_daily",
    "fct_token_economics_daily",
    "fct_llm_reconciliation_daily",
]
CONSERVED = [
    "assert_llm_usage_is_conserved",
    "assert_llm_costs_are_conserved",
    "assert_ledger_holds_all_usage",
    "assert_ledger_prices_or_reasons",
    "assert_mart_tokens_equal_usage",
    "assert_mart_economics_cost_equals_focus",
    "assert_llm_reconciliation_adds_up",
    "assert_unit_costs_are_the_ledgers",
    "assert_mart_grain_is_unique",
]
PROJECT = "renamed"
TERRA, TERRA_DATED = "gpt-5.6-terra", "gpt-5.6-terra-2026-06-26"
OLD, NEW, NAMELESS = "gpt-4o-2024-05-13", "gpt-4o-2024-11-20", "prod-omega-next"
SONNET, SONNET_LATEST = "claude-3-5-sonnet-20241022", "claude-3-5-sonnet-latest"
LLAMA, LLAMA_ALIAS = "llama-3.3-70b-versatile", "prod-llama"
INPUT, OUTPUT = 1_000_000, 100_000

# (day, model as the usage report says, model as the bill says, dollars of the input, of the output); what a million costs is the list's
OPENAI = [
    ("2026-07-29", TERRA, TERRA, "2.5", "1.5"),  # 2.50 and 15 until its price fell on 2026-07-30
    ("2026-07-30", TERRA_DATED, TERRA_DATED, "2", "1.2"),  # 2.00 and 12
    ("2026-08-10", OLD, OLD, "5", "1.5"),  # 5.00 and 15
    ("2026-08-20", NEW, OLD, "2.5", "1"),  # 2.50 and 10; the bill keeps the old name a day longer
    ("2026-08-21", NEW, "GPT-4o", "2.5", "1"),
    ("2026-08-22", NAMELESS, NAMELESS, "4", "2"),
]
ANTHROPIC = [
    ("2026-08-10", SONNET, SONNET, "3", "1.5"),  # 3.00 and 15
    ("2026-08-20", SONNET_LATEST, "Claude Sonnet 3.5", "3", "1.5"),
]
GATEWAY = [("2026-08-10", LLAMA, "fast"), ("2026-08-20", LLAMA_ALIAS, "quick")]


@pytest.fixture(scope="module")
def renamed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The LLM project with two more months, its marts built anew."""
    project = built_project(tmp_path_factory.getbasetemp() / "llm").copy(tmp_path_factory.mktemp("renamed"))
    with duckdb.connect(str(project.warehouse)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        insert(connection, "openai_usage", [_openai_usage(number, *row) for number, row in enumerate(OPENAI)])
        insert(connection, "openai_costs", [cost for number, row in enumerate(OPENAI) for cost in _openai_costs(number, *row)])
        insert(connection, "anthropic_usage", [_anthropic_usage(number, *row) for number, row in enumerate(ANTHROPIC)])
        insert(connection, "anthropic_costs", [cost for number, row in enumerate(ANTHROPIC) for cost in _anthropic_costs(number, *row)])
        insert(connection, "litellm_requests", [_request(number, *row) for number, row in enumerate(GATEWAY)])
        seen = {("openai", model) for _, model, *_ in OPENAI} | {("anthropic", model) for _, model, *_ in ANTHROPIC}
        fill_price_book(connection, seen | {("groq", LLAMA), ("groq", LLAMA_ALIAS)})
    result = project.dbt("run", [*(f"+{mart}" for mart in MARTS), "--full-refresh"])
    assert result.success, result.exception
    return project


def test_no_token_and_no_dollar_is_lost_with_a_name(renamed: Project) -> None:
    result = renamed.dbt("test", CONSERVED)
    assert result.success, [node.node.name for node in result.result if node.status != "pass"]  # type: ignore[union-attr]
    tokens = renamed.one(
        f"SELECT sum(quantity) FROM marts.fct_token_usage WHERE project_id = '{PROJECT}' AND unit = 'Tokens' AND is_counted"
    )
    assert tokens == ((len(OPENAI) + len(ANTHROPIC) + len(GATEWAY)) * (INPUT + OUTPUT),)
    billed = renamed.one(f"SELECT sum(BilledCost), count(*) FROM focus.cost_and_usage WHERE x_ProjectId = '{PROJECT}'")
    dollars = sum(Decimal(amount) for *_, first, second in (*OPENAI, *ANTHROPIC) for amount in (first, second))
    assert billed == (dollars, 2 * (len(OPENAI) + len(ANTHROPIC)))


def test_each_part_is_priced_under_its_own_name_as_of_its_own_day(renamed: Project) -> None:
    found = renamed.rows(
        "SELECT charge_date::varchar, model_id, any_value(list_cost_usd) FILTER (token_class = 'input_uncached'),"
        " any_value(list_cost_usd) FILTER (token_class = 'output') FROM marts.fct_token_usage"
        f" WHERE project_id = '{PROJECT}' AND provider_name IN ('OpenAI', 'Anthropic') AND model_id <> '{NAMELESS}' GROUP BY ALL ORDER BY ALL"
    )
    expected = [(day, model, Decimal(first), Decimal(second)) for day, model, _, first, second in (*OPENAI, *ANTHROPIC)]
    assert found == sorted(each for each in expected if each[1] != NAMELESS)


def test_unit_economics_bring_the_names_of_a_model_together(renamed: Project) -> None:
    """The rate of a month is cost over tokens of the model, whatever bill and usage report called it on which day."""
    found = renamed.rows(
        "SELECT base_model_id, sum(input_tokens_total), sum(output_tokens), sum(effective_cost) FROM marts.fct_model_economics_daily"
        f" WHERE project_id = '{PROJECT}' AND billing_period = '2026-08' GROUP BY 1 ORDER BY 1"
    )
    assert found == [
        ("claude-3-5-sonnet", 2 * INPUT, 2 * OUTPUT, Decimal(9)),
        ("gpt-4o", 3 * INPUT, 3 * OUTPUT, Decimal("13.5")),
        (NAMELESS, INPUT, OUTPUT, Decimal(6)),
    ]
    classes = "SELECT base_model_id, sum({}) FROM marts.{} WHERE {} GROUP BY 1 ORDER BY 1"
    august = f"project_id = '{PROJECT}' AND billing_period = '2026-08' AND base_model_id IN ('gpt-4o', 'claude-3-5-sonnet')"
    by_class = renamed.rows(classes.format("tokens", "fct_token_economics_daily", f"{august} AND token_class = 'output'"))
    assert by_class == [("claude-3-5-sonnet", 2 * OUTPUT), ("gpt-4o", 3 * OUTPUT)]
    assert renamed.rows(classes.format("list_cost_usd", "fct_llm_unit_cost_daily", august)) == [
        ("claude-3-5-sonnet", Decimal(9)),
        ("gpt-4o", Decimal("13.5")),
    ]


def test_a_bill_in_other_words_leaves_no_false_residual(renamed: Project) -> None:
    """Matched by name alone, each of these days had a charge without usage and usage that nobody billed."""
    days = renamed.rows(
        "SELECT charge_date::varchar, provider_name, residual_usd, residual_usage_not_reported_usd, residual_not_billed_usd, capture_rate"
        " FROM marts.fct_llm_reconciliation_daily WHERE billing_period IN ('2026-07', '2026-08') AND billed_cost IS NOT NULL"
        " AND charge_date <> '2026-08-22' ORDER BY ALL"
    )
    paid = {(day, provider) for provider, rows in (("OpenAI", OPENAI), ("Anthropic", ANTHROPIC)) for day, *_ in rows}
    assert days == [(day, provider, 0, 0, 0, 1) for day, provider in sorted(paid) if day != "2026-08-22"]


def test_an_unknown_new_name_is_not_free(renamed: Project) -> None:
    ledger = renamed.rows(
        "SELECT model_id, token_class, quantity, list_cost_usd, price_reason FROM marts.fct_token_usage"
        f" WHERE model_id IN ('{NAMELESS}', '{LLAMA_ALIAS}') AND unit = 'Tokens' ORDER BY ALL"
    )
    assert ledger == [
        (name, token_class, quantity, None, "model_not_in_price_book")
        for name in (LLAMA_ALIAS, NAMELESS)
        for token_class, quantity in (("input_uncached", INPUT), ("output", OUTPUT))
    ]
    unexplained = renamed.one(
        "SELECT residual_usd, residual_price_not_known_usd, unpriced_quantity FROM marts.fct_llm_reconciliation_daily"
        " WHERE charge_date = '2026-08-22'"
    )
    assert unexplained == (6, 6, INPUT + OUTPUT)
    # the bill's own cost stands in the unit economics
    paid = renamed.one(f"SELECT cost_per_million_tokens FROM marts.fct_model_economics_daily WHERE model_id = '{NAMELESS}'")
    assert paid == (Decimal("5.454545454545"),)


def test_an_unknown_new_name_is_told_by_the_quality_run(renamed: Project) -> None:
    [rule] = [each for each in ledger_suite("").rules if each.name == "used_models_have_a_price"]
    assert (rule.severity, rule.sql is not None) == ("warn", True)
    told = renamed.rows(str(rule.sql).format(batch="marts.fct_token_usage"))
    assert {row[:2] for row in told} >= {("OpenAI", NAMELESS), ("Groq", LLAMA_ALIAS)}
    assert not {OLD, NEW, SONNET, SONNET_LATEST, TERRA, TERRA_DATED, LLAMA} & {row[1] for row in told}


def test_an_alias_of_a_gateway_changes_no_price(renamed: Project) -> None:
    """`model_group` is what clients ask for and may be renamed at will; the model that answered is what costs."""
    found = renamed.rows(
        f"SELECT token_class, list_cost_usd FROM marts.fct_token_usage WHERE model_id = '{LLAMA}' AND unit = 'Tokens' ORDER BY 1"
    )
    assert found == [("input_uncached", Decimal("0.59")), ("output", Decimal("0.079"))]


def _lineage(source: str, day: str, number: int, account: str | None) -> dict[str, Any]:
    return {
        "_source_id": source,
        "_billing_period": day[:7],
        "_slice": day,
        "_delivery_id": "renamed",
        "_object_key": f"{source}/{day}.json",
        "_row_number": number,
        "_account_id": account,
    }


def _bucket(prefix: str, day: str) -> dict[str, str]:
    start, end = ("bucket_start", "bucket_end") if prefix else ("starting_at", "ending_at")
    return {start: f"{day} 00:00:00+00", end: f"{day} 23:59:59+00"}


def _openai_usage(number: int, day: str, model: str, *_: str) -> dict[str, Any]:
    return _lineage("openai-usage", day, number, "org_a") | _bucket("bucket", day) | {
        "endpoint": "completions", "group_by_signature": "project_id,model", "project_id": PROJECT, "model": model, "batch": False,
        "service_tier": "default", "input_tokens": INPUT, "output_tokens": OUTPUT, "num_model_requests": 1,
    }  # fmt: skip


def _openai_costs(number: int, day: str, _: str, said: str, *dollars: str) -> list[dict[str, Any]]:
    return [
        _lineage("openai-costs", day, 2 * number + place, "org_a") | _bucket("bucket", day) | {
            "amount_value": amount, "amount_currency": "usd", "line_item": f"{said}, {meter}", "project_id": PROJECT,
        }
        for place, (meter, amount) in enumerate(zip(("input", "output"), dollars, strict=True))
    ]  # fmt: skip


def _anthropic_usage(number: int, day: str, model: str, *_: str) -> dict[str, Any]:
    return _lineage("anthropic-usage", day, number, None) | _bucket("", day) | {
        "service_tier": "standard", "context_window": "0-200k", "inference_geo": "global", "workspace_id": PROJECT, "model": model,
        "uncached_input_tokens": INPUT, "output_tokens": OUTPUT,
    }  # fmt: skip


def _anthropic_costs(number: int, day: str, _: str, said: str, *dollars: str) -> list[dict[str, Any]]:
    return [
        _lineage("anthropic-costs", day, 2 * number + place, None) | _bucket("", day) | {
            "amount_cents": Decimal(amount) * 100, "currency": "USD", "cost_type": "tokens", "description": f"{said} Usage", "model": said,
            "token_type": token_type, "workspace_id": PROJECT, "service_tier": "standard", "context_window": "0-200k",
            "inference_geo": "global",
        }
        for place, (token_type, amount) in enumerate(zip(("uncached_input_tokens", "output_tokens"), dollars, strict=True))
    ]  # fmt: skip


def _request(number: int, day: str, model: str, group: str) -> dict[str, Any]:
    return _lineage("gateway", day, number, None) | {
        "request_id": f"request-{number}", "start_time": f"{day} 10:00:00+00", "custom_llm_provider": "groq", "model": f"groq/{model}",
        "model_group": group, "team_id": PROJECT, "prompt_tokens": INPUT, "completion_tokens": OUTPUT, "spend": Decimal(0), "status": "success",
    }  # fmt: skip
