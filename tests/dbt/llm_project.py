"""A scratch warehouse for the LLM and mart tests: hand-written bronze rows, then the project's own dbt models.

Data flow: rows below → bronze.* (plain tables, typed as the lake types them) → dbt build → focus, marts.
Alone: `Project.create(folder)`, then `.dbt("build")` and `.rows("select …")`.
The warehouse runs in New York time, so that a day taken from local time shows.
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from dbt.artifacts.schemas.run import RunExecutionResult
from dbt.cli.main import dbtRunner, dbtRunnerResult

from tests.dbt.bronze import create_bronze, fill_price_book, insert

DBT_FOLDER = Path(__file__).parents[2] / "dbt"
MODELS = [
    "+fct_cost_monthly_reporting",
    "+fct_ai_cost_daily",
    "+fct_focus_faults",
    "+fct_node_cost_daily",
    "+fct_token_economics_daily",
    "+fct_model_economics_daily",
    "+fct_token_usage",
    "+fct_cache_efficiency_daily",
    "+fct_batch_efficiency_daily",
    "+fct_provisioned_throughput",
    "+fct_llm_waste_daily",
    "+fct_provider_comparison",
    "+fct_llm_reconciliation_daily",
    "+fct_llm_unit_cost_daily",
    "stg_anthropic_claude_code__activity",
]
VARS: dict[str, Any] = {"focus_sources": ["openai_costs", "anthropic_costs"]}
PROFILE = """
costlake:
  target: test
  outputs:
    test: {{type: duckdb, path: "{warehouse}", threads: 1, settings: {{TimeZone: America/New_York}}}}
