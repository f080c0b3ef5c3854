"""The independent readings of the smaller LLM providers, for `tests.fuzz.reading`."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.fuzz.rows import NOTHING, NotReadable, Row, number, read_lines, read_rows

Reading = tuple[Callable[[Path], list[Row]], Callable[[Sequence[Sequence[Row]]], Decimal]]


def cell_count(cell: Any) -> Decimal | None:
    """A whole number from 0 on in a cell; None for an empty one. NotReadable for anything else."""
    if cell is None or (isinstance(cell, str) and cell.strip(" ") in NOTHING):
        return None
    text = repr(cell) if isinstance(cell, float) else str(cell).strip(" ")
    digits, point, rest = text.partition(".")
    if isinstance(cell, bool) or not (digits.isascii() and digits.isdigit()) or (point and rest.strip("0")) or len(digits) > 18:
        raise NotReadable(f"{cell!r} is no count")
    return Decimal(digits)


def column(row: Row, name: str) -> Any:
    """A cell by its column's name, whatever its case and separators."""
    wanted = "".join(sign for sign in name.lower() if sign.isalnum())
    return next((value for given, value in row.items() if "".join(s for s in given.lower() if s.isascii() and s.isalnum()) == wanted), None)


def _inside(record: Any, *path: str) -> Any:
    for name in path:
        record = record.get(name) if isinstance(record, Mapping) else None
    return record


def _litellm_tokens(files: Sequence[Sequence[Row]]) -> Decimal:
    total, seen = Decimal(0), set()
    for row in (row for file in files for row in file):
        if column(row, "request_id") in seen:
            raise NotReadable("a request comes twice")
        seen.add(column(row, "request_id"))
        prompt, completion = cell_count(column(row, "prompt_tokens")), cell_count(column(row, "completion_tokens"))
        if prompt is None or completion is None:
            raise NotReadable("a request has no tokens")
        said = json.loads(column(row, "metadata") or "{}")
        usage, older = _inside(said, "usage_object"), _inside(said, "additional_usage_values")
        details = _inside(usage, "prompt_tokens_details")
        reads = (_inside(details, "cached_tokens"), _inside(usage, "cache_read_input_tokens"), _inside(older, "cache_read_input_tokens"))
        writes = (
            _inside(details, "cache_creation_tokens"),
            _inside(usage, "cache_creation_input_tokens"),
            _inside(older, "cache_creation_input_tokens"),
        )
        cached = sum((max(cell_count(value) or Decimal(0) for value in values) for values in (reads, writes)), Decimal(0))
        if str(column(row, "cache_hit")).lower() != "true":
            total += prompt + completion + (cached if cached > prompt else 0)
    return total


def json_items(*lists: str) -> Callable[[Path], list[Row]]:
    """A reader of CSV, JSON lines and JSON pages whose items are under one of these names."""

    def read(path: Path) -> list[Row]:
        if ".csv" in path.name or ".parquet" in path.name:
            return read_rows(path)
        if ".json" not in path.name.replace(".jsonl", ""):
            return read_lines(path)
        content = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
        said = json.loads(content.decode("utf-8-sig"), parse_float=Decimal)
        return list(said if isinstance(said, list) else next(said[name] for name in lists if name in said))

    return read


def _once(rows: Sequence[Row], *names: str) -> None:
    seen = [tuple(str(column(row, name) or "") for name in names) for row in rows]
    if len(set(seen)) != len(seen):
        raise NotReadable("a row comes twice")


def _amounts(of: Callable[[Row], Any], *identity: str) -> Callable[[Sequence[Sequence[Row]]], Decimal]:
    def total(files: Sequence[Sequence[Row]]) -> Decimal:
        rows = [row for file in files for row in file]
        if identity:
            _once(rows, *identity)
        amounts = [number(of(row)) for row in rows]
        if any(amount is None for amount in amounts):
            raise NotReadable("a row has no amount")
        return sum((amount for amount in amounts if amount is not None), Decimal(0))

    return total


def _tokens(*names: str) -> Callable[[Sequence[Sequence[Row]]], Decimal]:
    def total(files: Sequence[Sequence[Row]]) -> Decimal:
        return sum((cell_count(column(row, name)) or Decimal(0) for file in files for row in file for name in names), Decimal(0))

    return total


def _deepseek_tokens(files: Sequence[Sequence[Row]]) -> Decimal:
    counts = [(str(row.get("type")).endswith("_tokens"), cell_count(column(row, "amount"))) for file in files for row in file]
    if any(count is None for _, count in counts):
        raise NotReadable("a row has no amount")
    return sum((count for is_token, count in counts if is_token and count is not None), Decimal(0))


def read_log(path: Path) -> list[Row]:
    """JSON lines, whatever the file is called."""
    lines = gzip.decompress(path.read_bytes()).decode("utf-8-sig").split("\n")
    return [json.loads(line, parse_float=Decimal) for line in lines if line.strip()]


