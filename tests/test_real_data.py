"""Real bills and vendor-shaped samples through the command line, to the cent: the files lie beside the checkout, never in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import duckdb
import pytest

from tests.conftest import Validate

pytestmark = pytest.mark.long

# file → (export id, billed as in TOTALS.json or the sample itself, places it is given with, currency)
FILES = {
    "data/aws_cur_workshop_2018/Oct2018-WorkshopCUR-00001.snappy.parquet": ("workshop", "4064.483132", 6, "USD"),
    "data/aws_cur_unit_econ_2019/cur_2019-11-26_h00-07.csv.gz": ("unit-econ", "28.9815432968", 10, "USD"),
    "data/aws_cur_small/koku_cur_2023-06_not_final_NOK.csv.gz": ("koku-nok", "30", 12, "NOK"),
    "data/aws_cur_small/koku_test_cur_2018-06.csv.gz": ("koku-2018", "0.082749984127", 10, "USD"),
    # nise writes None where a line has no Savings Plan; TOTALS.json's sums of floats hold to 8 places, Google's to 6.
    "data/nise_aws/July-2026.csv.gz": ("aws-nise-july", "31558.657426012796", 8, "USD"),
    "data/nise_aws/August-2026.csv.gz": ("aws-nise-august", "17474.131932465588", 8, "USD"),
    "data/azure_cost_export_small/ea_sample_anonymous_2023-09_CAD.csv.gz": ("azure-ea", "1.26136926505726", 10, "CAD"),
    "data/azure_cost_export_small/koku_azure_v1_2019-07.csv.gz": ("azure-v1", "0.00011016", 12, "USD"),
    "data/azure_cost_export_small/koku_azure_v1_camelCase_2019-07.csv.gz": ("azure-camel", "0.00011016", 12, "USD"),
    "data/nise_azure/costreport_298fd915-cddc-4c36-bebd-6229594a1c84.csv.gz": ("azure-nise-2", "64.61555510162414", 10, "USD"),
    "data/nise_azure/costreport_fa5717db-0b8a-4619-93f2-8b455ecde06f.csv.gz": ("azure-nise", "65.18304802374064", 10, "USD"),
    "data/gcp_billing_export_small/koku_gcp_2020-11-08_11.csv.gz": ("gcp-trial", "0", 12, "USD"),
    "data/nise_gcp/202607_8957c8cd-1ef3-4138-8850-324f14d7e9bd_2026-07-01_2026-08-01.csv.gz": ("gcp-nise-7", "308277.468644136", 6, "USD"),
    "data/nise_gcp/202608_df3ab11a-16ef-4ddb-b04d-3049e972c4ea_2026-08-01_2026-08-31.csv.gz": ("gcp-nise-8", "298333.03690988", 6, "USD"),
    # TOTALS.json gives a sum of floats; the file's own is 1.416693505343400059, of which 123 cuts to 12 decimals take up to 6e-11.
    "data/oci_cost_report/reports_cost-csv_2023-11-13.csv.gz": ("oci", "1.416693505343400059", 9, "USD"),
    "samples/constructed/openai/costs_grouped.json": ("openai-costs", "0.06", 12, "USD"),
    "samples/constructed/anthropic/cost_report.json": ("anthropic-costs", "1.2378912", 12, "USD"),
}
USAGE = {
    "samples/constructed/openai/usage_completions_grouped.json": ("openai-usage", ()),
    "samples/constructed/anthropic/usage_report_messages.json": ("anthropic-usage", ("--accept-partial",)),
}
FINAL = "data/aws_cur_small/koku_cur_2023-06_final_NOK.csv.gz"
BILLS = ("aws_cur_*", "azure_cost_*", "gcp_billing_*", "nise_aws", "nise_azure", "nise_gcp", "oci_cost_*")
WORKSHOP_EFFECTIVE = Decimal("4195.957109")


def _costlake(lake: Path, *arguments: str, status: int = 0) -> str:
    environment = {**os.environ, "COSTLAKE_HOME": str(lake.parent), "COSTLAKE_LAKE": str(lake)}
    done = subprocess.run(
        [sys.executable, "-m", "costlake.cli", *arguments], env=environment, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, shared_path: Callable[[str], Path]) -> Path:
    """All of them ingested, transformed, reconciled and published by the commands that README names."""
    lake = tmp_path_factory.mktemp("real") / "lake"
    for name, (export, *_) in FILES.items():
        _costlake(lake, "ingest", str(shared_path(name)), "--as", export)
    for name, (export, options) in USAGE.items():
        _costlake(lake, "ingest", str(shared_path(name)), "--as", export, *options)
    _costlake(lake, "transform")
    _costlake(lake, "reconcile")
    _costlake(lake, "publish")
    return lake


@pytest.mark.parametrize("name", FILES)
def test_the_marts_hold_the_bill_to_the_last_known_digit(lake: Path, name: str) -> None:
    export, billed, places, currency = FILES[name]
    connection = duckdb.connect(str(lake / "serving" / "costlake.duckdb"), read_only=True)
    rows = connection.execute(
        "SELECT billing_currency, sum(billed_cost) FROM marts.fct_cost_daily WHERE source_id = ? GROUP BY 1", [export]
    ).fetchall()
    assert [(code, total.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)) for code, total in rows] == [
        (currency, Decimal(billed).quantize(Decimal(1).scaleb(-places)))
    ]


def test_no_real_bill_is_left_out(shared_path: Callable[[str], Path]) -> None:
    data = shared_path("data")
    there = {f"data/{path.relative_to(data)}" for kind in BILLS for path in data.glob(f"{kind}/*") if "access_log" not in path.name}
    assert there - set(FILES) == {FINAL}, "FINAL has a test of its own"


def test_every_real_row_of_every_cloud_keeps_focus_1_4(lake: Path, validate: Validate) -> None:
    """All criteria on: AWS, Azure, Google Cloud, Oracle, OpenAI and Anthropic, as they were published."""
    summary = validate(lake / "serving" / "costlake.duckdb")
    assert summary["failures"] == []
    assert summary["passed"] > 400


def test_the_workshop_bill_amortises_its_reservations(lake: Path) -> None:
    connection = duckdb.connect(str(lake / "serving" / "costlake.duckdb"), read_only=True)
    accounts, effective = connection.execute(
        "SELECT count(DISTINCT sub_account_id), sum(effective_cost) FROM marts.fct_cost_daily WHERE source_id = 'workshop'"
    ).fetchall()[0]
    assert accounts == 2
    assert effective.quantize(Decimal("1e-6"), ROUND_HALF_UP) == WORKSHOP_EFFECTIVE
    rows = connection.execute("SELECT count(DISTINCT x_RowNumber) FROM focus.cost_and_usage WHERE x_SourceId = 'workshop'").fetchall()
    assert rows == [(119_307,)]


def test_the_final_bill_replaces_the_provisional_one(lake: Path, shared_path: Callable[[str], Path]) -> None:
    _costlake(lake, "ingest", str(shared_path(FINAL)), "--as", "koku-nok")
    _costlake(lake, "transform")
    _costlake(lake, "reconcile")
    _costlake(lake, "publish")
    connection = duckdb.connect(str(lake / "serving" / "costlake.duckdb"), read_only=True)
    rows = connection.execute("SELECT sum(billed_cost) FROM marts.fct_cost_daily WHERE source_id = 'koku-nok'").fetchall()
    assert rows == [(Decimal(30),)]


def test_a_page_whose_successors_are_missing_is_refused_with_status_1(tmp_path: Path, shared_path: Callable[[str], Path]) -> None:
    page = shared_path("samples/constructed/anthropic/usage_report_messages.json")
    printed = _costlake(tmp_path / "lake", "ingest", str(page), status=1)
    assert "has_more" in printed
    assert "next step" in printed


def test_the_cur_2_sample_goes_through_with_its_manifest(tmp_path: Path, shared_path: Callable[[str], Path]) -> None:
    export = shared_path("samples/constructed/aws_cur2/finops/cur2")
    lake = tmp_path / "lake"
    assert "1 loaded (16 rows)" in _costlake(lake, "ingest", str(export), "--as", "cur2")
    _costlake(lake, "transform")
    _costlake(lake, "reconcile")


def test_focus_files_of_four_providers_are_told_apart_and_kept_to_the_last_digit(
    tmp_path: Path, shared_path: Callable[[str], Path]
) -> None:
    """FOCUS 1.0 (three providers in one file) and 1.2 as lone files: TOTALS.json's costs per provider and month, faults listed."""
    known = json.loads(shared_path("data/TOTALS.json").read_text())
    lake = tmp_path / "lake"
    expected = {}
    for name, content in known["focus_toolkit_synthetic"].items():
        _costlake(lake, "ingest", str(shared_path(f"data/focus_toolkit_synthetic/{name}")))
        [month] = content["by_month"]
        provider = {"aws": "AWS", "azure": "Microsoft", "gcp": "Google Cloud"}[name.split("_")[-1].split(".")[0]]
        expected[provider, month["m"]] = (month["n_rows"], month["BilledCost"], month["EffectiveCost"])
    _costlake(lake, "ingest", str(shared_path("data/focus_sample_1_0/focus_sample.csv.gz")))
    for row in known["focus_sample_1_0"]["by_provider_period"]:
        expected[row["ProviderName"], row["billing_month"]] = (row["n_rows"], row["BilledCost"], row["EffectiveCost"])
    _costlake(lake, "transform")
    _costlake(lake, "quality", "marts")
    _costlake(lake, "reconcile")
    _costlake(lake, "publish")
    connection = duckdb.connect(str(lake / "serving" / "costlake.duckdb"), read_only=True)
    found = connection.execute(
        "SELECT provider_name, billing_period, sum(line_count)::INT, sum(billed_cost), sum(effective_cost) "
        "FROM marts.fct_cost_daily GROUP BY 1, 2"
    ).fetchall()
    assert {(provider, month): count for provider, month, count, *_ in found} == {key: count for key, (count, *_) in expected.items()}
    for provider, month, _, billed, effective in found:
        _, known_billed, known_effective = expected[provider, month]
        assert abs(billed - Decimal(str(known_billed))) <= Decimal("0.00000001"), provider
        assert abs(effective - Decimal(str(known_effective))) <= Decimal("0.00000001"), provider
    rows = connection.execute(
        "SELECT rule_id, sum(row_count)::INT FROM marts.fct_focus_faults WHERE severity = 'error' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert rows == [("uncovered_usage_costs_not_what_is_billed", 132)]
