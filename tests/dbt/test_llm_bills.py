"""LLM bills under FOCUS: each test names a way in which token money goes wrong.

Data flow: tests/dbt/llm_project.py → bronze → dbt → focus.cost_and_usage, intermediate, marts. Alone: pytest on this file.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext
from random import Random

import duckdb
import pytest

from tests.dbt.llm_project import ANTHROPIC_COSTS, DAY, MINI, OPENAI_COSTS, SONNET, Project, built_project

FOCUS = "focus.cost_and_usage"
MICRO = Decimal("0.000000000001")


@pytest.fixture(scope="session")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The built warehouse, read only."""
    return built_project(tmp_path_factory.getbasetemp() / "llm")


@pytest.fixture(scope="session")
def exact_quotient_sql(llm: Project) -> str:
    """A query of the macro on the names numerator_ and denominator_."""
    return llm.compiled("select {{ exact_quotient('numerator_', 'denominator_') }}")


def test_cents_are_not_taken_for_dollars(llm: Project) -> None:
    (billed,) = llm.one(f"select sum(BilledCost) from {FOCUS} where x_SourceId = 'anthropic-costs'")
    assert billed == sum(Decimal(row[-1]) for row in ANTHROPIC_COSTS) / 100
    (single,) = llm.one(f"select BilledCost from {FOCUS} where x_SourceId = 'anthropic-costs' and x_RowNumber = 1")
    assert single == Decimal("1.2378912")


def test_usage_join_does_not_fan_out_cost(llm: Project) -> None:
    found = llm.rows(f"select x_SourceId, count(*), sum(BilledCost) from {FOCUS} group by all order by all")
    dollars = sum(Decimal(row[2]).quantize(MICRO, ROUND_HALF_UP) for row in OPENAI_COSTS)
    assert found == [
        ("anthropic-costs", len(ANTHROPIC_COSTS), Decimal("1.818891200000")),
        ("openai-costs", len(OPENAI_COSTS), dollars),
    ]


def test_cached_tokens_are_not_counted_in_input_again(llm: Project) -> None:
    classes = llm.one(f"""
        select sum(input_uncached_tokens), sum(input_cache_read_tokens), sum(input_cache_write_5m_tokens), sum(input_tokens_total)
        from intermediate.int_token_usage where provider_name = 'OpenAI' and account_id = 'org_a' and charge_date = '{DAY}'""")
    assert classes == (900, 1000, 100, 2000), "OpenAI's input_tokens (2 x 1000) already holds cached and written tokens"


def test_tokens_of_claude_code_are_not_counted_beside_the_usage_report(llm: Project) -> None:
    reported = llm.one("select sum(uncached_input_tokens) from bronze.anthropic_usage")
    assert llm.one("select sum(input_uncached_tokens) from intermediate.int_token_usage where provider_name = 'Anthropic'") == reported
    assert llm.one("select sum(session_count), sum(input_uncached_tokens) from staging.stg_anthropic_claude_code__activity") == (3, 1500)


def test_a_request_that_searched_the_web_is_one_request(llm: Project) -> None:
    found = llm.one(f"""
        select sum(request_count), sum(web_search_requests) from intermediate.int_token_usage
        where provider_name = 'OpenAI' and account_id = 'org_a' and charge_date = '{DAY}'""")
    assert found == (5 + 5 + 2, 7), "two rows of completions and one of images; the web searches' own 5 stand in completions"


def test_cached_tokens_get_the_cached_price(llm: Project) -> None:
    row = llm.one(f"""
        select tokens, effective_cost, cost_per_million_tokens from marts.fct_token_economics_daily
        where model_id = '{MINI}' and charge_date = '{DAY}' and token_class = 'input_cache_read'""")
    assert row == (1070, Decimal("0.03"), Decimal("28.037383177570"))


def test_tokens_of_another_organisation_price_nothing(llm: Project) -> None:
    (tokens,) = llm.one(f"select ConsumedQuantity from {FOCUS} where ChargeDescription = '{MINI}, cached input'")
    assert tokens == 1000, "key_9 belongs to org_other"


def test_two_charges_on_the_same_tokens_do_not_both_get_them(llm: Project) -> None:
    found = llm.rows(
        f"select ChargeDescription, ConsumedQuantity, ConsumedUnit, x_QuantitySource from {FOCUS} where ChargeDescription like '%{MINI}, output'"
    )
    assert sorted(found) == [
        (f"evals | {MINI}, output", Decimal("0.01"), "USD", "amount"),
        (f"{MINI}, output", Decimal(1500), "Tokens", "provider"),
    ]


def test_unmatched_meter_keeps_its_money(llm: Project) -> None:
    row = llm.one(
        f"select BilledCost, x_ModelId, x_TokenClass, x_LineItemType, PricingUnit, ListUnitPrice from {FOCUS} where ChargeDescription = 'gpt-9, zorks'"
    )
    assert row == (Decimal("0.333333333333"), "gpt-9", None, "unmatched", "USD", Decimal(1))
    thinking = llm.one(f"select BilledCost, x_ModelId, x_TokenClass, x_LineItemType from {FOCUS} where x_UsageType = 'thinking_tokens'")
    assert thinking == (Decimal("0.07"), SONNET, None, "unmatched")


