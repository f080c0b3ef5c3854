"""Vendors' FOCUS files under FOCUS 1.4: money as it came, everything else by FOCUS' rules, and each fault in a list.

One warehouse holds a clean export (the fixture), one row per fault, and two exports of one account; dbt builds it with all of its data
tests, so that "the tests hold on what we emit" is part of the build.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.dbt.focus_project import Warehouse, build
from tests.ingest.focus_rows import Row, charge, write_csv

FIXTURE = Path(__file__).parents[1] / "fixtures" / "focus_files" / "2026-10"
COMMITTED = {
    "CommitmentDiscountId": "arn:aws:savingsplans::1:savingsplan/sp-1",
    "CommitmentDiscountCategory": "Spend",
    "CommitmentDiscountType": "Savings Plan",
    "CommitmentDiscountStatus": "Used",
    "PricingCategory": "Committed",
}
COVERED = COMMITTED | {"BilledCost": "0"}
PURCHASE = COMMITTED | {
    "ChargeCategory": "Purchase",
    "ChargeFrequency": "One-Time",
    "CommitmentDiscountStatus": "",
    "PricingCategory": "Standard",
    "ResourceId": COMMITTED["CommitmentDiscountId"],
    "ResourceType": "Savings Plan",
    "EffectiveCost": "0",
    "ConsumedQuantity": "",
    "ConsumedUnit": "",
}
UNPRICED = dict.fromkeys(
    ("SkuPriceId ListUnitPrice ContractedUnitPrice PricingQuantity PricingUnit PricingCategory ConsumedQuantity ConsumedUnit").split(), ""
) | {"ChargeFrequency": "One-Time"}
TAX = UNPRICED | {"ChargeCategory": "Tax", "SkuId": "", "SkuMeter": "", "ListCost": "2", "ContractedCost": "2"}
CREDIT = UNPRICED | {"ChargeCategory": "Credit", "ListCost": "2", "ContractedCost": "2"}
UNUSED = {"CommitmentDiscountStatus": "Unused", "ConsumedQuantity": "", "ConsumedUnit": ""}

# what the row says instead of the good one → (the faults that must be listed, what FOCUS must show)
FAULTS: list[tuple[Row, set[str], dict[str, Any]]] = [
    ({"EffectiveCost": "0"}, {"uncovered_usage_costs_not_what_is_billed"}, {"BilledCost": 2, "EffectiveCost": 0}),
    (TAX | {"EffectiveCost": "3"}, {"tax_or_credit_costs_not_what_is_billed"}, {"BilledCost": 2, "EffectiveCost": 3}),
    (PURCHASE | {"EffectiveCost": "2"}, {"covering_purchase_has_effective_cost"}, {"EffectiveCost": 2}),
    (COMMITTED, {"covered_usage_is_billed"}, {"BilledCost": 2, "CommitmentDiscountStatus": "Used"}),
    (
        {"PricingQuantity": "30000000000", "ContractedUnitPrice": "7", "ContractedCost": "1"},
        {"cost_is_not_price_times_quantity", "contracted_price_does_not_give_contracted_cost", "list_price_does_not_give_list_cost"},
        {"ContractedCost": 1, "ListCost": 3},
    ),
    ({"ChargePeriodEnd": "2026-11-01T01:00:00Z"}, {"charge_leaves_billing_period"}, {"ChargeClass": None}),
    (
        {"ChargePeriodStart": "2026-09-30T10:00:00Z", "ChargePeriodEnd": "2026-09-30T11:00:00Z"},
        {"charge_before_billing_period"},
        {"ChargeClass": "Correction"},
    ),
    ({"ChargePeriodEnd": ""}, {"charge_has_no_end"}, {"epoch(ChargePeriodEnd) - epoch(ChargePeriodStart)": 3600}),
    (
        {"ChargePeriodStart": "2026-10-05", "ChargePeriodEnd": "2026-10-05"},
        {"charge_has_no_end"},
        {"epoch(ChargePeriodEnd) - epoch(ChargePeriodStart)": 86400},
    ),
    ({"ChargePeriodEnd": "2026-10-05T10:59:59Z"}, {"charge_end_is_inclusive"}, {"epoch(ChargePeriodEnd) - epoch(ChargePeriodStart)": 3600}),
    ({"BillingPeriodStart": "2026-10-05T00:00:00Z"}, {"billing_period_is_no_month"}, {"x_BillingPeriod": "2026-10"}),
    ({"ChargeCategory": "Refund"} | UNPRICED, {"charge_category_is_unknown"}, {"ChargeCategory": "Adjustment"}),
    ({"ChargeClass": "Regular"}, {"charge_class_is_unknown"}, {"ChargeClass": None}),
    ({"ChargeFrequency": "hourly"}, {"frequency_is_unknown"}, {"ChargeFrequency": "Usage-Based"}),
    (PURCHASE | {"ChargeFrequency": "Usage-based"}, {"purchase_is_usage_based"}, {"ChargeFrequency": "One-Time"}),
    ({"BillingAccountId": "", "BillingAccountName": ""}, {"billing_account_is_missing"}, {"BillingAccountId": "dirty"}),
    ({"EffectiveCost": "NULL"}, {"effective_cost_is_missing"}, {"EffectiveCost": 2}),
    ({"ContractedCost": "NULL"}, {"contracted_cost_is_missing"}, {"ContractedCost": 2}),
    (
        {"ContractedCost": "", "ContractedUnitPrice": "", "BilledCost": "1.5", "EffectiveCost": "1.5"},
        {"contracted_cost_is_missing", "price_is_missing"},
        {"ContractedCost": Decimal("1.5"), "ContractedUnitPrice": Decimal("0.75")},
    ),
    ({"ListCost": ""}, {"list_cost_is_missing"}, {"ListCost": 3}),
    (CREDIT | {"ContractedCost": "-3"}, {"credit_has_a_cost_of_its_own"}, {"ContractedCost": 2, "ListCost": 2}),
    ({"ListUnitPrice": "9"}, {"list_price_does_not_give_list_cost"}, {"ListCost": 3, "ListUnitPrice": Decimal("1.5")}),
    ({"ContractedUnitPrice": "9"}, {"contracted_price_does_not_give_contracted_cost"}, {"ContractedCost": 2, "ContractedUnitPrice": 1}),
    ({"ListUnitPrice": ""}, {"price_is_missing"}, {"ListUnitPrice": Decimal("1.5")}),
    (
        {
            "BilledCost": "-2",
            "EffectiveCost": "-2",
            "ListCost": "-3",
            "ContractedCost": "-2",
            "ListUnitPrice": "-1.5",
            "ContractedUnitPrice": "-1",
        },
        {"price_is_negative"},
        {"ListUnitPrice": Decimal("1.5"), "PricingQuantity": -2, "BilledCost": -2},
    ),
    ({"PricingQuantity": ""}, {"quantity_is_missing"}, {"PricingQuantity": 2, "x_QuantitySource": "consumed_quantity"}),
    (
        {"PricingQuantity": "0", "ListUnitPrice": "3", "ContractedUnitPrice": "2"},
        {"quantity_is_missing", "list_price_does_not_give_list_cost", "contracted_price_does_not_give_contracted_cost"},
        {"PricingQuantity": 1, "ContractedUnitPrice": 2, "x_QuantitySource": "one_unit_assumed"},
    ),
    (TAX | {"SkuId": "VAT", "SkuPriceId": "VAT/19"}, {"price_where_none_belongs"}, {"SkuId": None, "SkuPriceId": None}),
    (CREDIT | {"SkuPriceId": "W/od"}, {"price_where_none_belongs"}, {"SkuId": "W", "SkuPriceId": None}),
    ({"SkuId": "", "SkuPriceId": ""}, {"sku_is_missing"}, {"SkuId": "Widgets:Widget hours", "SkuPriceId": "Widgets:Widget hours"}),
    ({"CommitmentDiscountStatus": "Used"}, {"commitment_without_id"}, {"CommitmentDiscountStatus": None}),
    (
        COVERED | {"CommitmentDiscountCategory": "", "CommitmentDiscountType": "", "CommitmentDiscountStatus": ""},
        {"commitment_is_not_described"},
        {"CommitmentDiscountCategory": "Spend", "CommitmentDiscountStatus": "Used", "CommitmentDiscountUnit": "USD"},
    ),
    (COVERED | UNUSED, {"commitment_is_not_the_resource"}, {"ResourceId": COMMITTED["CommitmentDiscountId"], "ConsumedQuantity": None}),
    ({"PricingCategory": "Committed"}, {"pricing_category_contradicts_commitment"}, {"PricingCategory": "Other"}),
    ({"ConsumedQuantity": "", "ConsumedUnit": ""}, {"consumed_quantity_is_missing"}, {"ConsumedQuantity": 2, "ConsumedUnit": "Hours"}),
    (TAX | {"ConsumedQuantity": "2"}, {"consumed_quantity_where_none_belongs"}, {"ConsumedQuantity": None}),
    ({"PricingUnit": "Zorks"}, {"unit_is_unknown"}, {"PricingUnit": "Units", "x_QuantitySource": "provider_unit_unknown"}),
    ({"ServiceName": "", "SkuMeter": "m"}, {"service_is_missing"}, {"ServiceName": "Nimbus"}),
    (
        {"ServiceName": "S1", "ServiceCategory": "Cloudy", "ServiceSubcategory": "Containers"},
        {"service_category_is_unknown"},
        {"ServiceCategory": "Compute", "ServiceSubcategory": "Containers"},
    ),
    (
        {"ServiceName": "Azure OpenAI", "ServiceSubcategory": ""},
        {"service_has_another_category"},
        {"ServiceCategory": "AI and Machine Learning", "ServiceSubcategory": "Generative AI", "x_ModelReason": "service_bills_no_model"},
    ),
    (
        {"ServiceName": "S2", "ServiceSubcategory": "Cloudy"},
        {"subcategory_is_not_of_the_category"},
        {"ServiceSubcategory": "Other (Compute)"},
    ),
    ({"RegionId": ""}, {"region_without_id"}, {"RegionId": "Europe", "RegionName": "Europe"}),
    ({"ResourceId": "arn:aws:rds:eu:1:db:prod"}, {"resource_type_is_missing"}, {"ResourceType": "rds:db"}),
    ({"ResourceName": "prod"}, {"resource_without_id"}, {"ResourceName": None}),
    ({"SubAccountId": ""}, {"sub_account_without_id"}, {"SubAccountName": None}),
    ({"PricingCurrency": "EUR"}, {"pricing_currency_without_amounts"}, {"PricingCurrency": "USD", "PricingCurrencyEffectiveCost": 2}),
    ({"Tags": '{"team":'}, {"text_is_no_json"}, {"Tags": None, "x_OwnerReason": "untagged"}),
]
# what is no fault, but written otherwise than FOCUS 1.4 writes it
DIALECTS: list[tuple[Row, dict[str, Any]]] = [
    ({"Tags": '"CostCenter": "77","env": "prod"'}, {"Tags": '{"CostCenter": "77","env": "prod"}', "x_Owner": "77"}),
    (
        {"Tags": '[{"Key":"team","Value":"a"},{"Key":"team","Value":"b"},{"Key":"e","Value":null}]'},
        {"Tags": '{"team":"a","e":null}', "x_Owner": "a"},
    ),
    ({"Tags": '{"a":{"b":[1]},"c":true}'}, {"Tags": '{"a":"{\\"b\\":[1]}","c":true}', "x_OwnerReason": "no_owner_tag"}),
    (
        {"SkuPriceDetails": '{"instancetype":"p5.48xlarge","GpuCount":"8","CoreCount":"many","x_term":"1yr","purchase option":"none"}'},
        {
            "SkuPriceDetails": '{"InstanceType":"p5.48xlarge","GpuCount":8,"x_CoreCount":"many","x_Term":"1yr","x_Purchaseoption":"none"}',
            "x_InstanceType": "p5.48xlarge",
        },
    ),
    (
        {"ProviderName": "Amazon Web Services", "InvoiceIssuerName": "Amazon Web Services EMEA SARL", "PricingUnit": "1 Hour"},
        {
            "ServiceProviderName": "AWS",
            "HostProviderName": "AWS",
            "InvoiceIssuerName": "AWS",
            "x_InvoicingEntity": "Amazon Web Services EMEA SARL",
            "PricingUnit": "Hours",
        },
    ),
    ({"ResourceId": "i-0abcdef1234567890", "ResourceType": "instance"}, {"x_NodeId": "i-0abcdef1234567890"}),
    (
        {"ResourceId": "/subscriptions/S/resourceGroups/R/providers/Microsoft.Compute/virtualMachines/Gpu1", "ResourceType": "vm"},
        {"x_NodeId": "/subscriptions/s/resourcegroups/r/providers/microsoft.compute/virtualmachines/gpu1"},
    ),
    (
        {"ResourceId": "//compute.googleapis.com/projects/p1/zones/z1/instances/gpu-1", "ResourceType": "vm"},
        {"x_NodeId": "p1/z1/gpu-1"},
    ),
    ({"ChargeCategory": "usage", "PricingCategory": "On-Demand"}, {"ChargeCategory": "Usage", "PricingCategory": "Standard"}),
    ({"RegionId": "global", "RegionName": "Global"}, {"RegionId": None, "RegionName": None}),
    (
        {
            "ProviderName": "Google LLC",
            "InvoiceIssuerName": "Google LLC",
            "BillingPeriodStart": "2026-10-01T07:00:00Z",
            "BillingPeriodEnd": "2026-11-01T07:00:00Z",
            "ChargePeriodStart": "2026-11-01T06:00:00Z",
            "ChargePeriodEnd": "2026-11-01T07:00:00Z",
        },
        {"InvoiceIssuerName": "Google Cloud", "x_BillingPeriod": "2026-10", "ChargeClass": None},
    ),
]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The fixture as `clean`, a row per fault as `dirty` and a row per dialect as `dialects`, built with every data test."""
    folder = tmp_path_factory.mktemp("focus_files")
    dirty = write_csv(folder / "dirty.csv", [charge(**changes) for changes, *_ in FAULTS])
    dialects = write_csv(folder / "dialects.csv", [charge(BillingAccountId="d", **changes) for changes, *_ in DIALECTS])
    clean = [FIXTURE / "part-1.csv", FIXTURE / "part-2.parquet"]
    return build(folder, {"clean": clean, "dirty": [dirty], "dialects": [dialects]})


