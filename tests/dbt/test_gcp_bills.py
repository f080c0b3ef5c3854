"""Google Cloud bills keep every cent and mean what FOCUS says: credits, commitments, formats, Pacific months, real files.

Data flow: the fixture in every format, vendor-shaped files → ingest → bronze → dbt → FOCUS → the figures asserted here.
Alone: `pytest tests/dbt/test_gcp_bills.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.dbt.gcp_project import REAL_FILES, rows

COVERED = "committed-use/resource/6F81-5844-456A/0A1B2C-3D4E5F-678901"


def lines(warehouse: Path, *columns: str) -> dict[tuple[str, str], Any]:
    """(SKU text, line type) → the columns (one: its value), of the fixture. Credits have their line's text in x_UsageType."""
    found = rows(
        warehouse, f"SELECT x_UsageType, x_LineItemType, {', '.join(columns)} FROM focus.cost_and_usage WHERE x_SourceId = 'fixture'"
    )
    return {(row[0], row[1]): row[2] if len(columns) == 1 else row[2:] for row in found}


def test_every_row_of_the_export_is_billed_with_its_credits_exactly(gcp_warehouse: Path) -> None:
    lost = rows(
        gcp_warehouse,
        """
        WITH bill AS (
            SELECT _source_id, _object_key, _row_number, CAST(cost + coalesce(list_sum([c.amount for c in credits]), 0) AS DECIMAL(38, 12)) AS net
            FROM bronze.gcp_billing
        ), focus AS (
            SELECT x_SourceId, x_ObjectKey, x_RowNumber, sum(BilledCost) AS billed FROM focus.cost_and_usage GROUP BY ALL
        )
        SELECT * FROM bill FULL JOIN focus ON _source_id = x_SourceId AND _object_key = x_ObjectKey AND _row_number = x_RowNumber
        WHERE net IS DISTINCT FROM billed
        """,
    )
    assert lost == []


def test_the_cost_of_commitments_moves_between_rows_and_none_is_lost(gcp_warehouse: Path) -> None:
    sums = rows(
        gcp_warehouse,
        "SELECT x_BillingPeriod, sum(BilledCost), sum(EffectiveCost) FROM focus.cost_and_usage WHERE x_SourceId = 'fixture' GROUP BY 1 ORDER BY 1",
    )
    assert sums == [("2026-10", Decimal("102.328"), Decimal("102.328")), ("2026-11", Decimal(98), Decimal(98))]
    per_commitment = rows(
        gcp_warehouse,
        "SELECT CommitmentDiscountId, sum(BilledCost), sum(EffectiveCost) FROM focus.cost_and_usage "
        "WHERE x_SourceId = 'fixture' AND CommitmentDiscountId IS NOT NULL GROUP BY 1",
    )
    assert {name: (billed, effective) for name, billed, effective in per_commitment} == {
        COVERED: (Decimal("1.5"), Decimal("1.5")),
        "sub-0001": (2, 2),
        "committed-use/spend/9662-B51E-5089/0A1B2C-3D4E5F-678901": (2, 2),
        "committed-use/spend/152E-C115-5142/0A1B2C-3D4E5F-678901": (Decimal("0.7"), Decimal("0.7")),
    }


def test_an_older_commitment_costs_what_it_covered_its_share_of_the_fee(gcp_warehouse: Path) -> None:
    found = lines(gcp_warehouse, "BilledCost", "round(EffectiveCost, 6)", "PricingQuantity", "CommitmentDiscountStatus")
    assert ("A3 Instance Core running in Iowa", "regular") not in found
    assert found["A3 Instance Core running in Iowa", "regular:Covered"] == (0, Decimal("1.285714"), 208, "Used")
    assert found["N2 Instance Core running in Iowa", "regular:Covered"] == (0, Decimal("0.214286"), 1, "Used")
    assert found["Cloud SQL for MySQL: Zonal - vCPU in Iowa", "regular:Covered"] == (0, 2, 4, "Used")
    assert found["Commitment v1: Cpu in Iowa for 1 Year", "regular"] == (Decimal("1.5"), 0, 1, None)


def test_a_commitment_in_the_price_is_neither_counted_twice_nor_lost(gcp_warehouse: Path) -> None:
    found = lines(gcp_warehouse, "BilledCost", "EffectiveCost", "ContractedCost", "ListCost")
    fee = "Commitment - dollar based v1: GCE for 1 year"
    assert found[fee, "regular"] == (2, 0, 10, 10)
    assert found[fee, "regular:Unused"] == (0, 2, 2, 2)
    assert found["C3 Instance Core running in Iowa", "regular"] == (8, 8, 10, 11)
    assert found["Commitment - dollar based v1: Cloud Run for 1 year", "regular:Unused"][1] == Decimal("0.7")


def test_a_promotion_pays_a_charge_and_does_not_lower_its_price(gcp_warehouse: Path) -> None:
    found = lines(gcp_warehouse, "ChargeCategory", "BilledCost", "EffectiveCost", "ListCost")
    meter = "Gemini 2.5 Flash GA Text Input - Predictions"
    assert found[meter, "regular"] == ("Usage", Decimal("0.35"), Decimal("0.35"), Decimal("0.45"))
    assert found[meter, "regular:Credit1"] == ("Credit", *[Decimal("-0.05")] * 3)
    assert found[meter, "regular:Credit2"] == ("Credit", *[Decimal("-0.02")] * 3)


