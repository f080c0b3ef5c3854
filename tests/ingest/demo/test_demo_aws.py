"""The AWS part of the demo: layout, physical types, and the conservation laws of commitments."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pyarrow.parquet as pq
import pytest

from costlake.periods import BillingPeriod
from ingest.demo.aws_bill import bill_lines
from ingest.demo.aws_lines import BillLine
from ingest.demo.aws_reservations import RESERVATIONS
from ingest.demo.aws_schema import COLUMNS

LAST = "2026-10"
PURCHASE = BillingPeriod.parse("2026-02")


@pytest.fixture(scope="module", params=["2026-02", "2026-08", "2026-10"])
def month(request: pytest.FixtureRequest) -> list[BillLine]:
    """The bill of the month in which a reservation is bought, of the one with the refund, and of the open one."""
    return bill_lines(7, BillingPeriod.parse(request.param), LAST)


def total(rows: list[BillLine], column: str, **where: str) -> Decimal:
    """Sum of a money column over the rows whose cells equal `where`; a row without the column adds nothing."""
    cells = [row.cells for row in rows if all(row.cells.get(key) == value for key, value in where.items())]
    return sum((Decimal(str(cell.get(column, 0))) for cell in cells), Decimal(0))


def test_negations_cancel_what_the_plan_covered_or_cost_would_count_twice(month: list[BillLine]) -> None:
    for day in {row.cells["line_item_usage_start_date"] for row in month if row.cells["line_item_line_item_type"] == "SavingsPlanNegation"}:
        rows = [row for row in month if row.cells["line_item_usage_start_date"] == day]
        covered = total(rows, "line_item_unblended_cost", line_item_line_item_type="SavingsPlanCoveredUsage")
        negated = total(rows, "line_item_unblended_cost", line_item_line_item_type="SavingsPlanNegation")
        assert covered == -negated != 0


def test_a_savings_plan_day_is_used_plus_unused_equals_paid(month: list[BillLine]) -> None:
    fees = [row for row in month if row.cells["line_item_line_item_type"] == "SavingsPlanRecurringFee"]
    assert len(fees) >= 28
    unused = Decimal(0)
    for fee in fees:
        rows = [row for row in month if row.cells["line_item_usage_start_date"] == fee.cells["line_item_usage_start_date"]]
        used = total(rows, "savings_plan_savings_plan_effective_cost")
        assert fee.cells["savings_plan_used_commitment"] == used
        assert used + fee.effective == fee.billed == fee.cells["savings_plan_total_commitment_to_date"]
        unused += fee.effective
    assert unused > 0, "a demo whose plan is always used up shows no unused commitment"


def test_a_reservation_month_is_used_plus_unused_equals_its_cost(month: list[BillLine]) -> None:
    for held in RESERVATIONS:
        rows = [row for row in month if row.cells.get("reservation_reservation_a_r_n") == held.arn]
        (fee,) = [row for row in rows if row.cells["line_item_line_item_type"] == "RIFee"]
        used = total(rows, "reservation_effective_cost")
        amortised = total(rows, "reservation_amortized_upfront_fee_for_billing_period")
        assert used + fee.effective == (amortised if held.all_upfront else fee.billed)
        assert used > 0
        assert fee.effective > 0
        assert total(rows, "line_item_unblended_cost", line_item_line_item_type="DiscountedUsage") == 0


def test_an_upfront_fee_is_billed_once_and_costs_nothing_in_that_month(month: list[BillLine]) -> None:
    upfront = [row for row in month if row.cells["line_item_line_item_type"] == "Fee" and "reservation_reservation_a_r_n" in row.cells]
    bought = month[0].cells["bill_billing_period_start_date"] == PURCHASE.start.replace(tzinfo=None)
    assert [(row.billed, row.effective) for row in upfront] == ([(Decimal("5110.584"), Decimal(0))] if bought else [])


def test_cost_is_rate_times_amount_and_survives_a_double(month: list[BillLine]) -> None:
    """A cost of more than 15 digits would change when AWS's DOUBLE column is read back."""
    rated = 0
    for row in month:
        rate = row.cells.get("line_item_unblended_rate")
        if rate:
            assert Decimal(str(rate)) * Decimal(str(row.cells["line_item_usage_amount"])) == row.billed
            rated += 1
        for name, cell in row.cells.items():
            if isinstance(cell, Decimal):
                assert Decimal(repr(float(cell))) == cell, name
        assert abs(Decimal(str(row.billed.normalize().as_tuple().exponent))) <= 10 or row.billed == 0
    assert rated > 4000


def test_line_and_interval_identify_a_row_within_its_month(month: list[BillLine]) -> None:
    keys = [(row.cells["identity_line_item_id"], row.cells["identity_time_interval"]) for row in month]
    assert len(keys) == len(set(keys))