def test_no_cent_of_what_was_delivered_changes(warehouse: Warehouse) -> None:
    sums = "sum({0}BilledCost), sum(coalesce({0}EffectiveCost, BilledCost)), count(*)"
    delivered = warehouse.rows(f"SELECT _source_id, {sums.format('')} FROM bronze.focus_files GROUP BY 1 ORDER BY 1")
    emitted = warehouse.rows(f"SELECT x_SourceId, {sums.format('')} FROM focus.cost_and_usage GROUP BY 1 ORDER BY 1")
    assert emitted == delivered
    assert emitted[0] == ("clean", Decimal("166.320000000001"), Decimal("166.320000000001"), 9)


def test_a_clean_file_has_no_fault(warehouse: Warehouse) -> None:
    assert warehouse.faults("clean") == {}
    assert warehouse.faults("dialects") == {}


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=[sorted(rules)[0] for _, rules, _ in FAULTS])
def test_a_fault_is_repaired_by_rule_or_kept_and_always_listed(warehouse: Warehouse, number: int) -> None:
    _, rules, shown = FAULTS[number]
    [emitted] = warehouse.rows(
        f"SELECT {', '.join(shown)} FROM focus.cost_and_usage WHERE x_SourceId = 'dirty' AND x_RowNumber = {number + 1}"
    )
    assert dict(zip(shown, emitted, strict=True)) == shown
    assert rules <= set(warehouse.faults("dirty"))


