"""Prices by the hour in the ledger: usage is priced as of its own hour, and a bucket that two prices share has none, with the reason.

Data flow: requests of a gateway and DeepSeek's own day report → staging → dbt → ledger and marts, at the prices of genai-prices.
Alone: pytest on this file.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import duckdb
import pytest

from tests.dbt.bronze import fill_price_book, insert
from tests.dbt.llm_project import MODELS as NODES
from tests.dbt.llm_project import Project, built_project

REASONER, FLASH = "deepseek-reasoner", "deepseek-v4-flash"
SPANS = "bucket_spans_prices_by_hour"
# reasoner: 2.19 USD per million from 00:30 to 16:30 UTC, else 0.55; v4-flash since 2026-09-10: 1.2 from 01 to 04 and 06 to 10, else 0.6
REQUESTS: list[tuple[str, str, Decimal | None, str | None]] = [
    (REASONER, "2026-11-03 00:10:00+00", None, SPANS),  # the hour is cut at 00:30
    (REASONER, "2026-11-03 01:59:59+00", Decimal("2.19"), None),
    (REASONER, "2026-11-03 15:00:00+00", Decimal("2.19"), None),
    (REASONER, "2026-11-03 16:59:00+00", None, SPANS),  # cut at 16:30
    (REASONER, "2026-11-03 17:00:00+00", Decimal("0.55"), None),
    (REASONER, "2026-11-03 23:59:59+00", Decimal("0.55"), None),
    (FLASH, "2026-11-03 00:59:00+00", Decimal("0.6"), None),
    (FLASH, "2026-11-03 01:00:00+00", Decimal("1.2"), None),
    (FLASH, "2026-11-03 03:59:59+00", Decimal("1.2"), None),
    (FLASH, "2026-11-03 04:00:00+00", Decimal("0.6"), None),
    (FLASH, "2026-11-03 10:00:00+00", Decimal("0.6"), None),
    (FLASH, "2026-09-09 02:00:00+00", None, "price_by_hour_has_no_first_day"),
    (FLASH, "2026-09-09 12:00:00+00", Decimal("0.66"), None),
]
LAWS = [
    "assert_efficiency_tokens_equal_usage",
    "assert_ledger_holds_all_usage",
    "assert_ledger_prices_or_reasons",
    "assert_llm_reconciliation_adds_up",
    "assert_mart_grain_is_unique",
    "assert_own_route_costs_what_the_ledger_says",
    "assert_price_book_has_one_price_per_day",
    "assert_unit_costs_are_the_ledgers",
]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The LLM project with DeepSeek through a gateway, and a day of its own report."""
    project = built_project(tmp_path_factory.getbasetemp() / "llm").copy(tmp_path_factory.mktemp("hours"))
    with duckdb.connect(str(project.warehouse)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        insert(connection, "litellm_requests", [_request(number, model, at) for number, (model, at, *_) in enumerate(REQUESTS)])
        insert(connection, "deepseek_usage", [_day(REASONER, "2026-12-01"), _day("deepseek-v3.2", "2026-12-01")])
        fill_price_book(connection, {("deepseek", REASONER), ("deepseek", FLASH), ("deepseek", "deepseek-v3.2")})
    result = project.dbt("run", [*NODES, "--full-refresh"])
    assert result.success, result.exception
    return project


def test_usage_of_an_hour_costs_what_that_hour_does(ledger: Project) -> None:
    rows = ledger.rows(
        "SELECT model_id, usage_start AT TIME ZONE 'UTC', list_cost_usd, price_reason FROM marts.fct_token_usage"
        " WHERE provider_name = 'DeepSeek' AND usage_role = 'gateway_log' AND token_class = 'output' ORDER BY model_id, usage_start"
    )
    found = {(model, f"{start:%Y-%m-%d %H}"): (cost, reason) for model, start, cost, reason in rows}
    assert found == {(model, at[:13]): (cost, reason) for model, at, cost, reason in REQUESTS}


def test_a_day_that_prices_by_the_hour_share_has_no_price_and_one_of_a_single_price_has(ledger: Project) -> None:
    rows = dict(
        ledger.rows(
            "SELECT model_id, struct_pack(cost := list_cost_usd, why := price_reason) FROM marts.fct_token_usage"
            " WHERE charge_date = '2026-12-01' AND token_class = 'output'"
        )
    )
    assert rows == {REASONER: {"cost": None, "why": SPANS}, "deepseek-v3.2": {"cost": Decimal("0.3432"), "why": None}}


def test_the_day_of_a_mart_is_the_sum_of_its_hours(ledger: Project) -> None:
    """Eleven windows of one model and day, each at its own price: 2 x 2.19 + 2 x 0.55, and two hours that nobody can price."""
    unit = ledger.one(
        "SELECT output_tokens, list_cost_usd, unpriced_quantity, rate_reason FROM marts.fct_llm_unit_cost_daily"
        f" WHERE model_id = '{REASONER}' AND charge_date = '2026-11-03'"
    )
    assert unit == (6_000_000, Decimal("5.48"), 2_000_000, SPANS)
    flows = ledger.rows(
        "SELECT rate, sum(tokens)::BIGINT FROM intermediate.int_llm_priced_flows"
        f" WHERE model_id = '{REASONER}' AND charge_date = '2026-11-03' AND token_class = 'output' GROUP BY 1 ORDER BY 1 NULLS LAST"
    )
    assert flows == [(Decimal("0.55"), 2_000_000), (Decimal("2.19"), 2_000_000), (None, 2_000_000)]


def test_each_price_of_the_day_has_an_id_of_its_own(ledger: Project) -> None:
    ids = ledger.rows(
        f"SELECT price_id FROM intermediate.int_price_book WHERE model_id = '{REASONER}' AND token_class = 'output' ORDER BY 1"
    )
    assert [name for (name,) in ids] == [
        f"deepseek/{REASONER}/output/standard/0/global@1970-01-01/{window}#1" for window in ("0-30", "30-990", "990-1440")
    ]


@pytest.mark.parametrize("law", LAWS)
def test_every_law_holds_with_prices_by_the_hour(ledger: Project, law: str) -> None:
    assert ledger.dbt("test", [law]).success
    assert ledger.rows(ledger.compiled_test(law)) == []


@pytest.mark.parametrize(
    "damage",
    [
        "insert into ops.price_book select * replace (40 as from_minute_utc, 1000 as to_minute_utc) from ops.price_book"
        f" where model_id = '{REASONER}' and token_class = 'output' and from_minute_utc = 30",
        f"update ops.price_book set to_minute_utc = from_minute_utc where model_id = '{REASONER}' and from_minute_utc = 30",
        f"insert into ops.price_book from ops.price_book where model_id = '{FLASH}' and token_class = 'output'",
    ],
    ids=["overlap", "no time", "twice"],
)
def test_two_prices_of_one_minute_are_seen(ledger: Project, tmp_path_factory: pytest.TempPathFactory, damage: str) -> None:
    assert ledger.dbt("test", ["assert_price_book_has_one_price_per_day"]).success
    sql = ledger.compiled_test("assert_price_book_has_one_price_per_day").replace('"warehouse".', "")
    scratch = ledger.copy(tmp_path_factory.mktemp("damaged"))
    scratch.execute(damage)
    assert scratch.rows(sql), "nobody would have noticed"


def _request(number: int, model: str, at: str) -> dict[str, Any]:
    return {
        "_source_id": "litellm", "_billing_period": at[:7], "_delivery_id": "hours", "_object_key": "hours", "_row_number": number,
        "request_id": f"request-{number}", "custom_llm_provider": "deepseek", "model": model, "start_time": at,
        "prompt_tokens": 0, "completion_tokens": 1_000_000, "spend": "0",
    }  # fmt: skip


def _day(model: str, day: str) -> dict[str, Any]:
    return {
        "_source_id": "deepseek-usage", "_billing_period": day[:7], "_delivery_id": "hours", "_object_key": model, "_row_number": 1,
        "period_start": f"{day} 00:00:00+00", "model": model, "type": "output_tokens", "amount": 1_000_000,
    }  # fmt: skip
