"""Each error that the FOCUS validator does not notice is caught by a named dbt test.

Data flow: estate.py → bronze → dbt (FOCUS) → one mutation on a copy → the compiled SQL of the tests → rows that fail.
Alone: `pytest tests/dbt/test_focus_mutations.py`. dbt runs once (conftest.py); the tests' compiled SQL then runs in DuckDB.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from tests.dbt.aws_project import Estate

TABLE = "focus.cost_and_usage"
MUTATIONS = {
    "effective cost doubled on uncovered usage": (
        "focus_uncovered_usage_costs_what_is_billed",
        "UPDATE {t} SET EffectiveCost = EffectiveCost * 2 WHERE ChargeCategory = 'Usage' AND CommitmentDiscountId IS NULL",
    ),
    "effective cost on a commitment purchase": (
        "focus_covering_purchase_has_no_effective_cost",
        "UPDATE {t} SET EffectiveCost = BilledCost WHERE ChargeCategory = 'Purchase' AND CommitmentDiscountId IS NOT NULL",
    ),
    "billed cost on covered usage": (
        "focus_covered_usage_is_not_billed",
        "UPDATE {t} SET BilledCost = 1 WHERE CommitmentDiscountStatus = 'Used'",
    ),
    "list cost below contracted cost": (
        "focus_list_not_below_contracted",
        "UPDATE {t} SET ListUnitPrice = ListUnitPrice / 2, ListCost = ListCost / 2 WHERE ChargeCategory = 'Usage'",
    ),
    "charge ends before it starts": (
        "focus_charge_period_runs_forward",
        "UPDATE {t} SET ChargePeriodEnd = ChargePeriodStart - INTERVAL 1 HOUR WHERE x_RowNumber = 1",
    ),
    "billing period three days longer": (
        "focus_billing_period_is_its_month",
        "UPDATE {t} SET BillingPeriodEnd = BillingPeriodEnd + INTERVAL 3 DAY",
    ),
    "charges 90 days outside the billing period": (
        "focus_charges_lie_in_their_billing_period",
        "UPDATE {t} SET ChargePeriodStart = ChargePeriodStart - INTERVAL 90 DAY, ChargePeriodEnd = ChargePeriodEnd - INTERVAL 90 DAY"
        " WHERE x_RowNumber = 1",
    ),
    "empty text in RegionId": ("focus_no_placeholder_text", "UPDATE {t} SET RegionId = '' WHERE x_RowNumber = 1"),
    "nested tags": ("focus_json_is_flat", """UPDATE {t} SET Tags = '{{"team":{{"name":"a"}}}}' WHERE x_RowNumber = 1"""),
    "subcategory of another category": (
        "focus_subcategory_has_its_category",
        "UPDATE {t} SET ServiceSubcategory = 'Generative AI' WHERE ServiceCategory = 'Compute'",
    ),
    "unit Hrs": ("focus_units_are_known", "UPDATE {t} SET PricingUnit = 'Hrs' WHERE PricingUnit = 'Hours'"),
    "rows twice": ("focus_rows_are_unique", "INSERT INTO {t} SELECT * FROM {t} WHERE x_RowNumber < 5"),
    "custom column without x_": ("focus_columns_follow_the_contract", "ALTER TABLE {t} ADD COLUMN CostCenter VARCHAR"),
    "SkuPriceDetails key without x_": (
        "focus_sku_price_details_keys",
        """UPDATE {t} SET SkuPriceDetails = '{{"Flavour":"large"}}' WHERE SkuPriceDetails IS NOT NULL""",
    ),
    "no invoice id anywhere": ("aws_invoice_ids_survive", "UPDATE {t} SET InvoiceId = NULL"),
    "timestamps without a zone": (
        "focus_columns_follow_the_contract",
        "ALTER TABLE {t} ALTER COLUMN ChargePeriodStart TYPE TIMESTAMP",
    ),
    "numeric account ids": ("focus_columns_follow_the_contract", "ALTER TABLE {t} ALTER COLUMN BillingAccountId TYPE BIGINT"),
    "two billing currencies": ("focus_one_currency_per_bill", "UPDATE {t} SET BillingCurrency = 'EUR' WHERE x_RowNumber = 1"),
    "contracted cost off by one percent": (
        "focus_costs_are_price_times_quantity",
        "UPDATE {t} SET ContractedCost = ContractedCost * 1.01 WHERE ContractedUnitPrice IS NOT NULL",
    ),
    "unused commitment on the instance": (
        "focus_commitment_is_the_resource",
        "UPDATE {t} SET ResourceId = 'i-0a' WHERE CommitmentDiscountStatus = 'Unused'",
    ),
    "unused part of a Savings Plan lost": (
        "aws_savings_plan_commitment_is_spent_once",
        "DELETE FROM {t} WHERE x_LineItemType = 'SavingsPlanRecurringFee:Unused'",
    ),
    "neither owner nor reason": ("focus_row_has_an_owner_or_a_reason", "UPDATE {t} SET x_Owner = NULL, x_OwnerReason = NULL"),
    "negation that does not cancel": (
        "aws_savings_plan_negation_cancels",
        "UPDATE bronze.aws_cur2 SET line_item_unblended_cost = -90 WHERE line_item_line_item_type = 'SavingsPlanNegation'",
    ),
}


def failing(connection: duckdb.DuckDBPyConnection, tests: dict[str, str]) -> set[str]:
    """The tests that return rows."""
    return {name for name, sql in tests.items() if connection.execute(f"SELECT 1 FROM ({sql}) LIMIT 1").fetchall()}


def test_the_estate_itself_breaks_no_rule(aws_estate: Estate) -> None:
    warehouse, tests = aws_estate.warehouse, aws_estate.tests
    assert {test for test, _ in MUTATIONS.values()} <= tests.keys()
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        assert failing(connection, tests) == set()


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutation_is_caught(mutation: str, aws_estate: Estate, tmp_path: Path) -> None:
    warehouse, tests = aws_estate.warehouse, aws_estate.tests
    test, statement = MUTATIONS[mutation]
    copy = tmp_path / warehouse.name  # the same file name: the compiled SQL names the database
    shutil.copyfile(warehouse, copy)
    with duckdb.connect(str(copy)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(statement.format(t=TABLE))
        assert test in failing(connection, {test: tests[test]})
