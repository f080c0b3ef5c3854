"""Every source's FOCUS rows pass the official validator on 1.4: no leaf rule with MUST fails.

Data flow: focus.cost_and_usage (Parquet) → tests/focus_validator/run.py in its own environment → failures.
Alone: `make focus-validator`, then `pytest tests/dbt/test_focus_conformance.py`. Needs the requirement models of
../shared/focus; skipped, with the reason, where they or the environment are missing.

| rows | criteria |
|---|---|
| AWS (legacy CUR, CUR 2.0) | ALL |
| Google Cloud | ALL |
| Oracle, and the real rows of every cloud | ALL, in tests/test_real_data.py |
| Azure (EA, MCA; actual and amortized) | ALL |
| FOCUS 1.2, 1.3 and 1.4 files of vendors, the foundation's 1.0 sample | ALL |
| OpenRouter, DeepSeek, GitHub, Databricks, Cursor, Mistral | ALL |
| OpenAI, Anthropic | ALL: columns that an API cannot fill are present and NULL, and nothing requires a value |
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from costlake.settings import PROJECT_ROOT
from tests.conftest import Validate
from tests.dbt.aws_project import Estate
from tests.dbt.azure_project import Azure
from tests.dbt.focus_project import build
from tests.dbt.llm_project import built_project
from tests.dbt.providers_project import Providers

pytestmark = pytest.mark.slow


def test_aws_rows_pass_every_criterion(aws_estate: Estate, validate: Validate) -> None:
    summary = validate(aws_estate.warehouse)
    assert summary["failures"] == []
    assert summary["passed"] > 400


def test_azure_rows_pass_every_criterion(azure: Azure, validate: Validate) -> None:
    summary = validate(azure.warehouse)
    assert summary["failures"] == []
    assert summary["passed"] > 400


def test_llm_rows_pass_every_criterion(tmp_path_factory: pytest.TempPathFactory, validate: Validate) -> None:
    summary = validate(built_project(tmp_path_factory.getbasetemp() / "llm").warehouse)
    assert summary["failures"] == []
    assert summary["passed"] > 400


def test_smaller_providers_rows_pass_every_criterion(providers: Providers, validate: Validate) -> None:
    summary = validate(providers.warehouse)
    assert summary["failures"] == []
    assert summary["passed"] > 400


def test_google_cloud_rows_pass_every_criterion(gcp_warehouse: Path, validate: Validate) -> None:
    summary = validate(gcp_warehouse)
    assert summary["failures"] == []
    assert summary["passed"] > 400


def test_vendors_focus_files_pass_every_criterion(shared_path: Callable[[str], Path], tmp_path: Path, validate: Validate) -> None:
    fixture = PROJECT_ROOT / "tests" / "fixtures" / "focus_files" / "2026-10"
    files = {"fixture": [fixture / "part-1.csv", fixture / "part-2.parquet"]}
    for cloud in ("aws", "azure", "gcp"):
        files[cloud] = [shared_path(f"data/focus_toolkit_synthetic/focus_1_2_cost_and_usage_{cloud}.csv.gz")]
    files["v13"] = [shared_path("samples/focus_toolkit_generated/focus_1_3_cost_and_usage_aws.csv")]
    files["sample"] = [shared_path("data/focus_sample_1_0/focus_sample.csv.gz")]
    summary = validate(build(tmp_path, files, tests=False).path)
    assert summary["failures"] == []
    assert summary["passed"] > 400


def test_of_the_foundations_sample_only_its_own_fault_fails(shared_path: Callable[[str], Path], tmp_path: Path, validate: Validate) -> None:
    """Its one credit is billed -2.6137 at an effective cost rounded to -3: money that only its author can mend (decision 0019)."""
    sample = shared_path("samples/focus_sample/focus_sample_1000rows_focus1.0.csv")
    failures = validate(build(tmp_path, {"sample": [sample]}, tests=False).path)["failures"]
    assert [(failure["rule"], failure["violations"]) for failure in failures if " MUST " in failure["must"]] == [
        ("CAU-EffectiveCost-C-017-C", 1)
    ]


def test_validator_gate_can_fail(aws_estate: Estate, tmp_path: Path, validate: Validate) -> None:
    broken = tmp_path / "broken.duckdb"
    with duckdb.connect(str(broken)) as connection:
        connection.execute(f"ATTACH '{aws_estate.warehouse}' AS good (READ_ONLY)")
        connection.execute("CREATE SCHEMA focus")
        connection.execute("CREATE TABLE focus.cost_and_usage AS SELECT * REPLACE ('Fee' AS ChargeCategory) FROM good.focus.cost_and_usage")
    assert any("ChargeCategory" in failure["rule"] for failure in validate(broken)["failures"])
