"""The demo's reservations: reserved hours → discounted usage per day, one RIFee row a month, the upfront fee in the month of purchase.

Two kinds on purpose: a No Upfront one, which pays by the month, and an All Upfront one, whose cost moves from the
month of purchase into the months of use, so that billed and effective totals differ. Conservation, exactly, per
reservation and month: Σ reservation_effective_cost + unused part of the RIFee row = hourly cost × hours reserved. All
amounts USD.

Run alone: it has no output of its own; `python -m pytest tests/ingest/demo/test_aws_commitments.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ingest.demo.aws_catalog import P4D, PAYER, RDS, Meter
from ingest.demo.aws_fleet import Line
from ingest.demo.aws_lines import REGION, ZERO, Bill, BillLine, Cell, Usage, month_line, product_cells, rate_text, usage_line
from ingest.demo.shape import opaque

HOURS_A_DAY = Decimal(24)
HOURS_A_YEAR = Decimal(8760)


@dataclass(frozen=True)
class Reservation:
    """A reservation of `count` instances.

    Attributes:
        hourly: USD per instance-hour, paid monthly, or amortised when `all_upfront`.
        bought_months_ago: months between its purchase and the last month; None = before the estate begins.
    """

    meter: Meter
    count: int
    hourly: Decimal
    all_upfront: bool = False
    bought_months_ago: int | None = None

    @property
    def arn(self) -> str:
        """The commitment's id."""
        service, kind = ("ec2", "reserved-instances/") if self.meter.service == "AmazonEC2" else ("rds", "ri:")
        number = f"{opaque(self.meter.usage_type, 8)}-11c2-4b6e-8f3a-{opaque(self.meter.instance_type, 12)}"
        return f"arn:aws:{service}:{REGION}:{PAYER[0]}:{kind}{number}"

    def in_force(self, bill: Bill) -> bool:
        """Whether it covers the bill's month."""
        return self.bought_months_ago is None or bill.age_months <= self.bought_months_ago

    def cells(self) -> dict[str, Cell]:
        """The reservation_* cells that all of its rows share."""
        return {
            "reservation_reservation_a_r_n": self.arn,
            "reservation_subscription_id": str(int(opaque(self.arn, 8), 16)),
            "reservation_modification_status": "Original",
            "reservation_number_of_reservations": str(self.count),
            "reservation_units_per_reservation": "1",
            "reservation_normalized_units_per_reservation": str(self.meter.normalization),
            "pricing_term": "Reserved",
            "pricing_lease_contract_length": "1yr",
            "pricing_offering_class": "standard",
            "pricing_purchase_option": "All Upfront" if self.all_upfront else "No Upfront",
        }


RESERVATIONS = (
    Reservation(P4D, 2, Decimal("13.1746")),
    Reservation(RDS, 2, Decimal("0.2917"), all_upfront=True, bought_months_ago=8),
)


def reservation_for(line: Line, bill: Bill) -> Reservation | None:
    """The reservation that covers a line in the bill's month."""
    if not line.reserved:
        return None
    return next((held for held in RESERVATIONS if held.meter is line.meter and held.in_force(bill)), None)


def reservation_lines(bill: Bill, usages: list[Usage]) -> list[BillLine]:
    """Everything that the reservations put on the month's bill.

    Raises ValueError when the demo uses more hours than it reserved: the catalog is wrong then.
    """
    rows: list[BillLine] = []
    for held in RESERVATIONS:
        if held.in_force(bill):
            covered = [usage for usage in usages if usage.line.reserved and usage.line.meter is held.meter]
            used = sum((usage.amount for usage in covered), ZERO)
            bought = HOURS_A_DAY * (bill.end - bill.start).days * held.count
            if used > bought:
                raise ValueError(f"{used} hours used of {bought} reserved for {held.arn}")
            rows += [*(_discounted(held, usage) for usage in covered), _monthly_fee(bill, held, bought, bought - used)]
            if held.bought_months_ago == bill.age_months:
                rows.append(_upfront_fee(bill, held))
    return rows


def _discounted(held: Reservation, usage: Usage) -> BillLine:
    effective = held.hourly * usage.amount
    part = "reservation_amortized_upfront_cost_for_usage" if held.all_upfront else "reservation_recurring_fee_for_usage"
    row = usage_line(usage.static, held.meter, usage.day, usage.amount, held.meter.rate)
    return BillLine(
        row.cells
        | held.cells()
        | {
            "line_item_line_item_type": "DiscountedUsage",
            "line_item_unblended_rate": rate_text(ZERO),
            "line_item_unblended_cost": ZERO,
            "line_item_blended_rate": rate_text(ZERO),
            "line_item_blended_cost": ZERO,
            "reservation_effective_cost": effective,
            part: effective,
            "line_item_line_item_description": f"{held.meter.instance_type} reserved instance applied",
        },
        effective,
    )


def _monthly_fee(bill: Bill, held: Reservation, bought: Decimal, unused: Decimal) -> BillLine:
    """AWS writes this row for every reservation, at cost 0 when it was paid upfront; it carries what wasn't used."""
    monthly = ZERO if held.all_upfront else held.hourly
    amortised = "reservation_unused_amortized_upfront_fee_for_billing_period"
    cells = _fee_cells(held) | {
        "line_item_usage_amount": bought,
        "line_item_normalization_factor": held.meter.normalization,
        "line_item_normalized_usage_amount": bought * held.meter.normalization,
        "line_item_unblended_rate": rate_text(monthly),
        "line_item_blended_rate": rate_text(monthly),
        "line_item_line_item_description": f"USD {monthly} hourly fee per {held.meter.instance_type} instance",
        "reservation_total_reserved_units": str(bought),
        "reservation_total_reserved_normalized_units": str(bought * held.meter.normalization),
        "reservation_unused_quantity": unused,
        "reservation_unused_normalized_unit_quantity": unused * held.meter.normalization,
        amortised if held.all_upfront else "reservation_unused_recurring_fee": held.hourly * unused,
    }
    if held.all_upfront:
        cells["reservation_amortized_upfront_fee_for_billing_period"] = held.hourly * bought
        cells["reservation_upfront_value"] = held.hourly * HOURS_A_YEAR * held.count
    return month_line(
        bill, f"fee/{held.arn}", "RIFee", PAYER, monthly * bought, cells, end=bill.last_second, effective=held.hourly * unused
    )


def _upfront_fee(bill: Bill, held: Reservation) -> BillLine:
    """The purchase: a `Fee` that bears the reservation's ARN; its effective cost is 0, for its use carries it from now on."""
    price = held.hourly * HOURS_A_YEAR
    cells = _fee_cells(held) | {
        "line_item_usage_amount": Decimal(held.count),
        "line_item_unblended_rate": rate_text(price),
        "line_item_blended_rate": rate_text(price),
        "line_item_line_item_description": f"Sign up charge for subscription of {held.count} {held.meter.instance_type}",
        "pricing_unit": "Quantity",
    }
    return month_line(
        bill,
        f"upfront/{held.arn}",
        "Fee",
        PAYER,
        price * held.count,
        cells,
        end=bill.last_second,
        effective=ZERO,
        bill_type="Purchase",
    )


def _fee_cells(held: Reservation) -> dict[str, Cell]:
    return (
        product_cells(held.meter)
        | held.cells()
        | {
            "line_item_usage_type": f"HeavyUsage:{held.meter.instance_type}",
            "line_item_resource_id": held.arn,
        }
    )
