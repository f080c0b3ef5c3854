"""Azure exports as Azure lays them out, with the rows that a test needs: headers of EA and MCA, parts, manifests.

Data flow: rows (dicts) → `csv_text` → `write_run` → a run folder with its manifest.
Alone: `write_run(folder, "20261001-20261031/202611020415/run-1", [csv_text(EA, rows)])`.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, str]

# The columns of Azure's EA cost details, version 2024-08-01, in their order.
EA = (
    "InvoiceSectionName AccountName AccountOwnerId SubscriptionId SubscriptionName ResourceGroup ResourceLocation Date ProductName "
    "MeterCategory MeterSubCategory MeterId MeterName MeterRegion UnitOfMeasure Quantity EffectivePrice CostInBillingCurrency CostCenter "
    "ConsumedService ResourceId Tags OfferId AdditionalInfo ServiceInfo1 ServiceInfo2 ResourceName ReservationId ReservationName UnitPrice "
    "ProductOrderId ProductOrderName Term PublisherType PublisherName ChargeType Frequency PricingModel AvailabilityZone BillingAccountId "
    "BillingAccountName BillingCurrencyCode BillingPeriodStartDate BillingPeriodEndDate BillingProfileId BillingProfileName "
    "InvoiceSectionId IsAzureCreditEligible PartNumber PayGPrice PlanName ServiceFamily CostAllocationRuleName benefitId benefitName "
    "AccountId ResourceLocationNormalized"
).split()
# Those of an MCA account, in camel case.
MCA = (
    "invoiceId billingAccountId billingAccountName billingProfileId billingProfileName invoiceSectionName resellerName costCenter "
    "billingPeriodEndDate billingPeriodStartDate date serviceFamily consumedService meterId meterName meterCategory meterSubCategory "
    "meterRegion ProductId ProductName SubscriptionId subscriptionName publisherType publisherName resourceGroupName ResourceId "
    "resourceLocation effectivePrice quantity unitOfMeasure chargeType billingCurrency pricingCurrency costInBillingCurrency "
    "costInPricingCurrency paygCostInBillingCurrency exchangeRatePricingToBilling additionalInfo tags PayGPrice frequency term "
    "reservationId pricingModel unitPrice benefitId benefitName"
).split()

EA_DEFAULTS: Row = {
    "SubscriptionId": "0f1e2d3c-0000-4000-8000-000000000001",
    "SubscriptionName": "Research",
    "ResourceLocation": "EastUS2",
    "Date": "10/03/2026",
    "PublisherType": "Azure",
    "ChargeType": "Usage",
    "Frequency": "UsageBased",
    "PricingModel": "OnDemand",
    "BillingAccountId": "00123456",
    "BillingAccountName": "Example Inc.",
    "BillingCurrencyCode": "EUR",
    "BillingPeriodStartDate": "10/01/2026",
    "BillingPeriodEndDate": "10/31/2026",
    "BillingProfileId": "00123456",
    "BillingProfileName": "Example Inc.",
    "AccountOwnerId": "owner@example.com",
}


def csv_text(header: Sequence[str], rows: Sequence[Row], defaults: Row = EA_DEFAULTS) -> str:
    """A part: header and rows; a column that neither row nor defaults name is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        unknown = set(row) - set(header)
        assert not unknown, unknown
        writer.writerow([row.get(name, defaults.get(name, "")) for name in header])
    return out.getvalue()


def write_run(
    root: Path,
    folder: str,
    parts: Sequence[str],
    *,
    kind: str | None = "ActualCost",
    submitted: str | None = None,
    manifest: str = "manifest.json",
    ending: str = ".csv",
    change: Mapping[str, Any] | None = None,
) -> Path:
    """A run folder below `root`; `change` replaces members of the manifest. Returns the folder."""
    place = root / folder
    place.mkdir(parents=True)
    blobs = []
    for number, text in enumerate(parts):
        name = f"part_{number}_0001{ending}"
        content = text.encode()
        (place / name).write_bytes(gzip.compress(content, mtime=0) if ending.endswith(".gz") else content)
        rows = sum(1 for _ in csv.reader(io.StringIO(text.lstrip("\ufeff")))) - 1
        blobs.append({"blobName": f"exports/finance/{folder}/{name}", "byteCount": (place / name).stat().st_size, "dataRowCount": rows})
    content_of: dict[str, Any] = {
        "manifestVersion": "2024-04-01" if kind else "2021-01-01",
        "byteCount": sum(blob["byteCount"] for blob in blobs),
        "blobCount": len(blobs),
        "dataRowCount": sum(blob["dataRowCount"] for blob in blobs),
        "blobs": blobs,
    }
    if kind:
        content_of["exportConfig"] = {"exportName": "finance", "type": kind, "dataVersion": "2024-08-01", "granularity": "Daily"}
        content_of["deliveryConfig"] = {"partitionData": True, "fileFormat": "Csv", "rootFolderPath": "exports"}
    if submitted:
        content_of["runInfo"] = {"executionType": "Scheduled", "submittedTime": submitted, "runId": folder.rpartition("/")[2]}
    (place / manifest).write_text(json.dumps({**content_of, **(change or {})}, indent=1) + "\n", encoding="utf-8")
    return place
