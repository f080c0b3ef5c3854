"""Azure of a month: an export of actual and one of amortised cost, EA columns, each with its manifest.

Traps that real exports have and this copy keeps: both exports repeat the usage, only one has the reservation's purchase and only the
other its unused hours; tokens are sold by the thousand and million; tags come without braces; ids vary in case.

Run alone: python -c "from pathlib import Path; from costlake.periods import BillingPeriod; from ingest.demo.azure import write_month;
print(write_month(Path('demo/azure'), 7, BillingPeriod.parse('2026-10'), '2026-10'))"
"""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from costlake.periods import BillingPeriod
from ingest.demo import gateway
from ingest.demo.clouds import FLAT, SERVING, STEADY, TOKENS, TRAINING, Use, plain, uses_of
from ingest.demo.prices import MILLION
from ingest.demo.shape import opaque
from ingest.demo.totals import Totals

ACCOUNT = ("84739210", "costlake-demo on Azure")
SUBSCRIPTION = ("5f1c2d3e-0000-4000-8000-00000000c057", "costlake-demo-ml")
_GROUP = f"/subscriptions/{SUBSCRIPTION[0]}/resourceGroups"
_OPENAI = f"{_GROUP}/ai-prod/providers/Microsoft.CognitiveServices/accounts/costlake-demo-openai"
_RESERVATION = "/providers/microsoft.capacity/reservationOrders/9d1f0000-0000-4000-8000-000000000001"
_UNUSED_HOURS = Decimal(3)
COLUMNS = (
    "BillingAccountId", "BillingAccountName", "BillingPeriodStartDate", "BillingPeriodEndDate", "SubscriptionId", "SubscriptionName",
    "ResourceGroup", "ResourceLocation", "Date", "ProductName", "MeterCategory", "MeterSubCategory", "MeterId", "MeterName",
    "MeterRegion", "UnitOfMeasure", "Quantity", "EffectivePrice", "CostInBillingCurrency", "BillingCurrencyCode", "UnitPrice",
    "PayGPrice", "ConsumedService", "ResourceId", "ResourceName", "Tags", "AdditionalInfo", "ReservationId", "ReservationName",
    "ProductOrderId", "ProductOrderName", "Term", "PublisherType", "PublisherName", "ChargeType", "Frequency", "PricingModel",
    "ServiceFamily", "benefitId", "benefitName",
)  # fmt: skip


def _vm(name: str, team: str, meter: str, machine: str, rate: str, daily: float, committed: str | None = None) -> Use:
    return Use(
        f"vm-{machine}", meter, "Virtual Machines", "1 Hour", Decimal(rate), daily, TRAINING if "ND" in machine else STEADY,
        f"{_GROUP}/{team}/providers/Microsoft.Compute/virtualMachineScaleSets/{name}", team, machine, "westeurope",
        None if committed is None else Decimal(committed), cap=Decimal(24),
    )  # fmt: skip


def _tokens(meter: str, unit: str, rate: str, daily: float, team: str = "product") -> Use:
    return Use(f"aoai-{meter}", meter, "Cognitive Services", unit, Decimal(rate), daily, TOKENS, _OPENAI, team, digits=3)


