"""Great Expectations on a DuckDB connection of ours: rules → expectations → outcomes, pushed down as SQL.

Data flow: `Suite` + a view on an open DuckDB connection → Great Expectations → `Outcome` per rule.

The only importer of great_expectations, and slow to import (9 s): import this module inside a function. Great Expectations
knows no DuckDB; its SQL engine works on it if one connection stays open (it would open an empty database per query).
Its own data docs are not used: they load from outside.

Not for direct use; see `quality.checks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import duckdb
import great_expectations as gx
import sqlalchemy as sa
from duckdb_engine import ConnectionWrapper
from great_expectations.compatibility.pydantic import PrivateAttr
from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults, ProgressBarsConfig
from great_expectations.datasource.fluent.sql_datasource import SQLDatasource
from great_expectations.execution_engine.sqlalchemy_execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull
from great_expectations.expectations.core.expect_table_row_count_to_be_between import ExpectTableRowCountToBeBetween
from great_expectations.expectations.core.unexpected_rows_expectation import UnexpectedRowsExpectation
from great_expectations.expectations.expectation import Expectation

from quality.rules import Rule, Suite

_OBSERVED_LIMIT = 400
_SAMPLE_ROWS = 3


@dataclass(frozen=True)
class Outcome:
    """What one rule found; `unexpected_count` is None where the rule could not be evaluated."""

    rule: Rule
    success: bool
    unexpected_count: int | None
    element_count: int | None
    observed: str


class AutocommitConnection(ConnectionWrapper):  # type: ignore[misc]  # as below
    """The shared connection as SQLAlchemy sees it: never in a transaction.

    SQLAlchemy opens one with its first query and rolls it back when any of its handles on the connection is given back, be it by the
    garbage collector; a view created meanwhile vanished with it, now and then.
    """

    def begin(self) -> None:
        """Nothing: every statement stands for itself."""

    def commit(self) -> None:
        """Nothing: every statement is committed."""

    def rollback(self) -> None:
        """Nothing: there is no transaction to undo."""


class DuckDBExecutionEngine(SqlAlchemyExecutionEngine):  # type: ignore[misc]  # mypy does not follow Great Expectations
    """The SQL engine with one connection that stays open."""

    _connection: sa.Connection | None

    @contextmanager
    def get_connection(self) -> Iterator[sa.Connection]:
        """Always the same connection."""
        if self._connection is None:
            self._connection = self.engine.connect()
        yield self._connection


class DuckDBDatasource(SQLDatasource):  # type: ignore[misc]  # as above
    """A data source on a DuckDB connection that somebody else opened; the class registers itself as type `duckdb`."""

    type: Literal["duckdb"] = "duckdb"
    _shared: Any = PrivateAttr(default=None)

    def get_execution_engine(self) -> SqlAlchemyExecutionEngine:
        """The engine on the shared connection."""
        engine: SqlAlchemyExecutionEngine = self._shared
        return engine


class Engine:
    """Runs suites against views of one DuckDB connection; `close` leaves the connection closed."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        # Without this Great Expectations makes a folder for its docs site in the system's temporary directory.
        stores = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
        context = gx.get_context(mode="ephemeral", project_config=DataContextConfig(store_backend_defaults=stores))
        context.enable_analytics(False)
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        self._sqlalchemy = sa.create_engine(
            "duckdb:///:memory:", creator=lambda: AutocommitConnection(connection), poolclass=sa.pool.StaticPool
        )
        self._execution = DuckDBExecutionEngine(engine=self._sqlalchemy, create_temp_table=False)
        add = context.data_sources.add_duckdb
        self._source: DuckDBDatasource = add("lake", connection_string="duckdb:///:memory:", create_temp_table=False)
        self._source._shared = self._execution

    def close(self) -> None:
        """Close the connection and everything that holds it."""
        self._execution.close()
        self._sqlalchemy.dispose()
        self.connection.close()

    def validate(self, view: str, suite: Suite) -> list[Outcome]:
        """Evaluate a suite on a view; one outcome per rule, in the suite's order.

        A rule that cannot be evaluated (a column is missing, a file is unreadable) does not hold; its outcome says why.
        """
        asset = self._source.add_query_asset(name=view, query=f"SELECT * FROM {view}")
        try:
            batch = asset.add_batch_definition_whole_table(view).get_batch()
            expectations = [_expectation(rule, number) for number, rule in enumerate(suite.rules)]
            # The row count also tells the other rules' outcomes how many rows there were.
            counted = ExpectTableRowCountToBeBetween(min_value=0, meta={"rule": len(suite.rules)})
            expectation_suite = gx.ExpectationSuite(name=view, expectations=[*expectations, counted])
            found = {
                _number(result): result for result in batch.validate(expectation_suite, result_format={"result_format": "BASIC"}).results
            }
            rows = found[len(suite.rules)].result.get("observed_value")
            outcomes = []
            for number, rule in enumerate(suite.rules):
                result = found[number]
                if rule.kind == "no_rows" and not result.success and result.result:
                    # Only a broken rule is asked again for its rows: a sample that people can look up.
                    result = batch.validate(expectations[number], result_format={"result_format": "COMPLETE"})
                outcomes.append(_outcome(rule, result, rows))
            return outcomes
        finally:
            self._source.delete_asset(view)


