"""Rows of a vendor's FOCUS file, made here: a good one, and a CSV of any.

Data flow: `charge(...)` → `write_csv` → the reader under test.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

Row = dict[str, str]

GOOD: Row = {
    "ProviderName": "Nimbus",
    "InvoiceIssuerName": "Nimbus",
    "BillingAccountId": "0042",
    "BillingAccountName": "Example Inc.",
    "BillingCurrency": "USD",
    "BillingPeriodStart": "2026-10-01T00:00:00Z",
    "BillingPeriodEnd": "2026-11-01T00:00:00Z",
    "ChargePeriodStart": "2026-10-05T10:00:00Z",
    "ChargePeriodEnd": "2026-10-05T11:00:00Z",
    "ChargeCategory": "Usage",
    "ChargeClass": "",
    "ChargeDescription": "Widget hours",
    "ChargeFrequency": "Usage-Based",
    "BilledCost": "2.00",
    "EffectiveCost": "2.00",
    "ListCost": "3.00",
    "ContractedCost": "2.00",
    "ListUnitPrice": "1.50",
    "ContractedUnitPrice": "1.00",
    "PricingCategory": "Standard",
    "PricingQuantity": "2",
    "PricingUnit": "Hours",
    "ConsumedQuantity": "2",
    "ConsumedUnit": "Hours",
    "ServiceName": "Widgets",
    "ServiceCategory": "Compute",
    "ServiceSubcategory": "Containers",
    "SkuId": "W",
    "SkuMeter": "Widget hours",
    "SkuPriceId": "W/od",
    "SubAccountId": "ws-1",
    "SubAccountName": "research",
    "RegionId": "eu-1",
    "RegionName": "Europe",
    "ResourceId": "",
    "Tags": '{"team":"research"}',
}


def charge(**changes: str) -> Row:
    """The good row with some columns changed."""
    return GOOD | changes


def write_csv(path: Path, rows: Sequence[Row], columns: Sequence[str] | None = None) -> Path:
    """A CSV of the rows, with all columns that any of them has (or those named)."""
    names = list(columns or dict.fromkeys(name for row in rows for name in row))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path
