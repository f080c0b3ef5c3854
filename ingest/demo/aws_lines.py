"""One CUR 2.0 row at a time: (bill month, resource, day, amount) → cells as AWS names them, with the row's effective cost beside them.

The effective cost isn't a column of the file: the generator knows it, and `expected.json` is summed from it, so that
it checks the product's own rules (coverage, negation, unused commitment) instead of repeating them. All money is USD
Decimals.

Run alone: it has no output of its own; `python -m pytest tests/ingest/demo` builds a bill from it.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from dataclasses import dataclass
from decimal import Decimal

from costlake.periods import BillingPeriod
from ingest.demo.aws_catalog import ACCOUNTS, AWS, PAYER, Meter
from ingest.demo.aws_fleet import Line
from ingest.demo.shape import opaque

Cell = str | Decimal | dt.datetime | list[tuple[str, str]]
ZERO = Decimal(0)
REGION = "us-east-1"


@dataclass(frozen=True)
class BillLine:
    """One row of the bill: its cells, and what it costs after commitments are spread over their use (USD)."""

    cells: dict[str, Cell]
    effective: Decimal

    @property
    def billed(self) -> Decimal:
        """line_item_unblended_cost."""
        cost = self.cells["line_item_unblended_cost"]
        if not isinstance(cost, Decimal):
            raise TypeError("line_item_unblended_cost of a demo row isn't a Decimal")
        return cost


@dataclass(frozen=True)
class Bill:
    """The bill of one month; `is_open` leaves the invoice id blank, as AWS does until the invoice is final."""

    seed: int
    period: BillingPeriod
    anchor: dt.date
    is_open: bool

    @property
    def start(self) -> dt.datetime:
        """First instant of the month; naive, because AWS stores its timestamps without a zone."""
        return self.period.start.replace(tzinfo=None)

    @property
    def end(self) -> dt.datetime:
        """First instant of the next month, naive."""
        return self.period.end.replace(tzinfo=None)

    @property
    def age_months(self) -> int:
        """Months between this bill's and the estate's last."""
        return (self.anchor.year - self.period.year) * 12 + self.anchor.month - self.period.month

    @property
    def last_second(self) -> dt.datetime:
        """Where AWS ends fees and credits of the whole month."""
        return self.end - dt.timedelta(seconds=1)

    def head(self, account: tuple[str, str], *, seller: str = AWS, bill_type: str = "Anniversary") -> dict[str, Cell]:
        """The bill_* cells and everything that is the same on each of an account's rows."""
        marketplace = seller != AWS
        entity = "AWS Marketplace" if marketplace else "AWS"
        invoice = "" if self.is_open else str(int(opaque(f"{self.seed}/{self.period}/{entity}/{bill_type}", 8), 16) % 10**9 + 10**9)
        return {
            "bill_bill_type": bill_type,
            "bill_billing_entity": entity,
            "bill_billing_period_start_date": self.start,
            "bill_billing_period_end_date": self.end,
            "bill_invoice_id": invoice,
            "bill_invoicing_entity": AWS,
            "bill_payer_account_id": PAYER[0],
            "bill_payer_account_name": PAYER[1],
            "line_item_currency_code": "USD",
            "line_item_legal_entity": seller,
            "line_item_usage_account_id": account[0],
            "line_item_usage_account_name": account[1],
            "pricing_currency": "USD",
        }


@dataclass(frozen=True)
class Usage:
    """What a resource used on one day, before commitments are applied; `static` are its cells that are the same every day."""

    line: Line
    static: dict[str, Cell]
    day: dt.date
    amount: Decimal


def interval(start: dt.datetime, end: dt.datetime) -> dict[str, Cell]:
    """The three columns that say when."""
    return {
        "line_item_usage_start_date": start,
        "line_item_usage_end_date": end,
        "identity_time_interval": f"{start.isoformat()}Z/{end.isoformat()}Z",
    }


def day_interval(day: dt.date) -> dict[str, Cell]:
    """One UTC day, end exclusive."""
    start = dt.datetime.combine(day, dt.time())
    return interval(start, start + dt.timedelta(days=1))


def line_item_id(*labels: object) -> str:
    """Like AWS's: 52 characters, the same on every day of a resource, different in every month."""
    digest = hashlib.sha256("/".join(str(part) for part in labels).encode()).digest()
    return base64.b32encode(digest).decode().rstrip("=").lower()


