"""AWS bills keep every cent and mean what FOCUS says: totals, commitments, discounts, slices, real reports.

Data flow: estate.py or a real report → bronze → dbt → FOCUS → the figures asserted here.
Alone: `pytest tests/dbt/test_aws_bills.py`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.dbt import bronze
from tests.dbt.aws_project import FOCUS, Estate, run_dbt


def rows(warehouse: Path, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()


def totals(warehouse: Path) -> dict[str, tuple[Decimal, Decimal]]:
    """Source → billed, effective."""
    sql = "SELECT x_SourceId, sum(BilledCost), sum(EffectiveCost) FROM focus.cost_and_usage GROUP BY 1"
    return {source: (billed, effective) for source, billed, effective in rows(warehouse, sql)}


def lines(warehouse: Path, source: str, *columns: str) -> dict[tuple[int, str], Any]:
    """(row number, line type) → the columns (one: its value), of one source."""
    found = rows(
        warehouse, f"SELECT x_RowNumber, x_LineItemType, {', '.join(columns)} FROM focus.cost_and_usage WHERE x_SourceId = '{source}'"
    )
    return {(row[0], row[1]): row[2] if len(columns) == 1 else row[2:] for row in found}


def test_every_source_keeps_its_bill_to_the_last_digit(aws_estate: Estate) -> None:
    assert totals(aws_estate.warehouse) == {
        "aws-main": (Decimal("1359.57"), Decimal("401.065")),
        "aws-net": (Decimal("182.00"), Decimal("182.00")),
        "aws-lines": (Decimal("91.00"), Decimal("91.00")),
        "aws-legacy": (Decimal("86.60"), Decimal("56.70")),
    }


def test_discount_inside_net_costs_is_not_taken_twice(aws_estate: Estate) -> None:
    assert lines(aws_estate.warehouse, "aws-net", "BilledCost") == {(1, "Usage"): 91, (2, "Usage"): 91}
    assert lines(aws_estate.warehouse, "aws-lines", "BilledCost") == {(1, "Usage"): 100, (2, "EdpDiscount"): -9}


def test_covered_usage_without_its_negation_leaves_a_named_residual(aws_estate: Estate) -> None:
    billed = lines(aws_estate.warehouse, "aws-legacy", "BilledCost")
    assert billed[2, "SavingsPlanCoveredUsage"] == 0
    assert billed[2, "SavingsPlanCoveredUsage:Residual"] == 30


def test_commitment_fees_are_spent_where_they_are_used_or_left(aws_estate: Estate) -> None:
    effective = lines(aws_estate.warehouse, "aws-main", "EffectiveCost")
    assert (4, "SavingsPlanNegation") not in effective
    assert [effective[3, "SavingsPlanCoveredUsage"], effective[5, "SavingsPlanRecurringFee"]] == [60, 0]
    assert effective[5, "SavingsPlanRecurringFee:Unused"] == 15
    assert effective[8, "RIFee:Unused"] == Decimal("9.76")
    assert [effective[6, "SavingsPlanUpfrontFee"], effective[9, "Fee"]] == [0, 0]


def test_a_commitments_unit_is_not_said_without_its_quantity(aws_estate: Estate) -> None:
    """FOCUS CommitmentDiscountUnit-C-005; seen where a report does not have reservation/UnusedQuantity selected."""
    found = lines(aws_estate.warehouse, "aws-legacy", "CommitmentDiscountQuantity", "CommitmentDiscountUnit", "EffectiveCost")
    assert found[4, "RIFee:Unused"] == (None, None, 1)
    assert [unit for quantity, unit, _ in found.values() if quantity is None and unit is not None] == []


def test_month_long_fee_ends_with_the_month(aws_estate: Estate) -> None:
    ends = lines(aws_estate.warehouse, "aws-main", "ChargePeriodEnd = BillingPeriodEnd")
    assert ends[8, "RIFee"]


def test_a_report_without_the_end_of_its_period_has_the_months(aws_estate: Estate) -> None:
    sql = "SELECT DISTINCT BillingPeriodEnd::VARCHAR FROM focus.cost_and_usage WHERE x_SourceId = 'aws-lines'"
    assert rows(aws_estate.warehouse, sql) == [("2026-11-01 00:00:00+00",)]


def test_allocation_rows_do_not_double_their_parent(aws_estate: Estate) -> None:
    assert (21, "Usage") not in lines(aws_estate.warehouse, "aws-main", "BilledCost")


def test_ids_keep_leading_zeros_and_tags_their_text(aws_estate: Estate) -> None:
    assert lines(aws_estate.warehouse, "aws-main", "SubAccountId")[1, "Usage"] == "000000000222"
    tags, owner = lines(aws_estate.warehouse, "aws-legacy", "Tags", "x_Owner")[1, "Usage"]
    assert json.loads(tags) == {"cost_center": "0042", "aws:created_by": 'Role:"x"\\y'}
    assert owner == "0042"
    assert json.loads(lines(aws_estate.warehouse, "aws-main", "Tags")[1, "Usage"]) == {"team": "research", "aws:created_by": "root"}


def test_bedrock_tokens_are_counted_one_by_one_in_disjoint_classes(aws_estate: Estate) -> None:
    columns = ("x_ModelId", "x_TokenClass", "ConsumedQuantity", "x_Tokens", "PricingUnit", "x_ModelReason")
    bedrock = lines(aws_estate.warehouse, "aws-main", *columns)
    assert bedrock[14, "Usage"] == ("nova-pro", "input_uncached", 375_000, 375_000, "1000 Tokens", None)
    assert bedrock[15, "Usage"][1:4] == ("output", 100_000, 100_000)
    assert bedrock[16, "Usage"][1] == "input_cache_read"
    assert bedrock[17, "Usage"][1] == "input_cache_write_5m"
    assert bedrock[18, "Usage"] == ("claude-sonnet-4-6", "input_uncached", 4_000_000, 4_000_000, "1000000 Tokens", None)
    assert bedrock[19, "Usage"][0] is None
    assert bedrock[19, "Usage"][3] is None
    assert bedrock[19, "Usage"][5] == "meter_names_no_model"


def test_idle_capacity_reservation_is_named_without_its_columns(aws_estate: Estate) -> None:
    named = lines(aws_estate.warehouse, "aws-main", "CapacityReservationStatus", "x_AcceleratorType", "x_AcceleratorHours")
    assert named[20, "Usage"] == ("Unused", "H100", 8)
    assert lines(aws_estate.warehouse, "aws-legacy", "CapacityReservationStatus", "CapacityReservationId")[3, "Usage"] == (
        "Unused",
        "arn:aws:ec2:us-east-1:111111111111:capacity-reservation/cr-9",
    )


def test_marketplace_model_is_provided_by_its_seller_and_invoiced_by_aws(aws_estate: Estate) -> None:
    named = lines(aws_estate.warehouse, "aws-main", "ServiceProviderName", "InvoiceIssuerName", "ServiceName")
    assert named[18, "Usage"] == ("Anthropic, PBC", "AWS", "Amazon Bedrock")


def test_unknown_service_unit_and_global_region_are_said_not_guessed(aws_estate: Estate) -> None:
    columns = ("ServiceName", "ServiceCategory", "PricingUnit", "x_QuantitySource", "RegionId")
    found = lines(aws_estate.warehouse, "aws-main", *columns)
    assert found[23, "Usage"] == ("Red Hat New-Service", "Other", "Units", "bill_without_list_price_unit_unknown", "us-east-1")
    assert found[22, "Usage"][4] is None


def test_rebuild_touches_the_named_slices_only(aws_estate: Estate, tmp_path: Path) -> None:
    copy = tmp_path / aws_estate.warehouse.name
    shutil.copyfile(aws_estate.warehouse, copy)
    with duckdb.connect(str(copy)) as connection:
        connection.execute("UPDATE bronze.aws_cur2 SET line_item_unblended_cost = 1000 WHERE _row_number = 1")
        connection.execute("DELETE FROM bronze.aws_cur WHERE _source_id = 'aws-legacy'")
    changed = {"changed_slices": ["aws-lines|2026-10"], "dead_slices": ["aws-legacy|2026-10"]}
    run_dbt(copy, "run", "--select", "focus__cost_and_usage", variables=changed)
    after = totals(copy)
    assert after["aws-lines"][0] == 991
    assert after["aws-main"][0] == Decimal("1359.57")
    assert "aws-legacy" not in after


@pytest.mark.parametrize(
    ("report", "billed", "effective"),
    [
        ("aws_cur_workshop_2018/Oct2018-WorkshopCUR-00001.snappy.parquet", "4064.483131537900", "4195.957109"),
        ("aws_cur_unit_econ_2019/cur_2019-11-26_h00-07.csv.gz", "28.981543296800", "28.981543"),
    ],
)
def test_real_report_keeps_its_known_totals(
    report: str, billed: str, effective: str, shared_path: Callable[[str], Path], tmp_path: Path
) -> None:
    path = shared_path(f"data/{report}")
    warehouse = tmp_path / "warehouse.duckdb"
    relation = f"'{path}'" if path.suffix == ".parquet" else f"read_csv('{path}', all_varchar = true, header = true)"
    with duckdb.connect(str(warehouse)) as connection:
        bronze.load_legacy_file(connection, relation, "real", path.stem[:7])
    run_dbt(warehouse, "build", *FOCUS)
    billed_total, effective_total = totals(warehouse)["real"]
    assert billed_total == Decimal(billed)
    assert round(effective_total, 6) == Decimal(effective)