def test_every_fault_that_we_look_for_is_counted_row_by_row(warehouse: Warehouse) -> None:
    """Each rule of the list is planted here, as often as it is found: a rule that never fires would be a promise not kept."""
    expected: dict[str, int] = {}
    for _, rules, _ in FAULTS:
        for rule in rules:
            expected[rule] = expected.get(rule, 0) + 1
    found = warehouse.faults("dirty")
    several = {"service_has_several_categories", "sku_price_has_several_skus"}
    assert {rule: count for rule, count in found.items() if rule not in several} == expected
    known = {rule for (rule,) in warehouse.rows("SELECT rule_id FROM seeds.focus_faults")}
    assert known - several == set(expected)


@pytest.mark.parametrize("number", range(len(DIALECTS)))
def test_a_dialect_means_what_it_says(warehouse: Warehouse, number: int) -> None:
    _, shown = DIALECTS[number]
    [emitted] = warehouse.rows(
        f"SELECT {', '.join(shown)} FROM focus.cost_and_usage WHERE x_SourceId = 'dialects' AND x_RowNumber = {number + 1}"
    )
    assert dict(zip(shown, emitted, strict=True)) == shown


def test_a_fault_names_its_rule_place_and_treatment(warehouse: Warehouse) -> None:
    rows = warehouse.rows(
        "SELECT focus_rule, severity, row_count, example_object_key, example_row_number, example_value, treatment "
        "FROM marts.fct_focus_faults WHERE source_id = 'dirty' AND rule_id = 'charge_category_is_unknown'"
    )
    assert rows == [("ChargeCategory-C-003", "warn", 1, "dirty.csv", 12, "Refund", "Usage where empty, else Adjustment")]