def rate_text(rate: Decimal) -> str:
    """Rates are text in a CUR, with ten decimals."""
    return f"{rate:.10f}"


def sku(meter: Meter) -> str:
    """The 16 character SKU of a price point."""
    return base64.b32encode(hashlib.sha256(meter.usage_type.encode()).digest()).decode()[:16]


def product_cells(meter: Meter) -> dict[str, Cell]:
    """product_* and pricing_* cells of one price point at its on-demand rate."""
    attributes = [(key, value) for key, value in meter.attributes if value]
    return {
        "line_item_product_code": meter.code,
        "line_item_usage_type": meter.usage_type,
        "line_item_operation": meter.operation,
        "product": sorted([("product_name", meter.product_name), ("region", REGION), *attributes]),
        "product_servicecode": meter.service,
        "product_product_family": meter.family,
        "product_region_code": REGION,
        "product_location": "US East (N. Virginia)",
        "product_location_type": "AWS Region",
        "product_instance_type": meter.instance_type,
        "product_operation": meter.operation,
        "product_usagetype": meter.usage_type,
        "product_sku": sku(meter),
        "product_pricing_unit": meter.unit,
        "pricing_unit": meter.unit,
        "pricing_term": "Spot" if meter.spot else "OnDemand",
        "pricing_rate_code": f"{sku(meter)}.JRTCKXETXF.6YS6EN2CT7",
        "pricing_rate_id": str(int(opaque(meter.usage_type, 9), 16) % 10**10),
        "line_item_line_item_description": meter.description,
    }


def resource_cells(bill: Bill, line: Line) -> dict[str, Cell]:
    """Everything about a resource's rows that doesn't change from day to day."""
    zone = f"{REGION}a" if line.meter.instance_type and line.meter.service == "AmazonEC2" else ""
    cells = bill.head(ACCOUNTS[line.account], seller=line.meter.seller) | product_cells(line.meter)
    cells |= {
        "identity_line_item_id": line_item_id(bill.seed, bill.period, line.label),
        "line_item_resource_id": line.resource,
        "line_item_availability_zone": zone,
        "line_item_normalization_factor": line.meter.normalization,
        "resource_tags": list(line.tags),
    }
    if line.meter.service.startswith("AmazonBedrock"):
        cells["line_item_iam_principal"] = f"arn:aws:sts::{ACCOUNTS[line.account][0]}:assumed-role/{line.account}-inference/session"
    return cells


def usage_line(static: dict[str, Cell], meter: Meter, day: dt.date, amount: Decimal, rate: Decimal) -> BillLine:
    """Usage at the on-demand (or the day's spot) rate: effective cost = unblended cost = rate × amount."""
    cost = rate * amount
    list_rate = meter.on_demand or rate  # the list columns hold the on-demand price of what was bought at spot
    return BillLine(
        static
        | day_interval(day)
        | {
            "line_item_line_item_type": "Usage",
            "line_item_usage_amount": amount,
            "line_item_normalized_usage_amount": amount * meter.normalization,
            "line_item_unblended_rate": rate_text(rate),
            "line_item_unblended_cost": cost,
            "line_item_blended_rate": rate_text(rate),
            "line_item_blended_cost": cost,
            "pricing_public_on_demand_rate": rate_text(list_rate),
            "pricing_public_on_demand_cost": list_rate * amount,
        },
        cost,
    )


def month_line(
    bill: Bill,
    label: str,
    kind: str,
    account: tuple[str, str],
    cost: Decimal,
    cells: dict[str, Cell],
    *,
    end: dt.datetime,
    effective: Decimal | None = None,
    bill_type: str = "Anniversary",
) -> BillLine:
    """A row that covers the whole month: fee, tax, credit, refund. Amount and rate are blank unless given in `cells`."""
    whole = (
        bill.head(account, bill_type=bill_type)
        | interval(bill.start, end)
        | {
            "identity_line_item_id": line_item_id(bill.seed, bill.period, label),
            "line_item_line_item_type": kind,
            "line_item_unblended_cost": cost,
            "line_item_blended_cost": cost,
        }
    )
    return BillLine(whole | cells, cost if effective is None else effective)
