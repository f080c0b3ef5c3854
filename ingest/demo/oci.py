"""Oracle Cloud of a month: cost reports, each file an immutable part of the month, as Oracle writes several a day.

Run alone: python -c "from pathlib import Path; from costlake.periods import BillingPeriod; from ingest.demo.oci import write_month;
print(write_month(Path('demo/oci'), 7, BillingPeriod.parse('2026-10'), '2026-10'))"
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
from decimal import Decimal
from pathlib import Path

from costlake.periods import BillingPeriod
from ingest.demo.clouds import STEADY, TOKENS, TRAINING, Use, uses_of
from ingest.demo.shape import opaque
from ingest.demo.totals import Totals

TENANCY = f"ocid1.tenancy.oc1..{opaque('costlake-demo', 40)}"
_SUBSCRIPTION = f"ocid1.organizationssubscription.oc1.eu-frankfurt-1.{opaque('costlake-demo-subscription', 40)}"
_FILES_A_MONTH = 2
COLUMNS = (
    "lineItem/referenceNo", "lineItem/tenantId", "lineItem/intervalUsageStart", "lineItem/intervalUsageEnd", "product/service",
    "product/compartmentId", "product/compartmentName", "product/region", "product/availabilityDomain", "product/resourceId",
    "usage/billedQuantity", "usage/billedQuantityOverage", "cost/subscriptionId", "cost/productSku", "product/Description",
    "cost/unitPrice", "cost/unitPriceOverage", "cost/myCost", "cost/myCostOverage", "cost/currencyCode", "cost/billingUnitReadable",
    "cost/skuUnitDescription", "cost/overageFlag", "lineItem/isCorrection", "lineItem/backreferenceNo", "tags/Oracle-Tags.CreatedBy",
    "tags/costlake.team",
)  # fmt: skip


def _instance(sku: str, meter: str, unit: str, rate: str, daily: float) -> Use:
    ocid = f"ocid1.instance.oc1.eu-frankfurt-1.{opaque('h100-0', 50)}"
    return Use(sku, meter, "COMPUTE", unit, Decimal(rate), daily, TRAINING, ocid, "research", "BM.GPU.H100.8", "eu-frankfurt-1", digits=1)


USES = (
    _instance("B98415", "GPU - H100 - Per Hour", "GPU Hours", "10", 170.0),
    Use("B91961", "Block Volume - Performance Units", "BLOCK_STORAGE", "GB Months", Decimal("0.0017"), 410.0, STEADY,
        f"ocid1.volume.oc1.eu-frankfurt-1.{opaque('volume-0', 50)}", "research", zone="eu-frankfurt-1"),
    Use("B108077", "Oracle Cloud Infrastructure Generative AI - Large Cohere", "GENERATIVE_AI", "10000 Transactions", Decimal("0.0156"),
        2300.0, TOKENS, f"ocid1.generativeaimodel.oc1.eu-frankfurt-1.{opaque('cohere-0', 50)}", "product", zone="eu-frankfurt-1"),
)  # fmt: skip


def write_month(root: Path, seed: int, period: BillingPeriod, last_month: str) -> Totals:
    """Write the month's files; returns their control totals together."""
    used = list(uses_of(seed, "oci", USES, period, last_month))
    folder = root / "reports" / "cost-csv"
    folder.mkdir(parents=True, exist_ok=True)
    for part in range(_FILES_A_MONTH):
        rows = [_row(day, use, quantity) for day, use, quantity in used if (day.day > 15) == bool(part)]
        _write(folder / f"{period.start:%Y%m}{part:010d}.csv.gz", rows)
    billed = sum((quantity * use.rate for _, use, quantity in used), Decimal(0))
    return Totals(len(used), billed, billed)


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(rows)
    # No name and no time in the archive: the same seed gives the same bytes.
    path.write_bytes(gzip.compress(text.getvalue().encode("utf-8"), mtime=0))


def _row(day: dt.date, use: Use, quantity: Decimal) -> dict[str, str]:
    return {
        "lineItem/referenceNo": opaque(f"{day}/{use.sku}", 32),
        "lineItem/tenantId": TENANCY,
        # Two formats in one row, as in the real file.
        "lineItem/intervalUsageStart": f"{day}T00:00Z",
        "lineItem/intervalUsageEnd": f"{day + dt.timedelta(days=1)}T00:00:00Z",
        "product/service": use.service,
        "product/compartmentId": TENANCY.replace("tenancy", "compartment"),
        "product/compartmentName": use.team,
        "product/region": use.zone,
        "product/availabilityDomain": f"{use.zone.upper()}-AD-1",
        "product/resourceId": use.resource,
        "usage/billedQuantity": f"{quantity:.18f}",
        "cost/subscriptionId": _SUBSCRIPTION,
        "cost/productSku": use.sku,
        "product/Description": use.meter,
        "cost/unitPrice": f"{use.rate:.18f}",
        "cost/myCost": f"{quantity * use.rate:.18f}",
        "cost/currencyCode": "USD",
        "cost/billingUnitReadable": f"ONE {use.unit}",
        "cost/skuUnitDescription": use.unit,
        "cost/overageFlag": "N",
        "lineItem/isCorrection": "false",
        "tags/costlake.team": use.team,
    }
