"""Azure bills mean under FOCUS what they say: each dollar once over a pair, blocks divided out, names from the seeds.

Data flow: azure_estate.py → ingest → dbt → FOCUS → the figures asserted here.
Alone: `pytest tests/dbt/test_azure_bills.py`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ingest.source import source_named
from tests.dbt.azure_estate import UNITS
from tests.dbt.azure_project import Azure


def lines(azure: Azure, source: str, *columns: str) -> list[tuple[Any, ...]]:
    """The columns of a source's rows, in the order of the bill."""
    return azure.rows(
        f"SELECT {', '.join(columns)} FROM focus.cost_and_usage WHERE x_SourceId = '{source}' ORDER BY x_ObjectKey, x_RowNumber"
    )


def test_a_pair_is_billed_what_the_actual_export_says_and_costs_what_was_amortized(azure: Azure) -> None:
    sql = "SELECT x_SourceId, sum(BilledCost), sum(EffectiveCost) FROM focus.cost_and_usage GROUP BY 1"
    sums = {source: (billed, effective) for source, billed, effective in azure.rows(sql)}
    assert sums["pair-actual"] == (110, 0)
    assert sums["pair-amortized"] == (Decimal("215.1000564902"), Decimal("222.8400564902"))
    assert sums["pair-actual"][0] + sums["pair-amortized"][0] == Decimal("325.1000564902")


def test_focus_is_what_the_source_measures_in_bronze(azure: Azure) -> None:
    for name in ("azure_actual", "azure_amortized"):
        measures = source_named(name).measures
        bronze = azure.rows(f"SELECT _source_id, sum({measures['billed']}), sum({measures['effective']}) FROM bronze.{name} GROUP BY 1")
        focus = azure.rows("SELECT x_SourceId, sum(BilledCost), sum(EffectiveCost) FROM focus.cost_and_usage GROUP BY 1")
        found = {source: sums for source, *sums in focus}
        assert {source: found.get(source, [0, 0]) for source, *_ in bronze} == {source: sums for source, *sums in bronze}


def test_a_paired_actual_export_gives_the_trade_in_commitments_alone(azure: Azure) -> None:
    reservation = "/providers/microsoft.capacity/reservationorders/aaaa1111-0000-4000-8000-000000000000/reservations/bbbb2222-0000-4000-8000-000000000000"
    plan = "/providers/microsoft.billingbenefits/savingsplanorders/cccc3333-0000-4000-8000-000000000000/savingsplans/dddd4444-0000-4000-8000-000000000000"
    found = lines(
        azure, "pair-actual", "x_LineItemType", "ChargeCategory", "BilledCost", "EffectiveCost", "CommitmentDiscountId", "ResourceId"
    )
    assert found == [
        ("Purchase", "Purchase", 120, 0, reservation, reservation),
        ("Refund", "Purchase", -20, 0, reservation, reservation),
        ("Purchase", "Purchase", 10, 0, plan, plan),
    ]


def test_covered_and_idle_commitments_are_not_billed_but_cost_their_share(azure: Azure) -> None:
    wanted = ("x_LineItemType", "CommitmentDiscountStatus", "CommitmentDiscountType", "BilledCost", "EffectiveCost", "PricingCategory")
    found = [row for row in lines(azure, "pair-amortized", *wanted) if row[1] is not None]
    assert found == [
        ("Usage", "Used", "Reservation", 0, Decimal("2.64"), "Committed"),
        ("Usage", "Used", "Savings Plan", 0, Decimal("3.6"), "Committed"),
        ("UnusedReservation", "Unused", "Reservation", 0, Decimal("1.1"), "Committed"),
        ("UnusedSavingsPlan", "Unused", "Savings Plan", 0, Decimal("0.4"), "Committed"),
    ]


def test_an_actual_export_alone_is_on_a_cash_basis(azure: Azure) -> None:
    found = lines(azure, "alone", "ChargeCategory", "BilledCost", "EffectiveCost", "CommitmentDiscountId")
    assert found == [("Usage", 1, 1, None), ("Purchase", 9, 9, None)]


def test_blocks_are_divided_out_of_quantities_and_prices(azure: Azure) -> None:
    wanted = ("SkuMeter", "PricingQuantity", "PricingUnit", "ConsumedQuantity", "ListUnitPrice", "ContractedUnitPrice", "ListCost")
    found = {row[0]: row[1:] for row in lines(azure, "pair-amortized", *wanted)}
    assert found["gpt-4o-1120-Inp-glbl Tokens"] == (
        2_500_000, "Tokens", 2_500_000, Decimal("0.0000025"), Decimal("0.0000025"), Decimal("6.25"),
    )  # fmt: skip
    assert found["Hot Write Operations"] == (125_000, "Units", 125_000, Decimal("0.0000055"), Decimal("0.000005"), Decimal("0.6875"))
    assert found["P30 LRS Disk"][:2] == (Decimal("0.5"), "Unit-Months")
    assert found["Class 2 Operations"][:3] == (129, "Units", 129)


