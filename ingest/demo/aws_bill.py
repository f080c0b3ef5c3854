"""One month's AWS bill of the demo company: resources and commitments → bill lines, as AWS first delivered them or as it restated them.

Run alone: it has no output of its own; `ingest.demo.write_demo` writes every month of it.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal

from costlake.periods import BillingPeriod
from ingest.demo.aws_catalog import ACCOUNTS, PAYER, SPIKE_ACCOUNT, SPIKE_FACTOR, TRAINING
from ingest.demo.aws_fleet import Line, lines
from ingest.demo.aws_lines import REGION, ZERO, Bill, BillLine, Cell, Usage, line_item_id, month_line, rate_text, resource_cells, usage_line
from ingest.demo.aws_reservations import reservation_for, reservation_lines
from ingest.demo.aws_savings_plan import savings_plan_lines
from ingest.demo.shape import days_of, last_day, scaled, spike_date, stream

CENT = Decimal("0.01")
SUPPORT_RATE = Decimal("0.01")
TAX_RATE = Decimal("0.0125")
# AWS services of which the demo's accounts pay tax; marketplace sellers and commitments invoice without.
TAXED = ("AmazonEC2", "AmazonS3", "AmazonSageMaker", "AmazonBedrock", "AmazonRDS")
CREDIT = Decimal("-1500.00")
REFUND = Decimal("-412.37")
LATE_CREDIT = Decimal("-750.00")
LATE_DAYS = 3


def bill_lines(seed: int, period: BillingPeriod, last_month: str, *, restated: bool = False) -> list[BillLine]:
    """Every row of the month's bill; `restated` adds what AWS delivers late: usage of the last days and a credit."""
    bill = Bill(seed, period, last_day(last_month), is_open=period.label == last_month)
    usages = _usages(bill, last_month)
    plain = [usage for usage in usages if usage.line.meter.savings_plan_rate is None and reservation_for(usage.line, bill) is None]
    rows = [usage_line(usage.static, usage.line.meter, usage.day, usage.amount, _rate(bill, usage)) for usage in plain]
    rows += savings_plan_lines(bill, [usage for usage in usages if usage.line.meter.savings_plan_rate is not None])
    rows += reservation_lines(bill, usages)
    rows += _spike(bill, usages, spike_date(last_month))
    rows += [*_taxes(bill, rows), _support(bill, rows), _credit(bill, "credit", CREDIT, "AWS research credits")]
    if period.next().next().label == last_month:
        rows.append(_refund(bill))
    return rows + _late(bill, usages) if restated else rows


def usages(seed: int, period: BillingPeriod, last_month: str) -> list[Usage]:
    """What each resource used on each day of the month, before commitments: what the first delivery's usage rows are made of."""
    return _usages(Bill(seed, period, last_day(last_month), is_open=period.label == last_month), last_month)


def _usages(bill: Bill, last_month: str) -> list[Usage]:
    """What each resource used each day, capped at what one resource can use."""
    days = days_of(bill.period)
    found = []
    for line in lines():
        rng = stream(bill.seed, bill.period, line.label)
        static = resource_cells(bill, line)
        per_day = 1 / len(days) * 30 if line.meter.unit in ("GB-Mo", "Metrics") else 1.0
        for day in days:
            amount = line.daily * per_day * line.shape.factor(day, bill.anchor, rng)
            if _is_there(line, day, bill.anchor):
                exact = scaled(amount, line.meter.digits)
                found.append(Usage(line, static, day, exact if line.meter.cap is None else min(exact, line.meter.cap)))
    return found


def _is_there(line: Line, day: dt.date, anchor: dt.date) -> bool:
    return line.joined_days_ago is None or (anchor - day).days <= line.joined_days_ago


def _rate(bill: Bill, usage: Usage) -> Decimal:
    """The on-demand rate, or the day's spot price, which moves around its usual level."""
    rate = usage.line.meter.rate
    if not usage.line.meter.spot:
        return rate
    move = scaled(stream(bill.seed, usage.line.meter.usage_type, usage.day).uniform(0.88, 1.14), 2)
    return (rate * move).quantize(Decimal("0.0001"))