def test_only_a_closed_month_is_corrected_and_late_usage_stays_in_its_invoice(gcp_warehouse: Path) -> None:
    classes = rows(
        gcp_warehouse,
        "SELECT x_BillingPeriod, ChargePeriodStart::VARCHAR, ChargeClass FROM focus.cost_and_usage "
        "WHERE x_SourceId = 'fixture' AND (ChargeClass IS NOT NULL OR x_UsageType LIKE 'Standard%' OR x_UsageType LIKE 'Provisioned%') ORDER BY 1, 2",
    )
    assert classes == [
        ("2026-10", "2026-09-30 05:00:00+00", "Correction"),
        ("2026-10", "2026-10-31 22:00:00+00", None),
        ("2026-11", "2026-10-10 10:00:00+00", "Correction"),
        ("2026-11", "2026-11-01 07:00:00+00", None),
    ]


def test_a_month_ends_when_it_does_in_california(gcp_warehouse: Path) -> None:
    bounds = rows(
        gcp_warehouse, "SELECT DISTINCT BillingPeriodStart::VARCHAR, BillingPeriodEnd::VARCHAR FROM focus.cost_and_usage "
        "WHERE x_SourceId = 'fixture' ORDER BY 1",
    )  # fmt: skip
    # daylight saving ends on 1 November
    assert bounds == [
        ("2026-10-01 07:00:00+00", "2026-11-01 07:00:00+00"),
        ("2026-11-01 07:00:00+00", "2026-12-01 08:00:00+00"),
    ]


def test_a_gpu_machine_is_found_by_its_node_and_owner(gcp_warehouse: Path) -> None:
    found = lines(
        gcp_warehouse, "x_NodeId", "x_InstanceType", "x_Owner", "PricingQuantity", "PricingUnit", "ConsumedQuantity", "ConsumedUnit"
    )
    machine = ("ml-train/us-central1-a/train-0", "a3-highgpu-8g", "research")
    assert found["Nvidia H100 80GB GPU running in Iowa", "regular"] == (*machine, 8, "Hours", 28_800, "Seconds")
    assert found["A3 Instance Core running in Iowa", "regular:Covered"] == (*machine, 208, "Hours", 748_800, "Seconds")
    memory = found["A3 Instance Ram running in Iowa", "regular"]
    assert (*memory[:3], memory[4], memory[6]) == (*machine, "GiB-Hours", "GiB-Hours")
    assert round(memory[5], 3) == 1872


def test_tokens_are_counted_as_tokens_whatever_their_unit_says(gcp_warehouse: Path) -> None:
    found = lines(gcp_warehouse, "ConsumedQuantity", "ConsumedUnit", "PricingQuantity", "PricingUnit", "ContractedUnitPrice")
    expected = (1_500_000, "Tokens", Decimal("1.5"), "1000000 Tokens", Decimal("0.3"))
    assert found["Gemini 2.5 Flash GA Text Input - Predictions", "regular"] == expected
    assert found["Claude Sonnet 4.5 Input Tokens", "regular"] == (100_000, "Tokens", Decimal("0.1"), "1000000 Tokens", 3)


def test_labels_keep_their_keys_and_the_others_say_whose_they_are(gcp_warehouse: Path) -> None:
    tags = json.loads(lines(gcp_warehouse, "Tags")["Nvidia H100 80GB GPU running in Iowa", "regular"])
    assert tags == {
        "team": "research",
        "spot-ok": True,
        "project:env": "prod",
        "gcp:compute.googleapis.com/machine_spec": "a3-highgpu-8g",
        "gcp:compute.googleapis.com/cores": "208",
        "tag:organizations/77/env": "prod",
    }


def test_a_marketplace_model_is_its_sellers_and_tax_has_no_project(gcp_warehouse: Path) -> None:
    found = lines(gcp_warehouse, "ServiceProviderName", "InvoiceIssuerName", "ServiceCategory", "SubAccountId")
    assert found["Claude Sonnet 4.5 Input Tokens", "regular"] == ("Anthropic PBC", "Google Cloud", "AI and Machine Learning", "ml-train")
    assert found["US sales tax", "tax"] == ("Google Cloud", "Google Cloud", "Other", None)


@pytest.mark.parametrize("other", ["parquet", "csv"])
def test_a_format_gives_the_same_focus_rows(gcp_warehouse: Path, other: str) -> None:
    content = "SELECT * EXCLUDE (x_SourceId, x_DeliveryId, x_ObjectKey, x_RowNumber) FROM focus.cost_and_usage WHERE x_SourceId = '{}' "
    for left, right in (("lines", other), (other, "lines")):
        assert rows(gcp_warehouse, f"{content.format(left)} EXCEPT ALL {content.format(right)}") == []


@pytest.mark.parametrize("export", REAL_FILES)
def test_real_files_are_billed_to_the_last_digit(gcp_warehouse: Path, shared_path: Callable[[str], Path], export: str) -> None:
    path, billed = REAL_FILES[export]
    shared_path(path)
    sums = rows(gcp_warehouse, f"SELECT sum(BilledCost), sum(EffectiveCost) FROM focus.cost_and_usage WHERE x_SourceId = '{export}'")
    assert sums == [(Decimal(billed), Decimal(billed))]
