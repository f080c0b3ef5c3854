"""Small CURs in AWS's own layouts, written by the tests that break them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path

HEADER = (
    "identity/LineItemId",
    "bill/PayerAccountId",
    "bill/BillingPeriodStartDate",
    "bill/BillingPeriodEndDate",
    "lineItem/LineItemType",
    "lineItem/UsageStartDate",
    "lineItem/UsageEndDate",
    "lineItem/CurrencyCode",
    "lineItem/UnblendedCost",
)
Row = dict[str, str]


def row(cost: str = "1.5", number: int = 1, month: str = "2026-10", **more: str) -> Row:
    year, mon = int(month[:4]), int(month[5:])
    following = f"{year + mon // 12}-{mon % 12 + 1:02d}"
    return {
        "identity/LineItemId": f"line-{number}",
        "bill/PayerAccountId": "000123456789",
        "bill/BillingPeriodStartDate": f"{month}-01T00:00:00Z",
        "bill/BillingPeriodEndDate": f"{following}-01T00:00:00Z",
        "lineItem/LineItemType": "Usage",
        "lineItem/UsageStartDate": f"{month}-01T00:00:00Z",
        "lineItem/UsageEndDate": f"{month}-01T01:00:00Z",
        "lineItem/CurrencyCode": "USD",
        "lineItem/UnblendedCost": cost,
        **more,
    }


def rows(count: int, cost: str = "1.5", month: str = "2026-10", **more: str) -> list[Row]:
    return [row(cost, number, month, **more) for number in range(1, count + 1)]


def csv_bytes(lines: Sequence[Row], header: Sequence[str] | None = None) -> bytes:
    names = list(header or dict.fromkeys(name for line in [dict.fromkeys(HEADER, ""), *lines] for name in line))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([[line.get(name, "") for name in names] for line in lines])
    return buffer.getvalue().encode()


def deliver(root: Path, parts: Sequence[Sequence[Row]], assembly: str = "a1", month: str = "2026-10") -> Path:
    """One create-new delivery of a legacy CUR; returns its assembly folder. The period's manifest points to it."""
    year, mon = int(month[:4]), int(month[5:])
    period = f"{year}{mon:02d}01-{year + mon // 12}{mon % 12 + 1:02d}01"
    folder = root / period / assembly
    folder.mkdir(parents=True, exist_ok=True)
    keys = []
    for number, part in enumerate(parts, 1):
        name = f"report-{number:05d}.csv.gz"
        (folder / name).write_bytes(gzip.compress(csv_bytes(part), mtime=0))
        keys.append(f"prefix/report/{period}/{assembly}/{name}")
    manifest = {"assemblyId": assembly, "reportKeys": keys, "compression": "GZIP"}
    (root / period / "report-Manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder
