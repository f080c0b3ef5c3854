"""Google Cloud of a month: the detailed billing export, extracted to JSON lines, one export day with its manifest.

Traps that the real export has and this copy keeps: credits are nested and negative; a GPU machine is three meters; tokens are counted in
`count`; numbers of type NUMERIC are text; tax has no project.

Run alone: python -c "from pathlib import Path; from costlake.periods import BillingPeriod; from ingest.demo.gcp import write_month;
print(write_month(Path('demo/gcp'), 7, BillingPeriod.parse('2026-10'), '2026-10'))"
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

from costlake.periods import BillingPeriod
from ingest.demo.clouds import SERVING, STEADY, TOKENS, Use, plain, uses_of
from ingest.demo.shape import opaque
from ingest.demo.totals import Totals

ACCOUNT = "01C057-1A4E00-DE4000"
_COMPUTE, _VERTEX, _BIGQUERY = "6F81-5844-456A Compute Engine", "C7E2-9256-1C43 Vertex AI", "24E6-581D-38E5 BigQuery"
_PROJECTS = {"research": "costlake-demo-research", "product": "costlake-demo-product", "data": "costlake-demo-data"}
_DISCOUNT = Decimal("-0.1")
_PROMOTION = Decimal(-25)
_TAX = Decimal("12.5")


def _gpu(sku: str, meter: str, unit: str, rate: str, daily: float) -> Use:
    return Use(
        sku, meter, _COMPUTE, unit, Decimal(rate), daily, STEADY, "train-a3-0", "research", "a3-highgpu-8g", "us-central1-a", digits=1
    )


USES = (
    _gpu("6CF7-DA77-0001", "Nvidia H100 80GB GPU running in Americas", "hour", "9.79", 150.0),
    _gpu("6CF7-DA77-0002", "A3 Instance Core running in Americas", "hour", "0.0294", 3900.0),
    _gpu("6CF7-DA77-0003", "A3 Instance Ram running in Americas", "gibibyte hour", "0.0026", 35000.0),
    Use("FE10-0001-AAAA", "Gemini 2.5 Flash GA Text Input - Predictions", _VERTEX, "count", Decimal("0.0000003"), 310_000_000.0, TOKENS,
        "", "product", zone="us-central1", digits=0),
    Use("FE10-0001-BBBB", "Gemini 2.5 Flash GA Text Output - Predictions", _VERTEX, "count", Decimal("0.0000025"), 46_000_000.0, TOKENS,
        "", "product", zone="us-central1", digits=0),
    Use("FE10-0001-CCCC", "Gemini 2.5 Flash GA Input Text Caching", _VERTEX, "count", Decimal("0.000000075"), 120_000_000.0, TOKENS,
        "", "product", zone="us-central1", digits=0),
    Use("3D30-0002-DDDD", "Analysis (us-central1)", _BIGQUERY, "tebibyte", Decimal("6.25"), 14.0, SERVING, "", "data", digits=3),
)  # fmt: skip
Row = dict[str, object]


def write_month(root: Path, seed: int, period: BillingPeriod, last_month: str) -> Totals:
    """Write the month's extraction; returns its control totals."""
    used = list(uses_of(seed, "gcp", USES, period, last_month))
    exported = period.end.date() - dt.timedelta(days=1)
    rows = [_row(period, exported, day, use, quantity) for day, use, quantity in used]
    rows.append(_tax(period, exported))
    billed = sum((quantity * use.rate + _credit(day, use, quantity) for day, use, quantity in used), _TAX)
    folder = root / f"partition_date={exported}" / f"run_id={exported:%Y%m%d}T230000Z"
    folder.mkdir(parents=True, exist_ok=True)
    name = "billing-000000000000.ndjson"
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    manifest = {"files": [name], "row_count": len(rows), "max_export_time": f"{exported}T22:00:00Z"}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return Totals(len(rows), billed, billed)


def _credit(day: dt.date, use: Use, quantity: Decimal) -> Decimal:
    """A negotiated discount on GPUs; a promotion on the first day of each month's Gemini input."""
    if "GPU" in use.meter:
        return quantity * use.rate * _DISCOUNT
    return _PROMOTION if day.day == 1 and "Text Input" in use.meter else Decimal(0)


def _row(period: BillingPeriod, exported: dt.date, day: dt.date, use: Use, quantity: Decimal) -> Row:
    credit = _credit(day, use, quantity)
    kind = "DISCOUNT" if "GPU" in use.meter else "PROMOTION"
    project = _PROJECTS[use.team]
    resource = f"//compute.googleapis.com/projects/{project}/zones/{use.zone}/instances/{use.resource}" if use.resource else None
    cost = quantity * use.rate
    service, description = use.service.split(" ", 1)
    return {
        **_common(period, exported, day),
        "service": {"id": service, "description": description},
        "sku": {"id": use.sku, "description": use.meter},
        "project": {
            "id": project,
            "number": str(int(opaque(project, 10), 16)),
            "name": project,
            "labels": [{"key": "env", "value": "prod"}],
        },
        "labels": [{"key": "team", "value": use.team}],
        "system_labels": [{"key": "compute.googleapis.com/machine_spec", "value": use.machine}] if use.machine else [],
        "location": {"location": "us-central1", "country": "US", "region": "us-central1", "zone": use.zone if use.resource else None},
        "tags": [],
        "resource": {"name": use.resource or None, "global_name": resource},
        "cost": plain(cost),
        "cost_type": "regular",
        "usage": {"amount": plain(quantity), "unit": "count", "amount_in_pricing_units": plain(quantity), "pricing_unit": use.unit},
        "credits": [{"name": kind.title(), "full_name": kind.title(), "id": kind, "type": kind, "amount": plain(credit)}] if credit else [],
        "cost_at_list": plain(cost),
        "price": {
            "effective_price": plain(use.rate),
            "list_price": plain(use.rate),
            "tier_start_amount": "0",
            "unit": use.unit,
            "pricing_unit_quantity": "1",
        },
    }


def _tax(period: BillingPeriod, exported: dt.date) -> Row:
    return {
        **_common(period, exported, exported),
        "service": {"id": "TAX0-0000-0000", "description": "Invoice"},
        "sku": {"id": "A0FB-1341-A13E", "description": "Tax"},
        "project": None,
        "labels": [],
        "system_labels": [],
        "credits": [],
        "cost": plain(_TAX),
        "cost_type": "tax",
        "usage": {"amount": "0", "unit": "requests", "amount_in_pricing_units": "0", "pricing_unit": "count"},
    }


def _common(period: BillingPeriod, exported: dt.date, day: dt.date) -> Row:
    return {
        "billing_account_id": ACCOUNT,
        "invoice": {"month": f"{period.start:%Y%m}", "publisher_type": "GOOGLE"},
        # Mid-day, so that the day is the same in Google's billing time zone and in UTC.
        "usage_start_time": f"{day} 10:00:00 UTC",
        "usage_end_time": f"{day} 11:00:00 UTC",
        "export_time": f"{exported} 22:00:00.000000 UTC",
        "currency": "USD",
        "currency_conversion_rate": "1.0",
        "transaction_type": "GOOGLE",
        "seller_name": None,
        "adjustment_info": None,
    }