def test_only_the_open_month_has_no_invoice(month: list[BillLine]) -> None:
    blank = {row.cells["bill_invoice_id"] == "" for row in month}
    is_open = month[0].cells["identity_time_interval"].startswith(LAST)  # type: ignore[union-attr]
    assert blank == {is_open}


def test_every_kind_of_row_that_trips_readers_is_there(month: list[BillLine]) -> None:
    kinds = {str(row.cells["line_item_line_item_type"]) for row in month}
    assert {"Usage", "SavingsPlanCoveredUsage", "SavingsPlanNegation", "SavingsPlanRecurringFee", "DiscountedUsage", "RIFee"} < kinds
    assert {"Tax", "Credit", "Fee"} < kinds
    refunds = [row.cells["bill_bill_type"] for row in month if row.cells["line_item_line_item_type"] == "Refund"]
    assert refunds == (["Refund"] if month[0].cells["bill_billing_period_start_date"].month == 8 else [])  # type: ignore[union-attr]
    sellers = {row.cells["line_item_legal_entity"] for row in month if row.cells["bill_billing_entity"] == "AWS Marketplace"}
    assert sellers == {"Anthropic, PBC"}
    assert any(str(row.cells["line_item_usage_account_id"]).startswith("00") for row in month)
    assert any(row.cells.get("resource_tags") == [] for row in month)


def test_the_planted_spike_stands_out_of_its_account_and_service(written: SimpleNamespace) -> None:
    spike = written.estate.totals["spike"]
    files = str(written.estate.root / f"aws/finops/cur2/data/BILLING_PERIOD={spike['date'][:7]}/*/*.parquet")
    days = dict(
        duckdb.sql(
            f"""select line_item_usage_start_date::date::varchar, sum(line_item_unblended_cost) from '{files}'
            where line_item_product_code = '{spike["service"]}' and line_item_usage_account_id = '{spike["account_id"]}'
                and line_item_line_item_type = 'Usage' and dayofweek(line_item_usage_start_date) between 1 and 5
            group by 1"""
        ).fetchall()
    )
    found = days.pop(spike["date"])
    normal = sum(days.values()) / len(days)
    assert 6 < found / normal < 10
    assert found > 4 * max(days.values())


def test_manifests_list_exactly_the_files_of_their_execution(written: SimpleNamespace) -> None:
    bucket = written.estate.root / "aws"
    manifests = sorted((bucket / "finops/cur2/metadata").glob("BILLING_PERIOD=*/*/cur2-Manifest.json"))
    assert len(manifests) == 5, "four months and one restatement"
    for manifest in manifests:
        content = json.loads(manifest.read_text())
        listed = {bucket / uri.removeprefix("s3://costlake-demo/") for uri in content["dataFiles"]}
        folder = bucket / "finops/cur2/data" / manifest.parent.parent.name / manifest.parent.name
        assert listed == set(folder.iterdir())
        assert {path.name for path in listed} == {"cur2-00001.snappy.parquet", "cur2-00002.snappy.parquet"}
        assert [(column["name"], column["type"]) for column in content["columns"]] == list(COLUMNS)
        newest = max(manifest.parent.parent.glob("*/cur2-Manifest.json"))
        assert (manifest.parent.parent / "cur2-Manifest.json").read_text() == newest.read_text()


def test_parquet_has_awss_physical_types_not_pythons(written: SimpleNamespace) -> None:
    part = next((written.estate.root / "aws").rglob("*-00001.snappy.parquet"))
    found = {field.name: field for field in pq.ParquetFile(part).schema_arrow}
    assert list(found) == [name for name, _ in COLUMNS]
    assert len(found) == 131
    assert {str(found[name].type) for name, kind in COLUMNS if kind == "timestamp"} == {"timestamp[ms]"}
    assert {str(found[name].type) for name, kind in COLUMNS if kind == "double"} == {"double"}
    assert str(found["line_item_unblended_rate"].type) == "string"
    assert str(found["resource_tags"].type).startswith("map<string, string")
    assert str(found["discount"].type).startswith("map<string, double")
    assert pq.read_metadata(part).row_group(0).column(0).compression == "SNAPPY"


def test_columns_are_those_of_the_widest_known_export(shared_path: Callable[[str], Path]) -> None:
    with shared_path("samples/schemas/aws_cur2_columns.csv").open(newline="") as file:
        listed = {row["column"]: row["type"] for row in csv.DictReader(file)}
    same = {"varchar": "string", "map(varchar,varchar)": "map<string,string>", "map(varchar,double)": "map<string,double>"}
    assert {name: same.get(kind, kind) for name, kind in COLUMNS} == listed
