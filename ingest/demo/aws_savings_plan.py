"""The demo's Savings Plan: each day's eligible hours → covered rows, negations, the recurring fee with what it left unused.

Conservation, exactly: per day, Σ effective cost of covered rows + (total − used commitment) = recurring fee. Covered
rows carry their on-demand cost and the negation takes it back, so both sum to zero per day. All amounts USD.

Run alone: it has no output of its own; `python -m pytest tests/ingest/demo/test_aws.py`.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import ROUND_DOWN, Decimal

from ingest.demo.aws_catalog import ACCOUNTS, PAYER, Meter
from ingest.demo.aws_lines import (
    ZERO,
    Bill,
    BillLine,
    Cell,
    Usage,
    day_interval,
    line_item_id,
    product_cells,
    rate_text,
    usage_line,
)
from ingest.demo.shape import opaque

HOURS_A_DAY = Decimal(24)
SAVINGS_PLAN_HOURLY = Decimal("98.5")
SAVINGS_PLAN_ARN = f"arn:aws:savingsplans::{PAYER[0]}:savingsplan/{opaque('savings-plan', 8)}-5f0c-4a51-9d1e-{opaque('savings-plan-2', 12)}"
_SMALLEST_HOUR = Decimal("0.0001")

_PLAN: dict[str, Cell] = {
    "savings_plan_savings_plan_a_r_n": SAVINGS_PLAN_ARN,
    "savings_plan_offering_type": "ComputeSavingsPlans",
    "savings_plan_payment_option": "No Upfront",
    "savings_plan_purchase_term": "3yr",
    "savings_plan_region": "Any",
    "savings_plan_start_time": "2025-03-01T00:00:00.000Z",
    "savings_plan_end_time": "2028-02-29T23:59:59.000Z",
}


def savings_plan_lines(bill: Bill, eligible: list[Usage]) -> list[BillLine]:
    """Cover each day's eligible hours until the day's commitment is used; the rest is on-demand usage."""
    by_day: defaultdict[dt.date, list[Usage]] = defaultdict(list)
    for usage in eligible:
        by_day[usage.day].append(usage)
    return [row for day in sorted(by_day) for row in _one_day(bill, day, by_day[day])]


def _one_day(bill: Bill, day: dt.date, eligible: list[Usage]) -> list[BillLine]:
    committed = SAVINGS_PLAN_HOURLY * HOURS_A_DAY
    left = committed
    rows: list[BillLine] = []
    negated: defaultdict[tuple[str, Meter], tuple[Decimal, Decimal]] = defaultdict(lambda: (ZERO, ZERO))
    for usage in eligible:
        meter = usage.line.meter
        plan_rate = meter.savings_plan_rate
        if plan_rate is None:
            raise ValueError(f"{meter.usage_type} isn't eligible for a Savings Plan")
        covered = min(usage.amount, (left / plan_rate).quantize(_SMALLEST_HOUR, ROUND_DOWN))
        if covered > 0:
            left -= plan_rate * covered
            rows.append(_covered(usage, covered, plan_rate))
            amount, cost = negated[usage.line.account, meter]
            negated[usage.line.account, meter] = (amount + covered, cost + meter.rate * covered)
        if usage.amount > covered:
            overflow = usage.static | {"identity_line_item_id": line_item_id(bill.seed, bill.period, "overflow", usage.line.label)}
            rows.append(usage_line(overflow, meter, day, usage.amount - covered, meter.rate))
    rows += [_negation(bill, day, account, meter, amount, cost) for (account, meter), (amount, cost) in negated.items()]
    return [*rows, _recurring_fee(bill, day, committed, committed - left)]


def _covered(usage: Usage, amount: Decimal, plan_rate: Decimal) -> BillLine:
    row = usage_line(usage.static, usage.line.meter, usage.day, amount, usage.line.meter.rate)
    effective = plan_rate * amount
    return BillLine(
        row.cells
        | _PLAN
        | {
            "line_item_line_item_type": "SavingsPlanCoveredUsage",
            "savings_plan_savings_plan_rate": plan_rate,
            "savings_plan_savings_plan_effective_cost": effective,
        },
        effective,
    )


def _negation(bill: Bill, day: dt.date, account: str, meter: Meter, amount: Decimal, cost: Decimal) -> BillLine:
    cells = bill.head(ACCOUNTS[account]) | product_cells(meter) | day_interval(day) | _PLAN
    return BillLine(
        cells
        | {
            "identity_line_item_id": line_item_id(bill.seed, bill.period, "negation", account, meter.usage_type),
            "line_item_line_item_type": "SavingsPlanNegation",
            "line_item_usage_amount": amount,
            "line_item_unblended_cost": -cost,
            "line_item_blended_cost": -cost,
            "line_item_line_item_description": f"SavingsPlanNegation used by AccountId : {ACCOUNTS[account][0]}",
        },
        ZERO,
    )


def _recurring_fee(bill: Bill, day: dt.date, committed: Decimal, used: Decimal) -> BillLine:
    days = (bill.end - bill.start).days
    cells = bill.head(PAYER) | day_interval(day) | _PLAN
    return BillLine(
        cells
        | {
            "identity_line_item_id": line_item_id(bill.seed, bill.period, "savings-plan-fee"),
            "line_item_line_item_type": "SavingsPlanRecurringFee",
            "line_item_product_code": "ComputeSavingsPlans",
            "product_servicecode": "ComputeSavingsPlans",
            "line_item_usage_type": "ComputeSP:3yrNoUpfront",
            "product": [("product_name", "Savings Plans for AWS Compute usage")],
            "product_product_family": "ComputeSavingsPlans",
            "line_item_resource_id": SAVINGS_PLAN_ARN,
            "line_item_line_item_description": "3 year No Upfront Compute Savings Plan",
            "pricing_unit": "Hrs",
            "line_item_usage_amount": HOURS_A_DAY,
            "line_item_unblended_rate": rate_text(SAVINGS_PLAN_HOURLY),
            "line_item_unblended_cost": committed,
            "line_item_blended_rate": rate_text(SAVINGS_PLAN_HOURLY),
            "line_item_blended_cost": committed,
            "savings_plan_total_commitment_to_date": committed,
            "savings_plan_used_commitment": used,
            "savings_plan_recurring_commitment_for_billing_period": committed * days,
        },
        committed - used,
    )