"""

DAY, NEXT_DAY = "2026-10-01", "2026-10-02"
NOVEMBER = "2026-11-03"
MINI, SONNET = "gpt-4o-mini-2024-07-18", "claude-sonnet-4-6"
# what the models cost on other routes; one of these ids matches no pattern of its own list
ELSEWHERE = {("aws", "global.anthropic.claude-sonnet-4-6-v1:0"), ("aws", "regional.anthropic.claude-sonnet-4-6-v1:0"), ("google", SONNET)}

OPENAI_COSTS: list[tuple[str, str | None, str, str | None, str | None]] = [
    # day, line item, dollars, quantity, unit
    (DAY, f"{MINI}, input", "0.06", "400000", "tokens"),
    (DAY, f"{MINI}, cached input", "0.03", None, None),
    (DAY, f"{MINI}, output", "0.07", "1.5", "1000_tokens"),
    (DAY, f"evals | {MINI}, output", "0.01", None, None),
    (DAY, "priority | gpt-5.6-sol, output, long context", "1.07", "1234567", "tokens"),
    (DAY, "web search tool calls", "1", "100", None),
    (DAY, "gpt-9, zorks", "0.333333333333333333", None, None),
    (DAY, None, "0.3", None, None),
    (DAY, f"{MINI}, cache writes", "-0.03", "100", "tokens"),
    (NOVEMBER, f"{MINI}, input", "0.15", "1000000", "tokens"),
]
OPENAI_USAGE: list[tuple[str, str, str, int, int | None, int | None, int]] = [
    # day, key, account, input (superset), cached, cache writes, output
    (DAY, "key_1", "org_a", 1000, 400, 100, 500),
    (DAY, "key_2", "org_a", 1000, 600, None, 500),
    (DAY, "key_9", "org_other", 77, 70, 0, 5),
    (NOVEMBER, "key_1", "org_a", 1_000_000, None, None, 10),
]
ANTHROPIC_COSTS: list[tuple[str, str, str | None, str | None, str | None, str]] = [
    # day, cost type, token type, model, workspace, cents
    (DAY, "tokens", "uncached_input_tokens", SONNET, None, "123.78912"),
    (DAY, "tokens", "output_tokens", SONNET, None, "12"),
    (DAY, "tokens", "cache_creation.ephemeral_1h_input_tokens", SONNET, None, "1.1"),
    (DAY, "tokens", "output_tokens", SONNET, "wrkspc_2", "5"),
    (DAY, "tokens", "thinking_tokens", SONNET, "wrkspc_2", "7"),
    (DAY, "web_search", None, None, None, "20"),
    (DAY, "code_execution", None, None, None, "10"),
    (NEXT_DAY, "tokens", "output_tokens", SONNET, None, "3"),
]


@dataclass(frozen=True)
class Project:
    """A warehouse file with its dbt profile; `dbt` runs in this process, `rows` reads with a connection of its own."""

    folder: Path

    @property
    def warehouse(self) -> Path:
        """The DuckDB file."""
        return self.folder / "warehouse.duckdb"

    @classmethod
    def create(cls, folder: Path) -> Project:
        """A project with the bronze rows above, nothing built yet."""
        project = cls(folder)
        project._write_profile()
        with duckdb.connect(str(project.warehouse)) as connection:
            create_bronze(connection)
            _fill(connection)
            fill_price_book(connection, {("openai", MINI), ("anthropic", SONNET), *ELSEWHERE})
            _fill_beside(connection)
        return project

    def copy(self, folder: Path) -> Project:
        """The same warehouse at another place, for a test that changes it."""
        self.execute("force checkpoint")  # dbt leaves its database open in this process, with rows in the log only
        shutil.copy(self.warehouse, folder / "warehouse.duckdb")
        other = Project(folder)
        other._write_profile()
        return other

    def compiled_test(self, name: str) -> str:
        """The SQL of a singular test as dbt ran it; it passes when it returns no row."""
        return (self.folder / "target" / "compiled" / "costlake" / "tests" / f"{name}.sql").read_text()

    def compiled(self, jinja: str) -> str:
        """What dbt makes of one expression."""
        result = self._invoke("compile", "--inline", jinja)
        assert isinstance(result.result, RunExecutionResult), result.exception
        node: Any = result.result.results[0].node
        return str(node.compiled_code)

    def dbt(self, command: str, select: list[str], variables: Mapping[str, Any] | None = None) -> dbtRunnerResult:
        """Run one dbt command on `select`; the result says which nodes passed."""
        return self._invoke(command, "--select", *select, variables=variables)

    def build(self, variables: Mapping[str, Any] | None = None) -> None:
        """Seeds, models, data tests and unit tests up to the marts; raises with the failing nodes."""
        # A test that also looks at a mart not built here waits for that mart's own tests.
        result = self._invoke("build", "--select", *MODELS, "--indirect-selection", "buildable", variables=variables)
        failed = [
            f"{found.node.name}: {found.message}" for found in getattr(result.result, "results", []) if found.status in ("error", "fail")
        ]
        if not result.success:
            raise AssertionError(f"dbt build failed: {failed or result.exception}")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query on the warehouse."""
        with duckdb.connect(str(self.warehouse)) as connection:
            return connection.execute(sql).fetchall()

    def one(self, sql: str) -> tuple[Any, ...]:
        """The only row of a query."""
        found = self.rows(sql)
        assert len(found) == 1, f"{len(found)} rows: {sql}"
        return found[0]

    def execute(self, sql: str) -> None:
        """Change the warehouse."""
        with duckdb.connect(str(self.warehouse)) as connection:
            connection.execute(sql)

    def _invoke(self, command: str, *arguments: str, variables: Mapping[str, Any] | None = None) -> dbtRunnerResult:
        places = {
            "project-dir": DBT_FOLDER,
            "profiles-dir": self.folder,
            "target-path": self.folder / "target",
            "log-path": self.folder / "logs",
        }
        options = [text for name, path in places.items() for text in (f"--{name}", str(path))]
        return dbtRunner().invoke(
            [
                command,
                *options,
                "--quiet",
                "--no-use-colors",
                "--vars",
                json.dumps(VARS | dict(variables or {})),
                *arguments,
            ]
        )

    def _write_profile(self) -> None:
        (self.folder / "profiles.yml").write_text(PROFILE.format(warehouse=self.warehouse))


@functools.cache
def built_project(folder: Path) -> Project:
    """The project of this test session, built once (all its data and unit tests passed)."""
    folder.mkdir(exist_ok=True)
    project = Project.create(folder)
    project.build()
    return project


