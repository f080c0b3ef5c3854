"""What one hour of the benchmark's bill looks like: the demo's price list → `slots`, an Arrow table with a row per bill line of an hour.

A slot holds every cell that is the same in each hour, all 131 columns of the export; `bench.generate` repeats it for each
hour and adds what changes (id, times, amount, cost). Of 16 slots 4 are covered by a Savings Plan, 1 negates them, 2 are
covered by a reservation, 9 are plain usage; slot 0 is the plan's hourly fee. All money USD.
Run alone: it has no output of its own; `python -m bench.generate` uses it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

from costlake.periods import BillingPeriod
from ingest.demo import aws_catalog as prices
from ingest.demo.aws_catalog import ACCOUNTS, PAYER, Meter
from ingest.demo.aws_lines import Bill, Cell, product_cells, rate_text
from ingest.demo.aws_schema import COLUMNS, arrow_type, empty_cell

PLAN_ARN = f"arn:aws:savingsplans::{PAYER[0]}:savingsplan/5f0c4a51-9d1e-4a7b-8c2d-b3e01f6a7d42"
RESERVATION_ARN = f"arn:aws:rds:us-east-1:{PAYER[0]}:ri:ri-2026-01-15-08-30-00"
GROUP = 16
_COVERED = frozenset({2, 3, 4, 5})
_NEGATION, _RESERVED = 1, frozenset({6, 7})
_HOURLY_RESERVATION = Decimal("0.2917")
_UNUSED_HOURS = Decimal(10)
_TEAMS = ("search", "ranking", "vision", "speech", "billing", "mobile", "web", "data", "ml-platform", "security", "growth", "sre")
_MONEY = pa.decimal128(28, 10)
# What `bench.generate` needs besides the cells.
_CONTROL = {"_slot": pa.int64(), "_is_month": pa.bool_(), "_amount": _MONEY, "_rate": _MONEY, "_billed_rate": _MONEY, "_factor": _MONEY}


@dataclass(frozen=True)
class Slot:
    """One bill line of an hour (or of the month).

    Attributes:
        cells: by AWS's names. meter: its price point. amount: None = a new pseudo-random amount each hour.
        billed_rate: USD per unit on the bill: the rate, its negative for a negation, 0 where a reservation covers it.
    """

    cells: dict[str, Cell]
    rate: Decimal
    billed_rate: Decimal
    amount: Decimal | None = None
    factor: Decimal = Decimal(0)
    is_month: bool = False


def slots(period: BillingPeriod, per_hour: int, hours: int) -> pa.Table:
    """The slots of an hour (numbered from 0), then the month's own lines, then one slot for the rows that are left over."""
    bill = Bill(7, period, dt.date(period.year, period.month, 1), is_open=False)
    hourly = [_hourly(bill, number, per_hour) for number in range(1, per_hour)]
    covered = sum(slot.cells["line_item_line_item_type"] == "SavingsPlanCoveredUsage" for slot in hourly)
    reserved = sum(slot.cells["line_item_line_item_type"] == "DiscountedUsage" for slot in hourly)
    found = [_plan_fee(bill, covered), *hourly, *_month_lines(bill, reserved * hours), _usage(bill, 1, prices.LOGS)]
    return _table(found)


MONTH_LINES = 5


def _meters() -> list[Meter]:
    catalog = [meter for meter in vars(prices).values() if isinstance(meter, Meter)]
    plain = [meter for meter in catalog if meter not in (prices.M7I, prices.RDS) and not meter.spot]
    return [*plain, *prices.nova_meters("NovaPro", "amazon.nova-pro-v1:0"), *prices.claude_meters()]


_USAGE = _meters()


def _hourly(bill: Bill, number: int, per_hour: int) -> Slot:
    place = number % GROUP
    whole_group = number - place + GROUP <= per_hour
    if whole_group and place in _COVERED:
        return _covered(bill, number)
    if whole_group and place == _NEGATION:
        return _negation(bill, number)
    if whole_group and place in _RESERVED:
        return _reserved(bill, number)
    return _usage(bill, number, _USAGE[number % len(_USAGE)])


def _base(bill: Bill, number: int, meter: Meter, kind: str) -> dict[str, Cell]:
    account = list(ACCOUNTS.values())[number % len(ACCOUNTS)]
    tags = [] if number % 10 == 9 else [("user_application", f"app-{number % 40:02d}"), ("user_environment", ("prod", "stage")[number % 2])]
    tags += [("user_team", _TEAMS[number % len(_TEAMS)])] if tags else []
    return (
        bill.head(account, seller=meter.seller)
        | product_cells(meter)
        | {
            "line_item_line_item_type": kind,
            "line_item_resource_id": _resource(meter, number % 337, account[0]),
            "line_item_unblended_rate": rate_text(meter.rate),
            "line_item_blended_rate": rate_text(meter.rate),
            "pricing_public_on_demand_rate": rate_text(meter.rate),
            "line_item_normalization_factor": meter.normalization,
            "line_item_availability_zone": "us-east-1a" if meter.instance_type else "",
            "resource_tags": tags,
        }
    )


def _resource(meter: Meter, number: int, account: str) -> str:
    if meter.service == "AmazonEC2":
        return f"vol-{number:017x}" if meter.family == "Storage" else f"i-{number:017x}"
    if meter.service == "AmazonS3":
        return f"company-bucket-{number}"
    return f"arn:aws:{meter.service.lower()}:us-east-1:{account}:{meter.family.lower().replace(' ', '-')}/{number:012x}"