USES = (
    _vm("aks-h100-vmss", "research", "ND96isr H100 v5", "Standard_ND96isr_H100_v5", "98.32", 21.5, committed="63.91"),
    _vm("aks-h100-spot-vmss", "research", "ND96isr H100 v5", "Standard_ND96isr_H100_v5", "98.32", 9.0),
    _vm("aks-system-vmss", "platform", "D16s v5", "Standard_D16s_v5", "0.768", 24.0),
    _tokens("gpt-4o-0806-Inp-glbl Tokens", "1K", "0.0025", 410_000),
    _tokens("gpt-4o-0806-Outp-glbl Tokens", "1K", "0.01", 86_000),
    _tokens("gpt 4o 0806 cached Inp glbl Tokens", "1K", "0.00125", 240_000),
    _tokens("GPT 5 Inpt Glbl", "1M", "1.25", 690.0, "platform"),
    _tokens("GPT 5 opt Glbl", "1M", "10", 74.0, "platform"),
    Use("aoai-ptu", "Provisioned Managed Global Unit", "Cognitive Services", "1 Hour", Decimal(1), 24.0 * gateway.UNITS, FLAT, _OPENAI,
        "product", digits=0),
    Use("blob-hot", "Hot LRS Data Stored", "Storage", "1 GB/Month", Decimal("0.0184"), 610.0, SERVING,
        f"{_GROUP}/data/providers/Microsoft.Storage/storageAccounts/costlakedemolake", "data", digits=3),
)  # fmt: skip
# what the units of the gateway's model did not take, billed by the token
_SPILL_OVER = {
    "uncached": _tokens("GPT 4.1 Inpt Glbl", "1M", "2", 0),
    "cache_read": _tokens("GPT 4.1 cchd Inpt Glbl", "1M", "0.5", 0),
    "output": _tokens("GPT 4.1 opt Glbl", "1M", "8", 0),
}
Row = dict[str, str]


def write_month(root: Path, seed: int, period: BillingPeriod, last_month: str) -> tuple[Totals, Totals]:
    """Write both exports of a month; returns the control totals of actual (the reservation's purchase alone) and of amortised."""
    used = [*uses_of(seed, "azure", USES, period, last_month), *_spilled(seed, period, last_month)]
    covered = [(day, use, quantity) for day, use, quantity in used if use.committed_rate is not None]
    hours = sum((quantity for _, _, quantity in covered), Decimal(0)) + _UNUSED_HOURS
    committed = covered[0][1].committed_rate or Decimal(0)
    purchase = hours * committed
    actual = [_usage(period, day, use, quantity, amortised=False) for day, use, quantity in used]
    actual.append(_commitment(period, "Purchase", "Recurring", hours, purchase))
    amortised = [_usage(period, day, use, quantity, amortised=True) for day, use, quantity in used]
    amortised.append(_commitment(period, "UnusedReservation", "UsageBased", _UNUSED_HOURS, _UNUSED_HOURS * committed))
    for name, kind, rows in (("actual", "ActualCost", actual), ("amortized", "AmortizedCost", amortised)):
        _write(root, name, kind, period, rows)
    usage = sum((quantity * use.rate for _, use, quantity in used if use.committed_rate is None), Decimal(0))
    return Totals(len(actual), purchase, Decimal(0)), Totals(len(amortised), usage, usage + purchase)


def _spilled(seed: int, period: BillingPeriod, last_month: str) -> Iterator[tuple[dt.date, Use, Decimal]]:
    for day, tokens in gateway.spill_over(seed, period, last_month).items():
        for name, use in _SPILL_OVER.items():
            yield day, use, Decimal(getattr(tokens, name)) / MILLION


def _usage(period: BillingPeriod, day: dt.date, use: Use, quantity: Decimal, *, amortised: bool) -> Row:
    reserved = use.committed_rate is not None
    price = (use.committed_rate or Decimal(0)) if reserved and amortised else Decimal(0) if reserved else use.rate
    info = {"ServiceType": use.machine} if use.machine else {}
    resource = use.resource if day.day % 2 else use.resource.replace("resourceGroups", "resourcegroups")
    return {
        **_common(period, day, use),
        "Quantity": plain(quantity),
        "EffectivePrice": plain(price),
        "CostInBillingCurrency": plain(quantity * price),
        "UnitPrice": plain(use.rate),
        "PayGPrice": plain(use.rate),
        "ResourceId": resource,
        "ResourceName": resource.rsplit("/", 1)[-1],
        "Tags": f'"team": "{use.team}","env": "prod"',
        "AdditionalInfo": json.dumps(info) if info else "",
        "ChargeType": "Usage",
        "Frequency": "UsageBased",
        **(_reservation() if reserved else {"PricingModel": "Spot" if "spot" in use.resource else "OnDemand"}),
    }