def _fill(connection: duckdb.DuckDBPyConnection) -> None:
    insert(
        connection,
        "openai_costs",
        [
            _lineage("openai-costs", day, number, "org_a")
            | _bucket("bucket", day)
            | {
                "amount_value": dollars,
                "amount_currency": "usd",
                "line_item": line_item,
                "project_id": "proj_a",
                "quantity": quantity,
                "quantity_unit": unit,
            }
            for number, (day, line_item, dollars, quantity, unit) in enumerate(OPENAI_COSTS, 1)
        ],
    )
    insert(
        connection,
        "openai_usage",
        [
            _lineage("openai-usage", day, number, account)
            | _bucket("bucket", day)
            | {
                "endpoint": "completions",
                "group_by_signature": "project_id,api_key_id,model",
                "project_id": "proj_a",
                "api_key_id": key,
                "model": MINI,
                "batch": False,
                "service_tier": "default",
                "input_tokens": total,
                "input_cached_tokens": cached,
                "input_cache_write_tokens": written,
                "output_tokens": output,
                "num_model_requests": 5,
            }
            for number, (day, key, account, total, cached, written, output) in enumerate(OPENAI_USAGE, 1)
        ],
    )
    tier = {"service_tier": "standard", "context_window": "0-200k", "inference_geo": "global"}
    insert(
        connection,
        "anthropic_costs",
        [
            _lineage("anthropic-costs", day, number, None)
            | _bucket("", day)
            | {
                "amount_cents": cents,
                "currency": "USD",
                "cost_type": cost_type,
                "description": f"{cost_type} {token_type or ''}".strip(),
                "model": model,
                "token_type": token_type,
                "workspace_id": workspace,
                **(tier if model else {}),
            }
            for number, (day, cost_type, token_type, model, workspace, cents) in enumerate(ANTHROPIC_COSTS, 1)
        ],
    )
    insert(
        connection,
        "anthropic_usage",
        [
            _lineage("anthropic-usage", DAY, number, None)
            | _bucket("", DAY)
            | tier
            | {
                "uncached_input_tokens": 1500,
                "cache_creation_5m_input_tokens": 500,
                "cache_creation_1h_input_tokens": 1000,
                "cache_read_input_tokens": 200,
                "output_tokens": 500,
                "web_search_requests": 10,
                "api_key_id": key,
                "model": SONNET,
            }
            for number, key in enumerate(("apikey_1", "apikey_2"), 1)
        ],
    )


def _fill_beside(connection: duckdb.DuckDBPyConnection) -> None:
    """What stands beside the token reports: other endpoints of OpenAI, and Claude Code, whose tokens count elsewhere."""
    others = {"images": {"images": 4, "num_model_requests": 2}, "web_search_calls": {"num_requests": 7, "num_model_requests": 5}}
    insert(
        connection,
        "openai_usage",
        [
            _lineage("openai-usage", DAY, number, "org_a")
            | _bucket("bucket", DAY)
            | {
                "_slice": f"{DAY} {endpoint}",
                "endpoint": endpoint,
                "group_by_signature": "model",
                "project_id": "proj_a",
                "model": "dall-e-3",
            }
            | counts
            for number, (endpoint, counts) in enumerate(others.items(), 101)
        ],
    )
    insert(
        connection,
        "anthropic_claude_code",
        [
            _lineage("claude-code", DAY, number, None) | _bucket("", DAY) | {"actor_type": "user_actor", "customer_type": "api"} | more
            for number, more in enumerate(
                ({"row_kind": "activity", "num_sessions": 3}, {"row_kind": "model", "model": SONNET, "input_tokens": 1500}), 1
            )
        ],
    )


def _lineage(source: str, day: str, number: int, account: str | None) -> dict[str, Any]:
    return {
        "_source_id": source,
        "_billing_period": day[:7],
        "_slice": day,
        "_delivery_id": "delivery-1",
        "_object_key": f"{source}/{day}.json",
        "_row_number": number,
        "_account_id": account,
    }


def _bucket(prefix: str, day: str) -> dict[str, str]:
    start, end = ("bucket_start", "bucket_end") if prefix else ("starting_at", "ending_at")
    return {start: f"{day} 00:00:00+00", end: f"{day[:8]}{int(day[8:]) + 1:02d} 00:00:00+00"}
