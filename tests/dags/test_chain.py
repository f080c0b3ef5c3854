"""The DAGs end to end in one process: demo files in, marts, insights and report out, and nothing anew when run again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from costlake.delta import Lake
from costlake.settings import Settings
from ingest.demo import DemoEstate, write_demo
from ingest.demo.estate import EXPORTS

CHAIN = ["ingest_", "transform", "insights", "idle_gpus", "reports", "maintenance"]

pytestmark = [pytest.mark.long, pytest.mark.timeout(1000)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chain")


@pytest.fixture(scope="module")
def estate(root: Path) -> DemoEstate:
    return write_demo(root / "config", months=2)


@pytest.fixture(scope="module")
def rounds(
    root: Path,
    estate: DemoEstate,
    airflow_environment: Callable[..., dict[str, str]],
    in_fresh_process: Callable[..., list[dict[str, Any]]],
) -> list[dict[str, Any]]:
    assert estate.accounts.parent == root / "config"
    return in_fresh_process("run_chain.py", json.dumps([CHAIN, CHAIN]), env=airflow_environment(root), timeout=900)


@pytest.fixture(scope="module")
def settings(root: Path) -> Settings:
    return Settings.load(home=root, lake=root / "lake", config_dir=root / "config")


@pytest.fixture
def lake(settings: Settings, rounds: list[dict[str, Any]]) -> Iterator[duckdb.DuckDBPyConnection]:
    assert rounds
    connection = Lake(settings).connect()
    yield connection
    connection.close()


def test_every_task_of_every_dag_succeeds(rounds: list[dict[str, Any]]) -> None:
    for each in rounds:
        states = {f"{dag}.{task}": state for dag, ended in each["dags"].items() for task, state in ended["tasks"].items()}
        assert set(states.values()) == {"success"}, states
        ours = {"transform", "insights", "idle_gpus", "reports", "maintenance", "maintenance_stream"}
        assert set(each["dags"]) == {f"ingest_{export['source']}" for export in EXPORTS} | ours


def test_the_marts_hold_every_dollar_that_the_demo_billed(lake: duckdb.DuckDBPyConnection, estate: DemoEstate) -> None:
    expected = {
        (export, period): (Decimal(totals["billed"]), Decimal(totals["effective"]))
        for export, periods in estate.totals["deliveries"]["1"].items()
        for period, totals in periods.items()
        if totals["billed"] is not None
    }
    rows = lake.execute(
        "SELECT source_id, billing_period, sum(billed_cost), sum(effective_cost) FROM marts.fct_cost_daily GROUP BY ALL"
    ).fetchall()
    assert {(source, period): (billed, effective) for source, period, billed, effective in rows} == expected
    assert len(expected) == 2 * 8, "two months of eight bills"


def test_reconciliation_is_exact_for_every_bill(lake: duckdb.DuckDBPyConnection) -> None:
    rows = lake.execute("SELECT DISTINCT source_id, billing_period, status FROM ops.reconciliation").fetchall()
    assert {status for _, _, status in rows} == {"exact"}
    assert {source for source, _, _ in rows} >= {"aws-main", "openai-costs", "anthropic-costs"}


def test_forecast_anomalies_report_and_bi_file_are_there(
    lake: duckdb.DuckDBPyConnection, settings: Settings, rounds: list[dict[str, Any]]
) -> None:
    assert rounds
    providers = {row[0] for row in lake.execute("SELECT DISTINCT provider_name FROM insights.forecast_daily").fetchall()}
    assert {"AWS", "OpenAI", "Anthropic"} <= providers
    assert lake.execute("SELECT count(*) FROM insights.anomalies").fetchall()[0][0] > 0
    assert [path.suffix for path in settings.reports.rglob("*.html")]
    assert [path.suffix for path in settings.reports.rglob("*.xlsx")]
    with duckdb.connect(str(settings.serving), read_only=True) as serving:
        assert serving.execute("SELECT count(*) FROM marts.fct_cost_daily").fetchall()[0][0] > 0
        assert serving.execute("SELECT count(*) FROM insights.forecast_daily").fetchall()[0][0] > 0


def test_a_second_round_of_all_dags_commits_nothing(rounds: list[dict[str, Any]]) -> None:
    first, second = rounds
    assert second["versions"] == first["versions"]
    assert len(first["versions"]) >= 8