def test_charge_without_a_model_says_why(llm: Project) -> None:
    unexplained = llm.rows(f"select * from {FOCUS} where (x_ModelId is null) <> (x_ModelReason is not null)")
    assert unexplained == []
    reasons = llm.rows(f"select x_ModelReason, count(*) from {FOCUS} where x_ModelId is null group by all order by all")
    assert reasons == [("charge_names_no_model", 2), ("costs_not_grouped_by_line_item", 1), ("line_item_names_no_model", 1)]


def test_one_hour_cache_writes_are_not_lost(llm: Project) -> None:
    row = llm.one(f"select ConsumedQuantity, ListUnitPrice, SkuMeter from {FOCUS} where x_TokenClass = 'input_cache_write_1h'")
    assert row == (2000, Decimal("5.5"), "Cache Write 1h Input Tokens")


def test_web_search_is_counted_in_requests_not_tokens(llm: Project) -> None:
    found = llm.rows(
        f"select ServiceProviderName, ConsumedQuantity, ConsumedUnit, ListUnitPrice from {FOCUS} where x_LineItemType = 'web_search' order by 1"
    )
    assert found == [("Anthropic", 20, "Requests", Decimal("0.01")), ("OpenAI", 100, "Requests", Decimal("0.01"))]


def test_price_times_quantity_is_the_cost(llm: Project) -> None:
    wrong = llm.rows(f"""
        select SkuId from {FOCUS}
        where ListCost is distinct from cast(ListUnitPrice * PricingQuantity as decimal(38, 12)) or ContractedCost is distinct from ListCost
           or ListUnitPrice < 0 or abs(ListCost - BilledCost) > 0.000000001 * greatest(abs(BilledCost), 1)""")
    assert wrong == []
    assert len(llm.rows(f"select 1 from {FOCUS} where BilledCost < 0")) == 1, "a negative charge is among the cases"


def test_local_time_zone_does_not_move_a_day(llm: Project) -> None:
    days = llm.rows(
        f"select distinct strftime(charge_date, '%Y-%m-%d') from marts.fct_cost_daily where billing_period = '{DAY[:7]}' order by 1"
    )
    assert days == [("2026-10-01",), ("2026-10-02",)], "buckets start at 00:00 UTC, which is the evening before in New York"
    (start, end) = llm.one(
        f"select distinct epoch(BillingPeriodStart), epoch(BillingPeriodEnd) from {FOCUS} where x_BillingPeriod = '2026-10'"
    )
    assert (start, end) == (1790812800, 1793491200)


def test_default_workspace_has_an_owner_and_a_name(llm: Project) -> None:
    row = llm.one(
        f"select distinct SubAccountId, SubAccountName, SubAccountType, x_Owner, x_OwnerReason from {FOCUS} where SubAccountId = 'default'"
    )
    assert row == ("default", "Default workspace", "Workspace", "default", None)


def test_account_without_a_name_is_named_by_its_id(llm: Project) -> None:
    names = llm.rows(f"select distinct BillingAccountId, BillingAccountName from {FOCUS} order by 1")
    assert names == [("anthropic-costs", "anthropic-costs"), ("org_a", "org_a")], "FOCUS 1.4 forbids a null name"


def test_no_text_is_empty(llm: Project) -> None:
    texts = [name for name, kind, *_ in llm.rows(f"describe {FOCUS}") if kind == "VARCHAR"]
    assert len(texts) > 50
    empty = [name for name in texts if llm.rows(f"select 1 from {FOCUS} where trim(\"{name}\") in ('', '{{}}') limit 1")]
    assert empty == []


def test_quotients_are_exact_to_the_last_decimal(exact_quotient_sql: str) -> None:
    random = Random(20261122)
    with duckdb.connect() as connection, localcontext(prec=80):
        for _ in range(300):
            top = Decimal(random.randrange(-(10 ** random.randrange(1, 24)), 10 ** random.randrange(1, 24) + 1)) * MICRO
            bottom = Decimal(random.randrange(1, 10 ** random.randrange(1, 22) + 1)) * MICRO * random.choice((1, -1))
            if abs(top / bottom) >= Decimal(10) ** 14:
                continue
            statement = exact_quotient_sql.replace("numerator_", f"{top:f}::decimal(38, 12)").replace(
                "denominator_", f"{bottom:f}::decimal(38, 12)"
            )
            (found,) = connection.execute(statement).fetchone() or (None,)
            assert found == (top / bottom).quantize(MICRO, ROUND_HALF_UP), (top, bottom)


@pytest.mark.parametrize(("top", "bottom"), [("null", "1"), ("1", "null"), ("1", "0")])
def test_unknown_quotient_is_not_zero(exact_quotient_sql: str, top: str, bottom: str) -> None:
    statement = exact_quotient_sql.replace("numerator_", f"{top}::decimal(38, 12)").replace("denominator_", f"{bottom}::decimal(38, 12)")
    assert duckdb.connect().execute(statement).fetchall() == [(None,)]
