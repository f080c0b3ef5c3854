"""A GPU cloud that bills in euros and hands over FOCUS 1.2 files: no code of ours knows this vendor.

Run alone: python -c "from pathlib import Path; from costlake.periods import BillingPeriod; from ingest.demo.neocloud import write_month;
print(write_month(Path('demo/nimbus'), 7, BillingPeriod.parse('2026-10'), '2026-10'))"
"""

from __future__ import annotations

import csv
import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

from costlake.periods import BillingPeriod
from ingest.demo.clouds import TRAINING, Use, plain, uses_of
from ingest.demo.totals import Totals

VENDOR = "Nimbus GPU Cloud"
ACCOUNT = ("nimbus-4711", "costlake-demo on Nimbus")


def _gpu(name: str, rate: str, daily: float, machine: str) -> Use:
    return Use(f"nimbus-{name.lower()}-hour", f"{name} GPU hour, on demand", "GPU Instances", "Hours", Decimal(rate), daily, TRAINING,
               f"nimbus/{name.lower()}-pool-0", "research", machine, "eu-north-1", digits=1)  # fmt: skip


USES = (_gpu("H200", "3.10", 190.0, "nimbus.h200.8"), _gpu("L40S", "0.86", 310.0, "nimbus.l40s.4"))


def write_month(root: Path, seed: int, period: BillingPeriod, last_month: str) -> Totals:
    """Write the month's file and its manifest; returns the control totals (in EUR)."""
    used = list(uses_of(seed, "nimbus", USES, period, last_month))
    rows = [_row(period, day, use, quantity) for day, use, quantity in used]
    folder = root / period.label
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "focus.csv").open("w", encoding="utf-8", newline="") as sink:
        writer = csv.DictWriter(sink, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    manifest = {"files": ["focus.csv"], "row_count": len(rows)}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    billed = sum((quantity * use.rate for _, use, quantity in used), Decimal(0))
    return Totals(len(rows), billed, billed)


def _row(period: BillingPeriod, day: dt.date, use: Use, quantity: Decimal) -> dict[str, str]:
    cost, price, amount = plain(quantity * use.rate), plain(use.rate), plain(quantity)
    return {
        "ProviderName": VENDOR,
        "PublisherName": VENDOR,
        "InvoiceIssuerName": VENDOR,
        "InvoiceId": f"NB-{period.label}",
        "BillingAccountId": ACCOUNT[0],
        "BillingAccountName": ACCOUNT[1],
        "BillingAccountType": "Contract",
        "BillingPeriodStart": f"{period.start:%Y-%m-%dT%H:%M:%SZ}",
        "BillingPeriodEnd": f"{period.end:%Y-%m-%dT%H:%M:%SZ}",
        "ChargePeriodStart": f"{day}T00:00:00Z",
        "ChargePeriodEnd": f"{day + dt.timedelta(days=1)}T00:00:00Z",
        "ChargeCategory": "Usage",
        "ChargeClass": "NULL",
        "ChargeDescription": use.meter,
        "ChargeFrequency": "Usage-Based",
        "BilledCost": cost,
        "EffectiveCost": cost,
        "ListCost": cost,
        "ContractedCost": cost,
        "ListUnitPrice": price,
        "ContractedUnitPrice": price,
        "PricingCategory": "Standard",
        "PricingQuantity": amount,
        "PricingUnit": use.unit,
        "ConsumedQuantity": amount,
        "ConsumedUnit": use.unit,
        "BillingCurrency": "EUR",
        "PricingCurrency": "EUR",
        "ServiceName": use.service,
        "ServiceCategory": "Compute",
        "ServiceSubcategory": "Virtual Machines",
        "SkuId": use.sku,
        "SkuPriceId": f"{use.sku}/eur",
        "SkuMeter": "GPU hours",
        "SkuPriceDetails": json.dumps({"InstanceType": use.machine, "GpuCount": 8 if "h200" in use.machine else 4}),
        "ResourceId": use.resource,
        "ResourceName": "NULL",
        "ResourceType": "GPU pool",
        "RegionId": use.zone,
        "RegionName": "EU North",
        "Tags": json.dumps({"team": use.team}),
    }