def _number(result: Any) -> int:
    return int(result.expectation_config.meta["rule"])


def _expectation(rule: Rule, number: int) -> Expectation:
    arguments: dict[str, Any] = {"meta": {"rule": number}, "severity": "critical" if rule.severity == "fail" else "warning"}
    if rule.column is not None and rule.kind != "no_rows":
        arguments["column"] = rule.column
    if rule.sql is not None:
        arguments["unexpected_rows_query"] = rule.sql
    match rule.kind:
        case "not_null":
            return ExpectColumnValuesToNotBeNull(**arguments)
        case "between":
            return ExpectColumnValuesToBeBetween(min_value=rule.minimum, max_value=rule.maximum, **arguments)
        case "row_count":
            return ExpectTableRowCountToBeBetween(min_value=rule.minimum, **arguments)
        case "no_rows":
            return UnexpectedRowsExpectation(**arguments)


def _outcome(rule: Rule, result: Any, rows: int | None) -> Outcome:
    found = result.result
    if not found:
        return Outcome(rule, False, None, rows, _shortened(f"could not be evaluated: {_exception_text(result.exception_info)}"))
    if rule.kind == "row_count":
        return Outcome(rule, bool(result.success), None, rows, f"{found['observed_value']} rows")
    if rule.kind == "no_rows":
        count = int(found["observed_value"])
        return Outcome(rule, bool(result.success), count, rows, _shortened(_sample(count, found)))
    # An empty batch has no count; nothing in it breaks the rule.
    count = int(found["unexpected_count"] or 0)
    examples = ", ".join(dict.fromkeys(str(value) for value in found.get("partial_unexpected_list", [])))
    observed = f"{count} of {rows} rows" + (f", e.g. {examples}" if examples and rule.kind == "between" else "")
    return Outcome(rule, bool(result.success), count, rows, _shortened(observed))


def _sample(count: int, found: dict[str, Any]) -> str:
    if count == 0:
        return "no row breaks it"
    sample = found["details"]["unexpected_rows"][:_SAMPLE_ROWS]
    shown = "; ".join(", ".join(f"{name}={value}" for name, value in row.items()) for row in sample)
    return f"{count} {'row breaks' if count == 1 else 'rows break'} it, e.g. {shown}"


def _exception_text(info: dict[str, Any]) -> str:
    # One entry per metric, or the three keys of one exception.
    entries = [info] if "exception_message" in info else list(info.values())
    messages = [str(entry.get("exception_message") or "no message") for entry in entries]
    return messages[0] if messages else "no message"


def _shortened(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _OBSERVED_LIMIT else flat[: _OBSERVED_LIMIT - 1] + "…"
