"""The demo estate as a whole: it is the yardstick of every other test, so it must not move and must add up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from costlake.config import load_accounts
from costlake.errors import ConfigError
from ingest.demo import write_demo

MONTHS = 4
Digests = Callable[[Path], dict[str, str]]

# The product's rule of effective cost, written down once more: the generator doesn't use it.
EFFECTIVE = """case line_item_line_item_type
    when 'SavingsPlanCoveredUsage' then exact(savings_plan_savings_plan_effective_cost)
    when 'SavingsPlanNegation' then 0
    when 'SavingsPlanRecurringFee' then exact(savings_plan_total_commitment_to_date) - exact(savings_plan_used_commitment)
    when 'DiscountedUsage' then exact(reservation_effective_cost)
    when 'RIFee' then exact(reservation_unused_recurring_fee) + exact(reservation_unused_amortized_upfront_fee_for_billing_period)
    else case when line_item_line_item_type = 'Fee' and reservation_reservation_a_r_n <> '' then 0 else exact(line_item_unblended_cost) end
end"""


def results(folder: Path) -> Iterator[dict[str, Any]]:
    """Every result object of one finished pull, read the way the marker says."""
    for name in json.loads((folder / "pull.json").read_text())["pages"]:
        for bucket in json.loads((folder / name).read_text(), parse_float=Decimal)["data"]:
            yield from bucket["results"]


def bill_totals(root: Path, manifest: Path) -> dict[str, object]:
    files = [str(root / "aws" / uri.removeprefix("s3://costlake-demo/")) for uri in json.loads(manifest.read_text())["dataFiles"]]
    with duckdb.connect() as connection:
        # the shortest text of a double is the decimal that AWS rounded; a direct cast would add the double's noise
        connection.execute("create macro exact(amount) as cast(cast(amount as varchar) as decimal(38, 18))")
        rows, billed, effective = connection.execute(
            f"select count(*), sum(exact(line_item_unblended_cost)), sum({EFFECTIVE}) from read_parquet({files})"
        ).fetchall()[0]
    return {"rows": rows, "billed": f"{billed.normalize():f}", "effective": f"{effective.normalize():f}"}


def test_the_same_seed_writes_the_same_bytes_or_figures_cannot_be_compared(
    written: SimpleNamespace, tmp_path: Path, digests: Digests
) -> None:
    """In another process, with other string hashes, and however many months stand before: 2026-10 is always the same."""
    code = f"from pathlib import Path; from ingest.demo import write_demo; write_demo(Path({str(tmp_path)!r}), months=1)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3], env={**os.environ, "PYTHONHASHSEED": "4242"})
    alone = {name: digest for name, digest in digests(tmp_path).items() if "2026-10" in name}
    assert len(alone) > 20
    assert alone == {name: digest for name, digest in written.first.items() if "2026-10" in name}


def test_another_seed_writes_another_estate(written: SimpleNamespace, tmp_path: Path, digests: Digests) -> None:
    write_demo(tmp_path, months=1, seed=8)
    page = "openai/usage/2026-10/page-001.json"
    assert digests(tmp_path)[page] != written.first[page]


def test_a_restated_month_touches_nothing_else(written: SimpleNamespace) -> None:
    again = written.estate.redelivered.label
    assert again == "2026-07"
    changed = {name for name, digest in written.second.items() if written.first.get(name) != digest}
    assert written.first.keys() <= written.second.keys(), "a delivery deletes nothing"
    assert all(f"BILLING_PERIOD={again}" in name and name.startswith("aws/") for name in changed)
    overwritten = changed & written.first.keys()
    assert overwritten == {f"aws/finops/cur2/metadata/BILLING_PERIOD={again}/cur2-Manifest.json"}


def test_writing_the_second_delivery_twice_changes_nothing(written: SimpleNamespace, digests: Digests) -> None:
    write_demo(written.estate.root, months=MONTHS, delivery=2)
    assert digests(written.estate.root) == written.second


def test_a_second_delivery_without_the_first_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs the first one"):
        write_demo(tmp_path, months=MONTHS, delivery=2)
    assert not list(tmp_path.iterdir()), "nothing is written for a refused delivery"


def test_bills_add_up_to_the_control_totals_of_both_deliveries(written: SimpleNamespace) -> None:
    root, totals = written.estate.root, written.estate.totals["deliveries"]
    again = written.estate.redelivered.label
    assert len(totals["1"]["aws-main"]) == MONTHS
    for month, expected in totals["1"]["aws-main"].items():
        folder = root / f"aws/finops/cur2/metadata/BILLING_PERIOD={month}"
        executions = sorted(folder.glob("*/cur2-Manifest.json"))
        assert len(executions) == (2 if month == again else 1)
        assert bill_totals(root, executions[0]) == expected
    pointer = root / f"aws/finops/cur2/metadata/BILLING_PERIOD={again}/cur2-Manifest.json"
    restated = totals["2"]["aws-main"][again]
    assert bill_totals(root, pointer) == restated
    assert restated["rows"] > totals["1"]["aws-main"][again]["rows"]
    assert restated["billed"] != totals["1"]["aws-main"][again]["billed"]


@pytest.mark.parametrize(("export", "cents"), [("openai-costs", Decimal(1)), ("anthropic-costs", Decimal(100))])
def test_cost_reports_add_up_to_the_control_totals(written: SimpleNamespace, export: str, cents: Decimal) -> None:
    vendor = export.removesuffix("-costs")
    for month, expected in written.estate.totals["deliveries"]["1"][export].items():
        found = list(results(written.estate.root / vendor / "costs" / month))
        amounts = [Decimal(str(result["amount"]["value"] if vendor == "openai" else result["amount"])) for result in found]
        assert {"rows": len(found), "billed": f"{(sum(amounts) / cents).normalize():f}"} == {
            key: expected[key] for key in ("rows", "billed")
        }


@pytest.mark.parametrize("export", ["openai-usage", "anthropic-usage"])
def test_usage_reports_add_up_to_the_control_totals(written: SimpleNamespace, export: str) -> None:
    vendor = export.removesuffix("-usage")
    flat = {"cache_creation_5m_input_tokens": "ephemeral_5m_input_tokens", "cache_creation_1h_input_tokens": "ephemeral_1h_input_tokens"}
    for month, expected in written.estate.totals["deliveries"]["1"][export].items():
        found = [
            result | result.get("cache_creation", {}) | result.get("server_tool_use", {})
            for result in results(written.estate.root / vendor / "usage" / month)
        ]
        sums = {name: sum(result[flat.get(name, name)] for result in found) for name in expected["tokens"]}
        assert sums == expected["tokens"]
        assert len(found) == expected["rows"]
        assert expected["billed"] is None, "usage has no money: unknown, not 0"


def test_the_declared_exports_exist_and_load(written: SimpleNamespace) -> None:
    accounts = load_accounts(written.estate.accounts)
    assert [export.id for export in accounts.exports] == list(written.estate.totals["deliveries"]["1"])
    assert all(Path(export.location).is_dir() for export in accounts.exports)
    unnamed = {export.source for export in accounts.exports if not export.billing_account_id}
    assert not any(source.startswith(("openai", "anthropic", "aws")) for source in unnamed), "their files do not say whose bill it is"


def test_progress_is_told_once_per_month(written: SimpleNamespace) -> None:
    assert [line[:7] for line in written.said] == [period.label for period in written.estate.periods]
