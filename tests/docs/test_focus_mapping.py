"""The mapping page speaks of columns that exist, for every bill, and of all that may never be empty."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from costlake.settings import PROJECT_ROOT
from ingest.source import all_sources
from tests.docs import generator

PAGE = (PROJECT_ROOT / "docs/focus-mapping.md").read_text(encoding="utf-8")
BILLS = [source for source in all_sources().values() if source.feeds == "focus"]
NEVER_NULL = {
    "BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargePeriodEnd",
    "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "ServiceCategory", "ServiceName",
    "ServiceProviderName",
}  # fmt: skip


def contract() -> set[str]:
    models = yaml.safe_load((PROJECT_ROOT / "dbt/models/focus/_focus__cost_and_usage.yml").read_text(encoding="utf-8"))["models"]
    return {column["name"] for model in models if model["name"] == "focus__cost_and_usage" for column in model["columns"]}


def table_of(title: str) -> set[str]:
    section = PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| (\w+) \|", section, re.MULTILINE)) - {"FOCUS"}


@pytest.mark.parametrize("source", BILLS, ids=lambda source: source.name)
def test_a_bill_without_its_mapping_is_noticed(source: object) -> None:
    listed = table_of(source.title)  # type: ignore[attr-defined]
    assert listed - contract() == set(), "these columns are not in the FOCUS contract"
    assert NEVER_NULL - listed == set(), "these columns may never be NULL, so something maps them: say what"


def test_a_model_that_says_nothing_of_its_columns_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "dbt/models/staging/aws_cur"
    folder.mkdir(parents=True)
    (folder / "_aws_cur.yml").write_text("models:\n  - name: stg_aws_cur__focus\n", encoding="utf-8")
    with pytest.raises(ValueError, match="stg_aws_cur__focus"):
        generator.load().mapping_page(tmp_path, [all_sources()["aws_cur"]])
