"""An independent reading of delivered files: Python's csv and json with Decimal, pyarrow for Parquet. Nothing of costlake's readers.

Data flow: files as they lie on disk → rows (tests.fuzz.rows) → number and billed total (tokens for usage reports), as the source's document
defines them.

A source without an entry in READINGS has its rows counted only; the table of `python -m tests.fuzz` says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.fuzz.providers import PROVIDERS, Reading, once
from tests.fuzz.rows import NotReadable, Row, number, read_lines, read_results, read_rows, whole


def _named(row: Row, column: str) -> Any:
    """A CUR column under its legacy or its Athena name."""
    for name, value in row.items():
        if "/" in name:
            spaced = re.sub(r"(?<!^)(?=[A-Z])", "_", name.replace("/", "_"))
            plain = re.sub(r"_+", "_", re.sub(r"[^a-z0-9]+", "_", spaced.lower())).strip("_")
        else:
            plain = name.strip().lower()
        if plain == column:
            return value
    return None


def _cur_billed(files: Sequence[Sequence[Row]]) -> Decimal:
    rows = [
        {
            "gross": number(_named(row, "line_item_unblended_cost")),
            "net": number(_named(row, "line_item_net_unblended_cost")),
            "discount": number(_named(row, "discount_total_discount")),
            "type": str(_named(row, "line_item_line_item_type")),
        }
        for file in files
        for row in file
    ]
    net_files = [file for file in files if file and any(_named({name: "x"}, "line_item_net_unblended_cost") for name in file[0])]
    has_lines = any(str(_named(row, "line_item_line_item_type")).endswith("Discount") for file in net_files for row in file)
    is_net = any(row["net"] for row in rows) and not has_lines
    total = Decimal(0)
    for row in rows:
        gross, net, discount = row["gross"], row["net"], row["discount"]
        if not isinstance(gross, Decimal):
            raise NotReadable("a line has no unblended cost")
        covered = isinstance(discount, Decimal) and abs(discount) >= abs(gross)
        total += net if is_net and isinstance(net, Decimal) and (net != 0 or gross == 0 or covered) else gross
    return total


def _openai_tokens(files: Sequence[Sequence[Row]]) -> Decimal:
    return sum((whole(row["input_tokens"]) + whole(row["output_tokens"]) for file in files for row in file), Decimal(0))


def _amounts(value_of: Callable[[Row], Any], factor: Decimal = Decimal(1)) -> Callable[[Sequence[Sequence[Row]]], Decimal]:
    def total(files: Sequence[Sequence[Row]]) -> Decimal:
        amounts = [number(value_of(row)) for file in files for row in file]
        if any(amount is None for amount in amounts):
            raise NotReadable("a result has no amount")
        # Cents have 18 decimals in bronze; a hundredth of them is rounded there again.
        return sum((number(f"{amount * factor:f}") or Decimal(0) for amount in amounts if amount is not None), Decimal(0))

    return total


def _anthropic_tokens(files: Sequence[Sequence[Row]]) -> Decimal:
    total = Decimal(0)
    for row in (row for file in files for row in file):
        creation = row.get("cache_creation") or {}
        counts = [row.get(name) for name in ("uncached_input_tokens", "cache_read_input_tokens", "output_tokens")]
        counts += [creation.get("ephemeral_5m_input_tokens"), creation.get("ephemeral_1h_input_tokens")]
        total += sum((whole(count) for count in counts if count is not None), Decimal(0))
    return total


def _gcp_billed(files: Sequence[Sequence[Row]]) -> Decimal:
    """Cost plus credits (Cloud Billing, "cost after credits")."""
    total = Decimal(0)
    for row in (row for file in files for row in file):
        cost = number(row["cost"])
        if cost is None:
            raise NotReadable("a row has no cost")
        credits_ = row.get("credits") or []
        amounts = [number(credit.get("amount")) for credit in (json.loads(credits_) if isinstance(credits_, str) else credits_)]
        total += cost + sum((amount for amount in amounts if amount is not None), Decimal(0))
    return total


# source → (reader of a file, total of its files)
READINGS: dict[str, Reading] = {
    "aws_cur": (read_rows, _cur_billed),
    "aws_cur2": (read_rows, _cur_billed),
    "gcp_billing": (read_lines, _gcp_billed),
    "openai_usage": (read_results, _openai_tokens),
    "openai_costs": (read_results, _amounts(lambda row: row["amount"]["value"])),
    "anthropic_usage": (read_results, _anthropic_tokens),
    "anthropic_costs": (read_results, _amounts(lambda row: row["amount"], Decimal("0.01"))),
    **PROVIDERS,
}


def reads(source: str, paths: Sequence[Path]) -> tuple[int, Decimal | None]:
    """Rows and total of a delivery's files. NotReadable when there is no bill in them that one could add up."""
    reader, total = READINGS.get(source, (read_results if ".json" in paths[0].name else read_lines, None))
    try:
        files = once(source, [reader(path) for path in paths])
        return sum(len(rows) for rows in files), None if total is None else total(files)
    except NotReadable:
        raise
    except Exception as error:  # whatever Python's own readers think of a damaged file
        raise NotReadable(f"{type(error).__name__}: {error}") from error