def test_prices_in_another_currency_are_converted_at_the_rate_of_the_bill(azure: Azure) -> None:
    wanted = (
        "BillingCurrency", "PricingCurrency", "ListUnitPrice", "PricingCurrencyListUnitPrice", "PricingCurrencyEffectiveCost",
        "PricingUnit", "ConsumedQuantity", "ConsumedUnit",
    )  # fmt: skip
    tokens, sql, _ = lines(azure, "mca", *wanted)
    assert tokens == ("EUR", "USD", Decimal("0.000001"), Decimal("0.00000125"), Decimal("3.75"), "Tokens", 3_000_000, "Tokens")
    # a price with too few digits for 12 decimals stays a price of its block, or list cost would be wrong by a tenth
    assert sql == ("EUR", "USD", Decimal("0.00036"), Decimal("0.00045"), Decimal("0.000225"), "100000000 Units", 50_000_000, "Units")


def test_a_unit_that_no_rule_reads_says_so_and_keeps_its_money(azure: Azure) -> None:
    found = lines(azure, "mca", "ServiceName", "ServiceCategory", "PricingUnit", "x_QuantitySource", "BilledCost", "ContractedCost")[2]
    assert found == ("Teleportation", "Other", "Units", "bill_without_list_price_unit_unknown", Decimal("1.6"), Decimal("1.6"))


def test_units_are_read_by_rule(azure: Azure) -> None:
    """A text that no rule knows (None) counts units and says so."""
    found = lines(azure, "units", "ChargeDescription", "ConsumedQuantity", "ConsumedUnit", "PricingUnit", "x_QuantitySource")
    read = {int(number): (int(quantity), None if source.endswith("unit_unknown") else unit) for number, quantity, unit, _, source in found}
    assert {text: read[number] for number, text in enumerate(UNITS)} == UNITS
    assert [unit for *_, unit, _ in found] == [unit for _, _, unit, *_ in found]


def test_services_machines_and_nodes_are_named(azure: Azure) -> None:
    wanted = ("SkuMeter", "ServiceName", "ServiceSubcategory", "x_InstanceType", "x_NodeId", "PricingCategory")
    found = {row[0]: row[1:] for row in lines(azure, "pair-amortized", *wanted)}
    node = "/subscriptions/0f1e2d3c-0000-4000-8000-000000000001/resourcegroups/mc_train/providers/microsoft.compute/virtualmachinescalesets/aks-gpu-1-vmss"
    assert found["ND96isr H100 v5 Spot"] == (
        "Virtual Machine Scale Sets", "Virtual Machines", "Standard_ND96isr_H100_v5", node, "Dynamic",
    )  # fmt: skip
    assert found["NC24ads A100 v4"][:4] == ("Azure Machine Learning", "Machine Learning", "Standard_NC24ads_A100_v4", None)
    assert found["gpt-4o-1120-Inp-glbl Tokens"][:2] == ("Azure OpenAI", "Generative AI")
    assert found["P30 LRS Disk"][:2] == ("Azure Disk Storage", "Block Storage")
    assert lines(azure, "mca", "ServiceName", "InvoiceId")[0] == ("Azure OpenAI", "G012")


def test_ids_that_vary_in_case_are_one_resource(azure: Azure) -> None:
    found = azure.rows(
        "SELECT DISTINCT ResourceId FROM focus.cost_and_usage WHERE ResourceId ILIKE '%aks-gpu-1-vmss' AND x_SourceId LIKE 'pair%'"
    )
    assert len(found) == 1


def test_marketplace_names_its_publisher_and_tags_without_braces_are_read(azure: Azure) -> None:
    wanted = ("ChargeDescription", "ServiceProviderName", "InvoiceIssuerName", "x_Owner", "Tags", "ChargeClass")
    found = {row[0]: row[1:] for row in lines(azure, "pair-amortized", *wanted)}
    assert found["Contoso Labeling"][:2] == ("Contoso AI", "Microsoft")
    assert found["Virtual Machines Dsv5 Series - D4s v5 - US East 2"][2:] == ("vision", '{"team": "vision","env": "prod"}', "Correction")
    assert found["Azure OpenAI - gpt-4o-1120-Inp-glbl Tokens"][2] == "4711"


def test_an_account_counted_twice_and_a_pair_with_a_gap_are_caught(azure: Azure) -> None:
    def caught(test: str) -> set[str]:
        return {row[0] for row in azure.rows(azure.tests[test])}

    assert {row[:2] for row in azure.rows(azure.tests["azure_account_is_counted_once"])} == {("double", "double-amortized")}
    assert caught("azure_pair_is_whole") == {"nowhere", "short-amortized"}
    assert caught("azure_pair_adds_up") == {"nowhere", "short-amortized"}


def test_an_amortized_export_alone_is_known_to_lack_its_purchases(azure: Azure) -> None:
    assert azure.rows(azure.tests["azure_amortized_has_its_purchases"]) == []
    unpaired = azure.tests["azure_amortized_has_its_purchases"].replace("actual._amortized_by is null", "true")
    assert [row[:2] for row in azure.rows(unpaired)] == [("pair-amortized", "2026-10")]


def test_azure_rows_keep_every_focus_rule(azure: Azure) -> None:
    broken = {name: found for name, sql in azure.tests.items() if name.startswith("focus_") and (found := azure.rows(sql))}
    assert broken == {}