def _spike(bill: Bill, usages: list[Usage], day: dt.date) -> list[BillLine]:
    """The planted spike: a hyperparameter sweep nobody stopped, on top of the normal training of one account on one day."""
    normal = [usage for usage in usages if usage.day == day and usage.line.meter is TRAINING and usage.line.account == SPIKE_ACCOUNT]
    if not normal:
        return []
    static = normal[0].static | {
        "line_item_resource_id": "arn:aws:sagemaker:us-east-1:222233334444:training-job/sweep-lr-grid-0427",
        "identity_line_item_id": line_item_id(bill.seed, bill.period, "sweep"),
    }
    extra = sum((usage.amount for usage in normal), ZERO) * (SPIKE_FACTOR - 1)
    return [usage_line(static, TRAINING, day, extra, TRAINING.rate)]


def _taxes(bill: Bill, rows: list[BillLine]) -> list[BillLine]:
    """One row per account and taxed service, rounded to the cent like on an invoice."""
    base: defaultdict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    for row in rows:
        if row.cells["line_item_product_code"] in TAXED:
            base[str(row.cells["line_item_usage_account_id"]), str(row.cells["line_item_product_code"])] += row.billed
    names = dict(ACCOUNTS.values()) | dict([PAYER])
    taxes = []
    for (account, product), amount in sorted(base.items()):
        tax = (amount * TAX_RATE).quantize(CENT, ROUND_HALF_UP)
        if tax > 0:
            cells: dict[str, Cell] = {
                "line_item_product_code": product,
                "line_item_tax_type": "USSalesTax",
                "line_item_line_item_description": f"Tax for product code {product}",
            }
            taxes.append(month_line(bill, f"tax/{account}/{product}", "Tax", (account, names[account]), tax, cells, end=bill.end))
    return taxes


def _support(bill: Bill, rows: list[BillLine]) -> BillLine:
    """The monthly support fee: a rate on the dollars billed by AWS itself."""
    base = sum((row.billed for row in rows if row.cells["bill_billing_entity"] == "AWS"), ZERO).quantize(CENT, ROUND_HALF_UP)
    cells: dict[str, Cell] = {
        "line_item_product_code": "AWSSupportEnterprise",
        "product_servicecode": "AWSSupportEnterprise",
        "product": [("product_name", "AWS Support (Enterprise)")],
        "line_item_usage_type": "Dollar",
        "pricing_unit": "Dollar",
        "line_item_usage_amount": base,
        "line_item_unblended_rate": rate_text(SUPPORT_RATE),
        "line_item_blended_rate": rate_text(SUPPORT_RATE),
        "line_item_line_item_description": "1% of monthly AWS usage for Enterprise support",
    }
    return month_line(bill, "support", "Fee", PAYER, base * SUPPORT_RATE, cells, end=bill.last_second)


def _credit(bill: Bill, label: str, amount: Decimal, description: str) -> BillLine:
    cells = _service("AmazonSageMaker", "Amazon SageMaker", description) | {"line_item_usage_type": TRAINING.usage_type}
    return month_line(bill, label, "Credit", ACCOUNTS["research"], amount, cells, end=bill.last_second)


def _refund(bill: Bill) -> BillLine:
    cells = _service("AmazonS3", "Amazon Simple Storage Service", "Refund for requests billed twice")
    return month_line(bill, "refund", "Refund", ACCOUNTS["data"], REFUND, cells, end=bill.last_second, bill_type="Refund")


def _service(code: str, name: str, description: str) -> dict[str, Cell]:
    return {
        "line_item_product_code": code,
        "product_servicecode": code,
        "product": [("product_name", name)],
        "product_region_code": REGION,
        "line_item_line_item_description": description,
    }


def _late(bill: Bill, usages: list[Usage]) -> list[BillLine]:
    """What the restated month has more: late token usage of the last days, and a credit."""
    last_days = set(days_of(bill.period)[-LATE_DAYS:])
    rows = []
    for usage in usages:
        if usage.line.meter.service == "AmazonBedrock" and usage.day in last_days:
            static = usage.static | {"identity_line_item_id": line_item_id(bill.seed, bill.period, "late", usage.line.label)}
            rows.append(
                usage_line(static, usage.line.meter, usage.day, (usage.amount / 8).quantize(Decimal("0.001")), usage.line.meter.rate)
            )
    return [*rows, _credit(bill, "late-credit", LATE_CREDIT, "Service credit, issued late")]