def _usage(bill: Bill, number: int, meter: Meter) -> Slot:
    amount = Decimal(1) if meter.cap is not None else None
    return Slot(_base(bill, number, meter, "Usage"), meter.rate, meter.rate, amount, meter.normalization)


def _plan(cells: dict[str, Cell]) -> dict[str, Cell]:
    return cells | {
        "savings_plan_savings_plan_a_r_n": PLAN_ARN,
        "savings_plan_offering_type": "ComputeSavingsPlans",
        "savings_plan_payment_option": "No Upfront",
        "savings_plan_purchase_term": "3yr",
        "savings_plan_region": "Any",
        "savings_plan_start_time": "2023-03-01T00:00:00.000Z",
        "savings_plan_end_time": "2026-12-31T23:59:59.000Z",
    }


def _covered(bill: Bill, number: int) -> Slot:
    meter, rate = prices.M7I, prices.M7I.savings_plan_rate or Decimal(0)
    cells = _plan(_base(bill, number, meter, "SavingsPlanCoveredUsage"))
    cells |= {"savings_plan_savings_plan_rate": rate, "savings_plan_savings_plan_effective_cost": rate}
    return Slot(cells, meter.rate, meter.rate, Decimal(1), meter.normalization)


def _negation(bill: Bill, number: int) -> Slot:
    cells = _plan(_base(bill, number, prices.M7I, "SavingsPlanNegation")) | {"line_item_resource_id": "", "resource_tags": []}
    return Slot(cells, prices.M7I.rate, -prices.M7I.rate, Decimal(len(_COVERED)))


def _plan_fee(bill: Bill, covered: int) -> Slot:
    used = (prices.M7I.savings_plan_rate or Decimal(0)) * covered
    committed = used + Decimal("0.5")
    cells: dict[str, Cell] = {
        "line_item_line_item_type": "SavingsPlanRecurringFee",
        "line_item_product_code": "ComputeSavingsPlans",
        "product_servicecode": "ComputeSavingsPlans",
        "line_item_usage_type": "ComputeSP:3yrNoUpfront",
        "product": [("product_name", "Savings Plans for AWS Compute usage")],
        "line_item_resource_id": PLAN_ARN,
        "line_item_line_item_description": "3 year No Upfront Compute Savings Plan",
        "pricing_unit": "Hrs",
        "line_item_unblended_rate": rate_text(committed),
        "savings_plan_total_commitment_to_date": committed,
        "savings_plan_used_commitment": used,
    }
    return Slot(_plan(bill.head(PAYER) | cells), committed, committed, Decimal(1))


def _reservation(cells: dict[str, Cell]) -> dict[str, Cell]:
    return cells | {
        "reservation_reservation_a_r_n": RESERVATION_ARN,
        "reservation_subscription_id": "1234567890",
        "pricing_term": "Reserved",
        "pricing_lease_contract_length": "1yr",
        "pricing_offering_class": "standard",
        "pricing_purchase_option": "No Upfront",
    }


def _reserved(bill: Bill, number: int) -> Slot:
    cells = _reservation(_base(bill, number, prices.RDS, "DiscountedUsage")) | {
        "line_item_unblended_rate": rate_text(Decimal(0)),
        "reservation_effective_cost": _HOURLY_RESERVATION,
        "reservation_recurring_fee_for_usage": _HOURLY_RESERVATION,
    }
    return Slot(cells, prices.RDS.rate, Decimal(0), Decimal(1), prices.RDS.normalization)


def _month_lines(bill: Bill, used_hours: int) -> list[Slot]:
    bought = used_hours + _UNUSED_HOURS
    fee = _reservation(bill.head(PAYER) | product_cells(prices.RDS)) | {
        "line_item_line_item_type": "RIFee",
        "line_item_usage_type": f"HeavyUsage:{prices.RDS.instance_type}",
        "line_item_resource_id": RESERVATION_ARN,
        "line_item_unblended_rate": rate_text(_HOURLY_RESERVATION),
        "reservation_unused_quantity": _UNUSED_HOURS,
        "reservation_unused_recurring_fee": _UNUSED_HOURS * _HOURLY_RESERVATION,
    }
    found = [Slot(fee, _HOURLY_RESERVATION, _HOURLY_RESERVATION, bought, is_month=True)]
    for account in list(ACCOUNTS.values())[: MONTH_LINES - 1]:
        tax: dict[str, Cell] = {
            "line_item_line_item_type": "Tax",
            "line_item_tax_type": "VAT",
            "line_item_product_code": "AmazonEC2",
            "line_item_line_item_description": "Tax for product code AmazonEC2",
        }
        found.append(Slot(bill.head(account) | tax, Decimal("12.34"), Decimal("12.34"), Decimal(1), is_month=True))
    return found


def _table(found: list[Slot]) -> pa.Table:
    control: dict[str, list[Any]] = {
        "_slot": list(range(len(found))),
        "_is_month": [slot.is_month for slot in found],
        "_amount": [slot.amount for slot in found],
        "_rate": [slot.rate for slot in found],
        "_billed_rate": [slot.billed_rate for slot in found],
        "_factor": [slot.factor for slot in found],
    }
    arrays = {name: pa.array(values, type=_CONTROL[name]) for name, values in control.items()}
    for name, kind in COLUMNS:
        empty = empty_cell(name, kind)
        cells: list[Any] = [slot.cells.get(name, empty) for slot in found]
        if kind == "double":
            # A CUR holds money as DOUBLE: the one nearest to the decimal.
            cells = [None if cell is None else float(cell) for cell in cells]
        arrays[name] = pa.array(cells, type=arrow_type(kind))
    return pa.table(arrays)
