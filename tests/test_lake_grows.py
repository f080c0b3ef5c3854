"""A lake that gets its sources one by one: dbt builds the staging models of those that are there, and nothing gets lost on the way.

Data flow: fixtures of tests/ingest → bronze → transform, after each source; then the same lake rebuilt at once. Alone: pytest on this file.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from costlake import transform
from costlake.config import Export
from costlake.delta import Lake
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import ingest_stream
from tests.test_gpu_chain import TENTH, sample, send

pytestmark = pytest.mark.slow
CLOCK = FixedClock(dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC))
FIXTURES = Path(__file__).resolve().parent / "fixtures"
# always there: what FOCUS or a test names whatever the lake holds
ALWAYS = {"stg_anthropic_claude_code", "stg_focus_files"}
TABLES = (
    "focus.cost_and_usage",
    "intermediate.int_token_usage",
    "marts.fct_token_usage",
    "marts.fct_cost_daily",
    "marts.fct_llm_unit_cost_daily",
)


def _settings(home: Path) -> Settings:
    return Settings.load(home=home, lake=home / "lake", config_dir=home / "config")


def _export(source: str) -> str:
    return source.replace("_", "-")


def _add(settings: Settings, source: str) -> list[transform.TransformResult]:
    export = Export(id=_export(source), source=source, location=str(FIXTURES / source), billing_account_id="acc-1")
    assert ingest_stream(settings, export, CLOCK).refused == []
    return transform.run(settings)


def _rows(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()


def _staged(settings: Settings) -> set[str]:
    return {name.split("__")[0] for (name,) in _rows(settings, "SELECT view_name FROM duckdb_views() WHERE schema_name = 'staging'")}


def _billed(settings: Settings) -> dict[str, Decimal]:
    return dict(_rows(settings, "SELECT x_SourceId, sum(BilledCost) FROM focus.cost_and_usage GROUP BY 1"))


def _fixture(source: str) -> dict[str, Any]:
    return dict(yaml.safe_load((FIXTURES / source / "expected.yml").read_text("utf-8")))


def _expected(source: str) -> Decimal:
    return Decimal(_fixture(source)["billed"])


def test_sources_that_come_one_by_one_make_the_lake_that_all_of_them_make(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    _add(settings, "litellm_requests")
    assert _staged(settings) == {"stg_litellm_requests", *ALWAYS}
    assert _billed(settings) == {}
    ledger = "SELECT source_id, sum(quantity) FROM marts.fct_token_usage WHERE unit = 'Tokens' GROUP BY 1 ORDER BY 1"
    (gateway,) = _rows(settings, ledger)
    assert gateway == (_export("litellm_requests"), int(_fixture("litellm_requests")["tokens"]))

    assert len(list((settings.dbt_dir / "target").glob("manifest-*.msgpack"))) == 1, "the parsed project, for the next lake"

    _add(settings, "openai_costs")
    assert _staged(settings) == {"stg_litellm_requests", "stg_openai_costs", "stg_openai_usage", *ALWAYS}, "costs read usage"
    assert _billed(settings) == {_export("openai_costs"): _expected("openai_costs")}

    _add(settings, "anthropic_usage")
    _add(settings, "github_billing")
    assert _billed(settings) == {_export(name): _expected(name) for name in ("openai_costs", "github_billing")}
    assert gateway in _rows(settings, ledger), "usage of another provider and month stays"

    grown = {table: _rows(settings, f"SELECT * FROM {table} ORDER BY ALL") for table in TABLES}
    transform.run(settings, full_refresh=True)
    for table, rows in grown.items():
        assert rows == _rows(settings, f"SELECT * FROM {table} ORDER BY ALL"), table
        assert rows, table


def test_telemetry_may_come_before_any_bill(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    send(Lake(settings), *(sample(TENTH, gpu=gpu) for gpu in range(3)))
    transform.run(settings)
    assert _rows(settings, "SELECT count(*), count(effective_cost), min(cost_reason) FROM marts.fct_gpu_hours") == [
        (3, 0, "machine_on_no_bill_and_no_owned_rate")
    ]

    _add(settings, "openai_costs")
    assert _billed(settings) == {_export("openai_costs"): _expected("openai_costs")}
    assert _rows(settings, "SELECT count(*) FROM marts.fct_gpu_hours") == [(3,)]