def once(source: str, files: Sequence[list[Row]]) -> list[list[Row]]:
    """The files without copies of a record, of a source that delivers some twice; of Databricks' two tables the usage."""
    if source == "databricks_usage":
        return [[row for row in file if "record_id" in row] for file in files]
    if source != "bedrock_logs":
        return list(files)
    return [list({(row["accountId"], row.get("region"), row["requestId"]): row for file in files for row in file}.values())]


def _bedrock_tokens(files: Sequence[Sequence[Row]]) -> Decimal:
    inputs = ("inputTokenCount", "cacheReadInputTokenCount", "cacheWriteInputTokenCount")
    places = [("input", name) for name in inputs] + [("output", "outputTokenCount")]
    return sum((cell_count(_inside(row, *place)) or Decimal(0) for file in files for row in file for place in places), Decimal(0))


def _cursor_dollars(files: Sequence[Sequence[Row]]) -> Decimal:
    total = Decimal(0)
    for row in (row for file in files for row in file):
        charged = number(column(row, "chargedCents"))
        listed = number(_inside(row, "tokenUsage", "totalCents"))
        is_beyond_the_plan = re.search("usage.?based|on.?demand", str(column(row, "kind")).lower())
        if charged is None and listed is None and is_beyond_the_plan:
            raise NotReadable("a billed event without an amount")
        cents = charged if charged is not None else listed if is_beyond_the_plan else None
        total += number(f"{(cents or Decimal(0)) * Decimal('0.01'):f}") or Decimal(0)
    return total


def _lanes(path: str, found: Any) -> list[Row]:
    """Every entry of a month of Mistral, in or below a model."""
    if not isinstance(found, dict):
        return []
    own = [entry for lane in ("input", "output", "cached") if isinstance(found.get(lane), list) for entry in found[lane]]
    return own or [row for name, inner in found.items() if (path, name) != ("", "prices") for row in _lanes(name, inner)]


def read_month(path: Path) -> list[Row]:
    """Mistral's entries, each with the month's prices."""
    month = json.loads(path.read_text(encoding="utf-8-sig"), parse_float=Decimal)
    return [{**entry, "prices": month["prices"]} for entry in _lanes("", month)]


def _mistral_billed(files: Sequence[Sequence[Row]]) -> Decimal:
    total = Decimal(0)
    for row in (row for file in files for row in file):
        names = ("billing_metric", "billing_group")
        prices = [price for price in row["prices"] if isinstance(price, dict)]
        alike = [price for price in prices if all(price.get(name) == row.get(name) for name in names)]
        exact = [price for price in alike if row.get("event_type") is not None and price.get("event_type") == row["event_type"]]
        loose = [price for price in alike if price.get("event_type") is None or row.get("event_type") is None]
        found = {number(price.get("price")) for price in exact or loose}
        paid = cell_count(row["value_paid"] if row.get("value_paid") is not None else row.get("value"))
        if len(found) != 1 or paid is None:
            raise NotReadable("an entry has no price")
        total += (found.pop() or Decimal(0)) * paid
    return total


def read_summary(path: Path) -> list[Row]:
    """The line items of every day of Fireworks' summary."""
    summary = json.loads(path.read_text(encoding="utf-8-sig"), parse_float=Decimal)
    return [line for bucket in summary["usageBuckets"] for line in bucket.get("lineItems") or []]


def _money_of(row: Row) -> Decimal:
    cost = row["totalCost"]
    return Decimal(str(cost.get("units") or 0)) + Decimal(str(cost.get("nanos") or 0)).scaleb(-9)


def _nothing_billed(_: Sequence[Sequence[Row]]) -> Decimal:
    """The table invoices nothing."""
    return Decimal(0)


PROVIDERS: dict[str, Reading] = {
    "bedrock_logs": (read_log, _bedrock_tokens),
    "cursor_events": (json_items("usageEvents", "usageEventsDisplay"), _cursor_dollars),
    "databricks_usage": (read_lines, _nothing_billed),
    "deepseek_costs": (
        read_rows,
        _amounts(lambda row: Decimal(0) if "grant" in str(row.get("wallet_type")).lower() else column(row, "cost")),
    ),
    "deepseek_usage": (read_rows, _deepseek_tokens),
    "fireworks_costs": (read_summary, _amounts(_money_of)),
    "fireworks_metrics": (read_rows, _tokens("prompt_tokens", "completion_tokens")),
    "github_billing": (json_items("usageItems"), _amounts(lambda row: column(row, "net_amount"))),
    "mistral_usage": (read_month, _mistral_billed),
    "openrouter_activity": (
        json_items("data"),
        _amounts(lambda row: column(row, "usage") if column(row, "usage") is not None else column(row, "cost_total")),
    ),
    "litellm_requests": (read_rows, _litellm_tokens),
}
