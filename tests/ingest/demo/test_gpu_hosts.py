"""The demo's GPU machines: those of the bill, with the bill's hours, each under an id of its own."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from decimal import Decimal

from costlake.periods import BillingPeriod
from ingest.demo.aws_bill import bill_lines
from ingest.demo.aws_fleet import lines
from ingest.demo.gpu_hosts import GPU_NAMES, gpu_hosts, hours_on

LAST_MONTH = "2026-10"


def test_no_two_instances_share_an_id_or_their_costs_would_mix() -> None:
    instances = {(line.resource, line.meter.usage_type) for line in lines() if line.resource.startswith("i-")}
    shared = [resource for resource, count in Counter(resource for resource, _ in instances).items() if count > 1]
    assert shared == []
    hosts = gpu_hosts()
    assert len({host.resource_id for host in hosts}) == len({host.host for host in hosts}) == len(hosts) == 31
    assert sum(host.gpu_count for host in hosts) == 3 * 8 + 2 * 8 + 14 + 12


def test_hours_are_those_of_the_bill() -> None:
    first = dt.date(2026, 9, 29)
    hours: Counter[tuple[str, str]] = Counter()
    for host, day, amount in hours_on(7, LAST_MONTH, first, dt.date(2026, 10, 2)):
        assert 0 < amount <= 24
        hours[host.resource_id, day.isoformat()] += amount  # type: ignore[assignment]  # Decimals add up as well
    billed: Counter[tuple[str, str]] = Counter()
    for period in (BillingPeriod(2026, 9), BillingPeriod(2026, 10)):
        for line in bill_lines(7, period, LAST_MONTH):
            day = str(line.cells["line_item_usage_start_date"])[:10]
            kind = line.cells["line_item_line_item_type"]
            is_use = kind in ("Usage", "DiscountedUsage", "SavingsPlanCoveredUsage") and "2026-09-29" <= day <= "2026-10-02"
            if is_use and line.cells.get("product_instance_type") in GPU_NAMES and line.cells["line_item_product_code"] == "AmazonEC2":
                billed[str(line.cells["line_item_resource_id"]), day] += line.cells["line_item_usage_amount"]  # type: ignore[assignment]
    assert hours == billed
    assert sum(hours.values(), Decimal(0)) > 1_000
