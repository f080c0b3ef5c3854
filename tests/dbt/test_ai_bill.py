"""The AI inside any bill: rules that can fail, tokens counted whatever their unit, accelerator hours, marts that hold every AI row once.

Data flow: hand-made FOCUS rows of five clouds in place of a staging view → focus.cost_and_usage → marts → the figures asserted here.
Alone: `pytest tests/dbt/test_ai_bill.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.dbt.aws_project import Estate, run_dbt

Rows = Callable[[str], list[tuple[Any, ...]]]
MARTS = ["fct_ai_cost_daily", "fct_node_cost_daily", "fct_token_economics_daily", "fct_model_economics_daily"]
AI = {"ServiceCategory": "AI and Machine Learning", "ServiceSubcategory": "Generative AI"}
VM = {"ServiceCategory": "Compute", "ServiceSubcategory": "Virtual Machines", "ConsumedUnit": "Hours", "PricingUnit": "Hours"}
AZURE = {"HostProviderName": "Microsoft", "ServiceProviderName": "Microsoft", "InvoiceIssuerName": "Microsoft"}
GOOGLE = {"HostProviderName": "Google Cloud", "ServiceProviderName": "Google Cloud", "InvoiceIssuerName": "Google Cloud"}
ORACLE = {"HostProviderName": "Oracle", "ServiceProviderName": "Oracle", "InvoiceIssuerName": "Oracle"}
FOUNDRY = AZURE | AI | {"ServiceName": "Azure OpenAI"}
VERTEX = GOOGLE | AI | {"ServiceName": "Vertex AI"}


def charge(cost: str, quantity: str | None, meter: str, **columns: Any) -> dict[str, Any]:
    """A usage row of one hour of 5 October 2026."""
    return {
        "x_SourceId": "any-cloud", "x_BillingPeriod": "2026-10", "BillingCurrency": "USD", "ChargeCategory": "Usage",
        "ChargePeriodStart": "2026-10-05 10:00:00+00", "ChargePeriodEnd": "2026-10-05 11:00:00+00", "x_LineItemType": "Usage",
        "BillingPeriodStart": "2026-10-01 00:00:00+00", "BillingPeriodEnd": "2026-11-01 00:00:00+00", "x_OwnerReason": "untagged",
        "BilledCost": cost, "EffectiveCost": cost, "ListCost": cost, "ContractedCost": cost, "ConsumedQuantity": quantity,
        "SkuMeter": meter, "ChargeDescription": meter, "BillingAccountId": "1",
    } | columns  # fmt: skip


def node(name: str) -> dict[str, Any]:
    """Columns of a machine that Kubernetes knows."""
    return {"x_NodeId": name}


ROWS: Mapping[int, dict[str, Any]] = {
    # one unit text a thousand, the other a million: 1,500 thousand and 2 million input tokens, and 250 thousand output
    1: charge("3.75", "1500", "gpt-4o-0806-Inp-glbl Tokens", ConsumedUnit="1K", PricingUnit="1K", **FOUNDRY),
    2: charge("5.00", "2", "gpt-4o-0806-Inp-glbl Tokens", ConsumedUnit="1M", PricingUnit="1M", **FOUNDRY),
    3: charge("2.50", "250000", "gpt-4o-0806-Outp-glbl Tokens", ConsumedUnit="Tokens", PricingUnit="1000 Tokens", **FOUNDRY),
    # Google counts tokens and calls them requests
    4: charge("0.30", "1000000", "Gemini 2.5 Flash GA Text Input - Predictions", ConsumedUnit="Requests", PricingUnit="Count", **VERTEX),
    5: charge("0.03", "400000", "Gemini 2.5 Flash GA Input Text Caching", ConsumedUnit="Count", PricingUnit="Count", **VERTEX),
    # 100 PTUs for an hour
    6: charge("100", "100", "Provisioned Managed Global Unit", ConsumedUnit="Hours", PricingUnit="Hours", **FOUNDRY),
    # an a3-highgpu-8g for an hour is three SKUs: 8 GPUs × 3,600 s, its cores, its memory
    7: charge(
        "78.32", "28800", "Nvidia H100 80GB GPU running in Americas", x_InstanceType="a3-highgpu-8g", PricingQuantity="8",
        **GOOGLE | VM | {"ServiceName": "Compute Engine", "ConsumedUnit": "Seconds"} | node("ml-train/us-central1-a/train-0"),
    ),
    8: charge(
        "6.10", "748800", "A3 Instance Core running in Americas", x_InstanceType="a3-highgpu-8g", PricingQuantity="208",
        **GOOGLE | VM | {"ServiceName": "Compute Engine", "ConsumedUnit": "Seconds"} | node("ml-train/us-central1-a/train-0"),
    ),
    9: charge("98.32", "0.5", "ND96isr H100 v5", x_InstanceType="Standard_ND96isr_H100_v5", **AZURE | VM | {"ServiceName": "Virtual Machines"}),
    10: charge("80", "8", "Oracle Cloud Infrastructure - Compute - GPU - H100", **ORACLE | VM | {"ServiceName": "COMPUTE", "ConsumedUnit": "GPU-Hours"}),
    # out of scope, unexplained, of an unknown machine, without a unit
    11: charge("0.50", "1", "D4s v3", x_InstanceType="Standard_D4s_v3", **AZURE | VM | {"ServiceName": "Virtual Machines"} | node("vm-1")),
    12: charge("4.00", "7", "Frobnication", ConsumedUnit="Units", **VERTEX),
    13: charge("9.00", "1", "ND999xr Z1 v9", x_InstanceType="Standard_ND999xr_Z1_v9", **AZURE | VM | {"ServiceName": "Virtual Machines"}),
    14: charge(
        "1.00", "3", "MP:USE1_InputTokenCount-Units", ConsumedUnit="Units", **AI,
        HostProviderName="AWS", ServiceProviderName="Anthropic, PBC", InvoiceIssuerName="AWS", ServiceName="Claude Sonnet 4.6 (Amazon Bedrock Edition)",
    ),
    15: charge("-1.00", None, "credit", **VERTEX | {"ChargeCategory": "Credit"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def built(aws_estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The warehouse of the AWS estate with the rows above in place of its legacy reports, built up to the marts."""
    warehouse = tmp_path_factory.mktemp("ai") / aws_estate.warehouse.name
    shutil.copyfile(aws_estate.warehouse, warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("CREATE TABLE bronze.handmade AS SELECT * FROM staging.stg_aws_cur__focus LIMIT 0")
        for number, row in ROWS.items():
            full = row | {"x_RowNumber": number, "x_DeliveryId": "d", "x_ObjectKey": "o"}
            connection.execute(
                f"INSERT INTO bronze.handmade ({', '.join(full)}) VALUES ({', '.join('?' * len(full))})", list(full.values())
            )
        connection.execute("CREATE OR REPLACE VIEW staging.stg_aws_cur__focus AS SELECT * FROM bronze.handmade")
    run_dbt(warehouse, "seed")
    run_dbt(warehouse, "run", "--select", "+int_token_usage", "focus__cost_and_usage", "int_ai_charges", *MARTS)
    run_dbt(warehouse, "compile", "--select", *MARTS)
    return warehouse


@pytest.fixture
def rows(built: Path) -> Rows:
    """The rows of a query on the built warehouse."""

    def query(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(built), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    return query


def said(rows: Rows, *columns: str) -> dict[int, Any]:
    """Row number → the columns (one: its value) of the hand-made rows."""
    found = rows(f"SELECT x_RowNumber, {', '.join(columns)} FROM focus.cost_and_usage WHERE x_SourceId = 'any-cloud'")
    return {row[0]: row[1] if len(columns) == 1 else row[1:] for row in found}


def test_tokens_are_tokens_whatever_the_unit_is(rows: Rows) -> None:
    tokens = said(rows, "x_Tokens")
    assert [tokens[number] for number in (1, 2, 3, 4, 5)] == [1_500_000, 2_000_000, 250_000, 1_000_000, 400_000]
    assert {number for number, count in tokens.items() if count is not None} == {1, 2, 3, 4, 5}


def test_a_unit_that_counts_no_tokens_gives_a_reason_and_no_number(rows: Rows) -> None:
    assert said(rows, "x_Tokens", "x_TokenClass", "x_AiReason")[14] == (None, "input_uncached", "unit_counts_no_tokens")


def test_a_seller_on_a_marketplace_is_one_provider_in_marts_and_itself_in_focus(rows: Rows) -> None:
    like = "provider_name LIKE 'Anthropic%'"
    assert ("Anthropic, PBC", "AWS") in rows("SELECT DISTINCT ServiceProviderName, InvoiceIssuerName FROM focus.cost_and_usage")
    for mart in ("fct_ai_cost_daily", "fct_model_economics_daily", "fct_token_economics_daily"):
        assert rows(f"SELECT DISTINCT provider_name, host_provider_name FROM marts.{mart} WHERE {like}") == [("Anthropic", "AWS")]
    [(of_mart,)] = rows("SELECT sum(effective_cost) FROM marts.fct_ai_cost_daily WHERE provider_name = 'Anthropic'")
    in_scope = "(x_AiUsageKind IS NOT NULL OR x_AiReason IS NOT NULL)"
    assert rows(
        f"SELECT sum(EffectiveCost) FROM focus.cost_and_usage WHERE Service{like.replace('provider_name', 'ProviderName')} AND {in_scope}"
    ) == [(of_mart,)]


def test_economics_price_a_million_tokens_of_clouds_right(rows: Rows) -> None:
    priced = rows(
        "SELECT provider_name, model_id, token_class, tokens, effective_cost, cost_per_million_tokens FROM marts.fct_token_economics_daily"
        " WHERE provider_name IN ('Microsoft', 'Google Cloud') AND tokens IS NOT NULL ORDER BY ALL"
    )
    assert priced == [
        ("Google Cloud", "gemini-2.5-flash", "input_cache_read", 400_000, Decimal("0.03"), Decimal("0.075")),
        ("Google Cloud", "gemini-2.5-flash", "input_uncached", 1_000_000, Decimal("0.30"), Decimal("0.3")),
        ("Microsoft", "gpt-4o", "input_uncached", 3_500_000, Decimal("8.75"), Decimal("2.5")),
        ("Microsoft", "gpt-4o", "output", 250_000, Decimal("2.5"), Decimal("10")),
    ]
    economics = rows("SELECT input_tokens_total, output_tokens FROM marts.fct_model_economics_daily WHERE model_id = 'gpt-4o'")
    assert economics == [(3_500_000, 250_000)]


def test_a_gpu_hour_is_counted_once_though_the_machine_has_three_skus(rows: Rows) -> None:
    hours = said(rows, "x_AcceleratorType", "x_AcceleratorCount", "x_AcceleratorHours")
    assert hours[7] == ("H100", 8, 8)
    assert hours[8] == ("H100", 8, None)
    assert hours[9] == ("H100", 8, 4)
    assert hours[10] == ("H100", None, 8)
    machine = rows("SELECT accelerator_hours, effective_cost, line_count FROM marts.fct_node_cost_daily WHERE node_id LIKE 'ml-train/%'")
    assert machine == [(8, Decimal("84.42"), 2)]


def test_provisioned_units_are_hours_and_units_of_a_type(rows: Rows) -> None:
    columns = ("x_ProvisionedUnitType", "x_ProvisionedUnits", "x_ProvisionedUnitHours", "x_ServiceTier", "x_RegionScope")
    assert said(rows, *columns)[6] == ("PTU", 100, 100, "provisioned", "global")


def test_what_no_rule_explains_says_so_and_what_is_no_ai_says_nothing(rows: Rows) -> None:
    found = said(rows, "x_AiUsageKind", "x_AiReason")
    assert found[11] == (None, None)
    assert found[12] == (None, "no_rule_for_this_usage")
    assert found[13] == ("accelerator_compute", "machine_not_in_ai_accelerators")
    assert found[15] == ("credit", None)


def test_every_answer_names_its_rules(rows: Rows) -> None:
    rules = said(rows, "x_AiRuleId")
    assert rules[1].split()[0] == "azure-token"
    assert {"class-input", "scope-global", "model-azure-meter", "gpt-4o"} <= set(rules[1].split())
    assert rules[11] is None


SABOTAGE = {
    "an AI row lost": "DELETE FROM marts.fct_ai_cost_daily WHERE usage_kind = 'token' AND provider_name = 'Microsoft'",
    "the smallest coin": "UPDATE marts.fct_ai_cost_daily SET effective_cost = effective_cost + 0.000000000001 WHERE accelerator_type = 'H100'",
    "tokens twice": "UPDATE marts.fct_ai_cost_daily SET tokens = tokens * 2 WHERE model_id = 'gpt-4o'",
    "hours twice": "UPDATE marts.fct_node_cost_daily SET accelerator_hours = accelerator_hours * 2",
    "a machine twice": "INSERT INTO marts.fct_node_cost_daily SELECT * FROM marts.fct_node_cost_daily LIMIT 1",
    "a stale slice": "UPDATE marts.fct_node_cost_daily SET source_id = 'gone' WHERE node_id = 'vm-1'",
}


@pytest.mark.parametrize("damage", SABOTAGE)
def test_conservation_of_ai_and_machine_cost_sees_the_damage(damage: str, built: Path, tmp_path: Path) -> None:
    (path,) = built.parent.glob("target/compiled/**/assert_mart_ai_cost_equals_focus.sql")
    copy = tmp_path / built.name
    shutil.copyfile(built, copy)
    with duckdb.connect(str(copy)) as connection:
        assert connection.execute(path.read_text()).fetchall() == [], "sound before"
        connection.execute(SABOTAGE[damage])
        assert connection.execute(path.read_text()).fetchall(), "nobody would have noticed"


def test_a_node_id_that_joins_nothing_is_seen(built: Path, rows: Rows) -> None:
    (path,) = built.parent.glob("target/compiled/**/ai_provider_ids_become_node_ids.sql")
    sql = path.read_text()
    assert rows(sql) == []
    assert rows(sql.replace("(/virtualmachinescalesets/", "(/scalesets/")), "nobody would have noticed"


BAD_RULES = {
    "cache reads taken for input": (
        "ai_rules_match_their_cases",
        "UPDATE seeds.ai_rules SET priority = 5 WHERE rule_id = 'class-input'",
    ),
    "warm pools taken for training": (
        "ai_rules_match_their_cases",
        "UPDATE seeds.ai_rules SET pattern = 'train' WHERE rule_id = 'sagemaker-training';"
        "UPDATE seeds.ai_rules SET priority = 425 WHERE rule_id = 'sagemaker-training'",
    ),
    "p5en taken for p5": (
        "ai_rules_match_their_cases",
        "UPDATE seeds.ai_accelerators SET accelerator_type = 'H100' WHERE machine = 'p5en.48xlarge'",
    ),
    "millions taken for thousands": (
        "ai_rules_match_their_cases",
        "UPDATE seeds.ai_rules SET output = '1000' WHERE rule_id = 'million-tokens'",
    ),
    "a rule behind one that takes everything": (
        "ai_every_rule_wins_a_case",
        "INSERT INTO seeds.ai_rules SELECT * REPLACE ('never' AS rule_id, 99999 AS priority) FROM seeds.ai_rules WHERE rule_id = 'tier-standard'",
    ),
    "two rules of one priority": (
        "ai_every_rule_wins_a_case",
        "UPDATE seeds.ai_rules SET priority = 20 WHERE rule_id = 'tier-flex'",
    ),
    "a scope that no case shows": (
        "ai_every_rule_wins_a_case",
        "INSERT INTO seeds.ai_scopes VALUES ('new', 'aws', 'service', 'quantum', 'nowhere')",
    ),
    "mini models taken for the large one": (
        "ai_models_know_their_examples",
        "UPDATE seeds.ai_models SET priority = 205 WHERE model_key = 'gpt-4o'",
    ),
    "a scope that no row reaches": (
        "ai_candidates_hold_every_scope",
        "UPDATE seeds.ai_cases SET category = 'Storage' WHERE case_id = 'gcp-gpu-h100'",
    ),
}


@pytest.mark.parametrize("damage", BAD_RULES)
def test_a_bad_rule_is_seen_before_it_is_used(damage: str, aws_estate: Estate, tmp_path: Path) -> None:
    test, statement = BAD_RULES[damage]
    sql, copy = aws_estate.tests[test], tmp_path / aws_estate.warehouse.name
    shutil.copyfile(aws_estate.warehouse, copy)
    with duckdb.connect(str(copy)) as connection:
        assert connection.execute(sql).fetchall() == [], "sound before"
        connection.execute(statement)
        assert connection.execute(sql).fetchall(), "nobody would have noticed"