@pytest.fixture
def damaged(warehouse: Warehouse, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy of the warehouse that a test may change."""
    shutil.copy(warehouse.path, tmp_path / "warehouse.duckdb")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        yield connection


def test_a_row_that_breaks_a_rule_beyond_the_listed_ones_stops_the_build(warehouse: Warehouse, damaged: duckdb.DuckDBPyConnection) -> None:
    """The allowance is exact: a row of ours that costs not what it is billed hides behind no vendor's fault."""
    test = warehouse.compiled_test("focus_uncovered_usage_costs_what_is_billed")
    assert damaged.execute(test).fetchall() == []
    damaged.execute("UPDATE focus.cost_and_usage SET EffectiveCost = EffectiveCost + 1 WHERE x_SourceId = 'dirty' AND x_RowNumber = 11")
    assert len(damaged.execute(test).fetchall()) == 2


@pytest.mark.parametrize(
    ("replaced", "condition", "is_double"),
    [
        ("'other' AS x_SourceId", "true", True),
        ("'other' AS x_SourceId, '/providers/x/billingAccounts/0042' AS BillingAccountId", "true", True),
        ("'other' AS x_SourceId, 'ws-9' AS SubAccountId", "true", False),
        ("'other' AS x_SourceId, 'EU-99' AS BillingAccountId", "true", False),
        ("'other' AS x_SourceId, 'Another' AS InvoiceIssuerName", "true", False),
        ("'other' AS x_SourceId, 0 AS BilledCost, 0 AS EffectiveCost", "true", False),
        ("'friend' AS x_SourceId", "true", False),
        ("'other' AS x_SourceId", "ChargeCategory = 'Purchase'", False),
    ],
    ids=["twice", "id_as_path", "sub_account", "account", "issuer", "free", "allowed", "azure_pair"],
)
def test_one_account_in_two_exports_is_not_counted_twice(
    warehouse: Warehouse, damaged: duckdb.DuckDBPyConnection, replaced: str, condition: str, is_double: bool
) -> None:
    """A second export of the same account stops the build, unless it is of another sub account, costs nothing, is allowed by
    vars.overlapping_exports, or has what the first has not (Azure: one has the purchases of commitments, its pair the rest).
    """
    copied = "INSERT INTO focus.cost_and_usage BY NAME SELECT * REPLACE ({}) FROM focus.cost_and_usage WHERE x_SourceId = 'clean' AND {}"
    damaged.execute(copied.format(replaced, condition))
    if condition != "true":
        damaged.execute(f"DELETE FROM focus.cost_and_usage WHERE x_SourceId = 'clean' AND {condition}")
    assert bool(damaged.execute(warehouse.compiled_test("assert_one_export_per_bill")).fetchall()) == is_double