def _commitment(period: BillingPeriod, charge: str, frequency: str, hours: Decimal, cost: Decimal) -> Row:
    machine = USES[0]
    return {
        **_common(period, period.start.date(), machine),
        "Quantity": plain(hours),
        "EffectivePrice": plain(machine.committed_rate or Decimal(0)),
        "CostInBillingCurrency": plain(cost),
        "UnitPrice": plain(machine.committed_rate or Decimal(0)),
        "PayGPrice": "",
        "ResourceId": _RESERVATION,
        "ResourceName": "h100-1y",
        "ChargeType": charge,
        "Frequency": frequency,
        **_reservation(),
    }


def _reservation() -> Row:
    order = _RESERVATION.rsplit("/", 1)[-1]
    return {
        "PricingModel": "Reservation",
        "ReservationId": f"{_RESERVATION}/reservations/{order}",
        "ReservationName": "h100-1y",
        "ProductOrderId": order,
        "ProductOrderName": "Reserved VM Instance, ND96isr H100 v5, 1 Year",
        "Term": "12",
        "benefitId": f"{_RESERVATION}/reservations/{order}",
        "benefitName": "h100-1y",
    }


def _common(period: BillingPeriod, day: dt.date, use: Use) -> Row:
    last = period.end.date() - dt.timedelta(days=1)
    token = use.service == "Cognitive Services"
    return {
        "BillingAccountId": ACCOUNT[0],
        "BillingAccountName": ACCOUNT[1],
        "BillingPeriodStartDate": f"{period.start:%m/%d/%Y}",
        "BillingPeriodEndDate": f"{last:%m/%d/%Y}",
        "SubscriptionId": SUBSCRIPTION[0],
        "SubscriptionName": SUBSCRIPTION[1],
        "ResourceGroup": use.resource.split("/")[4],
        "ResourceLocation": "westeurope",
        "Date": f"{day:%m/%d/%Y}",
        "ProductName": f"{'Azure OpenAI' if token else use.service} - {use.meter}",
        "MeterCategory": use.service,
        "MeterSubCategory": "Azure OpenAI" if token else "NDsr H100 v5 Series" if "ND" in use.machine else "",
        "MeterId": opaque(use.sku, 32),
        "MeterName": use.meter,
        "MeterRegion": "EU West",
        "UnitOfMeasure": use.unit,
        "BillingCurrencyCode": "USD",
        "ConsumedService": use.resource.split("/providers/")[1].split("/")[0],
        "PublisherType": "Azure",
        "PublisherName": "Microsoft",
        "ServiceFamily": "AI + Machine Learning" if token else "Compute" if use.machine else "Storage",
    }


def _write(root: Path, name: str, kind: str, period: BillingPeriod, rows: list[Row]) -> None:
    last = period.end - dt.timedelta(days=1)
    run = f"{opaque(f'{name}/{period}', 8)}-0000-4000-8000-000000000000"
    relative = f"exports/{name}/{period.start:%Y%m%d}-{last:%Y%m%d}/{last:%Y%m%d}2300/{run}"
    folder = root / relative
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "part_0_0001.csv"
    with file.open("w", encoding="utf-8-sig", newline="") as sink:
        writer = csv.DictWriter(sink, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    size = file.stat().st_size
    manifest = {
        "manifestVersion": "2024-04-01",
        "byteCount": size,
        "blobCount": 1,
        "dataRowCount": len(rows),
        "exportConfig": {"exportName": name, "dataVersion": "2024-08-01", "type": kind, "timeFrame": "Custom", "granularity": "Daily"},
        "deliveryConfig": {
            "partitionData": True,
            "dataOverwriteBehavior": "CreateNewReport",
            "fileFormat": "Csv",
            "rootFolderPath": "exports",
        },
        "runInfo": {
            "executionType": "Scheduled",
            "submittedTime": f"{last:%Y-%m-%d}T23:00:00Z",
            "runId": run,
            "startDate": f"{period.start:%Y-%m-%d}T00:00:00",
            "endDate": f"{last:%Y-%m-%d}T00:00:00",
        },
        "blobs": [{"blobName": f"{relative}/{file.name}", "byteCount": size, "dataRowCount": len(rows)}],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
